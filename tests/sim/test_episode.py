from __future__ import annotations

import numpy as np
import pytest

from embodied.messages import Answer, Box, ObjectRecord, Point, Query
from sim.collision import Grid
from sim.episode import Drive, QuestionResult, choose_goals, judge_drive, score_goals, score_questions
from sim.questions import Question
from sim.scene import Region
from sim.truth import TruePose, TruthObject

MUG: Point = (2.0, 1.0, 0.8)
OTHER_MUG: Point = (6.0, 1.0, 0.8)
KITCHEN = Region("kitchen", (0.0, 0.0, 4.0, 2.0))
HALL = Region("hallway", (4.0, 0.0, 8.0, 2.0))
FLOOR = Grid(np.pad(np.ones((18, 78), dtype=bool), 1), (0.0, 0.0), 0.1)


def thing(instance_id: int, position_m: Point, room: str = "kitchen") -> TruthObject:
    return TruthObject(
        instance_id=instance_id,
        category="mug",
        colour="red",
        position_m=position_m,
        box=Box(center_m=position_m, size_m=(0.1, 0.1, 0.1)),
        room=room,
        support=0,
        relation="on",
        first_sighting=None,
        last_sighting=None,
        best_sighting=None,
        n_sightings=0,
    )


def result(text: str, *, kind: str = "where", found: bool = True, correct: bool = True) -> QuestionResult:
    record = ObjectRecord(
        id="o1",
        label="mug",
        position_m=MUG,
        box=Box(center_m=MUG, size_m=(0.1, 0.1, 0.1)),
        state="present",
        confidence=1.0,
        first_seen_ns=0,
        last_seen_ns=0,
        room="",
    )
    return QuestionResult(
        question=Question(text=text, kind=kind, truth_text="there"),  # type: ignore[arg-type]
        answer=Answer(
            query=Query(kind="where"), text="", unknown=not found, confidence=1.0, objects=(record,) if found else ()
        ),
        correct=correct,
        latency_ms=1.0,
    )


def drive_to(*places: Point, target_m: Point = MUG) -> Drive:
    question = Question(text="where is the red mug?", kind="where", truth_text="", position_m=places)
    return Drive(question=question, target_m=target_m, end_seq=3, n_steps=9, arrived=True, detail="")


def pose(x_m: float, *visible: int) -> TruePose:
    return TruePose(seq=3, stamp_ns=0, x_m=x_m, y_m=1.0, yaw_rad=0.0, visible=visible)


def test_goals_are_places_and_the_last_asked_for_come_first() -> None:
    results = [result("a"), result("b", kind="what"), result("c", correct=False), result("d", found=False), result("e")]
    assert [r.question.text for r in choose_goals(results, 2)] == ["e", "c"]
    assert choose_goals(results, 0) == ()


def test_a_drive_that_was_wanted_and_not_made_failed() -> None:
    made = judge_drive(drive_to(MUG), pose(1.5, 1), [thing(1, MUG)], FLOOR, [KITCHEN])
    assert score_goals([made]).success == 1.0
    assert score_goals([made], n_wanted=2).success == 0.5
    assert score_goals([]).success == 0.0


@pytest.mark.parametrize(
    ("x_m", "visible", "success"), [(1.5, (1,), True), (1.5, (), False), (0.5, (1,), False), (1.5, (2,), False)]
)
def test_a_drive_succeeds_near_the_thing_and_with_it_in_view(
    x_m: float, visible: tuple[int, ...], success: bool
) -> None:
    goal = judge_drive(drive_to(MUG), pose(x_m, *visible), [thing(1, MUG)], FLOOR, [KITCHEN])
    assert goal.success is success
    assert goal.geodesic_m == pytest.approx(2.0 - x_m, abs=0.15)


def test_of_two_alike_the_one_that_the_memory_meant_counts() -> None:
    things = [thing(1, MUG), thing(2, OTHER_MUG, "hallway")]
    drive = drive_to(MUG, OTHER_MUG, target_m=OTHER_MUG)
    assert judge_drive(drive, pose(5.5, 2), things, FLOOR, [KITCHEN, HALL]).success
    assert not judge_drive(drive, pose(1.5, 1), things, FLOOR, [KITCHEN, HALL]).success


def test_a_place_on_the_other_side_of_a_wall_is_not_near() -> None:
    cells = FLOOR.cells.copy()
    cells[:16, 40] = False
    mug = thing(1, (4.3, 0.2, 0.8), "hallway")
    beside_the_wall = TruePose(seq=3, stamp_ns=0, x_m=3.9, y_m=0.2, yaw_rad=0.0, visible=(1,))
    goal = judge_drive(drive_to(mug.position_m), beside_the_wall, [mug], FLOOR._replace(cells=cells), [KITCHEN, HALL])
    assert goal.geodesic_m > 2.5
    assert not goal.success


def test_what_lies_in_no_room_cannot_be_reached() -> None:
    goal = judge_drive(drive_to(MUG), pose(1.5, 1), [thing(1, MUG, "")], FLOOR, [KITCHEN])
    assert goal.geodesic_m == float("inf")
    assert not goal.success


def test_wrong_answers_are_told_with_their_truth() -> None:
    score = score_questions([result("a"), result("b", correct=False)])
    assert (score.correct, score.asked) == (0.5, 2)
    assert score.wrong == ("b — said:  — truth: there",)
