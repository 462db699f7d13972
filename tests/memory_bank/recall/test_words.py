"""Words: plurals, synonyms, and what they find among the labels of a memory."""

from __future__ import annotations

import pytest

from memory_bank.recall.words import SYNONYMS, known_as, label_matches, near_synonyms, nearly_known_as, plural, singular


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("mug", "mugs"), ("knife", "knives"), ("bookshelf", "bookshelves"), ("box", "boxes"), ("couch", "couches"),
        ("teddy", "teddies"), ("toy", "toys"), ("wine glass", "wine glasses"), ("mouse", "mice"), ("vase", "vases"),
    ],
)  # fmt: skip
def test_plurals_go_both_ways(one: str, many: str) -> None:
    assert plural(one) == many
    assert known_as(many, {one}) == one
    assert one.endswith("glass") or singular(many) == one


@pytest.mark.parametrize("word", ["bus", "glass", "tv", "scissors", "iris", "gas"])
def test_what_is_singular_stays(word: str) -> None:
    assert singular(word) == word


@pytest.mark.parametrize(
    ("asked", "labels", "expected"),
    [
        ("couch", {"sofa"}, "sofa"),
        ("sofa", {"couch"}, "couch"),
        ("fridges", {"refrigerator", "bowl"}, "refrigerator"),
        ("cup", {"mug", "bowl"}, None),
        ("cup", {"mug", "cup"}, "cup"),
        ("book", {"books"}, "books"),
        ("tables", {"coffee table", "dining table"}, "table"),
        ("elephant", {"mug"}, None),
    ],
)
def test_words_find_the_label_that_is_known(asked: str, labels: set[str], expected: str | None) -> None:
    assert known_as(asked, labels) == expected


def test_a_longer_name_matches_less_than_the_same() -> None:
    assert label_matches("table", "table") > label_matches("table", "coffee table") > label_matches("able", "table")


@pytest.mark.parametrize(
    ("asked", "labels", "expected"),
    [
        ("cup", {"mug", "bowl"}, "mug"),
        ("teacups", {"mug"}, "mug"),
        ("sofa", {"couch"}, None),
        ("elephant", {"mug"}, None),
    ],
)
def test_what_is_often_taken_for_it_is_known_apart(asked: str, labels: set[str], expected: str | None) -> None:
    assert nearly_known_as(asked, labels) == expected


def test_no_word_has_two_meanings() -> None:
    words = [word for group in SYNONYMS for word in group]
    assert len(words) == len(set(words))
    assert not any(near_synonyms(word) & group for group in SYNONYMS for word in group)
