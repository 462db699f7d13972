"""All keyframes of a memory: what is searched by lies in columns in memory, the frames themselves in the store.

A keyframe is held whole from its coming until it is stored (``stored``); after that it is read when asked for, and the
last ones read are kept. The columns of each 1,024 keyframes are sealed into a block of bytes, so that a memory of a
million keyframes opens without reading one of them.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from embodied.arrays import Bool, Float, Int, Points
from embodied.messages import Box, Point
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.episodes.search.blocks import Block, read_block, write_block
from memory_bank.episodes.search.columns import Column
from memory_bank.episodes.search.index import COMPILED_FROM, Conditions, EpisodeIndex
from memory_bank.stores.protocol import KEYFRAMES_PER_BLOCK

CACHED = 256
"""Whole keyframes kept of those that were read from the store."""
_READ_AT_ONCE = 64
_DEAD_SHARE = 8
"""Columns are compacted when one row in so many is forgotten."""

Fetch = Callable[[Iterable[int]], tuple[Keyframe, ...]]
"""Reads whole keyframes by index: ``Store.keyframes``."""


@dataclass(frozen=True)
class Columns:
    """Of some keyframes, by index, what is known without reading them."""

    indices: Int[np.ndarray, " n"]
    stamps_ns: Int[np.ndarray, " n"]
    positions_m: Points
    sessions: tuple[str, ...]
    track_ids: tuple[tuple[str, ...], ...]
    vectors: Callable[[], Float[np.ndarray, "n dim"]]
    """Computed when called for; zeros where there is none."""


class KeyframeArchive:
    """Keyframes by index. One thread.

    Iteration and ``archive[place]`` give whole ones, reading those that lie in the store. Positions are those of the
    cameras, each in the memory's frame of its session; ``sessions`` in a question keep those of one frame together.
    """

    def __init__(self, fetch: Fetch | None = None) -> None:
        """Args: ``fetch`` reads what was stored; without it everything is held."""
        self.fetch = fetch
        self.next_index = 0
        """Of the next keyframe: an index is never used twice."""
        self._index = EpisodeIndex()
        self._indices = Column(np.int64)
        self._names: dict[str, int] = {}
        self._tracks = Column(np.uint32)
        self._starts = Column(np.int64)
        self._starts.extend([0])
        self._held: dict[int, Keyframe] = {}
        self._read: OrderedDict[int, Keyframe] = OrderedDict()
        self._changed: set[int] = set()

    # ------------------------------------------------------------------------------------------ opening

    def restore(self, blocks: dict[int, bytes], tail: Iterable[Keyframe], next_index: int = 0) -> None:
        """Fill an empty archive with what a store holds.

        Args:
            blocks: By the index of their first keyframe.
            tail: The keyframes that are in no block yet.
            next_index: As it was; one more than the greatest index if that is greater.

        Raises:
            StoreError: A block is damaged.
        """
        read = [read_block(first, blocks[first]) for first in sorted(blocks)]
        self._reserve(read)
        for block in read:
            self._take_block(block)
            self.next_index = max(self.next_index, block.first + KEYFRAMES_PER_BLOCK)
        self._take(sorted(tail, key=lambda each: each.index))
        if self.fetch is not None:
            self.stored()
        self.next_index = max(self.next_index, next_index)

    def _reserve(self, blocks: Sequence[Block]) -> None:
        """Make room at once: growing step by step would copy everything several times."""
        dim = next((block.dim for block in reversed(blocks) if block.dim), 0)
        if dim:
            self._begin_vectors(dim)
        n_rows, n_tracks = (sum(len(getattr(block, name)) for block in blocks) for name in ("indices", "tracks"))
        # And for the tail and what comes next: room that is never used takes no memory.
        n_rows += n_rows // 8 + 2 * KEYFRAMES_PER_BLOCK
        self._index.reserve(n_rows)
        self._indices.reserve(n_rows)
        self._starts.reserve(n_rows + 1)
        self._tracks.reserve(n_tracks + n_tracks // 8)

    def _take_block(self, block: Block) -> None:
        if block.dim != self._index.dim:
            # From before there was an encoder: these are found by time and place.
            block = block.without_vectors(self._index.dim)
        codes = np.array([self._code(name) for name in block.names], dtype=np.int32)
        self._index.extend_coded(
            block.stamps_ns, codes[block.sessions], block.positions_m, block.vectors, block.scales, block.codes,
            block.factors,
        )  # fmt: skip
        self._indices.extend(block.indices)
        self._starts.extend(len(self._tracks) + np.cumsum(block.n_tracks, dtype=np.int64))
        self._tracks.extend(block.tracks)

    def _begin_vectors(self, dim: int) -> None:
        """Let the columns have vectors; rows so far have none."""
        grown, old = EpisodeIndex(dim), self._index
        grown.extend(old.stamps_ns.rows, old.sessions.rows, old.positions_m)
        grown.forget(np.flatnonzero(~old.alive))
        self._index = grown

    def _code(self, session: str) -> int:
        return self._names.setdefault(session, len(self._names))

    # ------------------------------------------------------------------------------------------ changing

    def append(self, keyframe: Keyframe) -> None:
        """Take in a keyframe.

        Raises:
            ValueError: Its index was used before, or its vector is not of the same encoder as the others.
        """
        self.extend([keyframe])

    def extend(self, keyframes: Iterable[Keyframe]) -> None:
        """Take in keyframes, in the order of their indices; all or none.

        Raises:
            ValueError: See ``append``.
        """
        new = list(keyframes)
        next_index = self.next_index
        for keyframe in new:
            if keyframe.index < next_index:
                raise ValueError(f"index: expected {next_index} or more, got {keyframe.index}")
            next_index = keyframe.index + 1
        self._take(new)

    def _take(self, new: list[Keyframe]) -> None:
        if not new:
            return
        dims = {len(keyframe.embedding) // 2 for keyframe in new} - {0}
        if dims and not self._index.dim:
            self._begin_vectors(min(dims))
        dim = self._index.dim
        if not dims <= {dim}:
            raise ValueError(f"embedding: expected {dim} numbers, got {max(dims - {dim})}")
        none = np.zeros(dim, dtype=np.float32)
        self._index.extend(
            np.array([keyframe.stamp_ns for keyframe in new]),
            np.array([self._code(keyframe.session) for keyframe in new]),
            np.array([keyframe.position_m for keyframe in new]),
            np.stack([keyframe.vector if keyframe.embedding else none for keyframe in new]),
        )
        for keyframe in new:
            self._tracks.extend([int(track_id[1:]) for track_id in keyframe.track_ids])
            self._starts.extend([len(self._tracks)])
            self._held[keyframe.index] = keyframe
        self._indices.extend([keyframe.index for keyframe in new])
        self.next_index = new[-1].index + 1

    def replace(self, keyframe: Keyframe) -> None:
        """Put a keyframe in the place of the one with its index: the same frame, but in another map frame.

        Raises:
            KeyError: There is none.
        """
        (row,) = self._rows([keyframe.index])
        self._index.move(np.array([row]), np.array([keyframe.position_m]))
        self._read.pop(keyframe.index, None)
        self._held[keyframe.index] = keyframe
        self._mark(row)

    def remove(self, indices: Iterable[int]) -> None:
        """Forget keyframes, all that memory holds of them included. Those that are not there are no matter."""
        wanted = np.unique(np.fromiter(indices, dtype=np.int64))
        rows = np.flatnonzero(np.isin(self._indices.rows, wanted) & self._index.alive)
        for row in rows.tolist():
            self._mark(row)
            index = int(self._indices.rows[row])
            self._held.pop(index, None)
            self._read.pop(index, None)
            self._tracks.rows[self._starts.rows[row] : self._starts.rows[row + 1]] = 0
        self._index.forget(rows)
        if self._index.n_dead * _DEAD_SHARE > len(self._index):
            self._compact()

    def _compact(self) -> None:
        counts = np.diff(self._starts.rows)
        kept = self._index.compact()
        self._tracks.keep(np.repeat(kept, counts))
        self._indices.keep(kept)
        self._starts = Column(np.int64)
        self._starts.extend(np.concatenate([[0], np.cumsum(counts[kept])]))

    def _mark(self, row: int) -> None:
        self._changed.add(int(self._indices.rows[row]) // KEYFRAMES_PER_BLOCK)

    # ------------------------------------------------------------------------------------------ storing

    def sealed(self, n_sealed: int) -> dict[int, bytes]:
        """Return the blocks to store: complete ones from the ``n_sealed``-th on, and those that have changed.

        Blocks stay in the answer until ``stored`` says that they are on disk.
        """
        complete = self.next_index // KEYFRAMES_PER_BLOCK
        numbers = {n for n in self._changed if n < complete} | set(range(n_sealed, complete))
        return {n * KEYFRAMES_PER_BLOCK: self._seal(n) for n in sorted(numbers)}

    def _seal(self, number: int) -> bytes:
        first = number * KEYFRAMES_PER_BLOCK
        start, end = np.searchsorted(self._indices.rows, [first, first + KEYFRAMES_PER_BLOCK])
        rows = start + np.flatnonzero(self._index.alive[start:end])
        counts = np.diff(self._starts.rows)[rows]
        tracks = [self._tracks.rows[self._starts.rows[row] : self._starts.rows[row + 1]] for row in rows.tolist()]
        codes, sessions = np.unique(self._index.sessions.rows[rows], return_inverse=True)
        names = list(self._names)
        index = self._index
        return write_block(
            Block(
                first=first,
                dim=index.dim,
                names=tuple(names[code] for code in codes.tolist()),
                indices=self._indices.rows[rows],
                stamps_ns=index.stamps_ns.rows[rows],
                sessions=sessions.astype(np.int32),
                positions_m=index.positions_of(rows),
                n_tracks=counts.astype(np.int32),
                tracks=np.concatenate(tracks) if tracks else np.zeros(0, np.uint32),
                vectors=index.vectors.take(rows),
                scales=index.scales.rows[rows],
                codes=index.codes.rows[rows],
                factors=index.factors.rows[rows],
            )
        )

    def stored(self) -> None:
        """Take note that all that was taken in or changed is in the store: it can be read from there."""
        self._changed.clear()
        if self.fetch is None:
            return
        for index, keyframe in self._held.items():
            self._remember(index, keyframe)
        self._held.clear()

    def _remember(self, index: int, keyframe: Keyframe) -> None:
        self._read[index] = keyframe
        self._read.move_to_end(index)
        while len(self._read) > CACHED:
            self._read.popitem(last=False)

    # ------------------------------------------------------------------------------------------ reading

    def get(self, index: int) -> Keyframe:
        """Return a whole keyframe.

        Raises:
            KeyError: There is none with this index.
            StoreError: It cannot be read.
        """
        return next(self.whole([index]))

    def whole(self, indices: Iterable[int]) -> Iterator[Keyframe]:
        """Yield whole keyframes, in the order of the indices.

        Raises:
            KeyError: There is none with one of the indices.
            StoreError: One cannot be read.
        """
        wanted = list(indices)
        self._rows(wanted)
        for start in range(0, len(wanted), _READ_AT_ONCE):
            part = wanted[start : start + _READ_AT_ONCE]
            # Taken out before others are read: reading may push them out of what is kept at hand.
            found = {index: kept[index] for index in part for kept in (self._read, self._held) if index in kept}
            missing = [index for index in part if index not in found]
            if missing:
                assert self.fetch is not None
                for index, keyframe in zip(missing, self.fetch(missing), strict=True):
                    found[index] = keyframe
                    self._remember(index, keyframe)
            yield from (found[index] for index in part)

    def _rows(self, indices: Sequence[int]) -> list[int]:
        held, rows = self._indices.rows, []
        for index in indices:
            row = bisect.bisect_left(held, index)
            if row == len(held) or held[row] != index or not self._index.is_alive(row):
                raise KeyError(f"there is no keyframe {index}")
            rows.append(row)
        return rows

    def __len__(self) -> int:
        return len(self._index) - self._index.n_dead

    def __iter__(self) -> Iterator[Keyframe]:
        yield from self.whole(self.indices().tolist())

    @overload
    def __getitem__(self, place: int) -> Keyframe: ...

    @overload
    def __getitem__(self, place: slice) -> list[Keyframe]: ...

    def __getitem__(self, place: int | slice) -> Keyframe | list[Keyframe]:
        """Return the keyframe at a place in the order of indices, or those of a slice."""
        chosen = self.indices()[place]
        return list(self.whole(chosen.tolist())) if isinstance(place, slice) else self.get(int(chosen))

    # ------------------------------------------------------------------------------------------ asking

    @property
    def dim(self) -> int:
        """Of the vectors; 0 as long as there are none."""
        return self._index.dim

    @property
    def sessions(self) -> set[str]:
        """Of all keyframes that ever were here."""
        return set(self._names)

    @property
    def n_bytes(self) -> int:
        """Memory taken by the columns."""
        return self._index.n_bytes + self._indices.n_bytes + self._tracks.n_bytes + self._starts.n_bytes

    def indices(
        self,
        *,
        since_index: int = 0,
        since_ns: int | None = None,
        until_ns: int | None = None,
        box: Box | None = None,
        near_m: Point | None = None,
        radius_m: float = 0.0,
        sessions: Collection[str] | None = None,
        track_ids: Collection[str] | None = None,
    ) -> Int[np.ndarray, " found"]:
        """Return the indices of the keyframes that fulfil all conditions, ascending. None is read for that.

        Args:
            since_index: This one or later.
            since_ns: At or after.
            until_ns: At or before.
            box: Taken from in it.
            near_m: Taken from within ``radius_m`` of it.
            radius_m: See there.
            sessions: Of one of these.
            track_ids: That show one of these.
        """
        conditions = self._conditions(since_ns, until_ns, box, near_m, radius_m, sessions, track_ids)
        found = self._indices.rows[self._index.select(conditions)]
        later: np.ndarray = found[np.searchsorted(found, since_index) :]
        return later

    def search(
        self,
        vector: Float[np.ndarray, " dim"],
        k: int,
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        box: Box | None = None,
        near_m: Point | None = None,
        radius_m: float = 0.0,
        sessions: Collection[str] | None = None,
        track_ids: Collection[str] | None = None,
        among: Int[np.ndarray, " n"] | None = None,
    ) -> tuple[Int[np.ndarray, " found"], Float[np.ndarray, " found"]]:
        """Return the indices of the keyframes most like a vector, best first, and their cosines; conditions as above.

        ``among``: only these, ascending; there is a keyframe with each.

        Raises:
            ValueError: The vector has another dimension, is not finite or has no length.
        """
        conditions = self._conditions(since_ns, until_ns, box, near_m, radius_m, sessions, track_ids)
        if among is not None:
            conditions = replace(conditions, rows=self._among(among, conditions.rows))
        rows, scores = self._index.search(vector, k, conditions)
        return self._indices.rows[rows], scores

    def positions_of(self, indices: Int[np.ndarray, " n"]) -> Points:
        """Return where keyframes were taken from, float32. There is one with each of the indices."""
        return self._index.positions_of(np.searchsorted(self._indices.rows, indices))

    def stamps_of(self, indices: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Return when keyframes were taken. There is one with each of the indices."""
        stamps_ns: np.ndarray = self._index.stamps_ns.rows[np.searchsorted(self._indices.rows, indices)]
        return stamps_ns

    def vectors_of(self, indices: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n dim"]:
        """Return what keyframes look like, zeros where nothing tells. There is one with each of the indices."""
        return self._index.vectors_of(np.searchsorted(self._indices.rows, indices))

    def columns(self, indices: Int[np.ndarray, " n"] | None = None) -> Columns:
        """Return what is known of keyframes without reading them; of all, if none are named.

        Raises:
            KeyError: There is none with one of the indices.
        """
        index, starts = self._index, self._starts.rows
        rows = np.flatnonzero(index.alive) if indices is None else np.array(self._rows(indices.tolist()), dtype=int)
        names = list(self._names)
        tracks = [self._tracks.rows[starts[row] : starts[row + 1]].tolist() for row in rows.tolist()]
        return Columns(
            indices=self._indices.rows[rows],
            stamps_ns=index.stamps_ns.rows[rows],
            positions_m=index.positions_of(rows),
            sessions=tuple(names[code] for code in index.sessions.rows[rows].tolist()),
            track_ids=tuple(tuple(f"o{number}" for number in numbers) for numbers in tracks),
            vectors=lambda: index.vectors_of(rows),
        )

    def warm_up(self) -> None:
        """Load now what a first search among many would have to wait for."""
        if self.dim and len(self) >= COMPILED_FROM:
            self._index.search(np.ones(self.dim, dtype=np.float32), 1)

    def _conditions(
        self,
        since_ns: int | None,
        until_ns: int | None,
        box: Box | None,
        near_m: Point | None,
        radius_m: float,
        sessions: Collection[str] | None,
        track_ids: Collection[str] | None,
    ) -> Conditions:
        codes = None
        # All sessions are no condition, and cost a look at every row.
        if sessions is not None and not set(self._names) <= set(sessions):
            codes = frozenset(self._names[name] for name in sessions if name in self._names)
        rows = None if track_ids is None else np.flatnonzero(self._shows(track_ids))
        return Conditions(since_ns, until_ns, box, near_m, radius_m, codes, rows)

    def _among(self, indices: Int[np.ndarray, " n"], rows: np.ndarray | None) -> Int[np.ndarray, " found"]:
        """Return the rows of indices, and of them those among some rows if such are given."""
        chosen = np.searchsorted(self._indices.rows, indices)
        return chosen if rows is None else np.intersect1d(chosen, rows, assume_unique=True)

    def _shows(self, track_ids: Collection[str]) -> Bool[np.ndarray, " found"]:
        """Tell of each row whether one of some tracks is seen in it."""
        numbers = np.array([int(track_id[1:]) for track_id in track_ids], dtype=np.uint32)
        shows = np.zeros(len(self._index), dtype=bool)
        hits = np.flatnonzero(np.isin(self._tracks.rows, numbers))
        shows[np.searchsorted(self._starts.rows, hits, side="right") - 1] = True
        return shows

    def sightings(self, sessions: Collection[str]) -> Iterator[tuple[int, str, list[str]]]:
        """Yield stamp, session and tracks of the keyframes of some sessions, by index. None is read for that."""
        rows = self._index.select(self._conditions(None, None, None, None, 0.0, sessions, None))
        names, starts = list(self._names), self._starts.rows
        for row in rows.tolist():
            tracks = self._tracks.rows[starts[row] : starts[row + 1]].tolist()
            session = names[int(self._index.sessions.rows[row])]
            yield int(self._index.stamps_ns.rows[row]), session, [f"o{number}" for number in tracks]

    def near(
        self, position_m: Point, radius_m: float, limit: int, sessions: Collection[str] | None = None
    ) -> list[Keyframe]:
        """Return the keyframes taken nearest to a point, at most ``limit`` of them, nearest first."""
        conditions = self._conditions(None, None, None, position_m, radius_m, sessions, None)
        rows = self._index.select(conditions)
        distances = np.linalg.norm(self._index.positions_of(rows) - np.array(position_m), axis=1)
        nearest = rows[np.argsort(distances, kind="stable")[:limit]]
        return list(self.whole(self._indices.rows[nearest].tolist()))
