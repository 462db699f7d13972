"""The working memory of a policy: tokens of the last steps, the most similar neighbours merged (MemoryVLA).

Source: MemoryVLA (arXiv 2508.19236), perceptual-cognitive memory bank: two streams an episode of the same mechanism,
entries (step, tokens); a full stream merges the two neighbours that are most alike into their plain average. Retrieval
attends from the current tokens to keys = tokens + encoding of their step, and values = tokens; its weights belong to
the policy. One code for numpy arrays and torch tensors, on any device; entries are copies, cut off from gradients.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from embodied.arrays import Bool, Float
from embodied.config import Config

MAX_PERIOD = 10_000.0
"""Longest period of the encoding of steps, over 2 pi."""
_ALIKE_DIGITS = 6
"""Similarities that agree so far are equal: sums run in another order in each library."""

Array = Any
"""A numpy array or a torch tensor. Shapes are in the docstrings: the checker of shapes knows only one of the two."""


class TokenStreamConfig(Config):
    """How one stream forgets."""

    capacity: int = 16
    """Entries held at most (MemoryVLA: 16; 256 for tasks of minutes)."""
    consolidation: Literal["merge", "fifo"] = "merge"
    """What a full stream does: merge the most similar neighbours, or drop the oldest entry."""
    merged_step: Literal["earlier", "mean", "count"] = "earlier"
    """The step of a merged entry: of the earlier one (MemoryVLA), the mean of both (MemoryVLA+), or of all merged."""


class TokenBankConfig(TokenStreamConfig):
    """Settings of a bank, and what it may take up."""

    max_episodes: int = 64
    """Beyond it, the episode that was used longest ago is dropped."""
    max_mb: float = 64.0
    """Of the tokens of all episodes, if full; beyond it episodes are dropped too."""


class Change(NamedTuple):
    """What consolidation did to the entries."""

    dropped: int
    """Index of the entry that is no more."""
    merged: int = -1
    """Index of the entry before it, which took it in; -1: none did."""


class TokenStream:
    """One stream of one episode."""

    def __init__(self, config: TokenStreamConfig = TokenStreamConfig()) -> None:
        if config.capacity < 1:
            raise ValueError(f"capacity: expected at least 1, got {config.capacity}")
        self._config = config
        self.steps: list[float] = []
        """Of each entry, growing."""
        self.counts: list[int] = []
        """How many steps went into each entry."""
        self.entries: list[Array] = []
        """(n_tokens, dim) each, oldest first."""
        self._alike: list[float | None] = []
        """Similarity of each entry with the next; None where it was not needed yet."""

    def __len__(self) -> int:
        return len(self.entries)

    def append(self, step: float, tokens: Array) -> list[Change]:
        """Add the tokens of a step; a stream that is full merges or drops an entry, one after the other.

        Args:
            step: Larger than that of every entry.
            tokens: (n_tokens, dim), of the same shape and library as the entries. Copied.

        Returns:
            What was consolidated: nothing, or one change; several only after a larger stream was taken over.

        Raises:
            ValueError: The step does not grow, or the tokens are of another kind or not finite.
        """
        if self.steps and step <= self.steps[-1]:
            raise ValueError(f"step: expected more than {self.steps[-1]:g}, the last one, got {step:g}")
        _check(tokens, self.entries[0] if self.entries else None)
        self._insert(step, 1, _copy(tokens))
        changes = []
        while len(self) > self._config.capacity:
            changes.append(self._consolidate())
        return changes

    def restore(self, steps: Sequence[float], counts: Sequence[int], entries: Sequence[Array]) -> None:
        """Take over the entries of another stream, oldest first; its capacity may have been larger.

        Raises:
            ValueError: They do not fit together.
        """
        if not len(steps) == len(counts) == len(entries):
            raise ValueError(
                f"expected a step and a count for each of {len(entries)} entries, got {len(steps)} and {len(counts)}"
            )
        self.steps, self.counts, self.entries, self._alike = [], [], [], []
        for step, count, tokens in zip(steps, counts, entries):
            _check(tokens, self.entries[0] if self.entries else None)
            if count < 1 or (self.steps and step <= self.steps[-1]):
                raise ValueError(f"expected steps that grow and counts from 1, got step {step:g} of {count}")
            self._insert(step, count, _copy(tokens))

    def values(self) -> Array:
        """Return the tokens of all entries: (n_entries, n_tokens, dim), oldest first.

        Raises:
            ValueError: The stream is empty; it has no shape then.
        """
        if not self.entries:
            raise ValueError("values: expected a stream with entries, got an empty one")
        return _library(self.entries[0]).stack(self.entries)

    def keys(self, encode: Callable[[Array], Array] | None = None) -> Array:
        """Return the tokens with the encoding of their steps added: (n_entries, n_tokens, dim).

        Args:
            encode: From the steps (n_entries,) to (n_entries, dim), in the library of the entries; None for the plain
                sinusoid. A learned one belongs to the policy.

        Raises:
            ValueError: The stream is empty.
        """
        values = self.values()
        steps = _like(np.array(self.steps), values)
        encoded = step_encoding(steps, values.shape[2]) if encode is None else encode(steps)
        return values + encoded[:, None, :]

    def _insert(self, step: float, count: int, tokens: Array) -> None:
        if self.entries:
            self._alike.append(None)
        self.steps.append(float(step))
        self.counts.append(count)
        self.entries.append(tokens)

    def _consolidate(self) -> Change:
        if self._config.consolidation == "fifo":
            for column in (self.steps, self.counts, self.entries, self._alike):
                del column[0]
            return Change(0)
        alike = [
            similarity(self.entries[index], self.entries[index + 1]) if known is None else known
            for index, known in enumerate(self._alike)
        ]
        first = int(np.argmax(alike))
        second = first + 1
        self._alike = [*alike[:first], *alike[second:]]
        n_first, n_second = self.counts[first], self.counts[second]
        weight = {"earlier": 0.0, "mean": 0.5, "count": n_second / (n_first + n_second)}[self._config.merged_step]
        self.steps[first] += weight * (self.steps[second] - self.steps[first])
        self.counts[first] = n_first + n_second
        self.entries[first] = 0.5 * (self.entries[first] + self.entries[second])
        del self.steps[second], self.counts[second], self.entries[second]
        for index in (first - 1, first):
            if 0 <= index < len(self._alike):
                self._alike[index] = None
        return Change(second, merged=first)


class EpisodeBank:
    """The two streams of one episode: what was perceived, and what it meant."""

    def __init__(self, config: TokenStreamConfig) -> None:
        self.perceptual = TokenStream(config)
        self.cognitive = TokenStream(config)
        self.last_step = -1
        """Written last; -1: none."""


class PerceptualCognitiveBank:
    """The banks of several episodes: those in a batch, or those of the robots of a fleet."""

    def __init__(self, config: TokenBankConfig = TokenBankConfig()) -> None:
        if config.max_episodes < 1 or config.capacity < 1:
            raise ValueError(
                f"max_episodes, capacity: expected at least 1, got {config.max_episodes}, {config.capacity}"
            )
        self.config = config
        self._episodes: OrderedDict[str, EpisodeBank] = OrderedDict()

    @property
    def episodes(self) -> tuple[str, ...]:
        """Names of the episodes that are held, the one used longest ago first."""
        return tuple(self._episodes)

    def get(self, episode: str) -> EpisodeBank:
        """Return the bank of an episode; an empty one, which is not held, if nobody wrote to it."""
        return self._episodes.get(episode) or EpisodeBank(self.config)

    def hold(self, episode: str, bank: EpisodeBank) -> None:
        """Take in a bank as a whole, as the one used last."""
        self._episodes[episode] = bank
        self._episodes.move_to_end(episode)

    def write(
        self, episode: str, step: int, perceptual: Array, cognitive: Array
    ) -> tuple[list[Change], list[Change], list[str]]:
        """Add what was perceived at one step. Both streams take it, or neither.

        Args:
            episode: Any name.
            step: Larger than all steps of the episode so far, from 0.
            perceptual: (n_tokens, dim), the same shape throughout an episode.
            cognitive: Likewise, of a shape of its own.

        Returns:
            What changed in the perceptual and in the cognitive stream, and the episodes that were dropped to make room.

        Raises:
            ValueError: The step does not grow; the tokens are of another shape or library than before, not finite, or
                so large that even one episode would exceed ``max_mb``.
        """
        bank = self._episodes.get(episode) or EpisodeBank(self.config)
        if step < 0 or step <= bank.last_step:
            raise ValueError(
                f"step: expected more than {bank.last_step}, the last one of episode {episode!r}, got {step}"
            )
        for name, stream, tokens in (
            ("perceptual", bank.perceptual, perceptual),
            ("cognitive", bank.cognitive, cognitive),
        ):
            _check(tokens, stream.entries[0] if stream.entries else None, name)
        size = self._full_size(perceptual) + self._full_size(cognitive)
        if size > self.config.max_mb * 1e6:
            raise ValueError(
                f"tokens: a full episode of this shape takes {size / 1e6:.0f} MB, more than max_mb = "
                f"{self.config.max_mb:g}"
            )
        changes = bank.perceptual.append(step, perceptual), bank.cognitive.append(step, cognitive)
        bank.last_step = step
        self.hold(episode, bank)
        return (*changes, self._make_room())

    def write_batch(self, episodes: Sequence[str], steps: Sequence[int], perceptual: Array, cognitive: Array) -> None:
        """Add one step of each episode of a batch.

        Args:
            episodes: Names, each once.
            steps: One per episode.
            perceptual: (n_episodes, n_tokens, dim).
            cognitive: (n_episodes, n_tokens, dim).

        Raises:
            ValueError: See ``write``; or the batch has more episodes than are held, or an unequal number of something.
        """
        n = len(episodes)
        if not n == len(set(episodes)) == len(steps) == len(perceptual) == len(cognitive):
            raise ValueError(
                f"batch: expected {n} different episodes, each with a step and tokens; got {len(set(episodes))}, "
                f"{len(steps)} steps, {len(perceptual)} and {len(cognitive)} tokens"
            )
        if n > self.config.max_episodes:
            raise ValueError(f"batch: expected at most max_episodes = {self.config.max_episodes}, got {n}")
        for episode, step, *tokens in zip(episodes, steps, perceptual, cognitive):
            self.write(episode, step, *tokens)

    def clear(self, episode: str) -> bool:
        """Drop the bank of an episode; tell whether there was one."""
        return self._episodes.pop(episode, None) is not None

    def _full_size(self, tokens: Array) -> int:
        """Return the bytes of a stream that is full of such tokens."""
        return int(np.prod(tokens.shape)) * tokens.dtype.itemsize * self.config.capacity

    def _make_room(self) -> list[str]:
        """Drop the episodes used longest ago until the bounds hold; never the last one."""
        sizes = {
            name: self._full_size(bank.perceptual.entries[0]) + self._full_size(bank.cognitive.entries[0])
            for name, bank in self._episodes.items()
        }
        dropped = []
        while len(sizes) > 1 and (
            len(sizes) > self.config.max_episodes or sum(sizes.values()) > self.config.max_mb * 1e6
        ):
            oldest = next(iter(sizes))
            del sizes[oldest], self._episodes[oldest]
            dropped.append(oldest)
        return dropped


def similarity(tokens: Array, others: Array) -> float:
    """Return the cosine of each token with its counterpart, averaged over the tokens; 0 for a zero token.

    Args:
        tokens: (n_tokens, dim).
        others: (n_tokens, dim).
    """
    library = _library(tokens)
    a, b = (library.asarray(each, dtype=library.float64) for each in (tokens, others))
    lengths = ((a * a).sum(-1) * (b * b).sum(-1)) ** 0.5
    cosines = (a * b).sum(-1) / (lengths + (lengths == 0))
    return round(float(cosines.mean()), _ALIKE_DIGITS)


def step_encoding(steps: Array, dim: int, max_period: float = MAX_PERIOD) -> Array:
    """Return the sinusoid of steps: (n, dim), cosines first, then sines; a last zero where ``dim`` is odd.

    Args:
        steps: (n,) of a float type.
        dim: At least 2. MemoryVLA takes a quarter of its token's, and a learned layer to all of it.
        max_period: Longest period, over 2 pi.
    """
    if dim < 2:
        raise ValueError(f"dim: expected at least 2, got {dim}")
    half = dim // 2
    library = _library(steps)
    periods = _like(max_period ** (-np.arange(half) / half), steps)
    phases = steps[:, None] * periods[None, :]
    parts = [library.cos(phases), library.sin(phases)]
    if dim % 2:
        parts.append(phases[:, :1] * 0.0)
    return library.concatenate(parts, -1)


def padded(
    streams: Sequence[TokenStream],
) -> tuple[Float[np.ndarray, "batch length"], Array, Bool[np.ndarray, "batch length"]]:
    """Return the streams of a batch as one block, for attention.

    Args:
        streams: Of one shape of tokens; at least one has an entry.

    Returns:
        Steps (batch, length), tokens (batch, length, n_tokens, dim) in the library of the entries, and what is there
        (batch, length); length is that of the longest, the rest zeros.

    Raises:
        ValueError: All of them are empty, or their tokens differ in shape.
    """
    first = next((stream.entries[0] for stream in streams if stream.entries), None)
    if first is None:
        raise ValueError("streams: expected at least one with entries, got none")
    length = max(len(stream) for stream in streams)
    steps, present = np.zeros((len(streams), length)), np.zeros((len(streams), length), dtype=bool)
    nothing, rows = first * 0.0, []
    for row, stream in enumerate(streams):
        if stream.entries:
            _check(stream.entries[0], first)
        steps[row, : len(stream)], present[row, : len(stream)] = stream.steps, True
        rows.append(_library(first).stack([*stream.entries, *[nothing] * (length - len(stream))]))
    return steps, _library(first).stack(rows), present


def _library(array: Array) -> Any:
    """Return the module that an array is of. It is loaded, or there would be no such array."""
    name = type(array).__module__.split(".")[0]
    if name not in ("numpy", "torch"):
        raise ValueError(f"tokens: expected a numpy array or a torch tensor, got {type(array).__name__}")
    return sys.modules[name]


def _copy(array: Array) -> Array:
    if isinstance(array, np.ndarray):
        return array.copy()
    return array.detach().clone()


def _like(values: np.ndarray, array: Array) -> Array:
    """Return values in the library, type and place of another array."""
    if isinstance(array, np.ndarray):
        return values.astype(array.dtype)
    return _library(array).asarray(values.tolist(), dtype=array.dtype, device=array.device)


def _check(tokens: Array, before: Array | None, name: str = "tokens") -> None:
    """Refuse what does not fit the entries that are there."""
    library = _library(tokens)
    if tokens.ndim != 2 or 0 in tokens.shape:
        raise ValueError(f"{name}: expected shape (n_tokens, dim), got {tuple(tokens.shape)}")
    if before is not None and (_library(before) is not library or before.shape != tokens.shape):
        raise ValueError(
            f"{name}: expected {_library(before).__name__} of shape {tuple(before.shape)} as before, got "
            f"{library.__name__} of shape {tuple(tokens.shape)}"
        )
    if not str(tokens.dtype).removeprefix("torch.").startswith(("float", "bfloat")):
        raise ValueError(f"{name}: expected floating point numbers, got {tokens.dtype}")
    if not bool(library.isfinite(tokens).all()):
        raise ValueError(f"{name}: expected finite numbers")
