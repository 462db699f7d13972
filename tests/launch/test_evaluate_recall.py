"""The figures of the evaluation of recall, and the rivals of its diagnoses, without a house."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "launch"))

from evaluate_recall import KNOWN, NEVER, auroc, examples, repr_query, summarise
from evaluation_page import calibration_error
from evaluation_rows import Row
from recall_diagnoses import balanced, first_of
from recall_rivals import Detections, Ours, PlainList, Rival
from recall_world import Detector

from box_world import CHAIR, MUG, TABLE, World
from embodied.messages import Query
from memory_bank.bank import MemoryBank
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.stores.sqlite_store import SqliteStore


def row(confidence: float, right: bool, template: str = "where", house: int = 0) -> Row:
    values = {"correct": float(right), "confidence": confidence}
    return Row(key="where is it?", episode=str(house), category=template, values=values, notes={"kind": "where.told"})


def familiar(value: float, category: str) -> Row:
    values = {"familiarity": value, "told": 0.4, "right": 1.0}
    return Row(key="mug", episode="0", category=category, values=values, notes={"kind": "where.told"})


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order() -> None:
    assert auroc([0.9, 0.8], [0.1, 0.2]) == 1.0
    assert auroc([0.1], [0.9]) == 0.0
    assert auroc([0.5, 0.9], [0.5]) == 0.75


def test_calibration_error_is_the_gap_between_told_and_right() -> None:
    told, right = np.full(40, 0.75), np.arange(40) % 4 > 0
    assert calibration_error(told, right) == pytest.approx(0.0)
    assert calibration_error(np.full(10, 0.9), np.zeros(10)) == pytest.approx(0.9)
    both = calibration_error(np.append(told, np.full(40, 0.25)), np.append(right, np.ones(40)))
    assert both == pytest.approx(0.375)


def test_figures_weigh_houses_alike_and_compare_memories() -> None:
    rows = [row(0.9, True, house=1), row(0.9, False, house=1), row(0.9, True, "what", house=2)]
    rows += [familiar(0.9, KNOWN), familiar(0.2, NEVER)]
    rows += [
        Row(key="lures", method=m, category="lures", values={"share right": v}) for m, v in (("ours", 1.0), ("x", 0.5))
    ]
    figures = {figure.name: figure for figure in summarise(rows)}
    assert figures["recall.correct"].value == 0.75
    assert figures["recall.correct"].interval == (0.5, 1.0)
    assert figures["recall.unknown_auroc"].met
    assert figures["recall.what"].value == 1.0
    assert (figures["diagnosis.lures"].value, figures["diagnosis.lures"].peers) == (1.0, {"x": 0.5})
    assert summarise([]) == []


def test_curves_are_fitted_on_questions_and_on_what_is_known_or_never_was() -> None:
    unasked = Row(key="?", values={"correct": 0.0, "confidence": 0.0})
    rows = [row(0.7, True), unasked, familiar(0.2, NEVER)]
    assert examples(rows) == [("where.told", 0.7, True), ("where.told", 0.4, True)]


def test_always_the_same_answer_is_half_right() -> None:
    assert balanced([True] * 9, [False]) == 0.5
    assert np.isnan(balanced([True], []))


def test_a_query_is_told_by_what_was_filled_in() -> None:
    assert repr_query(Query(kind="where", label="mug", limit=3)) == "kind='where', label='mug', limit=3"


@pytest.fixture
def rivals(tmp_path: Path) -> list[Rival]:
    """Ours and the list, after a session before a chair."""
    bank = MemoryBank(MapperConfig(), SimulatorPerception(), SqliteStore(tmp_path / "memory.db"))
    found: list[Rival] = [Ours(bank), PlainList(Detections(0, Detector()))]
    world = World((TABLE, MUG, CHAIR))
    messages = [world.start("s"), *(world.observe("s", i, (0.3 + 0.02 * i, 0.6, 1.4)) for i in range(12))]
    for message in [*messages, world.end("s", 12)]:
        for rival in found:
            rival.take(message)
    return found


def test_rivals_answer_the_same_questions(rivals: list[Rival]) -> None:
    for rival in rivals:
        place = rival.where("chair")
        assert place is not None, rival.name
        np.testing.assert_allclose(place, CHAIR.center_m, atol=0.35, err_msg=rival.name)
        assert rival.where("piano") is None
        assert rival.source("chair") == "seen"
        rival.tell("keys", (1.0, 1.0, 0.5))
        assert rival.source("keys") == "told"
        assert rival.is_near("chair")
        assert not rival.is_near("piano")


def test_a_session_can_be_cut_short() -> None:
    world = World((MUG,))

    class Round:
        def __iter__(self):
            yield world.start("s")
            for i in range(9):
                yield world.observe("s", i, (0.0, 0.0, 0.0))
            yield world.end("s", 9)

    messages = list(first_of(Round(), 3))  # type: ignore[arg-type]
    assert [type(message).__name__ for message in messages] == ["SessionStart", *["Observation"] * 3, "SessionEnd"]
    assert messages[-1].n_observations == 3
