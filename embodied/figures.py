"""Figures files: what was measured, by which command, on what, and whether it reaches its goal. One format."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from functools import lru_cache
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple

import msgspec
import numpy as np

from embodied.config import git_hash
from embodied.structure import Structure

MAX_DRAWN = 5_000_000
"""So many groups are drawn for one interval at most."""


class MeasuredFigure(Structure):
    """One figure."""

    name: str
    value: float
    unit: str
    interval: Optional[Tuple[float, float]]
    """The 95 % interval over episodes where it is of an evaluation, the least and the greatest run of a benchmark."""
    peers: Dict[str, float] = {}
    """The same, measured of others in the same run."""
    goal: Optional[float]
    higher_is_better: bool
    met: Optional[bool]


class FiguresFile(Structure):
    """All figures of one command."""

    name: str
    command: str
    git: str
    environment: Dict[str, str]
    figures: Tuple[MeasuredFigure, ...]


def mean_figure(
    name: str, values: Sequence[float], *, unit: str = "", goal: Optional[float] = None, higher_is_better: bool = True
) -> MeasuredFigure:
    """Return the mean of several runs, with their least and greatest as the interval."""
    if not values:
        raise ValueError(f"{name}: expected at least one value, got none")
    mean = float(np.mean(values))
    met = None if goal is None else (mean >= goal if higher_is_better else mean <= goal)
    return MeasuredFigure(
        name=name,
        value=mean,
        unit=unit,
        interval=(float(min(values)), float(max(values))) if len(values) > 1 else None,
        goal=goal,
        higher_is_better=higher_is_better,
        met=met,
    )


def bootstrap_mean(
    values: Sequence[float], groups: Sequence[str], seed: int = 0, *, n_resamples: int = 10_000
) -> Tuple[float, float, float]:
    """Return a mean with its 95 % interval, by the percentile bootstrap over groups (Efron & Tibshirani 1993, 13.3).

    Whole groups are drawn: values of one group (one house, say) may depend on each other. With a single group the
    interval is the mean alone.

    Args:
        values: What was measured.
        groups: By value, the name of its group; the order of the groups does not matter.
        seed: Of the draws.
        n_resamples: How many; fewer, but no less than a thousand, where there are thousands of groups.

    Raises:
        ValueError: There is no value, or not one group a value.
    """
    if not values or len(values) != len(groups):
        raise ValueError(f"groups: expected one for each of at least one value, got {len(groups)} for {len(values)}")
    _, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(values, dtype=float))
    counts = np.bincount(index).astype(float)
    drawn = _draws(len(sums), max(1_000, min(n_resamples, MAX_DRAWN // len(sums))), seed)
    total, n_values = (drawn @ np.stack([sums, counts], axis=1)).T
    means = total / n_values
    low, high = np.quantile(means, (0.025, 0.975))
    return float(sums.sum() / counts.sum()), float(low), float(high)


@lru_cache(maxsize=2)
def _draws(n_groups: int, n_resamples: int, seed: int) -> np.ndarray:
    """Return how often each group is drawn in each resample, float64 (resamples, groups); figures share them."""
    chosen = np.random.default_rng(seed).integers(n_groups, size=(n_resamples, n_groups))
    chosen += n_groups * np.arange(n_resamples)[:, None]
    drawn = np.bincount(chosen.ravel(), minlength=n_resamples * n_groups)
    return drawn.reshape(n_resamples, n_groups).astype(np.float64)


def environment() -> Dict[str, str]:
    """Return what the figures depend on: interpreter, system, processors. No name of the machine."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": str(os.cpu_count()),
        "numpy": np.__version__,
    }


def write_figures(path: Path, name: str, figures: Sequence[MeasuredFigure]) -> None:
    """Write a figures file, with the command line as it was given."""
    command = shlex.join(["python", *(os.path.relpath(a) if os.path.isabs(a) else a for a in sys.argv)])
    contents = FiguresFile(
        name=name, command=command, git=git_hash(), environment=environment(), figures=tuple(figures)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(msgspec.to_builtins(contents), indent=2) + "\n", encoding="utf-8")
