"""Where a thing is likely to be in a part of a day, given where it was at the visits that were recalled. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.arrays import Float
from embodied.config import Config

NANOSECONDS_A_DAY = 86_400 * 1_000_000_000


class BeliefConfig(Config):
    """What a visit tells about another part of another day."""

    other_part: float = 0.25
    """Weight of a visit in another part of the day, beside 1 for the same part."""
    per_day: float = 0.97
    """Weight is lost by this factor with each day between."""
    anywhere: float = 0.35
    """Weight of what nobody has seen: spread evenly over all areas."""
    missed: float = 0.04
    """What is left of an area's chance after a good look that did not show the thing."""


@dataclass(frozen=True)
class When:
    """A part of a day."""

    stamp_ns: int
    part: str


def weight(config: BeliefConfig, of: When, about: When) -> float:
    """Return how much a visit tells about another part of a day, from 0 to 1."""
    days = abs(of.stamp_ns - about.stamp_ns) / NANOSECONDS_A_DAY
    return float((1.0 if of.part == about.part else config.other_part) * config.per_day**days)


def chances(
    config: BeliefConfig, n_areas: int, recalled: Sequence[tuple[When, int]], about: When
) -> Float[np.ndarray, " n_areas"]:
    """Return the chance of each area: weighted counts with an even prior; they sum to 1.

    Args:
        config: The weights.
        n_areas: How many there are.
        recalled: Visits and the area in which the thing was.
        about: When it is looked for.
    """
    share = np.full(n_areas, config.anywhere / max(n_areas, 1))
    for when, area in recalled:
        share[area] += weight(config, when, about)
    total: Float[np.ndarray, " n_areas"] = share / share.sum()
    return total


def after_misses(
    config: BeliefConfig, chance: Float[np.ndarray, " n_areas"], n_missed: Float[np.ndarray, " n_areas"]
) -> Float[np.ndarray, " n_areas"]:
    """Return the chances once areas were looked at, some of them well and some in passing, and did not show it."""
    left = chance * config.missed**n_missed
    total: Float[np.ndarray, " n_areas"] = left / left.sum()
    return total
