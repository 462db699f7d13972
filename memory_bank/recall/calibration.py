"""From how well an answer fits to how likely it is right: a rising curve for each kind of answer. Pure.

The curves are fitted on questions whose truth is known (``launch/offline_eval.py recall``) and stored beside this file.
Method: isotonic regression by pooling adjacent violators (Ayer et al. 1955; Zadrozny and Elkan 2002), with straight
lines between the pools. A few made-up answers, right as often as their raw confidence says, stand all along the curve:
where there are no real ones, it leaves the raw confidence as it is, and it never says that an answer cannot be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np

from embodied.errors import ConfigurationError
from embodied.messages import Answer

TABLE = Path(__file__).with_name("calibration.json")
MIN_ANSWERS = 30
"""Fewer answers of a kind make no curve."""
N_MADE_UP = 11
"""One each at 0, 0.1, … 1 …"""
NEVER_SURE = 0.02
"""… and no nearer to never right, or always, than this."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rising curve from raw confidence to the probability of being right, by its corners."""

    raw: tuple[float, ...]
    """Rising, 0 to 1."""
    right: tuple[float, ...]
    """Not falling, within (0, 1)."""
    n_answers: int = 0
    """How many it was fitted on."""

    def __post_init__(self) -> None:
        """Refuse what is no such curve."""
        raw, right = np.array(self.raw), np.array(self.right)
        if len(raw) != len(right) or not len(raw) or not np.isfinite([*raw, *right]).all():
            raise ValueError("calibration: expected as many finite raw as right, at least one")
        if (np.diff(raw) <= 0).any() or (np.diff(right) < 0).any():
            raise ValueError("calibration: expected rising raw, and right that never falls")
        if raw.min() < 0 or raw.max() > 1 or right.min() < 0 or right.max() > 1:
            raise ValueError("calibration: expected shares between 0 and 1")

    def apply(self, raw: float) -> float:
        """Return the probability of being right."""
        return float(np.interp(raw, self.raw, self.right))


def fit(raw: Sequence[float], right: Sequence[bool]) -> Calibration:
    """Fit a curve.

    Args:
        raw: Raw confidences, 0 to 1.
        right: Whether each answer was right.

    Raises:
        ValueError: There are none, not as many of both, or raw confidences beyond 0 to 1.
    """
    x, y = np.asarray(raw, dtype=float), np.asarray(right, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError(f"calibration: expected as many raw as right and at least one, got {x.shape} and {y.shape}")
    if not ((x >= 0) & (x <= 1)).all():
        raise ValueError("calibration: expected raw confidences between 0 and 1")
    made_up = np.linspace(0.0, 1.0, N_MADE_UP)
    x = np.round(np.concatenate([x, made_up]), 9)
    y = np.concatenate([y, np.clip(made_up, NEVER_SURE, 1.0 - NEVER_SURE)])
    values, where, counts = np.unique(x, return_inverse=True, return_counts=True)
    sums = np.bincount(where, weights=y)
    pools: list[tuple[float, int, float]] = []
    """Of each pool: answers right, answers, sum of their raw confidences."""
    for value, n, total in zip(values.tolist(), counts.tolist(), sums.tolist()):
        pools.append((total, n, value * n))
        while len(pools) > 1 and _share(pools[-2]) >= _share(pools[-1]):
            last = pools.pop()
            pools[-1] = (pools[-1][0] + last[0], pools[-1][1] + last[1], pools[-1][2] + last[2])
    shares = np.maximum.accumulate([_share(pool) for pool in pools])
    # As many digits as are stored; of pools that fall together then, the upper one.
    corners = {round(min(max(mass / n, 0.0), 1.0), 6): round(float(s), 6) for (_, n, mass), s in zip(pools, shares)}
    return Calibration(raw=tuple(corners), right=tuple(corners.values()), n_answers=len(raw))


def _share(pool: tuple[float, int, float]) -> float:
    """Return the share of right answers."""
    return pool[0] / pool[1]


def kind_of(answer: Answer) -> str:
    """Return which curve an answer belongs to: its kind, and whether it tells of a thing, of a gone one, or of none."""
    outcome = "told" if not answer.unknown else "gone" if answer.objects else "none"
    return f"{answer.query.kind}.{outcome}"


def fit_table(answers: Sequence[tuple[str, float, bool]]) -> dict[str, Calibration]:
    """Fit a curve for each kind with enough answers.

    Args:
        answers: Kind (``kind_of``), raw confidence, and whether it was right.
    """
    table = {}
    for kind in sorted({kind for kind, _, _ in answers}):
        mine = [(raw, right) for each, raw, right in answers if each == kind]
        if len(mine) >= MIN_ANSWERS:
            table[kind] = fit([raw for raw, _ in mine], [right for _, right in mine])
    return table


def calibrated(raw: float, answer: Answer, table: Mapping[str, Calibration] | None = None) -> float:
    """Return the probability that an answer with a raw confidence is right.

    Args:
        raw: How well it fits; itself the probability where its kind has no curve.
        answer: The answer.
        table: By kind; by default the one stored beside this file.
    """
    curve = (stored_table() if table is None else table).get(kind_of(answer))
    raw = min(max(raw, 0.0), 1.0)
    return curve.apply(raw) if curve is not None else raw


def familiarity(answer: Answer) -> float:
    """Return the probability that what was asked for is, or was, there: low for what never was."""
    if answer.unknown and not answer.objects:
        return 1.0 - answer.confidence
    return answer.confidence if not answer.unknown else max(answer.confidence, 0.5)


@lru_cache(maxsize=1)
def stored_table() -> Mapping[str, Calibration]:
    """Return the curves stored beside this file; none if there is no such file.

    Raises:
        ConfigurationError: The file is no table of curves.
    """
    try:
        return read_table(TABLE.read_bytes())
    except FileNotFoundError:
        return {}


def read_table(data: bytes) -> dict[str, Calibration]:
    """Read curves from JSON.

    Raises:
        ConfigurationError: It is no table of curves.
    """
    try:
        return msgspec.json.decode(data, type=dict[str, Calibration])
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"calibration: not a table of curves: {error}") from error


def write_table(table: Mapping[str, Calibration]) -> bytes:
    """Return curves as JSON, to be stored."""
    return msgspec.json.format(msgspec.json.encode(dict(table)), indent=1) + b"\n"
