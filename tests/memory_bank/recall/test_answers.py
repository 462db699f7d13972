"""Recall: the right things, in sentences that a person likes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from embodied.messages import Box, Query, RelationFilter, ViewHit
from memory_bank.recall import answers as recall
from memory_bank.recall.matching import MemoryView
from memory_world import (
    BLUE_MUG,
    DAY_1_NS,
    DAY_2_NS,
    DAY_NS,
    HISTORY,
    NOW_NS,
    RED_MUG,
    SECOND_NS,
    house_view,
    record,
)
from recall_asking import ask, ids


def test_where_says_what_it_stands_on_in_which_room_and_when_it_was_seen() -> None:
    found = ask("where is the red mug?")
    assert found.text == (
        "The red mug is on the table in the kitchen, at (3.2, 1.1, 0.8) m; last seen 2026-01-06 09:03:12."
    )
    assert ids(found) == ["o3"]
    assert not found.unknown
    assert found.evidence[0].object_id == "o3"
    assert found.evidence[0].crop_jpeg


def test_several_that_fit_are_all_told() -> None:
    found = ask("where are the mugs?")
    assert found.text == (
        "2 mugs: a red one on the table in the kitchen, at (3.2, 1.1, 0.8) m; "
        "a blue one on the desk in the office, at (8.2, 1.1, 0.8) m."
    )


def test_the_surer_one_comes_first() -> None:
    doubtful = replace_object(RED_MUG, confidence=0.4)
    assert ids(ask("where is the mug?", doubtful)) == ["o4", "o3"]


def test_what_was_seen_in_this_session_comes_before_what_was_not() -> None:
    long_ago = replace_object(RED_MUG, last_seen_ns=DAY_1_NS + 300 * SECOND_NS, confidence=0.99)
    assert ids(ask("where is the mug?", long_ago)) == ["o4", "o3"]


@pytest.fixture(autouse=True)
def _uncalibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the confidences of these tests be the raw ones, whatever curves are stored."""
    monkeypatch.setattr(recall, "calibrated", lambda raw, _: raw)


def replace_object(old: Any, **changes: Any) -> MemoryView:
    view = house_view()
    new = msgspec.structs.replace(old, **changes)
    return replace(view, objects=tuple(new if o.id == old.id else o for o in view.objects))


def test_what_was_never_seen_is_unknown() -> None:
    found = ask("where is the piano?")
    assert found.text == "I have not seen a piano."
    assert found.unknown
    assert found.objects == ()


def test_a_wrong_colour_is_unknown_but_tells_what_there_is() -> None:
    found = ask("where is the green mug?", replace(house_view(), objects=(RED_MUG,)))
    assert found.text == (
        "I have not seen a green mug. I know a red mug on the table in the kitchen, at (3.2, 1.1, 0.8) m."
    )
    assert found.unknown


def test_a_colour_that_it_partly_had_is_better_than_nothing() -> None:
    view = replace(house_view(), objects=(RED_MUG,), colours=lambda _: {"red": 0.6, "white": 0.3})
    found = ask("where is the white mug?", view)
    assert ids(found) == ["o3"]
    assert found.confidence < 0.8


def test_what_had_some_of_the_colour_comes_before_what_has_a_similar_one() -> None:
    gone = msgspec.structs.replace(RED_MUG, id="o20", state="gone", colour="brown")
    view = replace(house_view(), objects=(RED_MUG, gone), colours=lambda i: {"orange": 0.4} if i == "o20" else {})
    assert ids(ask("where is the orange mug?", view)) == ["o20"]


def test_what_is_gone_is_said_to_be_gone() -> None:
    found = ask("where is the vase?")
    assert found.text == "The vase is gone: last seen 2026-01-05 09:02:10 on the table in the kitchen."
    assert found.unknown
    assert [o.state for o in found.objects] == ["gone"]


def test_what_moved_also_says_where_it_was() -> None:
    assert ask("where is the laptop?").text.endswith(
        "Before, it was in the office, at (8.1, 0.9, 0.8) m, until 2026-01-05 09:06:40 or later."
    )


def test_a_synonym_finds_the_label_that_is_known() -> None:
    assert ids(ask("where is the fridge?")) == ["o6"]
    assert ids(ask(Query(kind="where", label="fridge"))) == ["o6"]


def test_a_general_word_means_longer_names_only_if_nothing_has_just_that_name() -> None:
    assert ids(ask("where is the table?")) == ["o1"]
    view = house_view()
    view = replace(view, objects=tuple(o for o in view.objects if o.label != "table"))
    assert ids(ask("where is the table?", view)) == ["o9"]


def test_a_label_that_was_seen_often_enough_counts() -> None:
    view = replace(house_view(), objects=(record("o1", "bowl", (0, 0, 1), labels={"bowl": 0.6, "hat": 0.4}),))
    found = ask("where is the hat?", view)
    assert ids(found) == ["o1"]
    assert found.confidence < 0.5 < ask("where is the bowl?", view).confidence


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("where is the mug in the office?", ["o4"]),
        ("where is the mug on the table?", ["o3"]),
        ("where is the mug on the kitchen table?", ["o3"]),
        ("where is the mug on the brown desk?", ["o4"]),
        ("what is on the table?", ["o3", "o5", "o8"]),
        ("what is on the table in the kitchen?", ["o3", "o5", "o8"]),
        ("what is in the office?", ["o2", "o4"]),
        ("what is within 0.5 m of (3.2, 1.1)?", ["o1", "o3", "o5", "o8"]),
    ],
)
def test_places_narrow_it_down(question: str, expected: list[str]) -> None:
    assert sorted(ids(ask(question))) == expected


def test_what_is_listed_in_words() -> None:
    assert ask("what is on the table?").text == "On the table: a red mug, a green book and a gray laptop."
    assert ask("what is in the living room?").text == "In the living room: a coffee table and a red ball."


def test_nothing_there_is_an_answer_but_no_such_place_is_not() -> None:
    assert ask("what is in the bedroom?").text == "I have seen nothing in the bedroom."
    assert not ask("what is in the bedroom?").unknown
    nowhere = ask("what is in the garage room 7?".replace("garage ", ""))
    assert nowhere.unknown
    assert nowhere.text == "I know no room 7; I know the bedroom, the kitchen, the living room and the office."
    assert ask("what is on the piano?").text == "I have not seen a piano."


def test_in_stands_for_on_only_where_nothing_is_on() -> None:
    relation = RelationFilter(kind="in", label="table")
    assert ids(ask(Query(kind="what", relation=relation))) == ["o3", "o5", "o8"]


def test_what_colour() -> None:
    assert ask("what colour is the ball?").text.startswith("The ball is red. It is on the floor")


@pytest.mark.parametrize(
    ("question", "stamp_ns", "text"),
    [
        (
            "when did you last see the red mug?",
            DAY_2_NS + 192 * SECOND_NS,
            "I last saw the red mug at 2026-01-06 09:03:12, on the table in the kitchen.",
        ),
        ("when did you first see the mug?", DAY_1_NS + 60 * SECOND_NS, "I first saw the mug at 2026-01-05 09:01:00."),
        (
            "when did you last see the vase?",
            DAY_1_NS + 130 * SECOND_NS,
            "I last saw the vase at 2026-01-05 09:02:10, and it is gone since.",
        ),
        (
            "when was the laptop moved?",
            DAY_2_NS + 100 * SECOND_NS,
            "The laptop was moved from the office to the kitchen: after 2026-01-05 09:06:40, "
            "noticed at 2026-01-06 09:01:40.",
        ),
    ],
)
def test_when(question: str, stamp_ns: int, text: str) -> None:
    found = ask(question)
    assert found.stamp_ns == stamp_ns
    assert found.text == text


def test_when_something_moved_that_did_not_is_unknown() -> None:
    found = ask("when did the table move?")
    assert found.unknown
    assert found.text == "I have not noticed that the table was moved."


def test_changes_come_latest_first() -> None:
    found = ask("what changed since yesterday?")
    assert [c.object_id for c in found.changes] == ["o10", "o7", "o8"]
    assert found.text == (
        "3 changes since 2026-01-05 00:00:00: a red ball was added in the living room; "
        "the yellow vase was removed from the kitchen; the gray laptop was moved from the office to the kitchen."
    )


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("what was moved?", ["o8"]),
        ("what was removed today?", ["o7"]),
        ("what is new?", ["o10"]),
        ("what changed in the office?", ["o8"]),
        ("what happened to the vase?", ["o7"]),
        ("what changed on day-1?", []),
    ],
)
def test_changes_are_narrowed_down(question: str, expected: list[str]) -> None:
    assert [c.object_id for c in ask(question).changes] == expected


def test_no_change_is_an_answer_about_what_is_known() -> None:
    assert ask("was the fridge moved?").text == "I have not noticed that the refrigerator was moved."
    assert ask("was the piano moved?").unknown


@pytest.mark.parametrize(
    ("question", "count", "text"),
    [
        ("how many mugs are there?", 2, "There are 2 mugs: 1 in the kitchen and 1 in the office."),
        ("how many books are on the table?", 1, "There is 1 book on the table, in the kitchen."),
        ("how many pianos are there?", 0, "I have not seen a piano."),
    ],
)
def test_count(question: str, count: int, text: str) -> None:
    found = ask(question)
    assert found.count == count
    assert found.text == text


def test_gone_things_are_not_counted() -> None:
    found = ask("how many vases are there?")
    assert found.count == 0
    assert found.text.startswith("There is no vase any more: The vase is gone")


def test_the_past_is_answered_as_it_was() -> None:
    assert ask("where was the laptop on day-1?").objects[0].position_m == (8.1, 0.9, 0.76)
    assert "o7" in ids(ask("what was in the kitchen yesterday?"))
    assert ask("where was the ball yesterday?").unknown
    assert "o10" in ids(ask("what is in the living room today?"))


def test_relations_of_the_past_follow_from_the_places_of_then() -> None:
    found = ask("where was the laptop yesterday?")
    assert "on the desk in the office" in found.text


def test_warnings_go_with_every_answer() -> None:
    view = replace(house_view(), warnings=("perception (onnx) is not working",))
    for question in ("where is the mug?", "where is the piano?", "what changed?"):
        assert ask(question, view).warnings == ("perception (onnx) is not working",)


def test_order_and_limit() -> None:
    later = replace_object(BLUE_MUG, last_seen_ns=NOW_NS)
    assert ids(ask(Query(kind="where", label="mug", order="latest"), later)) == ["o4", "o3"]
    assert ids(ask(Query(kind="where", label="mug", limit=1))) == ["o3"]


def test_an_empty_memory_answers_too() -> None:
    empty = replace(house_view(), objects=(), changes=(), rooms=(), sessions=())
    for question in ("where is the mug?", "what is in the kitchen?", "when did you last see the mug?"):
        assert ask(question, empty).unknown
    assert ask("how many mugs are there?", empty).count == 0
    assert ask("what changed?", empty).changes == ()


# ------------------------------------------------------------------------------------------ time


def test_where_it_was_does_not_need_to_have_been_seen_then() -> None:
    view = replace(house_view(), now_ns=NOW_NS + 2 * DAY_NS)
    assert ids(ask("where was the laptop yesterday?", view)) == ["o8"]
    assert ask("where did you see the laptop yesterday?", view).unknown


def test_a_gone_thing_was_surely_there_before() -> None:
    view = replace_object(next(o for o in house_view().objects if o.id == "o7"), n_observations=10)
    found = ask("where was the vase on day-1?", view)
    assert not found.unknown
    assert found.confidence > 0.9


def test_what_was_not_looked_at_for_long_is_less_sure_to_be_there_still() -> None:
    def sure(days: int, **changes: Any) -> float:
        return ask("where is the laptop?", replace(house_view(), now_ns=NOW_NS + days * DAY_NS, **changes)).confidence

    assert sure(0) > sure(30) > sure(365)
    often = (*HISTORY["o8"][:1], *(msgspec.structs.replace(HISTORY["o8"][1]) for _ in range(5)))
    assert sure(30, history=lambda _: often) < sure(30)


def test_a_list_can_be_of_what_was_not_seen_since() -> None:
    view = replace_object(RED_MUG, last_seen_ns=DAY_1_NS + 300 * SECOND_NS)
    found = ask("what have you not seen today?", view)
    assert ids(found) == ["o3", "o7"], "what is gone was not seen either"
    assert found.text.startswith("Not seen since 2026-01-06 00:00:00: a red mug")
    assert found.text.endswith("Gone: a yellow vase.")
    assert ids(ask("what have you not seen since yesterday?", view)) == ["o3", "o7"]
    assert ids(ask("what have you not seen since Monday?", view)) == ["o3", "o7"]
    assert ids(ask("what have you not seen since yesterday 9:02?", view)) == []


def test_the_first_and_the_last_come_in_their_order() -> None:
    view = replace_object(BLUE_MUG, first_seen_ns=DAY_1_NS, last_seen_ns=NOW_NS)
    assert ids(ask("what did you see first?", view))[0] == "o4"
    assert ids(ask("what was the last thing you saw?", view))[0] == "o4"
    assert ask("what did you see first?", view).text.startswith("I first saw a blue mug at 2026-01-05 09:00:00; ")
    assert ids(ask("which mug did you see last?", view)) == ["o4", "o3"]


def test_where_it_was_first_is_its_first_place() -> None:
    found = ask("where did you first see the laptop?")
    assert found.objects[0].position_m == HISTORY["o8"][0].position_m
    assert found.text == "I first saw the laptop at 2026-01-05 09:01:00, in the office, at (8.1, 0.9, 0.8) m."


def test_the_last_sighting_before_an_instant_comes_from_the_pictures() -> None:
    shown: list[Query] = []

    def views(query: Query) -> tuple[ViewHit, ...]:
        shown.append(query)
        stamp_ns = DAY_1_NS + 250 * SECOND_NS
        return (ViewHit(keyframe=3, session="day-1", stamp_ns=stamp_ns, position_m=(0, 0, 1), room="", score=1.0),)

    found = ask("when did you last see the red mug before 2026-01-05 09:05?", replace(house_view(), views=views))
    assert found.stamp_ns == DAY_1_NS + 250 * SECOND_NS
    assert (shown[0].object_id, shown[0].order) == ("o3", "latest")


# ------------------------------------------------------------------------------------------ nearness, ids, boxes


def test_near_me_is_where_the_robot_is() -> None:
    view = replace(house_view(), agent_m=(8.0, 2.0, 0.0))
    assert sorted(ids(ask("what is near me?", view))) == ["o2", "o4"]
    assert ids(ask("where is the closest mug?", view)) == ["o4", "o3"]
    assert ask("where is the closest mug?", view).text == (
        "The closest mug is 0.9 m away: on the desk in the office, at (8.2, 1.1, 0.8) m; last seen 2026-01-06 09:03:12."
    )
    far = ask("is the red mug near me?", view)
    assert far.unknown
    assert far.text.endswith("I know a red mug on the table in the kitchen, at (3.2, 1.1, 0.8) m.")


def test_without_a_robot_near_me_is_not_understood() -> None:
    with pytest.raises(ValueError, match="I do not know where I am"):
        ask("what is near me?")


def test_an_id_and_a_turned_box_narrow_it_down() -> None:
    assert ids(ask(Query(kind="where", object_id="o4"))) == ["o4"]
    assert ask("what do you know about o4?").text.startswith("The mug is blue.")
    along = Box(center_m=(3.2, 1.1, 0.8), size_m=(0.9, 0.2, 0.4))
    across = msgspec.structs.replace(along, yaw_rad=np.pi / 2)
    assert sorted(ids(ask(Query(kind="what", box=along)))) == ["o3", "o5"]
    assert sorted(ids(ask(Query(kind="what", box=across)))) == ["o3", "o8"]
    assert [c.object_id for c in ask(Query(kind="changes", box=across)).changes] == ["o8"]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (Query(kind="where", label="mug", labels=("mug",)), "labels: expected only of kind which_room"),
        (Query(kind="where", image_jpeg=b"x"), "image_jpeg: expected only of kind views"),
        (Query(kind="where", order="nearest"), "nearest needs near_m"),
        (Query(kind="what", order="most_often"), "most_often is an order of kind where"),
        (Query(kind="where", relation=RelationFilter(kind="connects", label="kitchen")), "connects is one of rooms"),
        (Query(kind="where", near_m=(float("nan"), 0.0, 0.0)), "expected finite numbers"),
    ],
)
def test_a_condition_that_would_be_passed_over_is_refused(query: Query, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ask(query)


# ------------------------------------------------------------------------------------------ changes


def test_an_object_and_a_place_narrow_changes_down() -> None:
    assert [c.object_id for c in ask("is o7 gone?").changes] == ["o7"]
    assert [c.object_id for c in ask("what changed near (12, 3)?").changes] == ["o10"]
    assert ask("was o99 moved?").unknown


def test_since_when_it_is_gone() -> None:
    found = ask("since when is the vase gone?")
    assert found.stamp_ns == DAY_2_NS + 110 * SECOND_NS
    assert found.text.startswith("The vase was removed from the kitchen: after 2026-01-05 09:02:10")


def test_when_the_robot_was_in_a_room() -> None:
    found = ask("when were you last in the office?")
    assert found.stamp_ns == DAY_2_NS + 192 * SECOND_NS
    assert found.text.startswith("I last saw the office at 2026-01-06 09:03:12")
