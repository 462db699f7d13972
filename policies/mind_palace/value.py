"""What it is worth to recall one more past visit: by how much it can shorten the search. Pure.

The value of information after "Enter the Mind Palace" (arXiv 2507.12846): the expected improvement of the planned
exploration. The paper's formula was not published with its code, so this is the textbook's (Howard 1966): for every
outcome of the recall, the way of the present plan under the belief that it would leave, less that of the best plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.arrays import Float
from policies.mind_palace.belief import BeliefConfig, When, after_misses, chances
from policies.mind_palace.planner import best_trip, expected_way_m


@dataclass(frozen=True)
class Search:
    """What a search starts from."""

    from_here_m: Float[np.ndarray, " n_areas"]
    between_m: Float[np.ndarray, "n_areas n_areas"]
    settling: int | None = None
    """An area whose sight ends the search, whether the thing is there or not."""


def value_of_outcomes_m(
    search: Search,
    now: Float[np.ndarray, " n_areas"],
    outcome: Float[np.ndarray, " n_outcomes"],
    then: Float[np.ndarray, "n_outcomes n_areas"],
) -> float:
    """Return by how many metres knowing an outcome shortens the search on average; 0 if it never changes the plan.

    Args:
        search: From where, to where.
        now: Chances of the areas as believed now; the present plan follows from them.
        outcome: Chance of each outcome.
        then: What would be believed after each.
    """
    ways = search.from_here_m, search.between_m, search.settling
    plan = best_trip(now, *ways)
    if not plan.order:
        return 0.0
    gained = 0.0
    for chance, belief in zip(outcome, then, strict=True):
        if chance > 0.0:
            better = best_trip(belief, *ways)
            gained += float(chance) * max(expected_way_m(plan.order, belief, *ways) - better.expected_m, 0.0)
    return gained


def value_of_recall_m(
    config: BeliefConfig,
    search: Search,
    recalled: Sequence[tuple[When, int]],
    visit: When,
    now: When,
    n_missed: Float[np.ndarray, " n_areas"],
) -> float:
    """Return by how many metres recalling one visit would shorten the search for a thing on average.

    Args:
        config: How visits bear on one another.
        search: From where, to where.
        recalled: What is known already.
        visit: What might be recalled.
        now: When the thing is looked for.
        n_missed: Looks at each area that did not show it.
    """
    n_areas = len(search.from_here_m)
    present = after_misses(config, chances(config, n_areas, recalled, now), n_missed)
    outcome = chances(config, n_areas, recalled, visit)
    then = np.stack(
        [after_misses(config, chances(config, n_areas, [*recalled, (visit, area)], now), n_missed)
         for area in range(n_areas)]
    )  # fmt: skip
    return value_of_outcomes_m(search, present, outcome, then)
