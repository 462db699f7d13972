"""The grammar: English to queries."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.errors import NotUnderstood
from embodied.messages import Query, RelationFilter
from memory_bank.recall import grammar
from memory_bank.recall.grammar import EXAMPLES, parse
from memory_world import DAY_1_NS, DAY_NS, NOW_NS, SECOND_NS, SESSIONS

LABELS = frozenset(
    "mug,sofa,table,coffee table,teddy bear,book,knife,bookshelf,tv,office chair,chair,bowl,vase,wine glass,"
    "Ann's mug".split(",")
)
ROOMS = frozenset({"kitchen", "bedroom", "bedroom 2", "living room", "room 5"})
YESTERDAY_NS = NOW_NS - NOW_NS % DAY_NS - DAY_NS


HERE = (1.0, 2.0, 0.0)


def understood(question: str) -> dict[str, Any]:
    """Return the fields of the query that are not as in an empty one."""
    query = parse(question, labels=LABELS, rooms=ROOMS, sessions=SESSIONS, now_ns=NOW_NS, agent_m=HERE)
    plain = Query(kind="where")
    fields = {name: getattr(query, name) for name in query.__struct_fields__}
    return {n: v for n, v in fields.items() if n == "kind" or (n != "limit" and v != getattr(plain, n))}


def relation(kind: str, label: str, colour: str = "") -> RelationFilter:
    return RelationFilter(kind=kind, label=label, colour=colour)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("where is the red mug?", {"kind": "where", "label": "mug", "colour": "red"}),
        ("Where's my couch", {"kind": "where", "label": "sofa"}),
        ("Can you please tell me where the teddy is?", {"kind": "where", "label": "teddy bear"}),
        ("is there a piano", {"kind": "where", "label": "piano"}),
        ("have you seen any books?", {"kind": "where", "label": "book"}),
        ("which room is the sofa in?", {"kind": "where", "label": "sofa"}),
        ("what is the mug on?", {"kind": "where", "label": "mug"}),
        ("is the mug in the kitchen?", {"kind": "where", "label": "mug", "room": "kitchen"}),
        ("where is the kitchen chair", {"kind": "where", "label": "chair", "room": "kitchen"}),
        ("where is the orange", {"kind": "where", "label": "orange"}),
        ("where is the light blue one", {"kind": "where", "colour": "blue"}),
        (
            "where is the book next to the grey sofa in bedroom 2?",
            {"kind": "where", "label": "book", "relation": relation("near", "sofa", "gray"), "room": "bedroom 2"},
        ),
        ("what is on the table?", {"kind": "what", "relation": relation("on", "table")}),
        ("what's in the bowl", {"kind": "what", "relation": relation("in", "bowl")}),
        ("what is there in the kitchen?", {"kind": "what", "room": "kitchen"}),
        ("what do you see in room 5", {"kind": "what", "room": "room 5"}),
        ("list the things in bedroom 1", {"kind": "what", "room": "bedroom"}),
        (
            "what is on the kitchen counter",
            {"kind": "what", "relation": relation("on", "counter"), "room": "kitchen"},
        ),
        ("what colour is the mug?", {"kind": "what", "label": "mug"}),
        ("what is near (1.5, -2)?", {"kind": "what", "near_m": (1.5, -2.0, 0.0)}),
        ("what is within 2.5 m of (1, 2, 0.5)", {"kind": "what", "near_m": (1.0, 2.0, 0.5), "radius_m": 2.5}),
        ("when did you last see the mug?", {"kind": "when", "label": "mug"}),
        ("when was the sofa last seen", {"kind": "when", "label": "sofa"}),
        ("when did you see the vase for the first time", {"kind": "when", "label": "vase", "moment": "first_seen"}),
        ("when did you first see the tv", {"kind": "when", "label": "tv", "moment": "first_seen"}),
        ("when did the chair move?", {"kind": "when", "label": "chair", "moment": "moved", "change": "moved"}),
        ("when did the vase disappear", {"kind": "when", "label": "vase", "moment": "moved", "change": "removed"}),
        ("what changed?", {"kind": "changes"}),
        ("has anything changed in the kitchen", {"kind": "changes", "room": "kitchen"}),
        ("what was moved since yesterday?", {"kind": "changes", "change": "moved", "since_ns": YESTERDAY_NS}),
        ("what is missing in the living room", {"kind": "changes", "change": "removed", "room": "living room"}),
        ("what is new", {"kind": "changes", "change": "added"}),
        ("was the mug moved?", {"kind": "changes", "label": "mug", "change": "moved"}),
        ("what happened to the vase", {"kind": "changes", "label": "vase"}),
        ("how many knives are there?", {"kind": "count", "label": "knife"}),
        ("how many bookshelves are in the bedroom", {"kind": "count", "label": "bookshelf", "room": "bedroom"}),
        ("how many wine glasses do you see", {"kind": "count", "label": "wine glass"}),
        ("count the red books on the table", {
            "kind": "count", "label": "book", "colour": "red", "relation": relation("on", "table"),
        }),
    ],
)  # fmt: skip
def test_a_question_is_understood(question: str, expected: dict[str, Any]) -> None:
    assert understood(question) == expected


NEAREST = {"near_m": HERE, "radius_m": 1000.0, "order": "nearest"}
NEAR = {"near_m": HERE, "radius_m": 2.0}


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("where is the mug usually?", {"kind": "where", "label": "mug", "order": "most_often"}),
        ("where do you most often see the tv", {"kind": "where", "label": "tv", "order": "most_often"}),
        ("which room is the mug usually in", {"kind": "where", "label": "mug", "order": "most_often"}),
        ("where did you first see the tv", {"kind": "where", "label": "tv", "moment": "first_seen"}),
        ("where was the tv first seen", {"kind": "where", "label": "tv", "moment": "first_seen"}),
        ("which book is on the table", {"kind": "where", "label": "book", "relation": relation("on", "table")}),
        ("which books did you see last", {"kind": "where", "label": "book", "order": "latest"}),
        ("what did you see first in the kitchen", {"kind": "what", "order": "earliest", "room": "kitchen"}),
        ("what was the last thing you saw", {"kind": "what", "order": "latest"}),
        ("is the mug red?", {"kind": "where", "label": "mug", "colour": "red"}),
        ("where is o12", {"kind": "where", "object_id": "o12"}),
        ("where is Ann's mug?", {"kind": "where", "label": "Ann's mug"}),
        ("find me something to drink from in the kitchen", {"kind": "where", "text": "drink from", "room": "kitchen"}),
        ("is there anything like a teapot", {"kind": "where", "text": "a teapot"}),
        ("what is near me", {"kind": "what", **NEAR}),
        ("is the mug near me now", {"kind": "where", "label": "mug", **NEAR}),
        ("what is within 3.5 m of me", {"kind": "what", "near_m": HERE, "radius_m": 3.5}),
        ("which chair is closest to me", {"kind": "where", "label": "chair", **NEAREST}),
        ("bring me the nearest book", {"kind": "where", "label": "book", **NEAREST}),
        ("what is closest to (4, 5)", {"kind": "what", **NEAREST, "near_m": (4.0, 5.0, 0.0)}),
        ("what do you know about the mug?", {"kind": "what", "label": "mug"}),
        ("tell me about the kitchen", {"kind": "what", "room": "kitchen"}),
        ("is there a note on the mug", {"kind": "what", "label": "mug"}),
        ("who told you about the vase", {"kind": "what", "label": "vase", "source": "told"}),
        ("who said that the vase is in the kitchen", {"kind": "what", "label": "vase", "source": "told"}),
        ("did anyone tell you where the vase is", {"kind": "what", "label": "vase", "source": "told"}),
        ("what were you told?", {"kind": "what", "source": "told"}),
        ("did you see the vase yourself", {"kind": "where", "label": "vase", "source": "seen"}),
        ("since when is the vase gone", {
            "kind": "when", "label": "vase", "moment": "moved", "change": "removed",
        }),
        ("when were you last in the kitchen", {"kind": "when", "room": "kitchen"}),
        ("what has gone missing", {"kind": "changes", "change": "removed"}),
        ("which room has a sofa, a tv and a red chair?", {"kind": "which_room", "labels": ("sofa", "tv", "red chair")}),
        ("how many rooms are there", {"kind": "which_room"}),
        ("which room am i in", {"kind": "which_room", "near_m": HERE}),
        ("which rooms are next to the kitchen", {"kind": "which_room", "relation": relation("connects", "kitchen")}),
        ("show me the last photo of the red mug", {
            "kind": "views", "label": "mug", "colour": "red", "order": "latest",
        }),
        ("what does the kitchen look like", {"kind": "views", "room": "kitchen"}),
        ("show me pictures from yesterday", {
            "kind": "views", "since_ns": YESTERDAY_NS, "until_ns": YESTERDAY_NS + DAY_NS,
        }),
    ],
)  # fmt: skip
def test_more_is_understood(question: str, expected: dict[str, Any]) -> None:
    assert understood(question) == expected


TODAY_NS = YESTERDAY_NS + DAY_NS


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("where was the mug yesterday?", {"kind": "where", "label": "mug", "until_ns": TODAY_NS}),
        ("where was the mug at 9:02?", {"kind": "where", "label": "mug", "until_ns": NOW_NS - 180 * SECOND_NS}),
        ("where is the mug today", {"kind": "where", "label": "mug"}),
        ("how many mugs were there on day-1", {
            "kind": "count", "label": "mug", "until_ns": DAY_1_NS + 600 * SECOND_NS,
        }),
        ("where did you see the mug yesterday?", {
            "kind": "where", "label": "mug", "since_ns": YESTERDAY_NS, "until_ns": TODAY_NS,
        }),
        ("what did you see on day-1", {"kind": "what", "session": "day-1"}),
        ("where did you think the mug was yesterday?", {"kind": "where", "label": "mug", "known_ns": TODAY_NS}),
        ("how many mugs did you believe there were on day-1", {
            "kind": "count", "label": "mug", "known_ns": DAY_1_NS + 600 * SECOND_NS,
        }),
        ("where was the mug on day-1, as you knew it at 9:02", {
            "kind": "where", "label": "mug", "until_ns": DAY_1_NS + 600 * SECOND_NS,
            "known_ns": NOW_NS - 180 * SECOND_NS,
        }),
        ("what haven't you seen since yesterday?", {"kind": "what", "unseen_since_ns": TODAY_NS}),
        ("which mugs have you not seen for two days", {
            "kind": "where", "label": "mug", "unseen_since_ns": NOW_NS - 2 * DAY_NS,
        }),
        ("haven't you seen my mug?", {"kind": "where", "label": "mug"}),
        ("hey robot, can't you find my mug?", {"kind": "where", "label": "mug"}),
    ],
)  # fmt: skip
def test_as_of_when_a_question_is_meant(question: str, expected: dict[str, Any]) -> None:
    assert understood(question) == expected


def examples_of(text: str, column: int) -> list[str]:
    """Return the examples of the table in a docstring."""
    rows = text.split("=" * 9 + " ")[2].split("\n")[1:-1]
    cells: list[str] = []
    for row in rows:
        if row[:column].strip():
            cells.append("")
        cells[-1] += " " + row[column:].strip()
    return [example.strip() for cell in cells for example in cell.split("·")]


def test_every_example_of_the_documentation_is_understood() -> None:
    assert grammar.__doc__ is not None
    examples = examples_of(grammar.__doc__, 10)
    assert len(examples) > 50
    for example in examples:
        parse(example, labels=LABELS, rooms=ROOMS | {"office"}, sessions=SESSIONS, now_ns=NOW_NS, agent_m=HERE)


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("yesterday", {"since_ns": YESTERDAY_NS, "until_ns": TODAY_NS}),
        ("today", {"since_ns": TODAY_NS, "until_ns": TODAY_NS + DAY_NS}),
        ("overnight", {"since_ns": TODAY_NS}),
        ("this morning", {"since_ns": TODAY_NS + 5 * DAY_NS // 24, "until_ns": TODAY_NS + 12 * DAY_NS // 24}),
        ("on day-1", {"session": "day-1"}),
        ("since day-1", {"since_ns": DAY_1_NS}),
        ("after day-1", {"since_ns": DAY_1_NS + 600 * SECOND_NS}),
        ("since 2026-01-05 09:30", {"since_ns": DAY_1_NS + 1800 * SECOND_NS}),
        ("before 2026-01-06", {"until_ns": TODAY_NS}),
        ("since 9:02", {"since_ns": NOW_NS - 180 * SECOND_NS}),
        ("before 23:00", {"until_ns": YESTERDAY_NS + 23 * DAY_NS // 24}),
        ("in the last 10 minutes", {"since_ns": NOW_NS - 600 * SECOND_NS}),
        ("since yesterday before 9:02", {"since_ns": YESTERDAY_NS, "until_ns": NOW_NS - 180 * SECOND_NS}),
    ],
)
def test_a_time_phrase_is_understood(phrase: str, expected: dict[str, Any]) -> None:
    assert understood(f"what changed {phrase}?") == {"kind": "changes", **expected}


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("", "no question"),
        ("hello", "no question"),
        ("where is the", "names nothing"),
        ("make me a sandwich", "does not begin like a question"),
        ("what is under the table?", "'under' is not among the relations"),
        ("what is next to the bowl on the table?", "only one room and one relation"),
        ("what changed since 25:00", "no time of day"),
        ("what changed since 2026-02-30", "is no date"),
        ("what changed since today before yesterday", "no time between"),
        ("where is the " + "very " * 10 + "old mug", "not a thing that I could have seen"),
        ("where is " + "x" * 500, "at most 400 characters"),
        ("how many mugs are usually in the kitchen", "only where something is"),
        ("how many mugs are closest to me", "only things can be asked for the nearest"),
        ("which rooms are next to the table", "is no room"),
        ("which room has the", "names nothing"),
        ("which mugs are not in the kitchen?", "of what is not so"),
        ("what was not seen yesterday?", "of what is not so"),
        ("what hasn't moved since yesterday?", "not what did not"),
    ],
)
def test_what_is_not_understood_says_why(question: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(question, labels=LABELS, rooms=ROOMS, sessions=SESSIONS, now_ns=NOW_NS, agent_m=HERE)


def test_what_is_not_understood_can_be_told_from_other_errors() -> None:
    with pytest.raises(NotUnderstood):
        parse("gibberish")
    with pytest.raises(NotUnderstood, match="I do not know where I am"):
        parse("what is near me?")


def test_a_refusal_gives_examples_that_work() -> None:
    with pytest.raises(ValueError, match="Ask for example") as refusal:
        parse("gibberish")
    for example in EXAMPLES:
        assert example in str(refusal.value)
        parse(example)


WORDS = st.sampled_from(
    "where what when how many is are was the a red blue mug sofa table kitchen in on near next to since yesterday "
    "on day-1 changed moved first last did you see there ? , 9:30 2026-01-05 (1, 2) not it which room has and usually "
    "closest me told who monday lunch two days ago before as knew think pictures of o3 something to".split(" ")
)


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=14).map(" ".join)))
def test_any_text_is_a_query_or_a_value_error(text: str) -> None:
    try:
        query = parse(text, labels=LABELS, rooms=ROOMS, sessions=SESSIONS, now_ns=NOW_NS, agent_m=HERE)
    except ValueError:
        return
    assert msgspec.json.decode(msgspec.json.encode(query), type=Query) == query
