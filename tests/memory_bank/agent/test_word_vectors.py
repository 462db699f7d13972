"""Texts compared by their words."""

from __future__ import annotations

import numpy as np
import pytest

from memory_bank.agent.word_vectors import word_vectors, words_of


def test_words_are_told_apart_by_what_they_tell() -> None:
    assert words_of("The red Mugs, on the TABLE!") == ["red", "mug", "table"]
    assert words_of("… 7 ?") == ["7"]


def test_weights_are_frequency_times_rarity() -> None:
    # Of 2 texts, "mug" is in both: ln(3 / 3) + 1 = 1; "red" and "blue" in one: ln(3 / 2) + 1.
    vectors = word_vectors(["red mug", "blue mug mug"])
    rare = np.log(1.5) + 1.0
    expected = 2.0 / (np.hypot(1.0, rare) * np.hypot(2.0, rare))
    assert vectors[0] @ vectors[1] == pytest.approx(expected)
    assert vectors.dtype == np.float32


def test_texts_without_words_are_like_nothing() -> None:
    vectors = word_vectors(["", "mug", "the"])
    assert (vectors @ vectors.T).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert word_vectors([]).shape == (0, 1)
    assert word_vectors(["?"]).shape == (1, 1)
