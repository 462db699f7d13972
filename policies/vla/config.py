"""What a memory-conditioned policy is made of, and what it was trained for. No torch in here."""

from __future__ import annotations

from typing import Literal

from embodied.config import Config
from embodied.structure import Structure
from policies.vla.backbones.settings import TimmVision, TransformersVision, VLMVision

WORDS_DIM = 384
"""Of an instruction's embedding (MiniLM)."""


class CompactVision(Config, tag_field="vision", tag="compact"):
    """A small convolutional encoder, trained from scratch."""

    widths: tuple[int, int] = (32, 64)
    """Channels at a quarter and at an eighth of the image's size."""
    n_blocks: int = 2
    """Residual blocks at an eighth."""
    n_colors: int = 32
    """Detectors of single colours, of which each patch keeps the strongest answer."""


class MemoryConfig(Config):
    """The working memory (MemoryVLA, arXiv 2508.19236, section 3.2). Where paper and code differ, both are here."""

    kind: Literal["memory", "none"] = "memory"
    """``none``: the twin that remembers nothing: the same network, whose memory is what it sees now."""
    streams: Literal["both", "perceptual", "cognitive"] = "both"
    """Which tokens are remembered."""
    capacity: int = 16
    """Entries of each stream."""
    consolidation: Literal["merge", "fifo"] = "merge"
    """What a full stream does: merge the most similar neighbours, or drop the oldest."""
    merged_step: Literal["earlier", "mean", "count"] = "earlier"
    """The step of a merged entry: the earlier one (the paper's code), the mean (MemoryVLA+), or of all merged."""
    store: Literal["raw", "fused"] = "raw"
    """What is written: what was perceived (the code's default), or what the memory made of it (the paper)."""
    fusion: Literal["gate", "add"] = "gate"
    """How what was read joins what is seen: a learned gate for each number, or the mean of both."""
    gate_of: Literal["read", "seen"] = "read"
    """What the gate lets through: what was read (the paper's equation 8), or what is seen (its code)."""
    step_encoding: bool = True
    """Add an encoding of their step to the keys (equation 5)."""
    pool: int = 2
    """Patches a side that one remembered token stands for: memory is that much coarser than what is seen."""
    n_layers: int = 1
    """Rounds of attention."""
    n_heads: int = 2
    """Of each round: 1 as the paper's, several as MemoryVLA+."""
    rank: int = 64
    """Width of queries, keys and values over all heads; the paper's is that of the tokens."""
    hidden: int = 64
    """Width of the feed-forward part; the paper's is four times the tokens'."""
    detach: bool = False
    """Cut remembered tokens off from gradients, as the paper's code does."""


class HeadConfig(Config):
    """The diffusion transformer over a chunk of actions (section 3.3)."""

    width: int = 192
    depth: int = 4
    n_heads: int = 4
    n_diffusion_steps: int = 100
    """Of the squared-cosine schedule."""
    prediction: Literal["noise", "sample"] = "sample"
    """What the network tells of noisy actions: the noise in them (the paper), or the actions themselves (DP3, arXiv
    2403.03954)."""
    n_repeats: int = 2
    """Noise levels that each example is trained on at once."""
    p_drop_condition: float = 0.1
    """Chance that the cognitive token is replaced by a learned one, for classifier-free guidance."""


class RotationConfig(Config):
    """How the network has the rotation of an action: ``tool_roll``, ``tool_pitch``, ``tool_yaw``."""

    form: Literal["as_given", "axis_angle", "roll_pitch_yaw"] = "as_given"
    """``as_given``: as any other numbers. Otherwise what the three are, and the network has six in their place, without
    jumps: a rotation vector, or angles about the fixed axes."""
    unit_rad: float = 1.0
    """What a 1 among the three stands for, where they are shares of a largest step: 0.1 for MIKASA."""


class NetworkConfig(Config):
    """The whole network."""

    vision: CompactVision | TimmVision | TransformersVision | VLMVision = CompactVision()
    """The image encoder."""
    perceptual_width: int = 64
    """Of a perceptual token."""
    cognitive_width: int = 64
    """Of the cognitive token."""
    memory: MemoryConfig = MemoryConfig()
    """What is remembered, and how it is read."""
    head: HeadConfig = HeadConfig()
    """How actions are made."""
    rotations: RotationConfig = RotationConfig()
    """What rotations are in the network."""
    n_stacked_frames: int = 1
    """Frames that are seen at once, the newest last: more than one is the plain alternative to a memory."""
    proprioception: bool = False
    """Whether the robot's own measurements are an input; the paper does without."""
    destination_weight: float = 1.0
    """Of the auxiliary losses: at which token the tool comes to rest next, at which it is, and where both are. 0 does
    without."""


class Interface(Structure):
    """What a policy was trained for; stored with its weights."""

    cameras: tuple[str, ...]
    height_px: int
    width_px: int
    action_names: tuple[str, ...]
    proprioception_names: tuple[str, ...]
    """Empty unless they are an input."""
    control_period_s: float
    chunk_steps: int
    """Actions in an answer."""
    execute_steps: int
    """Of which so many are carried out before the policy is called again."""


PRESETS: dict[str, NetworkConfig] = {
    "compact": NetworkConfig(),
    "small": NetworkConfig(
        perceptual_width=32,
        vision=CompactVision(widths=(16, 32), n_blocks=1),
        memory=MemoryConfig(rank=32, hidden=32),
        head=HeadConfig(width=96, depth=3, n_heads=2),
    ),
}
"""By name: what to begin with."""
