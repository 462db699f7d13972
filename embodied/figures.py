"""Figures files: what was measured, by which command, on what, and whether it reaches its goal. One format."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Dict, Optional, Sequence, Tuple

import msgspec
import numpy as np

from embodied.config import git_hash
from embodied.structure import Structure


class MeasuredFigure(Structure):
    """One figure."""

    name: str
    value: float
    unit: str
    interval: Optional[Tuple[float, float]]
    """Least and greatest of the runs it is the mean of, or a confidence interval; the file's name says which."""
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
