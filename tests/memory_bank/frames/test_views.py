"""What is told in the coordinates of another frame: maps without gaps, views whose questions are in them too."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from embodied.messages import Box, MapReply, Query, ViewHit
from memory_bank.frames.poses import Pose, inverted, moved, moved_point
from memory_bank.frames.views import moved_map, moved_view
from memory_bank.recall.answers import answer
from memory_bank.space.occupancy import FREE, OCCUPIED, UNKNOWN
from memory_world import DAY_1_NS, RED_MUG, house_view

POSE = np.array([0.6, 4.0, -2.0, 0.1])
poses = st.tuples(st.floats(-3.1, 3.1), *[st.floats(-20.0, 20.0)] * 3).map(np.array)


def two_halves() -> MapReply:
    """Return a known square in the middle of nothing, cut in two by a wall that is one cell thick."""
    cells = np.full((60, 70), UNKNOWN, dtype=np.uint8)
    cells[10:50, 10:60] = FREE
    cells[30, 10:60] = OCCUPIED
    closest = np.where(cells == FREE, 1.5, np.inf).astype(np.float32)
    return MapReply(
        session="day-2", seq=7, resolution_m=0.05, origin_m=(1.0, -2.0), occupancy=cells, closest_view_m=closest
    )


@settings(max_examples=25)
@given(poses)
def test_a_turned_map_has_no_gaps_in_its_walls(pose: Pose) -> None:
    told = moved_map(two_halves(), pose, "own")
    assert (told.world_frame, told.session, told.seq) == ("own", "day-2", 7)
    halves, _ = ndimage.label(told.occupancy == FREE, structure=np.ones((3, 3)))
    sides = []
    for x, y in ((2.7, -1.0), (2.7, 0.2)):
        at = moved(pose, np.array([[x, y]]))[0]
        column, row = np.floor((at - told.origin_m) / told.resolution_m).astype(int)
        sides.append(halves[row, column])
        assert told.closest_view_m[row, column] == 1.5
    assert 0 not in sides
    assert sides[0] != sides[1]


def test_a_map_of_which_nothing_is_known_stays_one() -> None:
    empty = msgspec.structs.replace(
        two_halves(), occupancy=np.zeros((0, 0), np.uint8), closest_view_m=np.zeros((0, 0), np.float32)
    )
    assert moved_map(empty, POSE, "own").occupancy.shape == (0, 0)
    unknown = msgspec.structs.replace(
        two_halves(), occupancy=np.zeros((4, 4), np.uint8), closest_view_m=np.full((4, 4), np.inf, np.float32)
    )
    assert not moved_map(unknown, POSE, "own").occupancy.any()


def test_questions_and_answers_are_in_the_frame_that_is_asked_for() -> None:
    view = moved_view(house_view(agent_m=(3.0, 1.0, 0.0)), POSE, "own")
    found = answer(Query(kind="where", near_m=moved_point(POSE, RED_MUG.position_m), radius_m=0.05), view)
    assert [record.id for record in found.objects] == ["o3"]
    assert found.objects[0].position_m == moved_point(POSE, RED_MUG.position_m)
    assert found.objects[0].box.yaw_rad == pytest.approx(0.6)
    assert found.objects[0].world_frame == "own"
    assert found.evidence[0].position_m == moved_point(POSE, (1.0, 1.0, 1.2))
    assert view.agent_m == moved_point(POSE, (3.0, 1.0, 0.0))
    assert view.history("o8")[0].position_m == moved_point(POSE, (8.1, 0.9, 0.76))
    assert {room.world_frame for room in view.rooms} == {"own"}
    assert view.changes[0].from_position_m == moved_point(POSE, (8.1, 0.9, 0.76))
    assert view.changes[1].to_position_m is None


def test_views_are_sought_where_the_question_means_and_told_there() -> None:
    asked: list[Query] = []

    def views(query: Query) -> tuple[ViewHit, ...]:
        asked.append(query)
        return (
            ViewHit(keyframe=1, session="day-1", stamp_ns=DAY_1_NS, position_m=(1.0, 2.0, 1.2), room="", score=1.0),
        )

    view = moved_view(house_view(views=views), POSE, "own")
    assert view.views is not None
    box = Box(center_m=(1.0, 1.0, 1.0), size_m=(2.0, 1.0, 1.0), yaw_rad=0.2)
    (hit,) = view.views(Query(kind="views", near_m=(0.0, 0.0, 0.0), box=box, world_frame="own"))
    assert hit.position_m == moved_point(POSE, (1.0, 2.0, 1.2))
    assert asked[0].near_m == moved_point(inverted(POSE), (0.0, 0.0, 0.0))
    assert asked[0].box is not None
    assert asked[0].box.yaw_rad == pytest.approx(-0.4)
    assert moved_view(house_view(), POSE, "own").views is None
