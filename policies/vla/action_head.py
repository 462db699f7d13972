"""The action expert: a diffusion transformer over a chunk of actions (MemoryVLA, arXiv 2508.19236, section 3.3).

The cognitive token stands in the sequence with the noisy actions, the perceptual tokens are attended to from it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.vla.config import HeadConfig

_SINUSOID_DIM = 64


class Attention(nn.Module):
    """Attention with several heads."""

    def __init__(self, width: int, n_heads: int, key_width: int) -> None:
        super().__init__()
        self._n_heads = n_heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(key_width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys_of(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of (batch, n_keys, key_width), by heads."""
        key, value = self.key_value(context).unflatten(-1, (2 * self._n_heads, -1)).transpose(1, 2).chunk(2, dim=1)
        return key, value

    def forward(self, x: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return what (batch, n_tokens, width) reads; several of x in a row may share keys."""
        query = self.query(x).unflatten(-1, (self._n_heads, -1)).transpose(1, 2)
        shared = len(query) // len(key)
        # Repeats of an example read the same keys: they are laid side by side, instead of the keys being repeated.
        query = query.unflatten(0, (-1, shared)).transpose(1, 2).flatten(2, 3)
        read = functional.scaled_dot_product_attention(query, key, value)
        read = read.unflatten(2, (shared, -1)).transpose(1, 2).flatten(0, 1)
        return self.out(read.transpose(1, 2).flatten(2))


class HeadBlock(nn.Module):
    """Self-attention, attention to what is perceived, and a feed-forward part."""

    def __init__(self, config: HeadConfig, perceptual_width: int) -> None:
        super().__init__()
        width = config.width
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.self_attention = Attention(width, config.n_heads, width)
        self.perception = Attention(width, config.n_heads, perceptual_width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Map (batch, n_tokens, width) to the same."""
        normed = self.norms[0](x)
        x = x + self.self_attention(normed, *self.self_attention.keys_of(normed))
        x = x + self.perception(self.norms[1](x), key, value)
        return x + self.feed(self.norms[2](x))


class ActionHead(nn.Module):
    """Predicts the noise in a chunk of actions."""

    def __init__(
        self, config: HeadConfig, n_actions: int, chunk_steps: int, perceptual_width: int, cognitive_width: int
    ) -> None:
        super().__init__()
        width = config.width
        self.from_cognitive = nn.Linear(cognitive_width, width)
        self.no_condition = nn.Parameter(torch.zeros(cognitive_width))
        self.from_action = nn.Linear(n_actions, width)
        self.time = nn.Sequential(nn.Linear(_SINUSOID_DIM, width), nn.SiLU(), nn.Linear(width, width))
        self.places = nn.Parameter(torch.randn(1 + chunk_steps, width) * width**-0.5)
        self.blocks = nn.ModuleList(HeadBlock(config, perceptual_width) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.to_noise = nn.Linear(width, n_actions)
        nn.init.zeros_(self.to_noise.weight)
        nn.init.zeros_(self.to_noise.bias)
        half = _SINUSOID_DIM // 2
        self.register_buffer("rates", torch.exp(-math.log(1e4) * torch.arange(half) / half), persistent=False)

    def perceived(self, perceptual: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return each block's keys and values of the perceptual tokens, which are the same in every denoising step."""
        return [block.perception.keys_of(perceptual) for block in self.blocks]

    def forward(self, noisy: Tensor, time: Tensor, cognitive: Tensor, perceived: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Return the noise in the actions.

        Args:
            noisy: (batch * repeats, chunk, n_actions): the repeats of an example in a row.
            time: int64 (batch * repeats,): how noisy.
            cognitive: (batch * repeats, cognitive_width).
            perceived: Of ``perceived``, for the batch.
        """
        angles = time[:, None].float() * self.rates
        condition = self.time(torch.cat([angles.cos(), angles.sin()], dim=1)) + self.from_cognitive(cognitive)
        x = torch.cat([condition[:, None], self.from_action(noisy)], dim=1) + self.places
        for block, (key, value) in zip(self.blocks, perceived):
            x = block(x, key, value)
        return self.to_noise(self.norm(x[:, 1:]))
