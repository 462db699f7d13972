"""Images as the encoder was trained on them: resized to a square, scaled by its mean and deviation.

In torch, for whole batches on any device. The processors of ``transformers`` do the same one image at a time, some of
them only with torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class Pictures(nn.Module):
    """From uint8 to what the encoder takes."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, side_px: int, mean: Sequence[float], deviation: Sequence[float]) -> None:
        """Note the size, and mean and deviation of red, green and blue, each from 0 to 1."""
        super().__init__()
        self._side = side_px
        # They come with the encoder's folder, not with a policy's weights.
        self.register_buffer("mean", 255.0 * torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", 255.0 * torch.tensor(deviation).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 (batch, images, height, width, 3) to float32 (batch * images, 3, side, side)."""
        x = images.flatten(0, 1).permute(0, 3, 1, 2).float()
        if x.shape[-2:] != (self._side, self._side):
            size = (self._side, self._side)
            x = functional.interpolate(x, size=size, mode="bicubic", align_corners=False, antialias=True)
            x = x.clamp(0.0, 255.0)
        return (x - self.mean) / self.deviation
