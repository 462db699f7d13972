"""A person's word about an object: rename, delete, pin, annotate, tell of one. It stands above everything automatic.

An edit names the epoch under which its object was read, and is refused if the object has changed since: the person
decided on something else. What an edit leaves in a track (name, notes, pin, tombstone) is carried on by ``carry_edits``
when tracks are joined, and ``may_join`` says which may be joined at all. Words of a person are data, never a command.
"""

from __future__ import annotations

import logging
import math
import unicodedata
from collections.abc import Iterable

import numpy as np

from embodied.arrays import Points
from embodied.errors import StaleEdit
from embodied.messages import Box, Edit, Interval, Note, Point
from memory_bank.geometry.voxels import FINEST_M, VoxelCloud
from memory_bank.objects.appearance import Appearance
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track

logger = logging.getLogger(__name__)

MAX_LABEL = 80
MAX_NOTE = 2000
MAX_NOTES = 100
MAX_AUTHOR = 80
FARTHEST_M = 10_000.0
"""Nothing is told of beyond this distance from the origin of a map."""
LARGEST_M = 20.0
"""Nothing told of is longer."""
TOLD_EXISTENCE = 0.8
"""Confidence in what a person said and no camera has shown."""
CAUSE_TOLD = "told"


# ------------------------------------------------------------------------------------------ edits


def find_edited(edit: Edit, graphs: Iterable[SceneGraph]) -> tuple[SceneGraph, Track]:
    """Return the track that an edit means, and the graph that holds it.

    Raises:
        StaleEdit: It has changed since it was read, or turned out to be another one.
        ValueError: There is no such object.
    """
    for graph in graphs:
        track = graph.get(edit.object_id)
        if track is None or not track.is_shown:
            continue
        if track.id != edit.object_id:
            raise StaleEdit(f"{edit.object_id} has turned out to be {track.id}: {_told(track)}; read it again")
        if track.epoch != edit.epoch:
            raise StaleEdit(
                f"{track.id} was read at epoch {edit.epoch} and is at {track.epoch} now: {_told(track)}; read it again"
            )
        return graph, track
    raise ValueError(f"object_id: expected the id of an object that I know, got {edit.object_id!r}")


def apply_edit(track: Track, edit: Edit, stamp_ns: int) -> None:
    """Change a track as a person wants, and raise its epoch. ``add`` is ``told_track``.

    Args:
        track: As ``find_edited`` found it.
        edit: What to do.
        stamp_ns: The memory's present, for notes.

    Raises:
        ValueError: The edit is not complete, or too long; nothing was changed.
    """
    if edit.kind == "rename":
        track.name = clean_label(edit.text)
    elif edit.kind == "annotate":
        note = Note(text=_clean_note(edit.text), author=_clean_author(edit.author), stamp_ns=stamp_ns)
        if len(track.notes) >= MAX_NOTES:
            raise ValueError(f"text: expected at most {MAX_NOTES} notes to one object, {track.id} has them already")
        track.notes = [*track.notes, note]
    elif edit.kind == "delete":
        track.deleted, track.pinned = True, False
    elif edit.kind in ("pin", "unpin"):
        track.pinned = edit.kind == "pin"
    else:
        raise ValueError(f"kind: expected an edit of something known, got {edit.kind!r}")
    track.epoch += 1


def told_track(edit: Edit, track_id: str, world_frame: str, session: str, stamp_ns: int) -> Track:
    """Return the track of a thing that a person tells of.

    Args:
        edit: Of kind ``add``: label, position and size.
        track_id: A new id.
        world_frame: The frame of the position.
        session: The session in which it was told, or the last one.
        stamp_ns: The memory's present: the thing is there from now on.

    Raises:
        ValueError: There is no label, the position is missing or nowhere, or the size is none.
    """
    if edit.object_id:
        raise ValueError(f"object_id: expected none for a new object, got {edit.object_id!r}")
    box = _told_box(edit.position_m, edit.size_m)
    label = clean_label(edit.text)
    track = Track(
        id=track_id,
        label_weights={label: 1.0},
        voxels=cloud_of(box),
        box=box,
        appearance=Appearance(),
        first_seen_ns=stamp_ns,
        last_seen_ns=stamp_ns,
        first_session=session,
        last_session=session,
        confirmed=True,
        existence=TOLD_EXISTENCE,
        world_frame=world_frame,
        name=label,
        source="told",
        notes=[Note(text="told of it", author=_clean_author(edit.author), stamp_ns=stamp_ns)] if edit.author else [],
    )
    track.intervals = [
        Interval(
            object_id=track_id,
            state="present",
            position_m=box.center_m,
            box=box,
            room="",
            valid_from_ns=stamp_ns,
            valid_to_ns=None,
            known_from_ns=stamp_ns,
            known_to_ns=None,
            session=session,
            cause=CAUSE_TOLD,
        )
    ]
    return track


# ------------------------------------------------------------------------------------------ what outlives


def carry_edits(keep: Track, lose: Track) -> None:
    """Let what a person said of a track that is joined to another go on with it."""
    if keep.name and lose.name and keep.name != lose.name:
        logger.warning("%s (%r) and %s (%r) are one: called %r", keep.id, keep.name, lose.id, lose.name, keep.name)
    keep.name = keep.name or lose.name
    keep.pinned = keep.pinned or lose.pinned
    if lose.notes:
        notes = keep.notes + [note for note in lose.notes if note not in keep.notes]
        keep.notes = sorted(notes, key=lambda note: note.stamp_ns)[-MAX_NOTES:]


def may_join(keep: Track, lose: Track) -> bool:
    """Tell whether a person's word allows one track to go on in another.

    What is pinned is never taken away, and what was deleted neither: the tombstone would go with it. A deleted one
    takes in only glimpses of itself. What was told and not seen yet has no shape by which it could be compared.
    """
    if lose.pinned or lose.deleted or "told" in (keep.source, lose.source):
        return False
    return not keep.deleted or not (lose.confirmed or lose.name or lose.notes)


# ------------------------------------------------------------------------------------------ bounds


def clean_label(text: str) -> str:
    """Return a label with single spaces.

    Raises:
        ValueError: It is empty, too long, or has characters that cannot be shown.
    """
    label = " ".join(text.split())
    if not label:
        raise ValueError("text: expected a name, got none")
    return _bounded("text", label, MAX_LABEL)


def _clean_note(text: str) -> str:
    note = text.strip()
    if not note:
        raise ValueError("text: expected a note, got none")
    _bounded("text", note.replace("\n", " ").replace("\t", " "), MAX_NOTE)
    return note


def _clean_author(text: str) -> str:
    return _bounded("author", " ".join(text.split()), MAX_AUTHOR)


def _bounded(name: str, text: str, longest: int) -> str:
    if len(text) > longest:
        raise ValueError(f"{name}: expected at most {longest} characters, got {len(text)}")
    # Control characters, and those that turn the direction of a line: a terminal obeys what it is sent.
    odd = [character for character in text if unicodedata.category(character) in ("Cc", "Cf", "Cs")]
    if odd:
        raise ValueError(f"{name}: expected characters that can be shown, got {odd[0]!r}")
    return text


def _told_box(position_m: Point | None, size_m: Point) -> Box:
    if position_m is None:
        raise ValueError("position_m: expected where it stands, got nothing")
    if not all(math.isfinite(value) and abs(value) <= FARTHEST_M for value in position_m):
        raise ValueError(f"position_m: expected metres within {FARTHEST_M:g} of the origin, got {position_m}")
    if not all(math.isfinite(value) and 0.0 < value <= LARGEST_M for value in size_m):
        raise ValueError(f"size_m: expected lengths above 0 and up to {LARGEST_M:g} m, got {size_m}")
    x, y, z = (round(float(value), 4) for value in position_m)
    length, width, height = (max(round(float(value), 4), 1e-3) for value in size_m)
    return Box(center_m=(x, y, z), size_m=(length, width, height))


def cloud_of(box: Box) -> VoxelCloud:
    """Return the surface of a box as voxels, for a thing of which nothing else is known. Yaw is minded."""
    size = np.array(box.size_m)
    step_m = max(FINEST_M, float(size.max()) / 24.0)
    counts = np.maximum(np.ceil(size / step_m).astype(int), 1) + 1
    axes = [np.linspace(-0.5, 0.5, n) * length for n, length in zip(counts.tolist(), size.tolist())]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    on_side = (np.abs(np.abs(grid) - 0.5 * size) < 1e-9).any(axis=1)
    cosine, sine = math.cos(box.yaw_rad), math.sin(box.yaw_rad)
    R = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    points: Points = (grid[on_side] @ R.T + np.array(box.center_m)).astype(np.float32)
    cloud = VoxelCloud()
    cloud.insert(points, 1.0)
    return cloud


def _told(track: Track) -> str:
    """Return in words what a track is at present, and why it last changed."""
    x, y, z = track.position_m
    cause = track.intervals[-1].cause.replace("_", " ") if track.intervals else "seen"
    return f"it is called {track.label!r}, is {track.state} at ({x:.2f}, {y:.2f}, {z:.2f}) ({cause})"
