"""What every image encoder of a policy gives, and what the pretrained ones have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from embodied.errors import ConfigurationError
from policies.vla.backbones.settings import TimmVision, TransformersVision, VLMVision
from policies.vla.lora import add_lora

PretrainedVision = TimmVision | TransformersVision | VLMVision
_N_SAMPLED = 256
"""Numbers of each weight that are looked at: a model of billions is read in a moment."""


@runtime_checkable
class Backbone(Protocol):
    """An image encoder."""

    @property
    def patch_width(self) -> int:
        """Numbers of a patch."""

    @property
    def n_patches(self) -> int:
        """Of all cameras: a square grid each, row by row."""

    @property
    def cognitive_width(self) -> int | None:
        """Numbers of the cognitive token; None without one."""

    def __call__(self, images: Tensor, words: Tensor, instructions: tuple[str, ...]) -> tuple[Tensor, Tensor | None]:
        """Return float32 patches (batch, n_patches, patch_width), and the cognitive token (batch, 1, width) or None.

        Args:
            images: uint8 (batch, cameras * stacked frames, height, width, 3).
            words: float32 (batch, 384): the instructions' embeddings.
            instructions: As many as the batch has.
        """


class PretrainedBackbone(nn.Module):
    """Weights from a local folder; frozen, with low-rank updates, or trained."""

    cognitive_width: int | None = None
    patch_width: int
    n_patches: int

    def __init__(self, settings: PretrainedVision, n_cameras: int, n_stacked: int) -> None:
        """Note what is trained.

        Args:
            settings: Tell it.
            n_cameras: At one instant.
            n_stacked: Frames of each camera; a patch has the features of all of them, oldest first.
        """
        super().__init__()
        self._training = settings.training
        self._n_cameras, self._n_stacked = n_cameras, n_stacked

    @property
    def _n_images(self) -> int:
        return self._n_cameras * self._n_stacked

    def _finish(self, width: int, side: int) -> None:
        """Note what an image becomes, ``side`` times ``side`` patches of so many numbers; and which weights do it."""
        self.patch_width = self._n_stacked * width
        self.n_patches = self._n_cameras * side * side
        if self._training != "all":
            # A policy's checkpoint holds this instead of the frozen weights.
            self.register_buffer("fingerprint", _fingerprint(self))
            self.register_load_state_dict_pre_hook(_check_fingerprint)

    def train(self, mode: bool = True) -> PretrainedBackbone:
        """Go into training mode only if all weights are trained: frozen statistics stay frozen."""
        return super().train(mode and self._training == "all")

    def forward(self, images: Tensor, words: Tensor, instructions: tuple[str, ...]) -> tuple[Tensor, Tensor | None]:
        """Do what ``Backbone`` says.

        Raises:
            ValueError: Another number of images or instructions than expected.
        """
        if images.shape[1] != self._n_images:
            raise ValueError(f"images: expected {self._n_images} of an instant, got {images.shape[1]}")
        if len(instructions) != len(images):
            raise ValueError(f"instructions: expected {len(images)}, got {len(instructions)}")
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._training != "frozen"):
            patches, cognitive = self._encode(images, instructions)
        patches = patches.unflatten(0, (len(images), self._n_cameras, self._n_stacked)).transpose(2, 3)
        patches = patches.reshape(len(images), self.n_patches, self.patch_width).float()
        return patches, None if cognitive is None else cognitive.float()

    def _encode(self, images: Tensor, instructions: tuple[str, ...]) -> tuple[Tensor, Tensor | None]:
        """Return patches (batch * images, patches of one, width), and the cognitive token (batch, 1, width) or None."""
        raise NotImplementedError


def prepared(network: Any, settings: PretrainedVision) -> Any:
    """Freeze what is not trained, add low-rank updates where they are; return the network.

    Raises:
        ConfigurationError: The updates' settings do not fit the network.
    """
    network.requires_grad_(settings.training == "all")
    if settings.training == "lora":
        try:
            add_lora(network, settings.lora)
        except ValueError as error:
            raise ConfigurationError(f"vision {error}") from error
    return network.train(settings.training == "all")


def _fingerprint(network: nn.Module) -> Tensor:
    """Return a checksum, uint8 (32,), of names, shapes and some numbers of each of the frozen weights."""
    digest = hashlib.sha256()
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            some = parameter.detach().flatten()[:: max(1, parameter.numel() // _N_SAMPLED)].float().cpu()
            digest.update(f"{name} {tuple(parameter.shape)}".encode() + some.numpy().tobytes())
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)


def _check_fingerprint(network: nn.Module, tensors: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
    """Refuse a checkpoint of a policy whose encoder had other weights.

    Raises:
        ConfigurationError: That is so.
    """
    stored = tensors.get(f"{prefix}fingerprint")
    if stored is not None and not torch.equal(stored.cpu(), network.fingerprint.cpu()):
        raise ConfigurationError(
            "vision: the encoder's folder holds other weights than those the policy was trained with"
        )
