"""A room of 6 m with a high wall across it that leaves a gap of 1 m at its upper end."""

from __future__ import annotations

import numpy as np
import pytest

from sim.laeqa.habits import Haunt
from sim.laeqa.questions import Sight
from sim.laeqa.shortest import ShortestViews
from sim.scene import Scene
from sim_scenes import box_template, room_scene

START = (-1.5, -2.0)


def scene() -> Scene:
    wall = box_template("wall", "wall", (0.1, 5.0, 2.5))
    box = box_template("box", "box", (0.3, 0.3, 0.9))
    ball = box_template("ball", "ball", (0.02, 0.02, 0.02))
    return room_scene([(wall, 0.0, -0.5, 0.0), (box, 1.5, -2.0, 0.0), (box, -1.5, 1.0, 0.0), (ball, 2.5, 2.5, 0.0)])


def sight(made: Scene, instance_id: int, size_m: tuple[float, float, float], *, empty: bool = False) -> Sight:
    instance = made.by_id()[instance_id]
    x, y, z = instance.T_world_object[:3, 3].tolist()
    haunt = Haunt(instance, (x, y, z + size_m[2] / 2), size_m, "room", "floor")
    return Sight(haunt, 0 if empty else instance_id)


@pytest.fixture(scope="module")
def house() -> tuple[Scene, ShortestViews]:
    made = scene()
    return made, ShortestViews(made)


BOX_M = (0.3, 0.3, 0.9)


def test_what_is_seen_from_the_start_needs_no_way(house: tuple[Scene, ShortestViews]) -> None:
    made, views = house
    assert views.way_m(START, [sight(made, 3, BOX_M)]) == pytest.approx(0.0, abs=0.06)


def test_no_sights_need_no_way(house: tuple[Scene, ShortestViews]) -> None:
    assert house[1].way_m(START, []) == 0.0


def test_what_is_behind_a_wall_is_seen_from_where_the_line_of_sight_is_free(
    house: tuple[Scene, ShortestViews],
) -> None:
    made, views = house
    hidden = views.way_m(START, [sight(made, 2, BOX_M)])
    # The wall ends at y = 2: whoever sees the box past its end has gone nearly up to there.
    assert 4.0 < hidden < np.hypot(1.5, 4.7)


def test_the_nearest_of_several_sights_counts(house: tuple[Scene, ShortestViews]) -> None:
    made, views = house
    assert views.way_m(START, [sight(made, 2, BOX_M), sight(made, 3, BOX_M)]) == pytest.approx(0.0, abs=0.06)


def test_a_small_thing_is_seen_from_near_only(house: tuple[Scene, ShortestViews]) -> None:
    made, views = house
    x, y = made.by_id()[4].T_world_object[:2, 3]
    small = views.way_m((2.3, 0.0), [sight(made, 4, (0.02, 0.02, 0.02))])
    assert small > 1.0
    assert small > np.hypot(x - 2.3, y) - 1.5


def test_an_empty_place_inside_of_something_is_never_seen(house: tuple[Scene, ShortestViews]) -> None:
    made, views = house
    inside = sight(made, 3, (0.1, 0.1, 0.1), empty=True)
    low = Haunt(inside.haunt.instance, (-1.5, 1.0, 0.4), (0.05, 0.05, 0.05), "room", "box")
    assert views.way_m(START, [Sight(low, 0)]) == float("inf")
