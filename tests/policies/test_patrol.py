from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from navigation_world import World, draw
from policies.navigation.navigator import Body, Finished, NavigationConfig
from policies.navigation.patrol import Patrol
from policies.navigation.standing import Target

CONFIG = NavigationConfig()
ROOM = ["#" * 40, *(["#" + "." * 38 + "#"] * 24), "#" + "." * 26 + "tttttttt" + "." * 4 + "#", "#" * 40]
"""One room with a table at its upper wall; x to the right from 0, y upwards from 0, 0.1 m a character."""
ON_THE_TABLE = Target((3.0, 0.15, 0.8))
BEHIND_THE_WALL = Target((9.0, 9.0, 0.8))


def patrol(unseen: Callable[[], list[Target]], max_steps: int = 700) -> tuple[World, Patrol, Finished]:
    world = draw(ROOM, 1.0, 1.5)
    task = Patrol(Body(CONFIG), max_steps, unseen)
    return world, task, world.run(task)


def test_it_ends_before_what_the_memory_expects_and_has_not_seen() -> None:
    world, _, end = patrol(lambda: [ON_THE_TABLE])
    assert end.state == "succeeded"
    assert end.detail.endswith("went back to 1 places")
    assert np.hypot(world.pose.x_m - 3.0, world.pose.y_m - 0.15) < 1.3


def test_what_was_seen_on_the_way_is_not_gone_to() -> None:
    _, with_nothing, _ = patrol(list)
    waiting = [ON_THE_TABLE]

    def seen_by_then() -> list[Target]:
        return [waiting.pop()] if len(waiting) > 1 else []

    _, task, end = patrol(seen_by_then)
    assert task.n_steps == with_nothing.n_steps
    assert end.detail.endswith("went back to 0 places")


def test_each_place_is_gone_to_once_and_one_that_cannot_be_reached_is_no_failure() -> None:
    asked = 0

    def always() -> list[Target]:
        nonlocal asked
        asked += 1
        return [BEHIND_THE_WALL, ON_THE_TABLE]

    _, _, end = patrol(always)
    assert end.state == "succeeded"
    assert end.detail.endswith("went back to 2 places")
    assert asked == 3


@pytest.mark.parametrize("max_steps", [5, 40])
def test_steps_are_never_exceeded(max_steps: int) -> None:
    _, task, _ = patrol(lambda: [ON_THE_TABLE], max_steps)
    assert task.n_steps <= max_steps
