"""What a memory tells of the robot's own acts, and where it sends the robot back to."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from embodied.errors import NotUnderstood
from embodied.messages import (
    FindGoals,
    Forget,
    GoalsReply,
    Interaction,
    InteractionsReply,
    ListInteractions,
    Recall,
    RoomVisit,
)
from memory_bank.bank import MemoryBank
from memory_bank.file_client import open_memory
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.stores.sqlite_store import SqliteStore
from pick_world import AT_DESK, AT_TABLE, BALL, BLUE_MUG, RED_MUG, PickingRobot

SECOND_NS = 1_000_000_000


class Day(NamedTuple):
    """A day at work, and the memory of it."""

    memory: MemoryBank
    robot: PickingRobot
    file: Path
    picked_seq: int
    placed_seq: int
    rest_ns: int


def live(path: Path) -> Day:
    memory = MemoryBank(MapperConfig(), SimulatorPerception(), SqliteStore(path))
    robot = PickingRobot(memory.take)
    robot.start("day")
    robot.pose = AT_DESK
    robot.look(3)
    robot.go(AT_TABLE)
    robot.look(3)
    picked_seq = robot.seq
    robot.pick(RED_MUG)
    robot.rest(100.0)
    robot.go(AT_DESK)
    placed_seq = robot.seq
    robot.place(-2.1, 0.3, 0.78)
    robot.rest(600.0)
    rest_ns = robot.now_ns - 300 * SECOND_NS
    robot.look(3)
    robot.pick(BALL)
    robot.go(AT_TABLE)
    robot.place(2.1, 0.25, 0.8)
    robot.look(3)
    memory.commit()
    return Day(memory, robot, path, picked_seq, placed_seq, rest_ns)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return live(tmp_path_factory.mktemp("memory") / "memory.db")


def interactions(memory: MemoryBank) -> tuple[Interaction, ...]:
    reply = memory.handle(ListInteractions())
    assert isinstance(reply, InteractionsReply)
    return reply.interactions


def goals(memory: MemoryBank, instruction: str) -> GoalsReply:
    reply = memory.handle(FindGoals(instruction=instruction))
    assert isinstance(reply, GoalsReply)
    return reply


def seq_of(day: Day, keyframe: int | None) -> int:
    assert keyframe is not None
    return day.memory.state.keyframes.get(keyframe).seq


def test_what_was_taken_and_put_is_told_with_places_and_frames(day: Day) -> None:
    mug, ball = interactions(day.memory)
    assert (mug.label, mug.picked_from, mug.placed_on) == ("mug", "table", "desk")
    assert (ball.label, ball.picked_from, ball.placed_on) == ("ball", "desk", "table")
    assert mug.picked_from_m == pytest.approx(RED_MUG.center_m, abs=0.1)
    assert mug.placed_m == pytest.approx((-2.1, 0.3, 0.78), abs=0.1)
    assert mug.placed_ns is not None
    assert (mug.placed_ns - mug.picked_ns) * 1e-9 == pytest.approx(100.0, abs=5.0)
    assert (seq_of(day, mug.pick_keyframe), seq_of(day, mug.place_keyframe)) == (day.picked_seq, day.placed_seq)


def test_what_is_asked_for_narrows_the_list(day: Day) -> None:
    mug, ball = interactions(day.memory)
    assert mug.placed_ns is not None
    of_mug = day.memory.handle(ListInteractions(object_id=mug.object_id))
    late = day.memory.handle(ListInteractions(since_ns=mug.placed_ns + 1))
    assert isinstance(of_mug, InteractionsReply)
    assert isinstance(late, InteractionsReply)
    assert of_mug.interactions == (mug,)
    assert late.interactions == (ball,)


def test_stays_in_rooms_cover_the_day_without_gaps(day: Day) -> None:
    reply = day.memory.handle(ListInteractions())
    assert isinstance(reply, InteractionsReply)
    assert reply.visits
    assert all(isinstance(visit, RoomVisit) and visit.entered_ns <= visit.left_ns for visit in reply.visits)
    for earlier, later in zip(reply.visits, reply.visits[1:]):
        assert earlier.left_ns == later.entered_ns


@pytest.mark.parametrize(
    ("instruction", "label", "place_m"),
    [
        ("go to the first object you moved", "mug", (-2.1, 0.3)),
        ("go to the object you moved right after the red mug", "ball", (2.1, 0.25)),
        ("go to a mug that you did not move", "mug", BLUE_MUG.center_m[:2]),
        ("go to the object that took the longest to rearrange", "mug", (-2.1, 0.3)),
        ("go to the furniture on which you placed the ball", "table", (2.4, 0.0)),
    ],
)
def test_a_goal_is_a_frame_that_shows_the_thing_from_near(
    day: Day, instruction: str, label: str, place_m: tuple[float, float]
) -> None:
    (goal,) = goals(day.memory, instruction).goals
    assert goal.label == label
    assert goal.position_m[:2] == pytest.approx(place_m, abs=0.15)
    assert 0 <= goal.seq < day.robot.seq
    assert np.linalg.norm(np.array(goal.viewpoint_m[:2]) - place_m) < 2.0
    if label != "table" and instruction.count("not") == 0:
        # From before it was put there, the frame would show another place.
        assert goal.stamp_ns >= max(i.placed_ns or 0 for i in interactions(day.memory) if i.label == label)


def test_several_goals_come_in_the_order_that_is_told(day: Day) -> None:
    reply = goals(day.memory, "revisit the second, then the first object you moved, in this order")
    assert reply.ordered
    assert [goal.label for goal in reply.goals] == ["ball", "mug"]
    assert reply.text == "Go to the ball, then to the mug."


def test_back_to_a_moment_is_where_the_robot_rested_then(day: Day) -> None:
    seconds = day.rest_ns // SECOND_NS % 86_400
    (goal,) = goals(day.memory, f"go back to where you were at {seconds // 3600}:{seconds // 60 % 60:02}").goals
    assert goal.viewpoint_m[:2] == pytest.approx(AT_DESK[:2], abs=0.2)


def test_what_fits_nothing_is_unknown_and_what_is_no_instruction_is_refused(day: Day) -> None:
    assert goals(day.memory, "go to the piano that you moved").unknown
    with pytest.raises(NotUnderstood):
        day.memory.handle(FindGoals(instruction="go to the"))


def test_a_memory_opened_anew_knows_the_same(day: Day) -> None:
    # The writer is still there: what it committed is what a process that dies now leaves behind.
    backend = open_memory(day.file)
    try:
        reply = backend.call(ListInteractions())
        assert isinstance(reply, InteractionsReply)
        assert reply.interactions == interactions(day.memory)
        again = backend.call(FindGoals(instruction="go to the first object you moved"))
        assert again == goals(day.memory, "go to the first object you moved")
    finally:
        backend.close()


def test_a_thing_is_forgotten_with_every_frame_that_shows_it_in_hand(tmp_path: Path) -> None:
    day = live(tmp_path / "memory.db")
    mug, ball = interactions(day.memory)
    day.memory.handle(Forget(object_id=mug.object_id))
    assert [left.object_id for left in interactions(day.memory)] == [ball.object_id]
    archive = day.memory.state.keyframes
    left = {keyframe.seq for keyframe in archive.whole(archive.indices().tolist())}
    assert left
    assert not left & set(range(day.picked_seq, day.placed_seq + 1))
    assert goals(day.memory, "go to the first object you moved").goals[0].label == "ball"


def test_a_session_is_forgotten_with_its_interactions_and_stays(tmp_path: Path) -> None:
    day = live(tmp_path / "memory.db")
    assert interactions(day.memory)
    day.memory.handle(Forget(session="day"))
    reply = day.memory.handle(ListInteractions())
    assert reply == InteractionsReply(interactions=(), visits=())


def test_today_and_yesterday_are_different_days(tmp_path: Path) -> None:
    day = live(tmp_path / "memory.db")
    robot = day.robot
    robot.end()
    robot.rest(86_400.0)
    robot.start("next day")
    robot.look(3)
    robot.pick(BLUE_MUG)
    robot.go(AT_DESK)
    robot.place(-2.1, -0.1, 0.78)
    first, today, yesterday = (
        goals(day.memory, f"go to the first object you interacted with {when}").goals[0].object_id
        for when in ("", "today", "yesterday")
    )
    assert first == yesterday != today
    (goal,) = goals(day.memory, "go to a mug that you did not interact with today").goals
    assert goal.object_id == first
    assert goals(day.memory, "go back to where you were at 0:05 yesterday").unknown


@pytest.mark.parametrize("died", ["before it was decided what was taken", "on the way", "as it was put down"])
def test_a_process_that_dies_loses_no_interaction_and_doubles_none(tmp_path: Path, died: str) -> None:
    first = MemoryBank(MapperConfig(), SimulatorPerception(), SqliteStore(tmp_path / "memory.db"))
    robot = PickingRobot(first.take)
    robot.start("day")
    robot.pose = AT_TABLE
    robot.look(6)
    robot.pick(RED_MUG, n_frames=2 if died.startswith("before") else 6)
    if died.startswith("as"):
        robot.go(AT_DESK)
        robot.place(-2.1, 0.3, 0.78, n_frames=1)
    first.commit()
    copied = tmp_path / "died"
    copied.mkdir()
    for file in tmp_path.glob("memory.db*"):
        shutil.copy(file, copied)
    memory = MemoryBank(MapperConfig(), SimulatorPerception(), SqliteStore(copied / "memory.db"))
    robot.take = memory.take
    robot.start("again")
    robot.look(3)
    if robot.held is not None:
        robot.go(AT_DESK)
        robot.place(-2.1, 0.3, 0.78)
    robot.look(8)
    robot.end()
    (mug,) = interactions(memory)
    assert (mug.label, mug.picked_from, mug.placed_on) == ("mug", "table", "desk")
    reds = [track for track in memory.state.frame.graph.confirmed() if (track.label, track.colour) == ("mug", "red")]
    assert [track.id for track in reds] == [mug.object_id]


def test_a_held_thing_is_told_to_be_held(tmp_path: Path) -> None:
    memory = MemoryBank(MapperConfig(), SimulatorPerception(), SqliteStore(tmp_path / "memory.db"))
    robot = PickingRobot(memory.take)
    robot.start("day")
    robot.pose = AT_TABLE
    robot.look(4)
    robot.pick(RED_MUG, n_frames=5)
    answer = memory.handle(Recall(question="where is the red mug?"))
    assert "in my gripper" in answer.text  # type: ignore[union-attr]
    (held,) = interactions(memory)
    assert (held.placed_ns, held.placed_m, held.is_held) == (None, None, True)
    # It was put down while nobody looked.
    robot.end()
    robot.held = None
    robot.start("later")
    robot.look(1)
    (lost,) = interactions(memory)
    assert (lost.placed_ns, lost.is_held) == (None, False)
