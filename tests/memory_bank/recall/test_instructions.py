from __future__ import annotations

from typing import Any

import pytest

from embodied.errors import NotUnderstood
from memory_bank.recall.clauses import Clause, Place, Thing
from memory_bank.recall.instructions import Instruction, parse_instruction
from source_tree import ROOT

TOUCHED = Clause(acts=("touch",))
ANY = Thing()
MUG, BOOK = Thing("mug", "red"), Thing("book")


def of(target: Any, **fields: Any) -> Instruction:
    return Instruction(target=target, **fields)


TABLE: tuple[tuple[str, Instruction], ...] = (
    # things by name
    ("please go to the red mug", of("object", head=MUG)),
    ("could you bring me to a bookshelf?", of("object", head=Thing("bookshelf"))),
    # what was handled, and what was not
    ("head back to something you handled today", of("object", day="today", clause=TOUCHED)),
    ("go to the object you interacted with yesterday", of("object", day="yesterday", clause=TOUCHED)),
    ("drive to a toy you haven't moved", of("object", head=Thing("toy"), clause=Clause(("touch",), is_negated=True))),
    ("go to an untouched object", of("object", clause=Clause(("touch",), is_negated=True))),
    ("walk to an object you never touched", of("object", clause=Clause(("touch",), is_negated=True))),
    # the gap tells a thing from a place
    (
        "go to the thing you took from the desk",
        of("object", clause=Clause(("pick",), places=(Place("pick", Thing("desk")),))),
    ),
    (
        "go to the object placed on the desk",
        of("object", clause=Clause(("place",), places=(Place("place", Thing("desk")),))),
    ),
    (
        "go to a desk you took something from",
        of("furniture", head=Thing("desk"), clause=Clause(("pick",), moved=ANY, lacks_place=True)),
    ),
    (
        "navigate to the surface onto which you put the red mug",
        of("furniture", clause=Clause(("place",), moved=MUG, lacks_place=True)),
    ),
    (
        "go where you left the red mug",
        of("furniture", clause=Clause(("place",), moved=MUG, lacks_place=True)),
    ),
    (
        "return to the object you transported from the office to bedroom 2",
        of(
            "object",
            clause=Clause(("touch",), places=(Place("pick", Thing("office")), Place("place", Thing("bedroom 2")))),
        ),
    ),
    # order
    ("go to the 3rd thing you moved", of("object", ordinals=(2,), clause=TOUCHED)),
    ("go to the last but one item you rearranged", of("object", ordinals=(-2,), clause=TOUCHED)),
    ("go to the third-to-last object you handled", of("object", ordinals=(-3,), clause=TOUCHED)),
    (
        "go to the object you handled right after you put down the red mug",
        of("object", after=MUG, clause=TOUCHED),
    ),
    ("go to the thing you moved just before the book", of("object", before=BOOK, clause=TOUCHED)),
    (
        "go to the item you handled between the red mug and the book",
        of("object", after=MUG, before=BOOK, clause=TOUCHED),
    ),
    (
        "revisit the last, then the first object you moved, in that order",
        of("object", ordinals=(-1, 0), ordered=True, clause=TOUCHED),
    ),
    # times and lengths
    ("go to what you were carrying at 2:05 pm", of("object", at_s=50_700, clause=TOUCHED)),
    ("go back to the place where you were at 9:30", of("moment", at_s=34_200)),
    ("go back to your location at 9:30 yesterday", of("moment", at_s=34_200, day="yesterday")),
    ("go to the item that needed the most time to move", of("object", took="most", clause=TOUCHED)),
    ("go to the object you carried for 2 minutes", of("object", took=120.0, clause=TOUCHED)),
    # extent and distance
    ("go to the thing you carried the longest way", of("object", carried="most", clause=TOUCHED)),
    ("go to the biggest thing you moved", of("object", size="most", clause=TOUCHED)),
    ("go to the farthest object you moved", of("object", distance="most", clause=TOUCHED)),
    ("go to the handled object closest to you", of("object", distance="least", clause=TOUCHED)),
    (
        "go to the object you moved that is closest to the sofa",
        of("object", distance="least", distance_to=Thing("sofa"), clause=TOUCHED),
    ),
    # rooms
    ("go to the kitchen", of("room", head=Thing("kitchen"))),
    ("go to the room in which you stayed the longest", of("room", time_spent="most")),
    ("visit the room you entered the fewest times", of("room", entered="least")),
    ("go to a room where you did nothing", of("room", clause=Clause(is_negated=True))),
    (
        "go to a room you put nothing in",
        of("room", clause=Clause(("place",), is_negated=True, moved=ANY, lacks_place=True)),
    ),
    # all of them
    ("visit everything you touched", of("object", every=True, clause=TOUCHED)),
    ("visit the objects you touched", of("object", every=True, clause=TOUCHED)),
    ("visit one of the objects you touched", of("object", clause=TOUCHED)),
    ("visit every object you touched", of("object", every=True, clause=TOUCHED)),
    (
        "visit all the surfaces you set things down on",
        of("furniture", every=True, clause=Clause(("place",), moved=ANY, lacks_place=True)),
    ),
)


@pytest.mark.parametrize(("text", "meant"), TABLE, ids=[text for text, _ in TABLE])
def test_an_instruction_means_what_a_person_would_take_it_for(text: str, meant: Instruction) -> None:
    assert parse_instruction(text) == meant


@pytest.mark.parametrize("text", ["", "go", "go to the", "please", "go back to where you were at 25:00"])
def test_what_says_no_place_is_not_understood(text: str) -> None:
    with pytest.raises(NotUnderstood, match="Say for example"):
        parse_instruction(text)


@pytest.mark.parametrize(
    "text",
    [
        "go to the heaviest object you moved",
        "go to a mug that is not red",
        "go to a room you did not enter",
        "go to the object that travelled the farthest",
        "go to the room you passed through most often",
    ],
)
def test_what_is_understood_by_halves_is_refused(text: str) -> None:
    with pytest.raises(NotUnderstood):
        parse_instruction(text)


def test_every_example_of_the_page_is_understood() -> None:
    page = (ROOT / "docs" / "interactions.md").read_text(encoding="utf-8")
    examples = page.split("```text\n")[1].split("```")[0].splitlines()
    assert len({parse_instruction(example) for example in examples}) == len(examples)


def test_a_long_instruction_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 400 characters, got 500"):
        parse_instruction("x" * 500)
