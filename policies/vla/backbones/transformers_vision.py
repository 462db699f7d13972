"""SigLIP and DINOv2 as ``transformers`` saves them, one or several of them side by side.

Prismatic (Karamcheti et al. 2024, arXiv 2402.07865, section 4.2), which MemoryVLA builds on, joins the features of both
patch by patch; there from the last layer but one, here from the last.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from embodied.errors import ConfigurationError
from policies.vla.backbones.folders import import_transformers, load_network, open_pictures, read_description
from policies.vla.backbones.protocol import PretrainedBackbone, prepared
from policies.vla.backbones.settings import TransformersVision

NETWORKS = {
    "siglip": "SiglipVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
    "dinov2": "Dinov2Model",
    "dinov2_with_registers": "Dinov2WithRegistersModel",
}
"""Classes by what ``config.json`` calls the model."""


class TransformersBackbone(PretrainedBackbone):
    """Patches of one or several vision transformers; no cognitive token."""

    def __init__(self, settings: TransformersVision, n_cameras: int, n_stacked: int) -> None:
        """Load them.

        Args:
            settings: Where they lie.
            n_cameras: At one instant.
            n_stacked: Frames of each.

        Raises:
            ConfigurationError: transformers, a folder or some weights are missing, or the grids differ.
        """
        super().__init__(settings, n_cameras, n_stacked)
        if not settings.folders:
            raise ConfigurationError("vision.folders: expected at least one, got none")
        self.towers = nn.ModuleList(_Tower(Path(folder), settings) for folder in settings.folders)
        sides = [tower.side for tower in self.towers]
        if len(set(sides)) > 1:
            raise ConfigurationError(f"vision.folders: expected grids of one size, got {sides} patches a side")
        self._finish(sum(tower.width for tower in self.towers), sides[0])

    def _encode(self, images: Tensor, instructions: tuple[str, ...]) -> tuple[Tensor, None]:
        return torch.cat([tower(images) for tower in self.towers], dim=-1), None


class _Tower(nn.Module):
    """One vision transformer with its way of scaling images."""

    def __init__(self, folder: Path, settings: TransformersVision) -> None:
        super().__init__()
        kind = read_description(folder / "config.json").get("model_type")
        if kind not in NETWORKS:
            raise ConfigurationError(f"vision {folder}: expected one of {', '.join(NETWORKS)}, got {kind!r}")
        is_siglip = kind.startswith("siglip")
        network: Any = load_network(
            getattr(import_transformers(), NETWORKS[kind]),
            folder,
            settings.training,
            # Its pooling is not used here.
            **({"vision_use_head": False} if is_siglip else {}),
        )
        patch_px = network.config.patch_size
        if settings.side_px % patch_px:
            raise ConfigurationError(
                f"vision.side_px: expected a multiple of the {patch_px} px of a patch of {folder}, got "
                f"{settings.side_px}"
            )
        self.pictures = open_pictures(folder, settings.side_px)
        self.width, self.side = network.config.hidden_size, settings.side_px // patch_px
        # DINOv2 resamples its position embeddings by itself.
        self._asked = {"interpolate_pos_encoding": True} if is_siglip else {}
        self.network = prepared(network, settings)
        for name, parameter in self.network.named_parameters():
            if name.endswith("mask_token"):
                # Never used here, so its gradient would never come, for which training on several devices waits.
                parameter.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 (batch, images, height, width, 3) to (batch * images, patches, width)."""
        pictures = self.pictures(images).to(self.network.dtype)
        tokens: Tensor = self.network(pixel_values=pictures, **self._asked).last_hidden_state
        # A class token and registers, where there are some, come first.
        return tokens[:, -self.side * self.side :]
