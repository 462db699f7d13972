"""What the robot took up and put down, and which rooms it was in: derived from tracks and keyframes. Pure.

Interactions are the *held* intervals of tracks, so they are as durable as these, and move, merge and are forgotten with
them. Stays in rooms are runs of keyframes; both are told in today's rooms and of today's furniture.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from embodied.config import Config
from embodied.messages import Box, Interaction, Interval, RoomVisit
from memory_bank.episodes.archive import KeyframeArchive
from memory_bank.geometry.boxes import box_bounds
from memory_bank.objects.records import RoomIndex
from memory_bank.objects.relations import RelationConfig, find_relations
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track

PAUSE_NS = 20_000_000_000
"""Between keyframes farther apart in time the robot stood where the later one was taken."""


class InteractionConfig(Config):
    """How a thing is said to have lain on another."""

    furniture_m: float = 0.4
    """What carries things and is longer than this is furniture."""
    around_m: float = 0.3
    """Where no relation holds, the nearest furniture within this distance of the footprint …"""
    below_m: float = 0.3
    """… whose top is not higher than the thing's bottom by more than this."""
    glimpse_ns: int = 2_500_000_000
    """A stay shorter than this between two in one room is a look through a door."""


def interactions_of(
    graph: SceneGraph,
    rooms: RoomIndex,
    archive: KeyframeArchive,
    relations: RelationConfig = RelationConfig(),
    config: InteractionConfig = InteractionConfig(),
) -> tuple[Interaction, ...]:
    """Return what was taken up, by the instant of that."""
    found = []
    for track in graph.confirmed(include_gone=True):
        for index, held in enumerate(track.intervals):
            if held.state == "held":
                before = track.intervals[index - 1] if index else held
                after = track.intervals[index + 1] if index + 1 < len(track.intervals) else None
                found.append(_interaction(track, (before, held, after), graph, rooms, archive, relations, config))
    return tuple(sorted(found, key=lambda each: (each.picked_ns, int(each.object_id[1:]))))


def _interaction(
    track: Track,
    stays: tuple[Interval, Interval, Interval | None],
    graph: SceneGraph,
    rooms: RoomIndex,
    archive: KeyframeArchive,
    relations: RelationConfig,
    config: InteractionConfig,
) -> Interaction:
    before, held, after = stays
    origin = _furniture_under(track, before.box, graph, relations, config)
    target = _furniture_under(track, after.box, graph, relations, config) if after is not None else None
    return Interaction(
        object_id=track.id,
        label=track.label,
        session=held.session,
        picked_ns=held.valid_from_ns,
        picked_from_m=before.position_m,
        picked_room=rooms.name_at(before.position_m),
        picked_from=origin.label if origin else "",
        picked_from_id=origin.id if origin else "",
        pick_keyframe=_keyframe_at(archive, held.session, held.valid_from_ns),
        placed_ns=held.valid_to_ns,
        is_held=held.valid_to_ns is None and track.state == "held",
        placed_m=after.position_m if after else None,
        placed_room=rooms.name_at(after.position_m) if after else "",
        placed_on=target.label if target else "",
        placed_on_id=target.id if target else "",
        place_keyframe=_keyframe_at(archive, held.session, after.valid_from_ns) if after else None,
    )


def _keyframe_at(archive: KeyframeArchive, session: str, stamp_ns: int) -> int | None:
    """Return the keyframe that was taken at an instant, None if it was forgotten."""
    found = archive.indices(since_ns=stamp_ns, until_ns=stamp_ns, sessions={session})
    return int(found[0]) if len(found) else None


def _furniture_under(
    thing: Track, box: Box, graph: SceneGraph, relations: RelationConfig, config: InteractionConfig
) -> Track | None:
    """Return what carries, or carried, a thing at a place: the lowest of what stands on one another there."""
    near = [t for t in graph.within(box.center_m, 1.5) if t.is_there and t.id != thing.id]
    boxes = [*(track.box for track in near), box]
    labels = [*(track.label for track in near), thing.label]
    shares = [*(track.label_shares for track in near), thing.label_shares]
    related = find_relations(boxes, labels, relations, shares)
    carrier = {r.subject: r.object for r in related if r.kind in ("on", "in")}
    index, seen = carrier.get(len(near)), set()
    while index is not None and index in carrier and index not in seen:
        seen.add(index)
        index = carrier[index]
    if index is not None and near[index].longest_m >= config.furniture_m:
        return near[index]
    low, high = box_bounds(box)
    beside = []
    for track in near:
        its_low, its_high = box_bounds(track.box)
        gap_m = float(np.linalg.norm(np.maximum(np.maximum(its_low - high, low - its_high), 0.0)[:2]))
        if track.longest_m < config.furniture_m or gap_m > config.around_m:
            continue
        if its_low[2] <= low[2] + 0.05 and its_high[2] >= low[2] - config.below_m:
            beside.append((gap_m, abs(float(its_high[2] - low[2])), track.number, track))
    return min(beside, key=lambda each: each[:3])[3] if beside else None


# ------------------------------------------------------------------------------------------ stays in rooms


def visits_of(
    archive: KeyframeArchive,
    sessions: Collection[str],
    rooms: RoomIndex,
    config: InteractionConfig = InteractionConfig(),
) -> tuple[RoomVisit, ...]:
    """Return the stays in rooms of some sessions, oldest first."""
    indices = archive.indices(sessions=set(sessions))
    if not len(indices):
        return ()
    columns = archive.columns(indices)
    room_ids = rooms.ids_at(columns.positions_m[:, :2].astype(float))
    centers = {room.id: np.array(room.center_m[:2]) for room in rooms.room_map.rooms}
    visits: list[RoomVisit] = []
    rows_of: dict[str, list[int]] = {}
    for row, session in enumerate(columns.sessions):
        rows_of.setdefault(session, []).append(row)
    for session, rows in rows_of.items():
        for run in _runs([room_ids[row] for row in rows], columns.stamps_ns[rows], config):
            room_id, start, stop, entered_ns, left_ns = run
            inside = [rows[place] for place in range(start, stop) if room_ids[rows[place]] == room_id]
            offsets = columns.positions_m[inside][:, :2] - centers[room_id]
            nearest = inside[int(np.argmin(np.linalg.norm(offsets, axis=1)))]
            visits.append(
                RoomVisit(
                    room_id=room_id,
                    room=rooms.names[room_id],
                    session=session,
                    entered_ns=entered_ns,
                    left_ns=left_ns,
                    keyframe=int(columns.indices[nearest]),
                )
            )
    return tuple(visits)


def _runs(
    room_ids: Sequence[str | None], stamps_ns: np.ndarray, config: InteractionConfig
) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield room, first row, last row + 1, and the instants of entering and leaving."""
    filled = _filled(room_ids, stamps_ns, config)
    start = 0
    for row in range(1, len(filled) + 1):
        if row < len(filled) and filled[row] == filled[start]:
            continue
        room_id = filled[start]
        if room_id is not None:
            entered_ns = int(stamps_ns[0]) if start == 0 else _between(stamps_ns, start)
            left_ns = int(stamps_ns[-1]) if row == len(filled) else _between(stamps_ns, row)
            yield room_id, start, row, entered_ns, left_ns
        start = row


def _between(stamps_ns: np.ndarray, row: int) -> int:
    """Return when the robot was between the room of the row before and that of a row."""
    before_ns, after_ns = int(stamps_ns[row - 1]), int(stamps_ns[row])
    return before_ns if after_ns - before_ns > PAUSE_NS else (before_ns + after_ns) // 2


def _filled(room_ids: Sequence[str | None], stamps_ns: np.ndarray, config: InteractionConfig) -> list[str | None]:
    """Return the room of each row: where it is not known that of the row before, and short looks into others undone."""
    filled: list[str | None] = []
    for room_id in room_ids:
        filled.append(room_id if room_id is not None or not filled else filled[-1])
    start = 0
    for row in range(1, len(filled)):
        if filled[row] == filled[start]:
            continue
        back = next((r for r in range(row, len(filled)) if filled[r] != filled[row]), None)
        if back is not None and filled[back] == filled[start]:
            if int(stamps_ns[back]) - int(stamps_ns[row - 1]) < config.glimpse_ns:
                filled[row:back] = [filled[start]] * (back - row)
                continue
        start = row
    return filled
