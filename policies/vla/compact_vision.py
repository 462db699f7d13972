"""An image encoder small enough to be trained from scratch on a processor."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.vla.config import WORDS_DIM, CompactVision, Interface

STRIDE = 8
"""Pixels between neighbouring patches."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a bypass."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, width, rows, columns) to the same."""
        return x + self.second(torch.relu(self.first(torch.relu(self.norm(x)))))


class CompactEncoder(nn.Module):
    """``Backbone``: a patch of features each eight pixels, one grid a camera; no cognitive token of its own."""

    cognitive_width = None

    def __init__(self, config: CompactVision, interface: Interface, n_stacked: int) -> None:
        """Make the layers.

        Args:
            config: Their sizes.
            interface: Tells of cameras and images.
            n_stacked: Frames of each camera that are seen at once.

        Raises:
            ValueError: The images are not square, or no multiple of ``STRIDE``.
        """
        super().__init__()
        if interface.height_px != interface.width_px or interface.height_px % STRIDE:
            raise ValueError(
                f"image: expected a square of a multiple of {STRIDE} px, got {interface.height_px} x "
                f"{interface.width_px}"
            )
        first, second = config.widths
        self.patch_width = second + config.n_colors
        self._n_cameras = len(interface.cameras)
        self.n_patches = self._n_cameras * (interface.height_px // STRIDE) ** 2
        self.stem = nn.Conv2d(3 * n_stacked, first, 4, stride=4)
        self.local = ResidualBlock(first)
        self.down = nn.Conv2d(first, second, 2, stride=2)
        self.film = nn.Linear(WORDS_DIM, 2 * second)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        self.colors = nn.Conv2d(3 * n_stacked, config.n_colors, 1)
        self.blocks = nn.ModuleList(ResidualBlock(second) for _ in range(config.n_blocks))

    def forward(self, images: Tensor, words: Tensor, instructions: tuple[str, ...]) -> tuple[Tensor, None]:
        """Return patches (batch, cameras * rows * columns, patch_width), and no cognitive token.

        Args:
            images: uint8 (batch, cameras * stacked frames, height, width, 3).
            words: float32 (batch, 384): scale and shift the features.
            instructions: Not read: the words are enough.
        """
        batch, _, height, width, _ = images.shape
        x = images.reshape(batch * self._n_cameras, -1, height, width, 3).permute(0, 1, 4, 2, 3)
        x = x.reshape(batch * self._n_cameras, -1, height, width).float() / 127.5 - 1.0
        # What colours there are in a patch, wherever in it: a thing of a few pixels is as clear as one that fills it.
        colors = torch.relu(functional.max_pool2d(self.colors(functional.avg_pool2d(x, 2)), STRIDE // 2))
        x = self.down(torch.relu(self.local(self.stem(x))))
        scale, shift = self.film(words).repeat_interleave(self._n_cameras, dim=0)[:, :, None, None].chunk(2, dim=1)
        x = x * (1.0 + scale) + shift
        for block in self.blocks:
            x = block(x)
        patches = torch.cat([x, colors], dim=1).flatten(2).transpose(1, 2)
        return patches.reshape(batch, -1, self.patch_width), None
