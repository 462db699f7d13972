"""Sentences: articles, names that a person gave, times that are over."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from embodied.messages import Query
from memory_bank.recall import sentences as say
from memory_bank.recall.matching import MemoryView
from memory_world import DAY_1_NS, RED_MUG, house_view
from recall_asking import ask, ids

ANNS_MUG = msgspec.structs.replace(RED_MUG, label="Ann's mug")


def view_with_anns_mug() -> MemoryView:
    view = house_view()
    return replace(view, objects=tuple(ANNS_MUG if each.id == ANNS_MUG.id else each for each in view.objects))


@pytest.mark.parametrize(
    ("name", "definite", "indefinite"),
    [
        ("red mug", "the red mug", "a red mug"),
        ("orange bottle", "the orange bottle", "an orange bottle"),
        ("scissors", "the scissors", "scissors"),
        ("Ann's mug", "Ann's mug", "Ann's mug"),
        ("my keys", "my keys", "my keys"),
        ("bedroom 2", "bedroom 2", "bedroom 2"),
    ],
)
def test_articles(name: str, definite: str, indefinite: str) -> None:
    assert (say.the(name), say.with_article(name)) == (definite, indefinite)


@pytest.mark.parametrize(
    ("question", "begin"),
    [
        ("where is Ann's mug?", "Ann's mug is on the table"),
        ("where is the red mug?", "Ann's mug is on the table"),
        ("what do you know about Ann's mug?", "Ann's mug is red. It is on the table"),
        ("when did you last see Ann's mug?", "I last saw Ann's mug at"),
        ("where are the mugs?", "2 mugs: Ann's mug on the table in the kitchen, at (3.2, 1.1, 0.8) m; a blue one on"),
        ("how many mugs are there?", "There are 2 mugs: 1 in the kitchen and 1 in the office."),
    ],
)
def test_a_given_name_takes_no_article_and_is_still_found_by_its_kind(question: str, begin: str) -> None:
    assert ask(question, view_with_anns_mug()).text.startswith(begin)


def test_a_given_name_is_as_sure_as_a_label_that_was_always_seen() -> None:
    given = ask("where is Ann's mug?", view_with_anns_mug())
    assert ids(given) == [ANNS_MUG.id]
    assert given.confidence == ask("where is the red mug?").confidence


def test_what_is_over_is_told_in_the_past_with_a_sighting_of_then() -> None:
    found = ask("where was the red mug on Monday?")
    assert found.text.startswith("The red mug was ")
    assert found.objects[0].last_seen_ns > DAY_1_NS


def test_what_was_seen_all_along_is_not_missed() -> None:
    found = ask("which mugs have you not seen today?")
    assert found.text.startswith("There is no mug that I have not seen since 2026-01-06 00:00:00.")


@pytest.mark.parametrize(
    ("share", "words"),
    [(1.0, "100 %"), (0.997, "more than 99 %"), (0.75, "75 %"), (0.003, "less than 1 %"), (0.0, "0 %")],
)
def test_shares_are_all_or_nothing_only_where_they_are(share: float, words: str) -> None:
    assert say.say_share(share) == words


def test_all_in_one_room_is_said_so() -> None:
    mugs = (RED_MUG, msgspec.structs.replace(RED_MUG, id="o40"))
    assert say.say_counts_by_room(mugs) == ", both in the kitchen"
    nowhere = msgspec.structs.replace(RED_MUG, id="o41", room="")
    assert say.say_counts_by_room((nowhere, *mugs)) == ": 2 in the kitchen and 1 in no room that I know"


def test_a_window_has_a_beginning_and_an_end() -> None:
    query = Query(kind="changes", since_ns=DAY_1_NS, until_ns=DAY_1_NS + 1_000_000_000)
    assert say.say_window(query) == " from 2026-01-05 09:00:00 until 2026-01-05 09:00:01"
