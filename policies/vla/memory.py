"""The learned side of a working memory: reading it, and joining what was read with what is seen.

Source: MemoryVLA, arXiv 2508.19236, equations 5 to 8, and its authors' code where it says more. What is kept, merged
and dropped is decided by ``memory_bank.agent.token_bank``. The paper's own module costs more than its action expert;
here queries, keys and values have a rank of their own.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from memory_bank.agent.token_bank import MAX_PERIOD
from policies.vla.config import MemoryConfig

SINUSOID_DIM = 32
_SHARPNESS = 16.0
"""How much likeness, a cosine, counts at first."""
_NOTHING = 0.5
"""A cosine: what is less alike than this is at first no more than nothing."""


class Entries(NamedTuple):
    """What one stream of each of a batch of episodes holds."""

    steps: Tensor
    """float32 (batch, n_entries): when each was written."""
    tokens: Tensor
    """float32 (batch, n_entries, n_tokens, dim)."""
    present: Tensor
    """bool (batch, n_entries)."""


class StepEncoder(nn.Module):
    """A learned encoding of steps: a sinusoid through two layers."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(SINUSOID_DIM, dim), nn.SiLU(), nn.Linear(dim, dim))
        half = SINUSOID_DIM // 2
        self.register_buffer("rates", torch.exp(-math.log(MAX_PERIOD) * torch.arange(half) / half), persistent=False)

    def sinusoid(self, steps: Tensor) -> Tensor:
        """Map (batch, n) to (batch, n, SINUSOID_DIM)."""
        angles = steps[..., None].float() * self.rates
        return torch.cat([angles.cos(), angles.sin()], dim=-1)

    def forward(self, steps: Tensor) -> Tensor:
        """Map (batch, n) to (batch, n, dim)."""
        return self.layers(self.sinusoid(steps))


class ReadLayer(nn.Module):
    """Attention from the tokens to all remembered tokens, and a feed-forward part, normalised after each.

    Four things differ from the paper's layer. Queries, keys and values have a rank of their own. Queries and keys have
    bounded length, so that what is alike, and no common sight, attracts from the first step of training on. Each
    remembered token has a weight of its own beside its likeness: what matters, whoever asks. And there is a key that
    stands for nothing, with a value of zero: where nothing that is remembered fits, nothing is read, and how much was
    read, which tells how familiar a token is, is handed on beside it.
    """

    def __init__(self, dim: int, config: MemoryConfig, *, has_places: bool) -> None:
        super().__init__()
        self._n_heads = config.n_heads
        self.query = nn.Linear(dim, config.rank, bias=False)
        self.key = nn.Linear(dim, config.rank, bias=False)
        self.value = nn.Linear(dim, config.rank)
        self.out = nn.Linear(config.rank + config.n_heads, dim)
        self.place_query: Any = nn.Linear(dim, config.rank, bias=False) if has_places else None
        self.place_key: Any = nn.Linear(dim, config.rank, bias=False) if has_places else None
        n_seen = dim + (SINUSOID_DIM if config.step_encoding else 0)
        self.salience = nn.Linear(n_seen, config.n_heads, bias=False)
        nn.init.zeros_(self.salience.weight)
        self.log_scale = nn.Parameter(torch.full((config.n_heads, 1, 1), math.log(_SHARPNESS)))
        self.nothing = nn.Parameter(torch.full((config.n_heads,), _NOTHING))
        self.norm_read = nn.LayerNorm(dim)
        self.feed = nn.Sequential(nn.Linear(dim, config.hidden), nn.GELU(), nn.Linear(config.hidden, dim))
        self.norm = nn.LayerNorm(dim)
        self._begin_as_a_search(config.rank)

    def _begin_as_a_search(self, rank: int) -> None:
        """Let half of the heads look for the same thing, and the other half for the same place."""
        with torch.no_grad():
            if self.place_query is not None:
                self.query.weight[rank // 2 :] = 0.0
                self.place_query.weight[: rank // 2] = 0.0
                self.place_key.weight.copy_(self.place_query.weight)
            self.key.weight.copy_(self.query.weight)
            # What is read is as loud as what is there: small beginnings would take Adam many steps to raise.
            nn.init.orthogonal_(self.value.weight)
            nn.init.orthogonal_(self.out.weight)

    def forward(
        self,
        x: Tensor,
        keys: Tensor,
        values: Tensor,
        mask: Tensor,
        when: Tensor | None,
        places: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """Return (batch, n_tokens, dim).

        Args:
            x: (batch, n_tokens, dim).
            keys: (batch, n_keys, dim), with the encoding of their steps.
            values: (batch, n_keys, dim).
            mask: bool (batch, n_keys): what there is.
            when: (batch, n_keys, SINUSOID_DIM): the step of each key; None if steps are not encoded.
            places: Where the tokens are (n_tokens, dim), and the keys (n_keys, dim); None for tokens without a place.
        """
        query, key = self.query(x), self.key(keys)
        if places is not None:
            query, key = query + self.place_query(places[0]), key + self.place_key(places[1])
            values = values + places[1]
        query, key, value = (
            y.unflatten(-1, (self._n_heads, -1)).transpose(1, 2) for y in (query, key, self.value(values))
        )
        scale = self.log_scale.exp()
        query, key = _short(query) * scale, _short(key)
        # A further number of each key, which all queries heed alike: how much this entry matters, whoever asks.
        seen = values if when is None else torch.cat([values, when], dim=-1)
        matters = self.salience(seen).transpose(1, 2)[..., None]
        key = torch.cat([key, matters], dim=-1)
        nothing = torch.zeros_like(key[:, :, :1])
        nothing[..., -1] = (scale[:, :, 0] * self.nothing[:, None]).expand(len(key), -1, -1)
        query, key = functional.pad(query, (0, 1), value=1.0), torch.cat([nothing, key], dim=2)
        # Beside what is read, how much of it: one number a head.
        value = functional.pad(functional.pad(value, (0, 1), value=1.0), (0, 0, 1, 0))
        there = functional.pad(mask, (1, 0), value=True)[:, None, None]
        read = functional.scaled_dot_product_attention(query, key, value, attn_mask=there, scale=1.0)
        x = self.norm_read(x + self.out(read.transpose(1, 2).flatten(2)))
        return self.norm(x + self.feed(x))


def _short(x: Tensor) -> Tensor:
    """Return vectors no longer than one: those of tokens that stand out nearly so, those of common ones shorter."""
    square = (x * x).sum(dim=-1, keepdim=True)
    return x * torch.rsqrt(square + x.shape[-1] / 3.0)


class MemoryReader(nn.Module):
    """Reads one stream and fuses it with the tokens of now."""

    def __init__(self, dim: int, config: MemoryConfig, *, has_places: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ReadLayer(dim, config, has_places=has_places) for _ in range(config.n_layers))
        self.step_encoder = StepEncoder(dim) if config.step_encoding else None
        self._gate_of = config.gate_of
        self.gate = nn.Linear(2 * dim, dim) if config.fusion == "gate" else None
        if self.gate is not None:
            nn.init.normal_(self.gate.weight, std=1e-3)
            nn.init.normal_(self.gate.bias, std=1e-3)

    def forward(
        self,
        tokens: Tensor,
        steps: Tensor,
        entries: Entries,
        now: Tensor | None = None,
        places: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Return the fused tokens, (batch, n_tokens, dim).

        An empty memory is read as one that holds the tokens of now (MemoryVLA+): so it is for the twin without one.

        Args:
            tokens: (batch, n_tokens, dim).
            steps: (batch,): now.
            entries: What is remembered; ``n_entries`` may be 0.
            now: (batch, n_stored, dim): what ``tokens`` would be remembered as; ``tokens`` themselves if None.
            places: Where the tokens are (n_tokens, dim), and those of an entry (n_stored, dim).
        """
        values, when, present = _with_now(tokens if now is None else now, steps, entries)
        keys = values if self.step_encoder is None else values + self.step_encoder(when)[:, :, None, :]
        n_entries, n_stored = values.shape[1:3]
        mask = present.repeat_interleave(n_stored, dim=1)
        keys, values = keys.flatten(1, 2), values.flatten(1, 2)
        moments = None
        if self.step_encoder is not None:
            moments = self.step_encoder.sinusoid(when).repeat_interleave(n_stored, dim=1)
        if places is not None:
            places = places[0], places[1].repeat(n_entries, 1)
        read = tokens
        for layer in self.layers:
            read = layer(read, keys, values, mask, moments, places)
        if self.gate is None:
            return 0.5 * (tokens + read)
        g = torch.sigmoid(self.gate(torch.cat([tokens, read], dim=-1)))
        if self._gate_of == "seen":
            g = 1.0 - g
        return g * read + (1.0 - g) * tokens


def _with_now(tokens: Tensor, steps: Tensor, entries: Entries) -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens, steps and presence of the entries, with those of now, which are there if nothing else is."""
    is_empty = ~entries.present.any(dim=1, keepdim=True)
    values = torch.cat([entries.tokens, tokens[:, None]], dim=1)
    when = torch.cat([entries.steps.float(), steps[:, None].float()], dim=1)
    return values, when, torch.cat([entries.present, is_empty], dim=1)
