"""From tracks to what others are shown: records with rooms and relations. Pure.

Only confirmed tracks leave the memory. Rooms are those of the map as it is now, so a history is told in today's rooms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Callable

import msgspec
import numpy as np

from embodied.arrays import Points2
from embodied.messages import Box, Interval, ObjectRecord, Point, Relation, RelationKind, RoomRecord
from memory_bank.objects.relations import RelationConfig, find_connections, find_relations
from memory_bank.objects.track import Track
from memory_bank.space.floor_plan import CellLabels
from memory_bank.space.room_names import name_rooms
from memory_bank.space.rooms import Room, RoomMap

PROBE_M = 0.2
"""Things on a wall are looked for in the room from which they were seen, this far before the wall."""


@dataclass(frozen=True)
class RoomIndex:
    """Answers quickly in which room a point lies."""

    room_map: RoomMap
    nearest: CellLabels
    names: dict[str, str]
    """By room id."""

    @classmethod
    def of(cls, room_map: RoomMap) -> RoomIndex:
        """Index a map whose rooms have no names yet."""
        return cls(room_map, room_map.nearest(), {room.id: f"room {room.id[1:]}" for room in room_map.rooms})

    def room_at(self, position_m: Point, seen_from_m: Point | None = None) -> Room | None:
        """Return the room of a point; None if it lies in none.

        Args:
            position_m: The point.
            seen_from_m: Where it was seen from, to tell the sides of a wall.
        """
        xy_m = np.array([position_m[:2]], dtype=float)
        within = self.room_map.rooms_at(xy_m, nearest=self.room_map.cells)[0]
        if within is None and seen_from_m is not None:
            towards = np.array(seen_from_m[:2]) - xy_m[0]
            distance_m = float(np.linalg.norm(towards))
            if distance_m > PROBE_M:
                xy_m[0] += towards * PROBE_M / distance_m
        return within or self.room_map.rooms_at(xy_m, nearest=self.nearest)[0]

    def ids_at(self, xy_m: Points2) -> list[str | None]:
        """Return the ids of the rooms that some points of the floor lie in."""
        return [room.id if room else None for room in self.room_map.rooms_at(xy_m, nearest=self.room_map.cells)]

    def name_at(self, position_m: Point, seen_from_m: Point | None = None) -> str:
        """Return the name of the room of a point, empty if it lies in none."""
        room = self.room_at(position_m, seen_from_m)
        return self.names[room.id] if room else ""


def _seen_from(track: Track) -> Point | None:
    return track.views[0].camera_position_m if track.views else None


def named_rooms(room_map: RoomMap, tracks: Iterable[Track]) -> tuple[RoomIndex, tuple[RoomRecord, ...]]:
    """Name the rooms by the confirmed tracks that stand in them.

    Returns:
        The index with names, and the records of the rooms, largest first.
    """
    index = RoomIndex.of(room_map)
    contents: dict[str, list[tuple[str, float]]] = {room.id: [] for room in room_map.rooms}
    for track in tracks:
        room = index.room_at(track.position_m, _seen_from(track)) if track.is_there else None
        if room is not None:
            # What a person calls it says little of what it is.
            label, share = next(iter(track.label_shares.items()), ("", 0.0))
            contents[room.id].append((label, track.existence * share))
    n_doors = {room.id: len(room.connects) for room in room_map.rooms}
    index = replace(index, names=name_rooms(list(contents), contents, n_doors))
    records = tuple(
        RoomRecord(
            id=room.id,
            name=index.names[room.id],
            center_m=(*room.center_m, 0.0),
            area_m2=room.area_m2,
            outline_m=room.outline_m,
            n_objects=len(contents[room.id]),
            connects=room.connects,
        )
        for room in sorted(room_map.rooms, key=lambda room: (-room.area_m2, room.index))
    )
    return index, records


def object_records(
    tracks: Sequence[Track], index: RoomIndex, config: RelationConfig = RelationConfig()
) -> tuple[ObjectRecord, ...]:
    """Return the records of confirmed tracks, gone ones too, in their order.

    What is gone tells what it was on or in; nothing that stands is told to be on, in or near what is gone.
    """
    tracks = [track for track in tracks if track.is_shown]
    standing = [track for track in tracks if track.state != "gone"]
    relations = _relations(standing, index, config)
    everything = _relations(tracks, index, config) if len(standing) < len(tracks) else {}
    for track_id, found in everything.items():
        if track_id not in relations:
            relations[track_id] = tuple(relation for relation in found if relation.kind in ("on", "in"))
    return tuple(
        ObjectRecord(
            id=track.id,
            label=track.label,
            position_m=track.position_m,
            box=track.box,
            state=track.state,
            confidence=round(float(track.existence), 4),
            first_seen_ns=track.first_seen_ns,
            last_seen_ns=track.last_seen_ns,
            room=index.name_at(track.position_m, _seen_from(track)),
            colour=track.colour,
            labels={name: round(share, 4) for name, share in track.label_shares.items()},
            relations=relations[track.id],
            n_observations=track.n_observations,
            epoch=track.epoch,
            world_frame=track.world_frame,
            source=track.source,
            pinned=track.pinned,
            notes=tuple(track.notes),
        )
        for track in tracks
    )


def _relations(tracks: Sequence[Track], index: RoomIndex, config: RelationConfig) -> dict[str, tuple[Relation, ...]]:
    """Return the relations of each track to the others, and of doors to rooms, by id."""
    boxes: list[Box] = [track.box for track in tracks]
    labels = [track.label for track in tracks]
    found: dict[str, list[Relation]] = {track.id: [] for track in tracks}
    for r in find_relations(boxes, labels, config, [track.label_shares for track in tracks]):
        one, other = tracks[r.subject], tracks[r.object]
        found[one.id].append(_relation(r.kind, other.id, other.label, r.confidence, one, other))
    ways = {room.id: room.connects for room in index.room_map.rooms}
    for door in find_connections(boxes, labels, index.ids_at, ways, config):
        track = tracks[door.subject]
        for room_id in door.rooms:
            found[track.id].append(_relation("connects", room_id, index.names[room_id], door.confidence, track))
    return {track_id: tuple(relations) for track_id, relations in found.items()}


def _relation(kind: RelationKind, object_id: str, label: str, confidence: float, *ends: Track) -> Relation:
    """Return a relation with what it rests on: what a person told of one end, or the older of the last sightings."""
    told = any(track.source == "told" for track in ends)
    return Relation(
        kind=kind,
        object_id=object_id,
        label=label,
        confidence=confidence,
        source="told" if told else "seen",
        seen_ns=None if told else min(track.last_seen_ns for track in ends),
    )


def history_of(track: Track, room_of: Callable[[Point], str]) -> tuple[Interval, ...]:
    """Return the intervals of a track, oldest first, with their rooms."""
    return tuple(
        msgspec.structs.replace(interval, room=interval.room or room_of(interval.position_m))
        for interval in track.intervals
    )
