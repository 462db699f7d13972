"""Which room holds what, which rooms lie side by side, where the robot is, what it looked like."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from embodied.messages import Answer, Query, RoomRecord, ViewHit
from memory_bank.recall.answers import answer
from memory_bank.recall.grammar import parse
from memory_bank.recall.matching import MemoryView
from memory_world import NOW_NS, house_view, record, room

KITCHEN = msgspec.structs.replace(
    room("r1", "kitchen"), outline_m=((0.0, 0.0), (6.0, 0.0), (6.0, 4.0), (0.0, 4.0)), connects=("r2", "r3")
)
OFFICE = msgspec.structs.replace(
    room("r2", "office"), outline_m=((6.0, 0.0), (10.0, 0.0), (10.0, 4.0), (6.0, 4.0)), connects=("r1",)
)
ROOMS = (KITCHEN, OFFICE, room("r3", "living room"), room("r4", "bedroom"))


def ask(question: str, **changed: Any) -> Answer:
    view = house_view(**{"rooms": ROOMS, "agent_m": (8.0, 2.0, 0.0)} | changed)
    names = frozenset(each.name for each in view.rooms)
    query = parse(question, labels=view.labels, rooms=names, now_ns=view.now_ns, agent_m=view.agent_m)
    return answer(query, view)


def names(found: Answer) -> list[str]:
    return [each.name for each in found.rooms]


@pytest.mark.parametrize(
    ("question", "expected", "text"),
    [
        ("which room has a mug and a fridge?", ["kitchen"], "The kitchen has a mug and a refrigerator."),
        ("which rooms have a mug?", ["kitchen", "office"], "The kitchen and the office have a mug."),
        ("which room has a blue mug?", ["office"], "The office has a blue mug."),
        ("which room has a table, a book and a laptop?", ["kitchen"], "The kitchen has a table, a book and a laptop."),
        ("which rooms are next to the kitchen?", ["office", "living room"], "From the kitchen doors lead to"),
        ("where am i?", ["office"], "I am in the office."),
        ("which rooms do you know?", ["kitchen", "office", "living room", "bedroom"], "I know 4 rooms: the kitchen,"),
    ],
)
def test_rooms_are_found(question: str, expected: list[str], text: str) -> None:
    found = ask(question)
    assert names(found) == expected
    assert found.text.startswith(text)
    assert found.count == len(expected)
    assert not found.unknown


def test_a_room_that_holds_only_a_part_is_told_of() -> None:
    found = ask("which room has a ball and a mug?")
    assert found.unknown
    assert found.rooms == ()
    assert "the kitchen has a mug" in found.text
    assert "the living room has a ball" in found.text


def test_what_is_gone_makes_no_room() -> None:
    assert ask("which room has a vase?").unknown


def test_the_surer_room_comes_first() -> None:
    doubtful = record("o3", "mug", (3.2, 1.1, 0.8), confidence=0.3)
    objects = tuple(doubtful if each.id == "o3" else each for each in house_view().objects)
    assert names(ask("which rooms have a mug?", objects=objects)) == ["office", "kitchen"]


def test_rooms_that_are_not_known_are_not_made_up() -> None:
    assert ask("which rooms are next to the bathroom?").text.startswith("I know no bathroom")
    assert ask("which rooms are next to the bedroom?").unknown
    assert ask("where am i?", agent_m=(99.0, 0.0, 0.0)).text == "That is in no room that I know."
    assert ask("which rooms do you know?", rooms=()).text == "I have found no rooms yet."


def test_of_rooms_within_each_other_the_smaller_is_meant() -> None:
    closet = RoomRecord(
        id="r9", name="closet", center_m=(8, 2, 0), area_m2=1.0, n_objects=0,
        outline_m=((7.5, 1.5), (8.5, 1.5), (8.5, 2.5), (7.5, 2.5)),
    )  # fmt: skip
    assert names(ask("where am i?", rooms=(*ROOMS, closet))) == ["closet"]


# ------------------------------------------------------------------------------------------ views

SHOWN = ViewHit(keyframe=4, session="day-2", stamp_ns=NOW_NS, position_m=(1, 1, 1), room="kitchen", score=0.8)


def asked_views(question: str, hits: tuple[ViewHit, ...] = (SHOWN,), **changed: Any) -> tuple[Answer, list[Query]]:
    queries: list[Query] = []

    def views(query: Query) -> tuple[ViewHit, ...]:
        queries.append(query)
        return hits

    return ask(question, views=views, **changed), queries


def test_pictures_of_a_thing_are_those_that_show_it() -> None:
    found, (query,) = asked_views("show me the last picture of the red mug in the kitchen")
    assert (query.object_id, query.label, query.room, query.order, query.limit) == ("o3", "", "", "latest", 1)
    assert found.views == (SHOWN,)
    assert found.objects[0].id == "o3"
    assert found.text == "One picture of the red mug in the kitchen, from 2026-01-06 09:05:00."


def test_pictures_of_a_room_are_those_taken_in_it() -> None:
    found, (query,) = asked_views("what does the kitchen look like?")
    assert (query.object_id, query.room) == ("", "kitchen")
    assert not found.unknown


def test_no_pictures_is_unknown() -> None:
    found, queries = asked_views("show me pictures of the piano")
    assert found.unknown
    assert queries == []
    assert asked_views("show me pictures of room 7")[0].text.startswith("I know no room 7")
    assert asked_views("show me pictures of the red mug", hits=())[0].unknown
    assert ask("show me pictures of the red mug").text == "I keep no pictures."


def test_several_pictures_are_counted() -> None:
    view: MemoryView = replace(house_view(), views=lambda query: (SHOWN,) * 3)
    assert answer(Query(kind="views", since_ns=0), view).text.startswith("3 pictures, the latest from")
