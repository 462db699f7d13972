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
_ABSENT = -1e30
"""The logit of what is not there: a number, for infinity times zero would be none."""
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

    def forward(self, sinusoid: Tensor) -> Tensor:
        """Map (batch, n, SINUSOID_DIM) to (batch, n, dim)."""
        return self.layers(sinusoid)


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
        values: Tensor,
        present: Tensor,
        moments: tuple[Tensor, Tensor] | None = None,
        places: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Return (batch, n_tokens, dim).

        Args:
            x: (batch, n_tokens, dim).
            values: (batch, n_entries, n_stored, dim): what is remembered.
            present: bool (batch, n_entries).
            moments: The steps of the entries, as sinusoids (batch, n_entries, SINUSOID_DIM) and encoded (batch,
                n_entries, dim); None if steps are not encoded.
            places: Where the tokens are (n_tokens, dim), and those of an entry (n_stored, dim); None for tokens without
                a place.
        """
        dim = x.shape[-1]
        query, key, value = self.query(x), self.key(values), self.value(values)
        matters = functional.linear(values, self.salience.weight[:, :dim])
        # Projections are linear: that of a sum, at the cost of one term a token and not of all of them.
        if moments is not None:
            sinusoid, encoded = moments
            key += self.key(encoded)[:, :, None]
            matters += functional.linear(sinusoid, self.salience.weight[:, dim:])[:, :, None]
        if places is not None:
            query += self.place_query(places[0])
            key += self.place_key(places[1])
            value += functional.linear(places[1], self.value.weight)
            matters += functional.linear(places[1], self.salience.weight[:, :dim])
        matters = matters.masked_fill(~present[:, :, None, None], _ABSENT).flatten(1, 2).transpose(1, 2)
        query, key, value = (y.unflatten(-1, (self._n_heads, -1)) for y in (query, key, value))
        scale = self.log_scale.exp().flatten()
        query, key, value = _short(query) * scale[:, None], _short(key).flatten(1, 2), value.flatten(1, 2)
        query, key, value = (y.transpose(1, 2) for y in (query, key, value))
        read = _attend(query, key, value, matters, scale * self.nothing)
        x = self.norm_read(x + self.out(read.transpose(1, 2).flatten(2)))
        return self.norm(x + self.feed(x))


def _short(x: Tensor) -> Tensor:
    """Return vectors no longer than one: those of tokens that stand out nearly so, those of common ones shorter."""
    square = (x * x).sum(dim=-1, keepdim=True)
    return x * torch.rsqrt(square + x.shape[-1] / 3.0)


def _attend(query: Tensor, key: Tensor, value: Tensor, matters: Tensor, nothing: Tensor) -> Tensor:
    """Return what is read and, as a last number, how much of it: (batch, n_heads, n_tokens, head_dim + 1).

    Args:
        query: (batch, n_heads, n_tokens, head_dim).
        key: (batch, n_heads, n_keys, head_dim).
        value: (batch, n_heads, n_keys, head_dim).
        matters: (batch, n_heads, n_keys): what is added to a key's logits, whoever asks.
        nothing: (n_heads,): the logit of a key that is not among them, with a value of zero.
    """
    if _is_acting() and query.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
        # The kernel behind scaled_dot_product_attention also tells how much all keys weigh, from which the share of
        # nothing follows. That has no gradient; but needs neither copies nor rows of an odd length, which are slow.
        read, log_weight = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, attn_mask=matters[:, :, None].contiguous(), scale=1.0
        )
        amount = torch.sigmoid(log_weight - nothing[:, None])[..., None]
        return torch.cat([read * amount, amount], dim=-1)
    none = functional.pad(nothing[:, None, None], (key.shape[-1], 0)).expand(len(key), -1, -1, -1)
    key = torch.cat([none, torch.cat([key, matters[..., None]], dim=-1)], dim=2)
    value = functional.pad(functional.pad(value, (0, 1), value=1.0), (0, 0, 1, 0))
    query = functional.pad(query, (0, 1), value=1.0)
    return functional.scaled_dot_product_attention(query, key, value, scale=1.0)


def _is_acting() -> bool:
    """Return whether nothing but the result is wanted: no gradient, and no graph for another runtime."""
    return torch.is_inference_mode_enabled() and not torch.jit.is_tracing()


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
        moments = None
        if self.step_encoder is not None:
            sinusoid = self.step_encoder.sinusoid(when)
            moments = sinusoid, self.step_encoder(sinusoid)
        read = tokens
        for layer in self.layers:
            read = layer(read, values, present, moments, places)
        if self.gate is None:
            return 0.5 * (tokens + read)
        g = torch.sigmoid(self.gate(torch.cat([tokens, read], dim=-1)))
        if self._gate_of == "seen":
            g = 1.0 - g
        return g * read + (1.0 - g) * tokens


def _with_now(tokens: Tensor, steps: Tensor, entries: Entries) -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens, steps and presence of the entries, with those of now, which are there if nothing else is."""
    is_empty = ~entries.present.any(dim=1, keepdim=True)
    if _is_acting() and not is_empty.any():
        return entries.tokens, entries.steps.float(), entries.present
    values = torch.cat([entries.tokens, tokens[:, None]], dim=1)
    when = torch.cat([entries.steps.float(), steps[:, None].float()], dim=1)
    return values, when, torch.cat([entries.present, is_empty], dim=1)
