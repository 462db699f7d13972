"""A vision-language-action policy that remembers: MemoryVLA's perceptual-cognitive memory in a small network.

config          what a policy is made of, without torch
model           the network in one file: encode, read the memory, fuse, denoise a chunk of actions
memory          the learned read: attention over remembered tokens, and the fusion with what is seen now
action_head     the diffusion transformer over a chunk of actions
diffusion       the noise schedule and DDIM
compact_vision  an image encoder that trains on a processor
"""
