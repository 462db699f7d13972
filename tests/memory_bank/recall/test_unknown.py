"""What is said where nothing fits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memory_bank.recall import answers as recall
from memory_world import house_view, record
from recall_asking import ask


@pytest.fixture(autouse=True)
def _uncalibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the confidences of these tests be the raw ones, whatever curves are stored."""
    monkeypatch.setattr(recall, "calibrated", lambda raw, _: raw)


def test_what_is_often_taken_for_it_is_told_of_but_is_not_it() -> None:
    found = ask("where is the cup?")
    assert found.unknown
    assert found.objects == ()
    assert found.text.startswith("I have not seen a cup. But I know a mug: a red one on the table in the kitchen")
    assert found.confidence < ask("where is the piano?").confidence


def test_a_trace_of_a_label_makes_it_less_sure_that_it_never_was() -> None:
    view = replace(house_view(), objects=(record("o1", "bowl", (0, 0, 1), labels={"bowl": 0.8, "hat": 0.2}),))
    found = ask("where is the hat?", view)
    assert found.unknown
    assert found.confidence == pytest.approx(1.0 - 0.2 * 0.95)


def test_of_a_known_thing_another_colour_or_room_is_surely_not_there() -> None:
    for question in ("where is the yellow mug?", "is there a mug in the bedroom?", "is there a fridge in the office?"):
        found = ask(question)
        assert found.unknown
        assert 0.8 < found.confidence < ask("where is the piano?").confidence


def test_what_came_later_was_not_there_then_and_that_is_said() -> None:
    found = ask("where was the ball yesterday?")
    assert found.unknown
    assert "I first saw the ball at" in found.text
