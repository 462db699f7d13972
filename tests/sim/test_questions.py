from __future__ import annotations

import pytest

from embodied.messages import Answer, Box, Change, ObjectRecord, Point, Query
from sim.questions import Question, is_correct, make_questions
from sim.truth import Sighting, TrueChange, TruthObject, TruthSession

SECOND_NS = 1_000_000_000
HERE: Point = (1.0, 2.0, 0.8)
THERE: Point = (4.0, 2.0, 0.8)


def thing(
    instance_id: int, category: str, *, colour: str = "", position_m: Point = HERE, support: int = 0
) -> TruthObject:
    sighting = Sighting(seq=instance_id, stamp_ns=instance_id * SECOND_NS, n_pixels=99, distance_m=1.0)
    return TruthObject(
        instance_id=instance_id,
        category=category,
        colour=colour,
        position_m=position_m,
        box=Box(center_m=position_m, size_m=(0.1, 0.1, 0.1)),
        room="kitchen" if position_m[0] < 3 else "bedroom",
        support=support,
        relation="on",
        first_sighting=sighting,
        last_sighting=sighting,
        best_sighting=sighting,
        n_sightings=1,
    )


def session(name: str, objects: list[TruthObject], changes: tuple[TrueChange, ...] = ()) -> TruthSession:
    return TruthSession(
        session=name,
        seed=0,
        start_ns=0,
        end_ns=1,
        objects=tuple(objects),
        changes=changes,
        poses=(),
        n_collisions=0,
    )


def two_days() -> tuple[TruthSession, TruthSession]:
    stays = [
        thing(1, "table"),
        thing(2, "mug", colour="red", support=1),
        thing(3, "plate", colour="white", support=1),
        thing(4, "chair"),
        thing(5, "chair", position_m=THERE),
    ]
    lost, moved = thing(6, "book", colour="blue", support=1), thing(7, "vase", colour="green", support=1)
    after = thing(7, "vase", colour="green", position_m=THERE)
    brought = thing(8, "clock", colour="red", support=1)
    changes = (
        TrueChange(kind="removed", instance_id=6, category="book", from_position_m=HERE, to_position_m=None),
        TrueChange(kind="moved", instance_id=7, category="vase", from_position_m=HERE, to_position_m=THERE),
        TrueChange(kind="added", instance_id=8, category="clock", from_position_m=None, to_position_m=HERE),
    )
    return session("day-1", [*stays, lost, moved]), session("day-2", [*stays, after, brought], changes)


def record(label: str, position_m: Point = HERE, state: str = "present") -> ObjectRecord:
    return ObjectRecord(
        id="o1",
        label=label,
        position_m=position_m,
        box=Box(center_m=position_m, size_m=(0.1, 0.1, 0.1)),
        state=state,  # type: ignore[arg-type]
        confidence=1.0,
        first_seen_ns=0,
        last_seen_ns=0,
        room="",
    )


def answer(
    *objects: ObjectRecord, unknown: bool = False, stamp_ns: int | None = None, count: int | None = None
) -> Answer:
    return Answer(
        query=Query(kind="where"),
        text="",
        unknown=unknown,
        confidence=1.0,
        objects=objects,
        stamp_ns=stamp_ns,
        count=count,
    )


def test_every_kind_of_question_is_asked_and_at_least_eight_of_them() -> None:
    questions = make_questions(*two_days(), seed=0)
    assert {q.kind for q in questions} == {"where", "gone", "what", "when", "changes", "count", "never"}
    assert len(questions) >= 8
    assert any(q.instance_id == 7 for q in questions), "what was moved is asked for"
    assert any(q.instance_id == 8 for q in questions), "what was added is asked for"
    assert {q.text for q in questions} >= {
        f"what was {kind} since yesterday?" for kind in ("moved", "removed", "added")
    }


def test_the_same_seed_asks_the_same() -> None:
    assert make_questions(*two_days(), seed=3) == make_questions(*two_days(), seed=3)


WHERE = Question(text="", kind="where", truth_text="", position_m=(HERE,), labels=("mug",))
GONE = Question(text="", kind="gone", truth_text="", labels=("book",))
WHAT = Question(text="", kind="what", truth_text="", labels=("mug", "mug", "plate"))
WHEN = Question(text="", kind="when", truth_text="", stamp_ns=100 * SECOND_NS)
COUNT = Question(text="", kind="count", truth_text="", count=2)
NEVER = Question(text="", kind="never", truth_text="")


@pytest.mark.parametrize(
    ("question", "given", "right"),
    [
        (WHERE, answer(record("mug")), True),
        (WHERE, answer(record("mug", THERE)), False),
        (WHERE, answer(record("mug", THERE), record("mug")), False),
        (WHERE, answer(record("mug", state="gone")), False),
        (WHERE, answer(record("plate")), False),
        (WHERE, answer(unknown=True), False),
        (GONE, answer(record("book", state="gone")), True),
        (GONE, answer(record("book", state="gone"), unknown=True), True),
        (GONE, answer(unknown=True), False),
        (GONE, answer(), False),
        (GONE, answer(record("book")), False),
        (GONE, answer(record("mug", state="gone")), False),
        (WHAT, answer(record("mug"), record("plate"), record("mug")), True),
        (WHAT, answer(record("mug"), record("plate")), False),
        (WHAT, answer(record("mug"), record("mug"), record("plate"), record("cup")), False),
        (WHEN, answer(stamp_ns=105 * SECOND_NS), True),
        (WHEN, answer(stamp_ns=120 * SECOND_NS), False),
        (WHEN, answer(), False),
        (COUNT, answer(count=2), True),
        (COUNT, answer(count=3), False),
        (NEVER, answer(unknown=True), True),
        (NEVER, answer(record("piano")), False),
        (NEVER, answer(), False),
    ],
)
def test_the_verdict_on_an_answer(question: Question, given: Answer, right: bool) -> None:
    assert is_correct(question, given) is right


def test_what_changed_is_right_if_nearly_all_changes_are_told() -> None:
    _, day_two = two_days()
    question = Question(text="", kind="changes", truth_text="", changes=day_two.changes)
    told = tuple(
        Change(
            kind=c.kind,
            object_id="o1",
            label=c.category,
            from_position_m=c.from_position_m,
            to_position_m=c.to_position_m,
            from_room="",
            to_room="",
            after_ns=0,
            noticed_ns=1,
        )
        for c in day_two.changes
    )
    full = Answer(query=Query(kind="changes"), text="", unknown=False, confidence=1.0, changes=told)
    most = Answer(query=Query(kind="changes"), text="", unknown=False, confidence=1.0, changes=told[:2])
    half = Answer(query=Query(kind="changes"), text="", unknown=False, confidence=1.0, changes=told[:1])
    assert is_correct(question, full)
    assert not is_correct(question, half)
    assert not is_correct(question, most), "two of three are not four fifths"
