"""What is told of one map frame, in the coordinates of another: a robot thinks in the frame that it was started in."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np

from embodied.arrays import Int, Points2
from embodied.messages import (
    Change,
    Evidence,
    Interval,
    MapReply,
    ObjectRecord,
    PlaceRecord,
    Query,
    RoomRecord,
    ViewHit,
)
from memory_bank.frames.poses import Pose, inverted, moved, moved_box, moved_point
from memory_bank.recall.matching import MemoryView
from memory_bank.space.occupancy import OCCUPIED, UNKNOWN


def moved_map(told: MapReply, pose: Pose, world_frame: str) -> MapReply:
    """Return a map of free space as it lies in the other frame, in cells of the same size.

    A cell is occupied if any of its quarters is, so that turning opens no gaps in thin walls.
    """
    told = _known_part(told)
    step, (rows, columns) = told.resolution_m, told.occupancy.shape
    if rows == 0 or columns == 0:
        return msgspec.structs.replace(told, world_frame=world_frame)
    x, y = np.array(told.origin_m)
    corners = moved(pose, np.array([(x, y), (x + columns * step, y), (x, y + rows * step),
                                    (x + columns * step, y + rows * step)]))  # fmt: skip
    low, high = np.floor(corners.min(axis=0) / step), np.ceil(corners.max(axis=0) / step)
    n_columns, n_rows = (high - low).astype(int).tolist()
    row, column = np.indices((n_rows, n_columns), dtype=np.float32).reshape(2, -1)
    back = inverted(pose)
    middles = (np.stack([column, row], axis=1) + (low + 0.5)) * step
    sources = (moved(back, middles) - np.array(told.origin_m)) / step
    at = _cells_at(sources, rows, columns)
    known = np.pad(told.occupancy, 1, constant_values=UNKNOWN).ravel()
    states, closest = known[at], np.pad(told.closest_view_m, 1, constant_values=np.inf).ravel()[at]
    quarters = moved(np.array([back[0], 0.0, 0.0, 0.0]), 0.25 * np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)]))
    for quarter in quarters:
        states[known[_cells_at(sources + quarter, rows, columns)] == OCCUPIED] = OCCUPIED
    return msgspec.structs.replace(
        told,
        origin_m=(float(low[0] * step), float(low[1] * step)),
        occupancy=states.reshape(n_rows, n_columns),
        closest_view_m=closest.reshape(n_rows, n_columns).astype(np.float32),
        world_frame=world_frame,
    )


def _cells_at(xy: Points2, rows: int, columns: int) -> Int[np.ndarray, " n"]:
    """Return flat indices into a grid with an edge of one cell around it; places outside are on the edge."""
    cells = np.floor(xy).astype(np.int32) + 1
    np.clip(cells, 0, (columns + 1, rows + 1), out=cells)
    at: Int[np.ndarray, " n"] = cells[:, 1] * (columns + 2) + cells[:, 0]
    return at


def _known_part(told: MapReply) -> MapReply:
    """Cut a map to what is known of it: maps are mostly unknown."""
    row, column = np.nonzero((told.occupancy != UNKNOWN) | np.isfinite(told.closest_view_m))
    if len(row) == 0:
        return told
    part = (slice(row.min(), row.max() + 1), slice(column.min(), column.max() + 1))
    x_m, y_m = told.origin_m
    origin_m = (x_m + float(column.min()) * told.resolution_m, y_m + float(row.min()) * told.resolution_m)
    return msgspec.structs.replace(
        told, origin_m=origin_m, occupancy=told.occupancy[part], closest_view_m=told.closest_view_m[part]
    )


def moved_object(record: ObjectRecord, pose: Pose, world_frame: str) -> ObjectRecord:
    """Return a record as told in the other frame."""
    return msgspec.structs.replace(
        record,
        position_m=moved_point(pose, record.position_m),
        box=moved_box(pose, record.box),
        world_frame=world_frame,
    )


def moved_room(room: RoomRecord, pose: Pose, world_frame: str) -> RoomRecord:
    """Return a room as told in the other frame."""
    outline = moved(pose, np.array(room.outline_m, dtype=float).reshape(-1, 2))
    return msgspec.structs.replace(
        room,
        center_m=moved_point(pose, room.center_m),
        outline_m=tuple((x, y) for x, y in np.round(outline, 4).tolist()),
        world_frame=world_frame,
    )


def moved_place(place: PlaceRecord, pose: Pose, world_frame: str) -> PlaceRecord:
    """Return a place as told in the other frame."""
    return msgspec.structs.replace(place, position_m=moved_point(pose, place.position_m), world_frame=world_frame)


def moved_change(change: Change, pose: Pose) -> Change:
    """Return a change as told in the other frame."""
    return msgspec.structs.replace(
        change,
        from_position_m=change.from_position_m and moved_point(pose, change.from_position_m),
        to_position_m=change.to_position_m and moved_point(pose, change.to_position_m),
    )


def moved_interval(interval: Interval, pose: Pose) -> Interval:
    """Return an interval as told in the other frame."""
    return msgspec.structs.replace(
        interval, position_m=moved_point(pose, interval.position_m), box=moved_box(pose, interval.box)
    )


def moved_view(view: MemoryView, pose: Pose, world_frame: str) -> MemoryView:
    """Return a whole view as it lies in the other frame: questions and answers are then in its coordinates."""

    def evidence(object_id: str, limit: int) -> tuple[Evidence, ...]:
        found = view.evidence(object_id, limit)
        return tuple(msgspec.structs.replace(e, position_m=moved_point(pose, e.position_m)) for e in found)

    def views(query: Query) -> tuple[ViewHit, ...]:
        assert view.views is not None, "checked below"
        back = inverted(pose)
        query = msgspec.structs.replace(
            query,
            near_m=query.near_m and moved_point(back, query.near_m),
            box=query.box and moved_box(back, query.box),
            world_frame="",
        )
        return tuple(msgspec.structs.replace(h, position_m=moved_point(pose, h.position_m)) for h in view.views(query))

    return replace(
        view,
        objects=tuple(moved_object(record, pose, world_frame) for record in view.objects),
        changes=tuple(moved_change(change, pose) for change in view.changes),
        rooms=tuple(moved_room(room, pose, world_frame) for room in view.rooms),
        history=lambda object_id: tuple(moved_interval(i, pose) for i in view.history(object_id)),
        evidence=evidence,
        agent_m=view.agent_m and moved_point(pose, view.agent_m),
        world_frame=world_frame,
        views=views if view.views is not None else None,
    )
