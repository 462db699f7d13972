"""Which pretrained encoder is used and what of it is trained. No torch in here."""

from __future__ import annotations

from typing import Literal

from embodied.config import Config


class LoraSettings(Config):
    """Low-rank updates of linear layers (Hu et al. 2021, arXiv 2106.09685)."""

    rank: int = 32
    """Of an update; OpenVLA's is 32."""
    alpha: float = 16.0
    """Updates count ``alpha / rank`` times."""
    modules: str = ""
    """Regular expression that is looked for in the names of linear layers; empty takes all, as OpenVLA does."""


class _PretrainedVision(Config):
    """What all have in common."""

    side_px: int = 224
    """Images are resized to a square of this side."""
    training: Literal["frozen", "lora", "all"] = "frozen"
    """What is trained of it: nothing, low-rank updates, or all weights."""
    lora: LoraSettings = LoraSettings()
    """The updates, where they are what is trained."""


class TimmVision(_PretrainedVision, tag_field="vision", tag="timm"):
    """A network of ``timm``."""

    model: str
    """A folder with timm's ``config.json`` and ``model.safetensors``; or an architecture's name, and ``weights``."""
    weights: str = ""
    """A safetensors file with the architecture's weights; empty for the folder's."""


class TransformersVision(_PretrainedVision, tag_field="vision", tag="transformers"):
    """Vision transformers of ``transformers``: SigLIP, DINOv2."""

    folders: tuple[str, ...]
    """One or more, whose features are joined patch by patch, as Prismatic joins DINOv2 and SigLIP."""


class VLMVision(_PretrainedVision, tag_field="vision", tag="vlm"):
    """A vision-language model of ``transformers``, which reads the instruction too: Qwen2-VL, Qwen2.5-VL, PaliGemma."""

    folder: str
    """As ``save_pretrained`` writes it: configuration, safetensors weights, tokenizer, and how images are scaled."""
