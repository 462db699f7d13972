from __future__ import annotations

import pytest

from embodied.messages import Box, Change, ObjectRecord, Point
from sim.judge import change_is_true, score_changes, score_objects
from sim.truth import TrueChange, TruthObject


def real(category: str, position_m: Point, instance_id: int = 1) -> TruthObject:
    return TruthObject(
        instance_id=instance_id,
        category=category,
        colour="",
        position_m=position_m,
        box=Box(center_m=position_m, size_m=(0.1, 0.1, 0.1)),
        room="kitchen",
        support=0,
        relation="on",
        first_sighting=None,
        last_sighting=None,
        best_sighting=None,
        n_sightings=0,
    )


def remembered(label: str, position_m: Point) -> ObjectRecord:
    return ObjectRecord(
        id=f"{label}-{position_m}",
        label=label,
        position_m=position_m,
        box=Box(center_m=position_m, size_m=(0.1, 0.1, 0.1)),
        state="present",
        confidence=1.0,
        first_seen_ns=0,
        last_seen_ns=0,
        room="",
    )


def noticed(kind: str, label: str, start: Point | None, end: Point | None) -> Change:
    return Change(
        kind=kind,  # type: ignore[arg-type]
        object_id="o1",
        label=label,
        from_position_m=start,
        to_position_m=end,
        from_room="",
        to_room="",
        after_ns=0,
        noticed_ns=1,
    )


A: Point = (0.0, 0.0, 0.8)
B: Point = (3.0, 0.0, 0.8)
NEAR_A: Point = (0.3, 0.0, 0.8)
MOVED = TrueChange(kind="moved", instance_id=1, category="mug", from_position_m=A, to_position_m=B)


def test_a_perfect_memory_scores_perfectly() -> None:
    score = score_objects([real("mug", A), real("sofa", B)], [remembered("sofa", B), remembered("mug", A)])
    assert (score.precision, score.recall, score.position_error_m, score.duplicates) == (1.0, 1.0, 0.0, 0.0)


def test_a_second_memory_of_the_same_thing_is_a_duplicate_and_costs_precision() -> None:
    score = score_objects([real("mug", A)], [remembered("mug", A), remembered("mug", NEAR_A)])
    assert (score.precision, score.recall, score.duplicates) == (0.5, 1.0, 0.5)


def test_a_wrong_label_or_place_is_both_missed_and_invented() -> None:
    score = score_objects([real("mug", A)], [remembered("cup", A), remembered("mug", B)])
    assert (score.precision, score.recall, score.duplicates) == (0.0, 0.0, 0.0)
    assert len(score.missed) == 1
    assert len(score.invented) == 2


def test_each_real_thing_is_matched_once_and_for_the_least_total_error() -> None:
    left, right = real("mug", (0.0, 0.0, 0.0), 1), real("mug", (0.4, 0.0, 0.0), 2)
    score = score_objects([left, right], [remembered("mug", (0.3, 0.0, 0.0)), remembered("mug", (-0.1, 0.0, 0.0))])
    assert score.recall == 1.0
    assert score.position_error_m == pytest.approx(0.1)


def test_an_empty_memory_recalls_nothing() -> None:
    score = score_objects([real("mug", A)], [])
    assert (score.precision, score.recall, score.position_error_m) == (0.0, 0.0, float("inf"))


def test_a_change_must_agree_in_kind_label_and_both_ends() -> None:
    assert change_is_true(noticed("moved", "mug", NEAR_A, B), MOVED)
    assert not change_is_true(noticed("moved", "mug", B, B), MOVED)
    assert not change_is_true(noticed("moved", "cup", A, B), MOVED)
    assert not change_is_true(noticed("removed", "mug", A, None), MOVED)


def test_a_move_told_as_a_removal_and_an_addition_is_no_hit() -> None:
    score = score_changes([MOVED], [noticed("removed", "mug", A, None), noticed("added", "mug", None, B)])
    assert (score.precision, score.recall, score.f1) == (0.0, 0.0, 0.0)


def test_nothing_changed_and_nothing_noticed_is_perfect() -> None:
    assert score_changes([], []).f1 == 1.0
