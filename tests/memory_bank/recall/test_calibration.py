"""From raw confidences to probabilities: rising, bounded, right on average."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.errors import ConfigurationError
from embodied.messages import Answer, Query
from memory_bank.recall.calibration import (
    MIN_ANSWERS,
    Calibration,
    calibrated,
    familiarity,
    fit,
    fit_table,
    kind_of,
    read_table,
    stored_table,
    write_table,
)
from memory_world import RED_MUG

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def told(raw: float = 0.5, *, unknown: bool = False, gone: bool = False) -> Answer:
    objects = (RED_MUG,) if gone or not unknown else ()
    return Answer(query=Query(kind="where"), text="", unknown=unknown, confidence=raw, objects=objects)


@settings(max_examples=50)
@given(PAIRS, st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_a_curve_rises_within_bounds(pairs: list[tuple[float, bool]], raw: list[float]) -> None:
    curve = fit([x for x, _ in pairs], [y for _, y in pairs])
    applied = [curve.apply(x) for x in sorted(raw)]
    assert applied == sorted(applied)
    assert 0.0 < applied[0] <= applied[-1] < 1.0
    assert read_table(write_table({"where.told": curve})) == {"where.told": curve}


@settings(max_examples=25)
@given(PAIRS)
def test_a_curve_does_not_depend_on_the_order_of_answers(pairs: list[tuple[float, bool]]) -> None:
    backwards = pairs[::-1]
    assert fit([x for x, _ in pairs], [y for _, y in pairs]) == fit(
        [x for x, _ in backwards], [y for _, y in backwards]
    )


def test_by_hand() -> None:
    # With the made-up answers: .2 is 1.2 of 2 right, .3 is .3 of 1, .4 is .4 of 2; they violate the order and fall
    # together at .3, 1.9 of 5. .8 is 2.8 of 3, .9 is .9 of 1: together at .825, 3.7 of 4. The others stay.
    curve = fit([0.2, 0.4, 0.8, 0.8], [True, False, True, True])
    assert curve.raw == pytest.approx((0.0, 0.1, 0.3, 0.5, 0.6, 0.7, 0.825, 1.0))
    assert curve.right == pytest.approx((0.02, 0.1, 0.38, 0.5, 0.6, 0.7, 0.925, 0.98))
    assert curve.apply(0.4) == pytest.approx(0.44)


def test_with_many_answers_it_tells_the_share_that_is_right() -> None:
    rng = np.random.default_rng(3)
    raw = rng.random(4000)
    right = rng.random(4000) < raw**2
    curve = fit(raw.tolist(), right.tolist())
    held_out = rng.random(500)
    assert np.mean([abs(curve.apply(x) - x**2) for x in held_out]) < 0.04


@pytest.mark.parametrize(("raw", "right"), [([], []), ([0.5], []), ([1.5], [True]), ([float("nan")], [True])])
def test_what_is_no_sample_is_refused(raw: list[float], right: list[bool]) -> None:
    with pytest.raises(ValueError, match="calibration: expected"):
        fit(raw, right)


def test_each_kind_of_answer_has_its_own_curve_if_there_are_enough() -> None:
    answers = [("where.told", 0.9, True)] * MIN_ANSWERS + [("where.none", 0.9, False)] * (MIN_ANSWERS - 1)
    table = fit_table(answers)
    assert set(table) == {"where.told"}
    assert calibrated(0.9, told(), table) == pytest.approx((MIN_ANSWERS + 0.9 + 0.98) / (MIN_ANSWERS + 2), abs=0.01)
    assert calibrated(0.9, told(unknown=True), table) == 0.9
    assert calibrated(1.7, told(unknown=True), {}) == 1.0


def test_kinds() -> None:
    assert [kind_of(a) for a in (told(), told(unknown=True), told(unknown=True, gone=True))] == [
        "where.told", "where.none", "where.gone",
    ]  # fmt: skip


def test_what_never_was_is_less_familiar_than_what_is_gone() -> None:
    never, gone, there = told(0.9, unknown=True), told(0.4, unknown=True, gone=True), told(0.8)
    assert familiarity(never) == pytest.approx(0.1)
    assert familiarity(never) < familiarity(gone) < familiarity(there)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'{"where.told": {"raw": [0.5, 0.4], "right": [0.1, 0.2]}}', b'{"a": {"raw": [], "right": []}}'],
)
def test_a_damaged_table_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigurationError, match="not a table of curves"):
        read_table(data)


def test_a_curve_that_falls_is_refused() -> None:
    with pytest.raises(ValueError, match="right that never falls"):
        Calibration(raw=(0.1, 0.2), right=(0.5, 0.4))
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"raw": [0.1], "right": [1.5]}', type=Calibration)


def test_the_stored_table_can_be_read() -> None:
    assert all(curve.n_answers >= MIN_ANSWERS for curve in stored_table().values())
