"""What a memory and the logs of a run have to say, gathered for a report through the public client."""

from __future__ import annotations

from pathlib import Path

from embodied.client import Memory
from embodied.recording.path import read_path
from embodied.report.data import ChangeItem, ReportData


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
