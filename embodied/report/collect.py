"""What a memory and the logs of a run have to say, gathered for a report through the public client."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence, Tuple

from embodied.client import Memory
from embodied.messages import ObjectRecord, Query
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
    sessions = memory.sessions()
    paths = {record.session: logs / f"{record.session}.mcap" for record in sessions}
    return ReportData(
        title=title,
        created=created,
        map=memory.map(),
        sessions=sessions,
        paths={session: read_path(path) for session, path in paths.items() if path.is_file()},
        objects=memory.objects(include_gone=True),
        rooms=memory.rooms(),
        changes=tuple(ChangeItem(change=change) for change in memory.changes()),
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
