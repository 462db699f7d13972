"""Texts as vectors of their words, for where no encoder of meaning is installed.

Weights are term frequency times inverse document frequency, ln((1 + n) / (1 + n_with_word)) + 1 (Spärck Jones 1972, in
the smooth form), lengths one. Two texts are alike in so far as they share rare words; synonyms are not seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from embodied.arrays import Float
from memory_bank.recall.words import singular

_WORD = re.compile(r"[^\W_]+")
_TOO_COMMON = frozenset(
    "a an and as at be by for from in into is it its of on or that the then this to was with".split()
)


def words_of(text: str) -> list[str]:
    """Return the words of a text that tell something, in the singular, lower case."""
    return [singular(word) for word in _WORD.findall(text.lower()) if word not in _TOO_COMMON]


def word_vectors(texts: Sequence[str]) -> Float[np.ndarray, "n n_words"]:
    """Return one float32 vector for each text; zero for a text without words. They compare with each other only."""
    counts = [_counts(text) for text in texts]
    n_with = Counter(word for count in counts for word, _ in count)
    column = {word: index for index, word in enumerate(sorted(n_with))}
    rarity = np.log((1 + len(texts)) / (1 + np.array([n_with[word] for word in column], dtype=float))) + 1.0
    rows = np.repeat(np.arange(len(texts)), [len(count) for count in counts])
    columns = np.array([column[word] for count in counts for word, _ in count], dtype=np.int64)
    vectors = np.zeros((len(texts), max(1, len(column))), dtype=np.float32)
    vectors[rows, columns] = rarity[columns] * [n for count in counts for _, n in count]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0.0, lengths, 1.0).astype(np.float32)


@lru_cache(maxsize=4096)
def _counts(text: str) -> tuple[tuple[str, int], ...]:
    """Return each word of a text and how often it occurs. The same texts are compared again and again."""
    return tuple(Counter(words_of(text)).items())
