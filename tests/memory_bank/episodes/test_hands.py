from __future__ import annotations

import numpy as np
import pytest

from box_world import RED, Thing
from embodied.messages import Observation, SessionEnd, SessionStart, StreamMessage
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.objects.track import Track
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig
from pick_world import AT_DESK, AT_TABLE, BLUE_MUG, RED_MUG, ROOM, PickingRobot

UNSEEN = Thing("mug", (0.0, 0.0, 0.0), (0.002, 0.002, 0.002), RED)
"""Too small to be seen, even in hand."""


def mapper_of(noise: float = 0.0) -> Mapper:
    perception = SimulatorPerception(SimulatorPerceptionConfig(dropout=noise, label_noise=noise, seed=3))
    return Mapper(MapperConfig(), perception, timer=lambda: 0.0)


def taker(mapper: Mapper):  # type: ignore[no-untyped-def]
    def take(message: StreamMessage) -> None:
        if isinstance(message, SessionStart):
            mapper.start_session(message)
        elif isinstance(message, SessionEnd):
            mapper.end_session(message)
        else:
            assert isinstance(message, Observation)
            mapper.integrate(message)
            mapper.graph.check()

    return take


def looked_around(mapper: Mapper, things: tuple[Thing, ...] = ROOM) -> PickingRobot:
    robot = PickingRobot(taker(mapper), things)
    robot.start()
    robot.pose = AT_DESK
    robot.look(3)
    robot.go(AT_TABLE)
    robot.look(3)
    return robot


def the(mapper: Mapper, label: str, colour: str) -> Track:
    (found,) = [t for t in mapper.graph.confirmed(include_gone=True) if (t.label, t.colour) == (label, colour)]
    return found


def causes(track: Track) -> list[tuple[str, str]]:
    return [(interval.state, interval.cause) for interval in track.intervals]


def test_a_thing_that_is_carried_elsewhere_stays_the_same_thing() -> None:
    mapper = mapper_of()
    robot = looked_around(mapper)
    mug = the(mapper, "mug", "red").id
    robot.pick(RED_MUG)
    picked_ns = robot.now_ns
    robot.go(AT_DESK)
    assert the(mapper, "mug", "red").state == "held"
    robot.place(-2.1, 0.3, 0.78, n_frames=1)
    placed_ns = robot.now_ns
    robot.look(6)
    track = the(mapper, "mug", "red")
    assert track.id == mug
    assert causes(track) == [("present", "seen_first"), ("held", "picked"), ("moved", "placed")]
    assert track.position_m == pytest.approx((-2.1, 0.3, 0.78), abs=0.1)
    held, now = track.intervals[1:]
    assert held.valid_from_ns == pytest.approx(picked_ns, abs=5e8)
    assert (held.valid_to_ns, now.valid_from_ns) == (placed_ns, placed_ns)
    (change,) = mapper.graph.changes()
    assert (change.kind, change.object_id, change.after_ns) == ("moved", mug, held.valid_from_ns)
    assert change.from_position_m == pytest.approx(RED_MUG.center_m, abs=0.1)


@pytest.mark.parametrize(("thing", "colour"), [(RED_MUG, "red"), (BLUE_MUG, "blue")])
def test_of_two_of_a_kind_the_one_in_hand_is_known(thing: Thing, colour: str) -> None:
    mapper = mapper_of()
    robot = looked_around(mapper)
    robot.pick(thing)
    robot.go(AT_DESK)
    robot.place(-2.1, 0.3, 0.78)
    assert len([t for t in mapper.graph.confirmed() if t.label == "mug"]) == 2
    assert the(mapper, "mug", colour).state == "moved"


def test_of_two_that_are_both_missing_the_one_that_looks_like_it_was_taken() -> None:
    for thing, colour in ((RED_MUG, "red"), (BLUE_MUG, "blue")):
        mapper = mapper_of()
        robot = looked_around(mapper)
        robot.world.things = tuple(each for each in robot.world.things if each.label != "mug")
        robot.pick(thing, n_frames=5)
        (held,) = [track for track in mapper.graph if track.state == "held"]
        assert held.colour == colour


def test_what_stands_near_the_hand_is_not_in_it() -> None:
    near = Thing("mug", (1.85, 0.0, 0.78), (0.1, 0.1, 0.12), RED)
    mapper = mapper_of()
    robot = looked_around(mapper, (*ROOM[:2], near))
    robot.pick(UNSEEN, n_frames=8)
    robot.held = None
    robot.look(3)
    assert causes(the(mapper, "mug", "red")) == [("present", "seen_first")]


def test_of_two_that_look_the_same_the_one_that_is_missing_was_taken() -> None:
    twin = Thing("mug", (2.1, -0.25, 0.78), (0.1, 0.1, 0.12), RED)
    mapper = mapper_of()
    robot = looked_around(mapper, (*ROOM[:3], twin))
    robot.pick(twin, n_frames=6)
    (held,) = [track for track in mapper.graph if track.state == "held"]
    assert held.position_m == pytest.approx(twin.center_m, abs=0.1)


def test_wrong_labels_and_overlooked_things_do_not_matter() -> None:
    mapper = mapper_of(noise=0.15)
    robot = looked_around(mapper)
    mug = the(mapper, "mug", "red").id
    robot.pick(RED_MUG, n_frames=4)
    robot.go(AT_DESK)
    robot.place(-2.1, 0.3, 0.78, n_frames=10)
    assert the(mapper, "mug", "red").id == mug
    assert causes(the(mapper, "mug", "red"))[1:] == [("held", "picked"), ("moved", "placed")]


def test_what_is_put_back_is_where_it_was() -> None:
    mapper = mapper_of()
    robot = looked_around(mapper)
    mug = the(mapper, "mug", "red").id
    robot.pick(RED_MUG, n_frames=5)
    robot.place(*RED_MUG.center_m)
    track = the(mapper, "mug", "red")
    assert (track.id, track.state) == (mug, "moved")
    assert track.position_m == pytest.approx(RED_MUG.center_m, abs=0.1)


def test_what_was_never_seen_before_it_was_taken_is_known_from_then_on() -> None:
    mapper = mapper_of()
    robot = looked_around(mapper, ROOM[:2])
    robot.held = RED_MUG
    robot.look(5)
    robot.go(AT_DESK)
    robot.place(-2.1, 0.3, 0.78)
    track = the(mapper, "mug", "red")
    assert causes(track) == [("present", "seen_first"), ("held", "picked"), ("moved", "placed")]
    assert track.position_m == pytest.approx((-2.1, 0.3, 0.78), abs=0.1)


def test_what_is_put_down_out_of_sight_lies_about_where_the_gripper_opened() -> None:
    mapper = mapper_of()
    robot = looked_around(mapper)
    mug = the(mapper, "mug", "red").id
    robot.pick(RED_MUG, n_frames=5)
    robot.go(AT_DESK)
    robot.held = None
    robot.look(45)
    track = mapper.graph.get(mug)
    assert track is not None
    assert track.state == "moved"
    assert track.existence <= 0.5
    assert np.linalg.norm(np.array(track.position_m[:2]) - AT_DESK[:2]) < 1.2


def test_what_is_held_is_no_obstacle_in_the_map_of_free_space() -> None:
    mapper = mapper_of()
    robot = looked_around(mapper)
    robot.pick(RED_MUG)
    robot.go((0.0, 0.0, np.pi / 2))
    robot.look(12)
    reply = mapper.occupancy.reply()
    column, row = np.floor((np.array([0.0, 0.6]) - np.array(reply.origin_m)[:2]) / reply.resolution_m).astype(int)
    in_hand = reply.occupancy[row - 4 : row + 5, column - 4 : column + 5]
    assert in_hand.shape == (9, 9)
    assert not (in_hand == 2).any()


def test_a_thing_still_held_at_the_end_of_a_session_is_doubtful_in_the_next() -> None:
    mapper = mapper_of()
    robot = looked_around(mapper)
    mug = the(mapper, "mug", "red").id
    robot.pick(RED_MUG, n_frames=5)
    robot.end()
    assert the(mapper, "mug", "red").state == "held"
    robot.held = None
    robot.start("b")
    robot.look(1)
    track = mapper.graph.get(mug)
    assert track is not None
    assert track.state == "unknown"


def test_a_thing_that_stands_where_it_was_taken_is_held_no_more() -> None:
    mapper = mapper_of()
    robot = looked_around(mapper)
    mug = the(mapper, "mug", "red").id
    robot.pick(RED_MUG, n_frames=5)
    robot.end()
    robot.world.things = (*robot.world.things, RED_MUG)
    robot.held = None
    robot.start("b")
    robot.look(6)
    track = the(mapper, "mug", "red")
    assert track.id == mug
    assert causes(track) == [("present", "seen_first"), ("held", "picked"), ("moved", "placed")]
    assert track.position_m == pytest.approx(RED_MUG.center_m, abs=0.1)


def test_a_thing_held_from_one_session_to_the_next_is_put_down_as_the_same_thing() -> None:
    mapper = mapper_of()
    robot = looked_around(mapper)
    mug = the(mapper, "mug", "red").id
    robot.pick(RED_MUG, n_frames=5)
    robot.end()
    robot.start("b")
    robot.go(AT_DESK)
    robot.place(-2.1, 0.3, 0.78)
    track = the(mapper, "mug", "red")
    assert track.id == mug
    assert causes(track) == [("present", "seen_first"), ("held", "picked"), ("moved", "placed")]


def test_what_was_not_seen_in_hand_and_not_put_down_in_sight_is_doubtful_and_nothing_else_takes_its_place() -> None:
    mapper = mapper_of()
    robot = looked_around(mapper)
    mug = the(mapper, "mug", "red").id
    robot.pick(RED_MUG, n_frames=5)
    robot.end()
    robot.start("b")
    robot.held = UNSEEN
    robot.look(1)
    robot.held = None
    robot.look(45)
    track = mapper.graph.get(mug)
    assert track is not None
    assert (track.id, track.state) == (mug, "unknown")


def test_a_robot_without_the_signal_takes_nothing() -> None:
    mapper = mapper_of()
    robot = PickingRobot(taker(mapper))
    robot.has_signal = False
    robot.start()
    robot.pose = AT_TABLE
    robot.look(6)
    robot.pick(RED_MUG, n_frames=6)
    assert not [track for track in mapper.graph if track.state == "held"]
