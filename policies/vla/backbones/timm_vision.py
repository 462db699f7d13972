"""Image networks of ``timm``: the last grid of features of any of them that has one (``forward_intermediates``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from embodied.errors import ConfigurationError
from policies.vla.backbones.folders import HINT, first_line, read_description, scaled_pictures
from policies.vla.backbones.protocol import PretrainedBackbone, prepared
from policies.vla.backbones.settings import TimmVision


class TimmBackbone(PretrainedBackbone):
    """Patches of a timm network, normalised as its classifier would get them; no cognitive token."""

    def __init__(self, settings: TimmVision, n_cameras: int, n_stacked: int) -> None:
        """Load it.

        Args:
            settings: Where it lies.
            n_cameras: At one instant.
            n_stacked: Frames of each.

        Raises:
            ConfigurationError: timm, the folder or some weights are missing, or there is no square grid of features.
        """
        super().__init__(settings, n_cameras, n_stacked)
        timm, load_file = _libraries()
        folder = Path(settings.model)
        described: dict[str, Any] = {}
        weights = Path(settings.weights) if settings.weights else folder / "model.safetensors"
        if folder.is_dir():
            described = read_description(folder / "config.json")
        elif not settings.weights:
            raise ConfigurationError(f"vision.model: {settings.model} is no folder, and vision.weights names no file")
        name = described.get("architecture", settings.model)
        if not timm.is_model(name):
            raise ConfigurationError(f"vision.model: expected a network that timm knows, got {name!r}")
        network = _loaded(timm, load_file, name, described.get("model_args") or {}, weights)
        scaling = network.pretrained_cfg | (described.get("pretrained_cfg") or {})
        self.pictures = scaled_pictures(
            folder / "config.json", settings.side_px, scaling.get("mean"), scaling.get("std")
        )
        _resize(network, settings.side_px)
        self.network = prepared(network, settings)
        self._finish(*self._probe(settings))

    def _probe(self, settings: TimmVision) -> tuple[int, int]:
        """Return width and side of the grid, of an image that is black."""
        black = torch.zeros(1, 1, settings.side_px, settings.side_px, 3, dtype=torch.uint8)
        try:
            with torch.no_grad():
                _, width, rows, columns = self._grid(self.pictures(black)).shape
        except Exception as error:
            # Networks refuse a size in as many ways as there are networks.
            raise ConfigurationError(
                f"vision.side_px: {settings.side_px} does not fit {settings.model}: {first_line(error)}"
            ) from error
        if rows != columns:
            raise ConfigurationError(f"vision {settings.model}: expected a square grid, got {rows} x {columns}")
        return width, rows

    def _encode(self, images: Tensor, instructions: tuple[str, ...]) -> tuple[Tensor, None]:
        return self._grid(self.pictures(images)).flatten(2).transpose(1, 2), None

    def _grid(self, pictures: Tensor) -> Tensor:
        """Map (n, 3, side, side) to (n, width, rows, columns)."""
        last: Tensor = self.network.forward_intermediates(
            pictures, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
        )[-1]
        return last


def _libraries() -> tuple[Any, Any]:
    try:
        import timm
        from safetensors.torch import load_file
    except (ImportError, RuntimeError) as error:
        # A torchvision built for another torch fails with a RuntimeError.
        raise ConfigurationError(f"vision timm: {HINT} ({first_line(error)})") from error
    return timm, load_file


def _loaded(timm: Any, load_file: Any, name: str, arguments: dict[str, Any], weights: Path) -> Any:
    """Make a network without its classifier, and load all other weights."""
    if weights.suffix != ".safetensors":
        raise ConfigurationError(f"vision {weights}: expected a safetensors file")
    try:
        network = timm.create_model(name, pretrained=False, **(arguments | {"num_classes": 0}))
        missing, _ = network.load_state_dict(load_file(weights), strict=False)
    except Exception as error:
        # Wrong arguments, no file, a damaged one, other shapes: each in its own way.
        raise ConfigurationError(f"vision {weights}: cannot be loaded: {first_line(error)}") from error
    if missing:
        raise ConfigurationError(f"vision {weights}: lacks {len(missing)} weights, such as {missing[0]}")
    if not hasattr(network, "forward_intermediates"):
        raise ConfigurationError(f"vision.model: {name} gives no grid of features")
    return network.eval()


def _resize(network: Any, side_px: int) -> None:
    """Resample position embeddings where a network has some; convolutions take any size."""
    if hasattr(network, "set_input_size"):
        try:
            network.set_input_size(img_size=side_px)
        except Exception as error:
            # Assertions, mostly.
            raise ConfigurationError(f"vision.side_px: {side_px} does not fit: {first_line(error)}") from error
