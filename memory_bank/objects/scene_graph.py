"""The object layer of the scene graph: tracks by id, where they are, what became of them, what changed.

Rooms and relations are derived from it (``rooms``, ``relations``); layers as in Hydra (Hughes et al., 2022) and
the changes over time those of Khronos (Schmid et al., 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from embodied.arrays import Int, Points, Vector3
from embodied.messages import Change, Interval, Point
from memory_bank.geometry.box_grid import BoxGrid
from memory_bank.geometry.boxes import box_bounds
from memory_bank.objects.track import Track

RoomOf = Callable[[Point], str]


class SceneGraph:
    """Tracks by id with a spatial index. Iterates in the order of ids."""

    def __init__(self) -> None:
        self._tracks: dict[str, Track] = {}
        self._merged: dict[str, str] = {}
        self._next_number = 0
        self._ids: list[str] = []
        self._row: dict[str, int] = {}
        self._grid = BoxGrid()
        self._low: Points = np.zeros((64, 3), dtype=np.float32)
        self._high: Points = np.zeros((64, 3), dtype=np.float32)

    def __len__(self) -> int:
        return len(self._tracks)

    def __iter__(self) -> Iterator[Track]:
        return iter(self._tracks.values())

    def __contains__(self, track_id: str) -> bool:
        return self.resolve(track_id) in self._tracks

    @property
    def next_number(self) -> int:
        """One more than the highest number an id ever had."""
        return self._next_number

    def get(self, track_id: str) -> Track | None:
        """Return the track, following merges; None if there never was one, or it was dropped."""
        return self._tracks.get(self.resolve(track_id))

    def resolve(self, track_id: str) -> str:
        """Return the id under which a track lives on after merges."""
        while track_id in self._merged:
            track_id = self._merged[track_id]
        return track_id

    def confirmed(self, include_gone: bool = False) -> list[Track]:
        """Return what the memory tells others about: confirmed tracks in the order of ids."""
        return [track for track in self if track.is_shown and (include_gone or track.state != "gone")]

    # ------------------------------------------------------------------------------------------- editing

    def new_id(self) -> str:
        """Return an id that no track ever had."""
        self._next_number += 1
        return f"o{self._next_number - 1}"

    def reserve(self, next_number: int) -> None:
        """Give no id below this number: it was given in another graph of the same memory."""
        self._next_number = max(self._next_number, next_number)

    def insert(self, track: Track) -> None:
        """Add a track under a new id."""
        if self._ids and track.number < self._tracks[next(reversed(self._tracks))].number:
            raise ValueError(f"track: expected ids in rising order, got {track.id}")
        self._add(track)

    def _add(self, track: Track) -> None:
        if track.id in self._row or track.id in self._merged:
            raise ValueError(f"track: expected an unused id, got {track.id}")
        self._tracks[track.id] = track
        self._next_number = max(self._next_number, track.number + 1)
        row = len(self._ids)
        if row == len(self._low):
            self._low = np.concatenate([self._low, np.zeros_like(self._low)])
            self._high = np.concatenate([self._high, np.zeros_like(self._high)])
        self._ids.append(track.id)
        self._row[track.id] = row
        self.touch(track)

    def adopt(self, tracks: Iterable[Track]) -> None:
        """Add tracks of another graph of the same memory, whose ids lie among those here."""
        for track in tracks:
            self._add(track)
            self._merged.update(dict.fromkeys(track.merged_ids, track.id))
        self._tracks = dict(sorted(self._tracks.items(), key=lambda item: item[1].number))
        self._mend_neighbours()

    def touch(self, track: Track) -> None:
        """Take note that a track's box has changed."""
        low, high = box_bounds(track.box)
        self._grid.put(track.id, low, high)
        row = self._row[track.id]
        self._low[row], self._high[row] = low, high

    def remove(self, track_id: str) -> None:
        """Drop a track: it never was an object."""
        track = self._tracks.pop(track_id)
        self._grid.drop(track_id)
        row, last = self._row.pop(track_id), len(self._ids) - 1
        if row != last:
            self._ids[row] = self._ids[last]
            self._row[self._ids[row]] = row
            self._low[row], self._high[row] = self._low[last], self._high[last]
        self._ids.pop()
        for name in track.seen_with:
            self._tracks[name].seen_with.discard(track_id)

    def merge(self, keep_id: str, lose_id: str) -> None:
        """Let ``lose_id`` live on as ``keep_id``. The caller has joined their contents."""
        keep, lose = self._tracks[keep_id], self._tracks[lose_id]
        if keep is lose:
            raise ValueError(f"lose_id: expected another track than {keep_id}")
        for name in lose.seen_with - {keep_id}:
            self._tracks[name].seen_with.add(keep_id)
        keep.seen_with = (keep.seen_with | lose.seen_with) - {keep_id, lose_id}
        keep.merged_ids = [*keep.merged_ids, lose_id, *lose.merged_ids]
        self.remove(lose_id)
        self._merged[lose_id] = keep_id
        self.touch(keep)

    def restore(self, tracks: Iterable[Track], next_number: int = 0) -> None:
        """Fill an empty graph with stored tracks."""
        if self._tracks:
            raise ValueError(f"tracks: expected an empty graph to restore into, got one of {len(self._tracks)}")
        ordered = sorted(tracks, key=lambda track: track.number)
        for track in ordered:
            self.insert(track)
            for lost in track.merged_ids:
                self._merged[lost] = track.id
                self._next_number = max(self._next_number, int(lost[1:]) + 1)
        self._mend_neighbours()
        self._next_number = max(self._next_number, next_number)

    def _mend_neighbours(self) -> None:
        """Let all that were seen as two know each other, by their present ids: not every change of that is stored."""
        for track in self:
            known = {self.resolve(name) for name in track.seen_with} - {track.id}
            track.seen_with = {name for name in known if name in self._tracks}
        for track in self:
            for name in track.seen_with:
                self._tracks[name].seen_with.add(track.id)

    # ------------------------------------------------------------------------------------------- asking

    def bounds(self) -> tuple[list[str], Points, Points]:
        """Return all ids with the lower and upper corners of their boxes, in the index's own order."""
        n = len(self._ids)
        return self._ids, self._low[:n], self._high[:n]

    def tracks_at(self, rows: Int[np.ndarray, " n"]) -> list[Track]:
        """Return the tracks of rows of ``bounds``, in the order of ids."""
        return sorted((self._tracks[self._ids[row]] for row in rows.tolist()), key=lambda track: track.number)

    def bounds_of(self, tracks: Sequence[Track]) -> tuple[Points, Points]:
        """Return the lower and upper corners of the axis-aligned boxes around some tracks."""
        rows = [self._row[track.id] for track in tracks]
        return self._low[rows], self._high[rows]

    def touching(self, low_m: Vector3, high_m: Vector3) -> list[Track]:
        """Return tracks (gone ones too) whose axis-aligned box touches the given one, in the order of ids.

        The work is that of what stands nearby, however large the map.
        """
        rows = np.array([self._row[name] for name in self._grid.near(low_m, high_m)], dtype=np.int64)
        apart = np.maximum(self._low[rows] - high_m, low_m - self._high[rows]).max(axis=1, initial=-np.inf)
        return self.tracks_at(rows[apart <= 0.0])

    def within(self, center_m: Point, radius_m: float) -> list[Track]:
        """Return tracks (gone ones too) whose box comes within ``radius_m`` of a point, in the order of ids."""
        point: Vector3 = np.array(center_m)
        found = self.touching(point - radius_m, point + radius_m)
        low, high = self.bounds_of(found)
        gaps = np.maximum(np.maximum(low - point, point - high), 0.0)
        near = (gaps * gaps).sum(axis=1) <= radius_m * radius_m
        return [track for track, is_near in zip(found, near.tolist()) if is_near]

    def changes(self, since_ns: int | None = None, room_of: RoomOf | None = None) -> list[Change]:
        """Return what moved, vanished or appeared, noticed at or after ``since_ns``, oldest first."""
        found = [change for track in self.confirmed(include_gone=True) for change in track_changes(track, room_of)]
        recent = [change for change in found if since_ns is None or change.noticed_ns >= since_ns]
        return sorted(recent, key=lambda change: (change.noticed_ns, int(change.object_id[1:])))

    def check(self) -> None:
        """Assert the invariants."""
        numbers = [track.number for track in self]
        assert numbers == sorted(set(numbers)), "tracks out of order"
        assert sorted(self._ids) == sorted(self._tracks), "index and tracks differ"
        for track_id, row in self._row.items():
            assert self._ids[row] == track_id, f"row of {track_id}"
            low, high = box_bounds(self._tracks[track_id].box)
            assert np.allclose(self._low[row], low, atol=1e-4), f"index of {track_id} is stale"
            assert track_id in self._grid.near(low, high), f"grid has lost {track_id}"
        assert len(self._grid) == len(self._tracks), "grid and tracks differ"
        for lost, kept in self._merged.items():
            assert lost not in self._tracks, f"{lost} lives although merged"
            assert int(kept[1:]) < self._next_number, f"{kept} was never given"
        for track in self:
            assert track.number < self._next_number, f"{track.id} was never given"
            assert track.id not in track.seen_with, f"{track.id} seen with itself"
            for name in track.seen_with:
                assert name in self._tracks, f"{track.id} seen with the unknown {name}"
                assert track.id in self._tracks[name].seen_with, f"{name} forgot that it was seen with {track.id}"
            check_intervals(track)


def check_intervals(track: Track) -> None:
    """Assert that a confirmed track has a history without overlaps, whose last interval is open."""
    assert bool(track.intervals) == track.confirmed, f"{track.id}: history of an unconfirmed track"
    for earlier, later in zip(track.intervals, track.intervals[1:]):
        assert earlier.valid_to_ns is not None, f"{track.id}: open past"
        assert earlier.known_to_ns is not None, f"{track.id}: open knowledge of the past"
        assert earlier.valid_from_ns <= earlier.valid_to_ns <= later.valid_from_ns, f"{track.id}: overlap"
    if track.intervals:
        last = track.intervals[-1]
        assert last.valid_to_ns is None, f"{track.id}: closed present"
        assert last.known_to_ns is None, f"{track.id}: closed knowledge of the present"
        assert all(interval.object_id == track.id for interval in track.intervals), f"{track.id}: foreign history"


def track_changes(track: Track, room_of: RoomOf | None = None) -> list[Change]:
    """Return the changes that a track's history tells."""
    name = room_of or (lambda _: "")
    changes: list[Change] = []

    def change(kind: str, old: Interval | None, new: Interval | None, after_ns: int, noticed_ns: int) -> None:
        changes.append(
            Change(
                kind=kind,  # type: ignore[arg-type]
                object_id=track.id,
                label=track.label,
                from_position_m=old.position_m if old else None,
                to_position_m=new.position_m if new else None,
                from_room=name(old.position_m) if old else "",
                to_room=name(new.position_m) if new else "",
                after_ns=after_ns,
                noticed_ns=noticed_ns,
                confidence=round(track.existence if new else 1.0 - track.existence, 4),
            )
        )

    place: Interval | None = None
    for index, interval in enumerate(track.intervals):
        following = track.intervals[index + 1] if index + 1 < len(track.intervals) else None
        if interval.cause == "seen_first" and track.place_was_empty_ns is not None:
            change("added", None, interval, track.place_was_empty_ns, interval.valid_from_ns)
        elif interval.cause in ("seen_elsewhere", "placed") and place is not None:
            after_ns = place.valid_from_ns if place.state == "held" else place.valid_to_ns or place.valid_from_ns
            change("moved", place, interval, after_ns, interval.valid_from_ns)
        elif interval.cause == "missed" and place is not None and _was_real(interval, following):
            change("removed", place, None, place.valid_to_ns or place.valid_from_ns, interval.valid_from_ns)
        elif interval.cause == "seen_again" and index and _was_real(track.intervals[index - 1], interval):
            empty = track.intervals[index - 1]
            change("added", None, interval, empty.valid_to_ns or empty.valid_from_ns, interval.valid_from_ns)
        if interval.state != "gone":
            place = interval
    return changes


def _was_real(absence: Interval, following: Interval | None) -> bool:
    """Tell whether an absence stands: not explained by a move, nor taken back within the same session."""
    if following is None:
        return True
    return following.cause == "seen_again" and following.session != absence.session
