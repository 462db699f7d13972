"""What a program needs to ask a robot's memory, and the contracts every process of the stack shares."""

__version__ = "0.1.0"
