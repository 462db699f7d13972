"""What a memory and the logs of a run have to say, gathered for a report through the public client."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence, Tuple

from embodied.client import Memory
from embodied.geometry import planar_pose
from embodied.messages import ObjectRecord, Query, SessionRecord
from embodied.recording.path import read_path
from embodied.report.data import ChangeItem, PictureItem, ReportData

_SAME_PLACE_M = 0.05


def collect(memory: Memory, logs: Path, *, title: str, created: str) -> ReportData:
    """Gather map, sessions with their paths, objects, rooms and changes.

    Args:
        memory: The memory to ask.
        logs: Folder with ``<session>.mcap``; a session without a log has no path.
        title: Of the report.
        created: When it was made, as a person reads it.
    """
    sessions, occupancy = memory.sessions(), memory.map()
    shown = [record for record in sessions if not occupancy.world_frame or _frame(record) == occupancy.world_frame]
    return ReportData(
        title=title,
        created=created,
        warnings=tuple(_apart(record, occupancy.world_frame) for record in sessions if record not in shown),
        map=occupancy,
        sessions=sessions,
        paths={record.session: path for record in shown if (path := _path(record, logs))},
        objects=memory.objects(include_gone=True),
        rooms=memory.rooms(),
        changes=tuple(ChangeItem(change=change) for change in memory.changes()),
    )


def _frame(record: SessionRecord) -> str:
    return record.memory_frame or record.world_frame


def _path(record: SessionRecord, logs: Path) -> Tuple[Tuple[float, float], ...]:
    """Return the way of a session in the memory's frame; its log tells it in its own."""
    log = logs / f"{record.session}.mcap"
    path = read_path(log) if log.is_file() else ()
    if record.alignment is None:
        return path
    x_m, y_m, _ = record.alignment.position_m
    T_memory_session = planar_pose(x_m, y_m, record.alignment.yaw_rad)
    moved = (T_memory_session @ (x, y, 0.0, 1.0) for x, y in path)
    return tuple((float(x), float(y)) for x, y, *_ in moved)


def _apart(record: SessionRecord, shown: str) -> str:
    """Say that a session is not in the picture."""
    return (
        f"session {record.session} is kept apart: it was mapped in the frame {_frame(record)!r}, "
        f"whose place in {shown!r} is not known; what it saw is not shown here"
    )


def portraits(memory: Memory, objects: Sequence[ObjectRecord]) -> Tuple[PictureItem, ...]:
    """Return the memory's best picture of each object: without labels, pictures are what tells things apart."""
    pictures = []
    for thing in objects:
        query = Query(kind="where", near_m=thing.position_m, radius_m=_SAME_PLACE_M)
        shown = [e for e in memory.recall(query).evidence if e.object_id == thing.id and e.crop_jpeg]
        if shown:
            name = " ".join((thing.colour, thing.label or "thing")).strip()
            pictures.append(PictureItem(caption=f"{thing.id}: {name}", jpeg=shown[0].crop_jpeg))
    return tuple(pictures)
