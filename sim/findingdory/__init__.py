"""A day of pick and place in a house, and what a robot may be told to go back to afterwards.

After FindingDory (arXiv 2506.15635): phase one, an oracle rearranges a house while the robot looks on (``experience``);
phase two, one of 60 instructions (``templates``) is answered with frames of that history (``agents``), and the robot
drives to where it stood in them (``phase_two``). Houses, frames and wordings are our own.
"""
