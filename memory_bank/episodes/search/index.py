"""Keyframes in columns: which of them fulfil some conditions, and which of those are most like a vector.

Exact: conditions are applied before vectors are compared, and every row that could be among the best is compared with
its full vector. With the extra ``search`` (numba) a scan over short codes (``codes``) first leaves out the rows that
cannot be; one of the best is overlooked about once in 30,000 times. Without it all rows are compared by numpy.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from embodied.arrays import Bool, Float, Int, Points
from embodied.errors import ConfigurationError
from embodied.messages import Box, Point
from memory_bank.episodes.search import codes
from memory_bank.episodes.search.columns import Column
from memory_bank.episodes.search.vectors import VectorRows

FEW = 1536
"""So many rows are compared at once, without a look at their codes."""
COMPILED_FROM = 10_000
"""Fewer rows are searched by numpy in the time that loading the compiled loops takes."""
_CHUNK = 4096
_ALIVE, _MEANT = 1, 2
"""Marks of a row: not forgotten, and with a vector."""


@dataclass(frozen=True)
class Conditions:
    """What a row must fulfil; None means anything."""

    since_ns: int | None = None
    """At or after."""
    until_ns: int | None = None
    """At or before."""
    box: Box | None = None
    """Positions in it, its surface included."""
    near_m: Point | None = None
    radius_m: float = 0.0
    sessions: frozenset[int] | None = None
    """Codes of sessions."""
    rows: Int[np.ndarray, " n"] | None = None
    """One of these, ascending."""


def load_compiled() -> ModuleType | None:
    """Return the compiled loops, or None where numba is missing or the processor too old."""
    try:
        compiled = importlib.import_module("memory_bank.episodes.search.compiled")
    except ImportError:
        return None
    return compiled if compiled.HAS_CODES else None


class EpisodeIndex:
    """The columns. Rows are numbered from 0 in the order in which they came; ``compact`` numbers them anew."""

    def __init__(self, dim: int = 0, *, compiled: bool | None = None) -> None:
        """Begin with no rows.

        Args:
            dim: Of the vectors; 0 if there are none.
            compiled: Whether to search in machine code; None for where it is installed and there are many rows.

        Raises:
            ValueError: The dimension is out of bounds.
        """
        if not 0 <= dim <= codes.MAX_DIM:
            raise ValueError(f"dim: expected 0 to {codes.MAX_DIM}, got {dim}")
        self.dim = dim
        self._wants_compiled = compiled
        self._compiled: ModuleType | None = None
        self.stamps_ns = Column(np.int64)
        self.sessions = Column(np.int32)
        self._xyz = tuple(Column(np.float32) for _ in range(3))
        self._marks = Column(np.uint8)
        self.vectors, self.scales = VectorRows(dim), Column(np.float32)
        self.codes, self.factors = Column(np.uint8, (codes.padded(dim) // 4,)), Column(np.float32)
        self._in_order = True
        self.n_dead = 0
        self._n_blank = 0
        self._scratch: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        """How many rows there are, forgotten ones too."""
        return len(self.stamps_ns)

    @property
    def n_bytes(self) -> int:
        """Memory taken by the columns."""
        return self.vectors.n_bytes + sum(column.n_bytes for column in self._columns)

    @property
    def alive(self) -> Bool[np.ndarray, " n"]:
        """Rows that are not forgotten."""
        alive: np.ndarray = (self._marks.rows & _ALIVE) > 0
        return alive

    @property
    def positions_m(self) -> Points:
        """Positions of all rows, float32."""
        return np.stack([column.rows for column in self._xyz], axis=1)

    def positions_of(self, rows: Int[np.ndarray, " n"]) -> Points:
        """Positions of some rows, float32."""
        return np.stack([column.rows[rows] for column in self._xyz], axis=1)

    def vectors_of(self, rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n dim"]:
        """Vectors of some rows, float32."""
        found: np.ndarray = self.vectors.take(rows).astype(np.float32) * self.scales.rows[rows][:, None]
        return found

    def is_alive(self, row: int) -> bool:
        """Tell whether a row is not forgotten."""
        return bool(self._marks.rows[row] & _ALIVE)

    # ------------------------------------------------------------------------------------------ growing

    def extend(
        self,
        stamps_ns: Int[np.ndarray, " n"],
        sessions: Int[np.ndarray, " n"],
        positions_m: Float[np.ndarray, "n 3"],
        vectors: Float[np.ndarray, "n dim"] | None = None,
    ) -> None:
        """Append rows. A vector of zeros means that there is none; others are scaled to length one.

        Raises:
            ValueError: Lengths differ, vectors have another dimension, or something is not finite. Nothing is appended.
        """
        n = len(stamps_ns)
        if vectors is None:
            vectors = np.zeros((n, self.dim), dtype=np.float32)
        if vectors.shape != (n, self.dim):
            raise ValueError(f"vectors: expected shape ({n}, {self.dim}), got {vectors.shape}")
        if not (np.isfinite(vectors).all() and np.isfinite(positions_m).all()):
            raise ValueError("vectors and positions_m: expected finite numbers")
        norms = np.linalg.norm(vectors.astype(np.float32), axis=1, keepdims=True)
        unit = np.divide(vectors, norms, out=np.zeros(vectors.shape, dtype=np.float32), where=norms > 0)
        coded = codes.encode(unit) if self.dim and norms.any() else (np.zeros((n, self._code_bytes)), np.zeros(n))
        self.extend_coded(stamps_ns, sessions, positions_m, *codes.to_exact(unit), *coded)

    @property
    def _code_bytes(self) -> int:
        return codes.padded(self.dim) // 4

    def extend_coded(
        self,
        stamps_ns: Int[np.ndarray, " n"],
        sessions: Int[np.ndarray, " n"],
        positions_m: Float[np.ndarray, "n 3"],
        vectors: Int[np.ndarray, "n dim"],
        scales: Float[np.ndarray, " n"],
        row_codes: np.ndarray,
        factors: np.ndarray,
    ) -> None:
        """Append rows whose vectors were made ready before, by an index of the same dimension."""
        stamps_ns = np.asarray(stamps_ns, dtype=np.int64)
        n, last_ns = len(stamps_ns), int(self.stamps_ns.rows[-1]) if len(self) else -(2**63)
        if {len(sessions), len(positions_m), len(vectors), len(scales), len(row_codes), len(factors)} != {n}:
            raise ValueError("rows: expected columns of one length")
        if n == 0:
            return
        self._in_order = self._in_order and last_ns <= int(stamps_ns[0]) and bool((np.diff(stamps_ns) >= 0).all())
        meant = np.asarray(scales) > 0
        self._n_blank += n - int(np.count_nonzero(meant))
        self.stamps_ns.extend(stamps_ns)
        self.sessions.extend(sessions)
        for column, values in zip(self._xyz, np.asarray(positions_m, dtype=np.float32).T, strict=True):
            column.extend(values)
        self._marks.extend(_ALIVE + _MEANT * meant)
        self.vectors.extend(vectors)
        self.scales.extend(scales)
        self.codes.extend(row_codes)
        self.factors.extend(factors)

    def reserve(self, n_rows: int) -> None:
        """Make room for so many rows in all, to grow without moving."""
        self.vectors.reserve(n_rows)
        for column in self._columns:
            column.reserve(n_rows)

    @property
    def _columns(self) -> tuple[Column, ...]:
        rest = (self.scales, self.codes, self.factors)
        return (self.stamps_ns, self.sessions, *self._xyz, self._marks, *rest)

    # ------------------------------------------------------------------------------------------ changing

    def forget(self, rows: Int[np.ndarray, " n"]) -> None:
        """Take rows out for good: their vectors and positions are overwritten with zeros at once."""
        rows = np.unique(np.asarray(rows, dtype=np.int64))
        rows = rows[self.alive[rows]]
        self.n_dead += len(rows)
        self._n_blank -= int(np.count_nonzero(self.scales.rows[rows] == 0))
        for column in (*self._xyz, self._marks, self.scales, self.codes, self.factors):
            column.rows[rows] = 0
        self.vectors.clear(rows)

    def move(self, rows: Int[np.ndarray, " n"], positions_m: Float[np.ndarray, "n 3"]) -> None:
        """Give rows other positions."""
        for column, values in zip(self._xyz, np.asarray(positions_m, dtype=np.float32).T, strict=True):
            column.rows[rows] = values

    def compact(self) -> Bool[np.ndarray, " n"]:
        """Drop forgotten rows, and return which of the old rows are kept."""
        kept = self.alive.copy()
        self.vectors.keep(kept)
        for column in self._columns:
            column.keep(kept)
        self.n_dead = 0
        self._in_order = bool((np.diff(self.stamps_ns.rows) >= 0).all())
        return kept

    # ------------------------------------------------------------------------------------------ asking

    def select(self, conditions: Conditions) -> Int[np.ndarray, " found"]:
        """Return the rows that fulfil all conditions, ascending."""
        rows, first, last = self._select(conditions, _ALIVE)
        return np.arange(first, last) if rows is None else rows

    def search(
        self, vector: Float[np.ndarray, " dim"], k: int, conditions: Conditions = Conditions()
    ) -> tuple[Int[np.ndarray, " found"], Float[np.ndarray, " found"]]:
        """Return the rows most like a vector among those that fulfil the conditions, and their cosines, best first.

        Of equals the earlier row comes first. Rows without a vector are not found.

        Raises:
            ValueError: The vector has another dimension, is not finite or has no length; or ``k`` is not positive.
        """
        if vector.shape != (self.dim,):
            raise ValueError(f"vector: expected shape ({self.dim},), got {vector.shape}")
        # Its square is infinite or NaN if anything in it is.
        norm = float(np.sqrt(np.dot(vector, vector)))
        if not (np.isfinite(norm) and norm > 0):
            raise ValueError("vector: expected finite numbers that are not all zero")
        if k < 1:
            raise ValueError(f"k: expected at least 1, got {k}")
        rows, first, last = self._select(conditions, _ALIVE | _MEANT)
        query = np.ascontiguousarray(vector / norm, dtype=np.float32)
        n = last - first if rows is None else len(rows)
        compiled = self._load_compiled()
        if compiled is None or n <= max(FEW, 8 * k):
            rows = np.arange(first, last) if rows is None else rows
            return _best(rows, self._exact(compiled, rows, query), k)
        return _best(*self._candidates(compiled, rows, first, n, query, k), k)

    def _candidates(
        self, compiled: ModuleType, rows: np.ndarray | None, first: int, n: int, query: np.ndarray, k: int
    ) -> tuple[Int[np.ndarray, " found"], Float[np.ndarray, " found"]]:
        turned, offset, unit = codes.prepare(query)
        chosen, scores = compiled.candidates(
            self.codes.rows,
            self.factors.rows,
            self.vectors.addresses.rows,
            self.scales.rows,
            _NO_ROWS if rows is None else rows,
            first,
            self._buffer("estimates", np.float32)[:n],
            query,
            turned,
            np.float32(offset),
            np.float32(unit),
            k,
            codes.error_of(self.dim),
        )
        return chosen, scores

    def _exact(self, compiled: ModuleType | None, rows: np.ndarray, query: np.ndarray) -> Float[np.ndarray, " found"]:
        scales = self.scales.rows
        if compiled is not None:
            exact: np.ndarray = compiled.exact(self.vectors.addresses.rows, scales, rows, query)
            return exact
        scores = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            scores[start : start + _CHUNK] = self.vectors.take(part).astype(np.float32) @ query
        return scores * scales[rows]

    def _load_compiled(self) -> ModuleType | None:
        if self._wants_compiled is None and len(self) < COMPILED_FROM:
            return None
        if self._compiled is None and self._wants_compiled is not False:
            self._compiled = load_compiled()
            if self._compiled is None and self._wants_compiled:
                raise ConfigurationError('compiled search needs numba: pip install "embodied-memory[search]"')
            self._wants_compiled = self._compiled is not None
        return self._compiled

    def _buffer(self, name: str, dtype: type) -> np.ndarray:
        """Return memory for one number a row, the same at every call: fresh pages would cost more than the scan."""
        held = self._scratch.get(name)
        if held is None or len(held) < len(self):
            held = self._scratch[name] = np.empty((len(self) + len(self) // 4 + 64) // 8 * 8, dtype=dtype)
        return held

    # ------------------------------------------------------------------------------------------ conditions

    def _select(self, conditions: Conditions, mark: int) -> tuple[Int[np.ndarray, " found"] | None, int, int]:
        """Return rows, or None for all from the first to before the last, which are given too."""
        first, last = self._span(conditions)
        rows = conditions.rows
        if rows is not None:
            rows = rows[np.searchsorted(rows, first) : np.searchsorted(rows, last)]
        lower, upper = _bounds(conditions)
        if lower is not None and upper is not None:
            rows = self._within(rows, first, last, lower, upper, mark)
        elif rows is not None or self.n_dead or (mark & _MEANT and self._n_blank):
            rows = np.arange(first, last) if rows is None else rows
            rows = rows[(self._marks.rows[rows] & mark) == mark]
        if not self._in_order and (conditions.since_ns is not None or conditions.until_ns is not None):
            rows = self._in_time(np.arange(first, last) if rows is None else rows, conditions)
        if conditions.sessions is not None:
            rows = self._of_sessions(np.arange(first, last) if rows is None else rows, conditions.sessions)
        if rows is not None and (conditions.near_m is not None or (conditions.box and conditions.box.yaw_rad)):
            rows = self._refine(rows, conditions)
        return rows, first, last

    def _span(self, conditions: Conditions) -> tuple[int, int]:
        first, last = 0, len(self)
        if self._in_order and conditions.since_ns is not None:
            first = int(np.searchsorted(self.stamps_ns.rows, conditions.since_ns, side="left"))
        if self._in_order and conditions.until_ns is not None:
            last = int(np.searchsorted(self.stamps_ns.rows, conditions.until_ns, side="right"))
        return first, max(first, last)

    def _within(
        self, rows: np.ndarray | None, first: int, last: int, lower: np.ndarray, upper: np.ndarray, mark: int
    ) -> Int[np.ndarray, " found"]:
        xyz, marks = [column.rows for column in self._xyz], self._marks.rows
        compiled = self._load_compiled()
        if compiled is not None and rows is None:
            # The bounds in float32, no position being between them and the true ones.
            low, high = lower.astype(np.float32), upper.astype(np.float32)
            low = np.where(low < lower, np.nextafter(low, np.float32(np.inf)), low)
            high = np.where(high > upper, np.nextafter(high, np.float32(-np.inf)), high)
            fits, out = self._buffer("fits", np.uint8), self._buffer("rows", np.int64)
            n = compiled.within(*xyz, marks, np.uint8(mark), first, last, low, high, fits, out)
            return out[:n]
        place: slice | np.ndarray = slice(first, last) if rows is None else rows
        fits = (marks[place] & mark) == mark
        for values, low, high in zip(xyz, lower, upper, strict=True):
            fits &= (values[place] >= low) & (values[place] <= high)
        return np.flatnonzero(fits) + first if rows is None else rows[fits]

    def _in_time(self, rows: np.ndarray, conditions: Conditions) -> Int[np.ndarray, " found"]:
        stamps_ns = self.stamps_ns.rows
        if conditions.since_ns is not None:
            rows = rows[stamps_ns[rows] >= conditions.since_ns]
        if conditions.until_ns is not None:
            rows = rows[stamps_ns[rows] <= conditions.until_ns]
        return rows

    def _of_sessions(self, rows: np.ndarray, sessions: frozenset[int]) -> Int[np.ndarray, " found"]:
        held = self.sessions.rows
        wanted = np.zeros(int(held.max(initial=0)) + 1, dtype=bool)
        wanted[[code for code in sessions if 0 <= code < len(wanted)]] = True
        of_these: np.ndarray = rows[wanted[held[rows]]]
        return of_these

    def _refine(self, rows: np.ndarray, conditions: Conditions) -> Int[np.ndarray, " found"]:
        """Leave out what the bounds let through but a turned box or a ball does not."""
        positions = self.positions_of(rows).astype(np.float64)
        fits = np.ones(len(rows), dtype=bool)
        if conditions.near_m is not None:
            fits &= np.linalg.norm(positions - np.array(conditions.near_m), axis=1) <= conditions.radius_m
        if conditions.box is not None:
            offset = positions - np.array(conditions.box.center_m)
            c, s = np.cos(conditions.box.yaw_rad), np.sin(conditions.box.yaw_rad)
            own = np.column_stack(
                [c * offset[:, 0] + s * offset[:, 1], c * offset[:, 1] - s * offset[:, 0], offset[:, 2]]
            )
            fits &= (np.abs(own) <= np.array(conditions.box.size_m) / 2).all(axis=1)
        return rows[fits]


_NO_ROWS = np.zeros(0, dtype=np.int64)


def _bounds(conditions: Conditions) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return the corners of the smallest upright box around what the conditions allow."""
    if conditions.box is None and conditions.near_m is None:
        return None, None
    lower, upper = np.full(3, -np.inf), np.full(3, np.inf)
    if conditions.box is not None:
        x, y, z = conditions.box.size_m
        c, s = abs(np.cos(conditions.box.yaw_rad)), abs(np.sin(conditions.box.yaw_rad))
        half = np.array([c * x + s * y, s * x + c * y, z]) / 2 if conditions.box.yaw_rad else np.array([x, y, z]) / 2
        lower, upper = np.array(conditions.box.center_m) - half, np.array(conditions.box.center_m) + half
    if conditions.near_m is not None:
        center = np.array(conditions.near_m, dtype=float)
        lower, upper = np.maximum(lower, center - conditions.radius_m), np.minimum(upper, center + conditions.radius_m)
    return lower, upper


def _best(
    rows: Int[np.ndarray, " n"], scores: Float[np.ndarray, " n"], k: int
) -> tuple[Int[np.ndarray, " found"], Float[np.ndarray, " found"]]:
    """Return the ``k`` best, of equals the earlier rows."""
    if len(rows) > k:
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        reach = scores >= least
        rows, scores = rows[reach], scores[reach]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
