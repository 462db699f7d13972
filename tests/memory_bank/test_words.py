"""Words: plurals, synonyms, and what they find among the labels of a memory."""

from __future__ import annotations

import pytest

from memory_bank.words import known_as, label_matches, plural, singular


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
        ("cups", {"mug", "bowl"}, "mug"),
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
