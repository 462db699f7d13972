"""Which calls of which episodes make a batch: pure functions of seeds, so that any batch can be drawn by itself."""

from __future__ import annotations

import numpy as np

from embodied.arrays import Float, Int


def call_steps(rng: np.random.Generator, n_frames: int, gap: int) -> Int[np.ndarray, " n_calls"]:
    """Return the steps at which a policy is called: at 0, after 1 to ``gap`` steps, then every ``gap`` steps.

    That is how it is called when it acts, but that the first gap is drawn: so every frame is a call now and then.
    """
    return np.append(0, np.arange(int(rng.integers(1, gap + 1)), n_frames, gap))


def remembered_calls(
    rng: np.random.Generator, weights: Float[np.ndarray, " n"], n_calls: int
) -> Int[np.ndarray, " n_kept"]:
    """Return which calls a group keeps, in order: those that are learned from, the first, and of the others any.

    The first stays, since what is to be remembered is often seen at once.

    Args:
        rng: Draws.
        weights: Of all calls; 0 for one that is only remembered.
        n_calls: How many to keep.
    """
    order = np.lexsort((rng.random(len(weights)), weights <= 0.0, np.arange(len(weights)) > 0))
    return np.sort(order[:n_calls])


def group_steps(rng: np.random.Generator, n_frames: int, n_calls: int) -> Int[np.ndarray, " n_calls_drawn"]:
    """Draw frames of the whole episode without replacement, in the order of time (MemoryVLA's group loader)."""
    return np.sort(rng.choice(n_frames, min(n_calls, n_frames), replace=False))


def decisions(rng: np.random.Generator, weights: Float[np.ndarray, " n"], n_decisions: int) -> Float[np.ndarray, " n"]:
    """Return 1 for ``n_decisions`` that are drawn without replacement, and 0 for the others.

    Args:
        rng: Draws.
        weights: Positive: how likely each is to be drawn, as against the others.
        n_decisions: How many; if there are no more, all are drawn.
    """
    shares = weights.astype(np.float64) / weights.sum(dtype=np.float64)
    drawn = rng.choice(len(weights), min(n_decisions, len(weights)), replace=False, p=shares)
    chosen = np.zeros(len(weights), dtype=np.float32)
    chosen[drawn] = 1.0
    return chosen


def shuffled_episode(seed: int, n_episodes: int, position: int) -> int:
    """Return the episode at a position of an endless sequence in which each comes once before any comes again."""
    epoch, offset = divmod(position, n_episodes)
    return int(np.random.default_rng((seed, 0, epoch)).permutation(n_episodes)[offset])


def stream_window(
    seed: int, row: int, n_windows: Int[np.ndarray, " n_episodes"], n_calls: int, step: int
) -> tuple[int, int, int]:
    """Return what comes at a step of one row's stream, in which whole episodes follow each other.

    Args:
        seed: Of the order, together with the row.
        row: Each has an order of its own.
        n_windows: How many windows of ``n_calls`` frames each episode takes.
        n_calls: Frames of a window.
        step: How many windows came before.

    Returns:
        How often all episodes were seen before, the episode, and its frame with which the window begins.
    """
    epoch, offset = divmod(step, int(n_windows.sum()))
    order = np.random.default_rng((seed, 1, row, epoch)).permutation(len(n_windows))
    ends = np.cumsum(n_windows[order])
    place = int(np.searchsorted(ends, offset, side="right"))
    return epoch, int(order[place]), int(offset - (ends[place] - n_windows[order[place]])) * n_calls
