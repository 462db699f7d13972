"""The memory as it was known at an instant: what it learned later does not count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.messages import Answer, Interval, Note, ObjectRecord, Query, Relation, ViewHit
from memory_bank.objects.relations import find_relations
from memory_bank.recall.answers import answer
from memory_bank.recall.matching import MemoryView
from memory_bank.recall.past import as_it_was, as_known_at, known_history
from memory_world import (
    DAY_1_NS,
    DAY_2_NS,
    HISTORY,
    MOVED_LAPTOP,
    NOW_NS,
    SECOND_NS,
    box,
    house_view,
    interval,
    record,
)

EVENING_1_NS = DAY_1_NS + 3600 * SECOND_NS


def learned() -> MemoryView:
    """Return the house with histories that tell when the memory came to know of each thing."""
    later = DAY_2_NS + 100 * SECOND_NS
    laptop = (
        msgspec.structs.replace(HISTORY["o8"][0], known_to_ns=later),
        msgspec.structs.replace(HISTORY["o8"][1], known_from_ns=later),
    )
    vase = (
        msgspec.structs.replace(HISTORY["o7"][0], known_to_ns=DAY_2_NS + 110 * SECOND_NS),
        HISTORY["o7"][1],
    )
    view = house_view()
    histories = {"o8": laptop, "o7": vase}
    return replace(view, history=lambda i: histories[i] if i in histories else view.history(i))


def ask(query: Query) -> Answer:
    return answer(query, learned())


def then(kind: Any, **fields: Any) -> Answer:
    return ask(Query(kind=kind, known_ns=EVENING_1_NS, **fields))


def test_where_is_where_it_was_believed_to_be() -> None:
    assert ask(Query(kind="where", label="laptop")).objects[0].room == "kitchen"
    found = then("where", label="laptop")
    assert found.objects[0].position_m == (8.1, 0.9, 0.76)
    assert found.objects[0].state == "present"
    assert found.text.startswith("The gray laptop is on the desk in the office") or "in the office" in found.text


def test_what_was_not_missed_yet_is_there_and_surely() -> None:
    found = then("where", label="vase")
    assert not found.unknown
    assert found.objects[0].last_seen_ns == DAY_1_NS + 130 * SECOND_NS
    assert then("count", label="vase").count == 1
    assert ask(Query(kind="count", label="vase")).count == 0


def test_what_came_later_is_not_known() -> None:
    assert then("where", label="ball").unknown
    assert "o10" not in [o.id for o in then("what").objects]
    assert then("when", label="ball").unknown


def test_changes_are_those_noticed_until_then() -> None:
    assert then("changes").changes == ()
    known = ask(Query(kind="changes", known_ns=DAY_2_NS + 105 * SECOND_NS))
    assert [change.object_id for change in known.changes] == ["o8"]


def test_a_last_sighting_is_not_later_than_what_was_known() -> None:
    found = then("when", label="mug", colour="red")
    assert found.stamp_ns is not None
    assert found.stamp_ns <= EVENING_1_NS


def test_an_open_stay_was_last_seen_before_the_instant_of_knowing() -> None:
    found = then("where", label="laptop")
    assert found.objects[0].last_seen_ns == DAY_1_NS + 400 * SECOND_NS


def test_notes_pictures_and_views_are_those_of_then() -> None:
    noted = msgspec.structs.replace(MOVED_LAPTOP, notes=(Note(text="broken", author="Ada", stamp_ns=NOW_NS),))
    asked: list[Query] = []

    def views(query: Query) -> tuple[ViewHit, ...]:
        asked.append(query)
        return ()

    view = replace(learned(), objects=(noted,), views=views)
    known = as_known_at(view, EVENING_1_NS)
    assert known.objects[0].notes == ()
    assert known.evidence("o8", 1) == view.evidence("o8", 1)
    assert as_known_at(view, DAY_1_NS - 1).evidence("o8", 1) == ()
    assert known.views is not None
    known.views(Query(kind="views", until_ns=NOW_NS, known_ns=EVENING_1_NS))
    assert (asked[0].until_ns, asked[0].known_ns) == (EVENING_1_NS, None)


def test_a_session_that_ended_later_is_open() -> None:
    known = as_known_at(learned(), DAY_1_NS + 100 * SECOND_NS)
    assert [(session.session, session.end_ns) for session in known.sessions] == [("day-1", None)]
    assert known.now_ns == DAY_1_NS + 100 * SECOND_NS


def test_what_is_known_now_is_the_view_itself() -> None:
    view = learned()
    assert as_known_at(view, NOW_NS) is view


def test_what_was_known_can_be_asked_of_an_earlier_time() -> None:
    found = ask(Query(kind="where", label="laptop", known_ns=NOW_NS - 1, until_ns=EVENING_1_NS))
    assert found.objects[0].room == "office"


@pytest.mark.parametrize(("source", "known_ns"), [("told", DAY_2_NS), ("seen", DAY_2_NS + 60 * SECOND_NS)])
def test_what_was_told_counts_as_told_until_it_was_seen(source: str, known_ns: int) -> None:
    history = (
        interval("o8", (1.0, 1.0, 0.9), DAY_1_NS, None, cause="told"),
        interval("o8", (1.0, 1.0, 0.9), DAY_2_NS + 60 * SECOND_NS, None, cause="seen_again"),
    )
    view = replace(house_view(), objects=(MOVED_LAPTOP,), history=lambda _: history)
    assert as_known_at(view, known_ns).objects[0].source == source


@st.composite
def histories(draw: st.DrawFn) -> tuple[Interval, ...]:
    """Return intervals as a tracker makes them: each known when the one before is closed."""
    cuts = sorted(draw(st.lists(st.integers(1, 1000), min_size=2, max_size=8, unique=True)))
    made = []
    for i, known_from in enumerate(cuts[:-1]):
        is_last = i == len(cuts) - 2
        valid_from = draw(st.integers(cuts[i - 1] if i else 0, known_from))
        made.append(
            msgspec.structs.replace(
                interval("o1", (float(i), 0.0, 0.0), valid_from, None),
                known_from_ns=known_from,
                known_to_ns=None if is_last else cuts[i + 1],
                valid_to_ns=None if is_last else draw(st.integers(valid_from, cuts[i + 1])),
            )
        )
    return tuple(made)


@settings(max_examples=40)
@given(histories(), st.integers(0, 1100))
def test_a_known_history_is_a_prefix_with_an_open_end(history: tuple[Interval, ...], known_ns: int) -> None:
    known = known_history(history, known_ns)
    assert [i.position_m for i in known] == [i.position_m for i in history[: len(known)]]
    assert all(i.known_from_ns <= known_ns for i in known)
    if known:
        assert known[-1].known_to_ns is None
        assert known[-1].valid_to_ns is None
    assert known_history(known, known_ns) == known


def related(records: list[ObjectRecord]) -> list[ObjectRecord]:
    """Return records with the relations of all that stand, computed at once."""
    standing = [each for each in records if each.state != "gone"]
    found: dict[str, list[Relation]] = {each.id: [] for each in records}
    for r in find_relations([each.box for each in standing], [each.label for each in standing]):
        other = standing[r.object]
        found[standing[r.subject].id].append(
            Relation(kind=r.kind, object_id=other.id, label=other.label, confidence=r.confidence)
        )
    return [msgspec.structs.replace(each, relations=tuple(found[each.id])) for each in records]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 4))
def test_relations_of_the_past_are_those_of_its_boxes(seed: int, n_changed: int) -> None:
    rng = np.random.default_rng(seed)

    def place() -> tuple[float, float, float]:
        x, y = rng.uniform(0.0, 6.0, 2).tolist()
        return x, y, float(rng.choice([0.2, 0.45]))

    now = [record(f"o{i}", rng.choice(["box", "table", "mug"]), place(), size_m=(0.4, 0.3, 0.2)) for i in range(14)]
    history: dict[str, tuple[Interval, ...]] = {}
    for i, each in enumerate(now):
        before = place() if i < n_changed else each.position_m
        size_m = each.box.size_m
        stays = (interval(each.id, before, 10, 20, box=box(before, size_m)),)
        if i < n_changed:
            stays += (interval(each.id, each.position_m, 30, None, box=each.box),)
        history[each.id] = stays if i != 13 else (interval(each.id, each.position_m, 30, None, box=each.box),)
    view = replace(house_view(), objects=tuple(related(now)), history=lambda object_id: history[object_id])
    then = as_it_was(Query(kind="what", until_ns=25), view)
    assert {each.id for each in then.objects} == {f"o{i}" for i in range(13)}
    expected = {each.id: set(each.relations) for each in related(list(then.objects))}
    assert {each.id: set(each.relations) for each in then.objects} == expected
