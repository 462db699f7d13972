"""Carries out what a person wants changed: edits and forgetting, as requests to whoever writes a memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from embodied.messages import Edit, EditReply, Forget, ForgetReply, MemoryResponse
from memory_bank.person.edits import apply_edit, find_edited, told_track
from memory_bank.person.forgetting import carry_out, plan
from memory_bank.service import MemoryService
from memory_bank.state import FrameState, MemoryState


@runtime_checkable
class Changeable(Protocol):
    """A memory that is being written: ``MemoryBank``."""

    state: MemoryState
    service: MemoryService

    def changed(self, frame: FrameState, *track_ids: str, of_map: bool = False) -> None:
        """Let tracks be stored anew, or taken out of the store if their graph has them no more."""
        ...

    def commit(self) -> None:
        """Put everything on disk."""
        ...

    def remove_keyframes(self, indices: list[int]) -> None:
        """Take keyframes out of memory and store, on disk before this returns and unreadable there."""
        ...


def person_writers(memory: Changeable) -> dict[type, Callable[[Any], MemoryResponse]]:
    """Return, by type of request, what carries it out. What they change is committed by the caller.

    Raises:
        StaleEdit: Of ``Edit``: the object has changed since it was read.
        ValueError: There is no such object, or the request is not complete.
    """
    return {Edit: lambda request: _edit(memory, request), Forget: lambda request: _forget(memory, request)}


def _edit(memory: Changeable, edit: Edit) -> EditReply:
    state = memory.state
    if edit.kind == "add":
        frame, track_id = _add(state, edit)
    else:
        graph, track = find_edited(edit, (frame.graph for frame in state.frames.values()))
        apply_edit(track, edit, state.health.now_ns)
        frame = next(frame for frame in state.frames.values() if frame.graph is graph)
        track_id = track.id
    memory.changed(frame, track_id)
    shown = {record.id: record for record in memory.service.view_of(frame).objects}
    return EditReply(object=shown.get(track_id))


def _add(state: MemoryState, edit: Edit) -> tuple[FrameState, str]:
    """Put a told object into its frame."""
    if not state.frames:
        raise ValueError("world_frame: expected a memory that has observed something, this one has no map yet")
    frame = state.frame_named(edit.world_frame or state.current)
    # Ids are counted over all frames.
    number = max(each.graph.next_number for each in state.frames.values())
    track = told_track(edit, f"o{number}", frame.name, state.health.session, state.health.now_ns)
    frame.graph.insert(track)
    for each in state.frames.values():
        each.graph.reserve(number + 1)
    return frame, track.id


def _forget(memory: Changeable, forget: Forget) -> ForgetReply:
    state = memory.state
    if not forget.only_count:
        memory.commit()  # so that nothing which is to be forgotten waits to be written
    found = plan(forget, state)
    if forget.only_count:
        return found.reply
    reply = found.reply
    for frame, track_id in carry_out(found):
        memory.changed(frame, track_id)
    for frame in state.frames.values() if found.keyframes else ():
        # Walls are found in keyframes: let them be found again, in those that are left.
        frame.merges += 1
        memory.changed(frame, of_map=True)
    # Even if there was nothing left to take out: an earlier time may have failed to wipe the disk.
    memory.remove_keyframes(found.keyframes)
    return reply
