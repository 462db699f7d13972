"""Where in the pictures the tool is, and where its motion ends: what a servo needs, learned beside the actions.

Two points of each picture are known from a log alone: where the tool is, and where it comes to rest next. Which patch
holds them is a choice among patches, and the second of them is what memory is for. Where exactly they are is read off
the pixels around that patch by layers of their own, so that learning it cannot spoil the choice (docs/log.md).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.vla.config import Interface

N_POSITION = 3
_WIDTHS = (16, 24, 48)
_SCALES = (1.0, 4.0, 16.0)
"""Of a way that is left: far off its direction matters, and near by each centimetre does."""


class Destination(nn.Module):
    """Which token's place the motion ends at, and what is told of that to the cognitive token."""

    def __init__(self, side: int, width: int, cognitive_width: int) -> None:
        """Make the layers.

        Args:
            side: Tokens in a row of a camera's grid.
            width: Of a token.
            cognitive_width: Of the cognitive token.
        """
        super().__init__()
        self._side = side
        self.norm = nn.LayerNorm(width)
        # The tool comes to rest beside a thing as often as in it: neighbours have a say.
        self.around = nn.Conv2d(width, width, 3, padding=1)
        self.score = nn.Linear(width, 1)
        self.to_cognitive = nn.Linear(2 * width + (2 + len(_SCALES)) * N_POSITION, cognitive_width)

    def forward(self, perceptual: Tensor) -> Tensor:
        """Map (batch, n_tokens, width) to log probabilities (batch, n_tokens)."""
        grids = self.norm(perceptual).unflatten(1, (-1, self._side, self._side)).flatten(0, 1)
        around = torch.relu(self.around(grids.permute(0, 3, 1, 2))).flatten(2).transpose(1, 2)
        return self.score(around).reshape(len(perceptual), -1).log_softmax(dim=1)

    def summary(self, log_shares: Tensor, perceptual: Tensor, places: Tensor, positions: Tensor) -> Tensor:
        """Return what is at the destination and how far it is, as an addition to the cognitive token.

        Args:
            log_shares: Of ``forward``.
            perceptual: (batch, n_tokens, width).
            places: (n_tokens, width): the embedding of each token's place.
            positions: (batch, 1 + n_tokens, 3): of ``Located.joined``.
        """
        share = log_shares.exp()[:, None]
        tool, candidates = positions[:, :1], positions[:, 1:]
        # Of two destinations that seem equally likely one is gone to, and not the middle between them.
        likeliest = log_shares.argmax(dim=1)[:, None, None].expand(-1, 1, N_POSITION)
        end = candidates.gather(1, likeliest)
        left = [torch.tanh(scale * (end - tool)) for scale in _SCALES]
        return self.to_cognitive(torch.cat([share @ perceptual, share @ places, tool, end, *left], dim=-1))


class Located(NamedTuple):
    """Of each of a batch of pictures: where points are in space, if they are at a token's place."""

    log_shares: Tensor
    """(batch, n_tokens): log probability of each token to hold the tool."""
    positions: Tensor
    """(batch, n_tokens, 2, 3): of the destination and of the tool; -1 to 1 is the range in the demonstrations."""

    def joined(self) -> Tensor:
        """Return where the tool is, and where it would be at rest at each token, (batch, 1 + n_tokens, 3)."""
        tool = self.log_shares.exp()[:, None].detach() @ self.positions[:, :, 1]
        return torch.cat([tool, self.positions[:, :, 0]], dim=1)


class ToolPositions(nn.Module):
    """Where the tool is, and for each token where the tool would be if it rested there, from the pixels."""

    def __init__(self, interface: Interface, n_stacked: int, side: int) -> None:
        """Make the layers.

        Args:
            interface: Tells of cameras and images.
            n_stacked: Frames of each camera that are seen at once.
            side: Tokens in a row of a camera's grid.
        """
        super().__init__()
        self._n_cameras, self._side = len(interface.cameras), side
        first, second, third = _WIDTHS
        self.fine = nn.Sequential(
            nn.Conv2d(3 * n_stacked, first, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(first, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(second, second, 3, padding=1),
            nn.ReLU(),
        )
        # Four cells to a token: what lies where in it is still told apart.
        self.around = nn.Conv2d(4 * second + 2, third, 3, padding=1)
        self.tool = nn.Linear(third, 1)
        self.to_position = nn.Linear(third + 2, 2 * N_POSITION)
        centres = (torch.arange(side) + 0.5) * (2.0 / side) - 1.0
        self.register_buffer("centres", torch.stack(torch.meshgrid(centres, centres, indexing="xy")), persistent=False)

    def forward(self, images: Tensor, view: Tensor | None = None) -> Located:
        """Return where points would be at each token, and at which the tool is.

        Args:
            images: uint8 (batch, cameras * stacked frames, height, width, 3).
            view: (batch, 3): left, top and size of the part that is seen, as shares of the picture as the camera took
                it, which is what tells where things are; None for the whole.
        """
        batch, _, height, width, _ = images.shape
        x = images.reshape(batch * self._n_cameras, -1, height, width, 3).permute(0, 1, 4, 2, 3)
        x = self.fine(x.reshape(batch * self._n_cameras, -1, height, width).float() / 127.5 - 1.0)
        if x.shape[-1] != 2 * self._side:
            x = functional.interpolate(x, size=2 * self._side, mode="bilinear")
        centres = self.centres.expand(batch, -1, -1, -1)
        if view is not None:
            corner, size = view[:, :2, None, None], view[:, 2:, None, None]
            centres = 2.0 * (corner + size * 0.5 * (centres + 1.0)) - 1.0
        centres = centres.repeat_interleave(self._n_cameras, dim=0)
        x = torch.relu(self.around(torch.cat([functional.pixel_unshuffle(x, 2), centres], dim=1)))
        x = torch.cat([x, centres], dim=1).flatten(2).transpose(1, 2)
        x = x.reshape(batch, -1, x.shape[-1])
        log_shares = self.tool(x[..., :-2])[..., 0].log_softmax(dim=1)
        return Located(log_shares, self.to_position(x).unflatten(-1, (2, N_POSITION)))


def token_of(keypoints: Tensor, side: int) -> Tensor:
    """Return which token holds points of the pictures, int64 (batch, n_cameras), among those of all cameras.

    Args:
        keypoints: (batch, n_cameras, 2): u and v as shares of each picture's width and height.
        side: Tokens in a row of a camera's grid.
    """
    column, row = (keypoints * side).long().clamp(0, side - 1).unbind(dim=-1)
    return (torch.arange(keypoints.shape[1], device=keypoints.device) * side + row) * side + column


def keypoint_losses(
    destination: Tensor,
    located: Located,
    keypoints: Tensor,
    has_keypoint: Tensor,
    positions: Tensor,
    weight: Tensor,
) -> dict[str, Tensor]:
    """Return the auxiliary losses: the cross entropies of both points' tokens, and the mean error of their positions.

    One token and not some around it: soft targets of neighbouring things overlap, and what tells the things apart was
    then not learned (docs/log.md). Positions are asked only of the tokens that hold the points.

    Args:
        destination: (batch, n_tokens): log probabilities of where the motion ends.
        located: Of ``ToolPositions``.
        keypoints: (batch, n_cameras, 2, 2): of destination and tool, u and v as shares of width and height.
        has_keypoint: bool (batch, n_cameras, 2): whether they are known and in the picture.
        positions: (batch, 2, 3): of both, -1 to 1 being the range in the demonstrations.
        weight: (batch,).
    """
    side = math.isqrt(destination.shape[1] // keypoints.shape[1])
    at = [token_of(keypoints[:, :, each], side) for each in range(2)]
    errors = [
        (located.positions[:, :, each].gather(1, at[each][:, :, None].expand(-1, -1, 3)) - positions[:, None, each])
        .abs()
        .sum(dim=2)
        for each in range(2)
    ]

    def mean(values: Tensor, each: int) -> Tensor:
        """Return the mean over the cameras that see a point, and over the calls of which one does."""
        known = has_keypoint[:, :, each]
        of_call = (values * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
        counted = weight * known.any(dim=1)
        return (counted * of_call).sum() / counted.sum().clamp(min=1e-6)

    return {
        "destination": mean(-destination.gather(1, at[0]), 0),
        "tool": mean(-located.log_shares.gather(1, at[1]), 1),
        "position": mean(errors[0], 0) + mean(errors[1], 1),
    }
