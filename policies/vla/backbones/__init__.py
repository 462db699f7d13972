"""Image encoders that were trained elsewhere and lie in local folders: of ``timm``, of ``transformers``, whole VLMs.

settings             which folder, and what of it is trained; no torch
opening              from settings to the network
protocol             what every encoder gives, and what those of this folder share
pictures             resizing and scaling, as the encoder was trained
timm_vision          any of timm's image networks
transformers_vision  SigLIP and DINOv2, one or both side by side
vlm_vision           Qwen2-VL, Qwen2.5-VL, PaliGemma: patches, and the cognitive token
"""
