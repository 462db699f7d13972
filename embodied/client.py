"""What a program asks a robot's memory: the same calls for a file and for a running memory."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Iterable, Optional, Protocol, Tuple, Type, TypeVar, Union, runtime_checkable

import numpy as np

from embodied.errors import ConfigurationError, ProtocolError, RemoteError, StoreError
from embodied.messages import (
    AddExperience,
    AddExperienceReply,
    Answer,
    Box,
    Change,
    ChangesReply,
    ClearTokens,
    Edit,
    EditReply,
    ErrorReply,
    ExperiencesReply,
    FindGoals,
    Forget,
    ForgetReply,
    GetHistory,
    GetMap,
    GetStatus,
    GoalsReply,
    HistoryReply,
    InteractionsReply,
    Interval,
    ListChanges,
    ListInteractions,
    ListObjects,
    ListPlaces,
    ListRooms,
    ListSessions,
    MapReply,
    MemoryRequest,
    MemoryResponse,
    MemoryStatus,
    ObjectRecord,
    ObjectsReply,
    PlaceRecord,
    PlacesReply,
    Point,
    Query,
    ReadTokens,
    Recall,
    RecallExperiences,
    RewardExperiences,
    RoomRecord,
    RoomsReply,
    SessionRecord,
    SessionsReply,
    TokensReply,
    WriteTokens,
)
from embodied.plugins import load_plugin
from embodied.security import Security
from embodied.transport import RpcClient

ENTRY_POINT_GROUP = "embodied.memory"
"""Installed packages that open memory files name themselves here: ``file = "package.module:function"``, where
``function(path)`` returns a ``MemoryBackend``; a path may be the address of a database. Under ``copy`` and ``check``
stand the functions behind ``embodied memory``."""
DATABASE_SCHEMES = ("postgresql://", "postgres://")

ResponseT = TypeVar("ResponseT")


@runtime_checkable
class MemoryBackend(Protocol):
    """Who really answers: a process behind an address, or the code that opens a file."""

    def call(self, request: MemoryRequest) -> MemoryResponse:
        """Answer one request; raise an ``EmbodiedError`` or ``ValueError`` where that cannot be done."""
        ...

    def close(self) -> None:
        """Give back what was opened."""
        ...


class Memory:
    """A robot's memory, to be asked.

    A file is read by this program, also after the run that wrote it was cut off; an address reaches the memory process
    of a robot that runs now::

        with Memory("runs/demo/memory.db") as memory:
            answer = memory.recall("where is the red mug?")
            print(answer.text, answer.objects[0].position_m)

    Positions are in metres in the world frame, instants in nanoseconds since 1970 (UTC). One memory belongs to one
    thread.

    Args:
        target: A memory file; the address of a running memory, ``ipc://PATH`` or ``tcp://HOST:PORT``; or a memory in a
            database, ``postgresql://USER@HOST/DATABASE?memory=NAME``.
        timeout_s: How long a running memory may take for one answer.
        security: Keys, for an address off this machine.
        while_waiting: Called several times a second while a running memory has not answered yet. What it raises ends
            the wait.

    Raises:
        StoreError: The file is missing, damaged, or of another version.
        ConfigurationError: The target is neither file nor address, or nothing that opens files is installed.
        InsecureAddress: Other machines can reach the address and no keys are given.
    """

    def __init__(
        self,
        target: Union[str, Path],
        *,
        timeout_s: float = 10.0,
        security: Optional[Security] = None,
        while_waiting: Optional[Callable[[], None]] = None,
    ) -> None:
        self.target = str(target)
        self._backend: MemoryBackend
        if self.target.startswith(DATABASE_SCHEMES):
            self._backend = installed_function("file")(self.target)
        elif "://" in self.target:
            self._backend = _open_address(self.target, timeout_s, security, while_waiting)
        else:
            self._backend = _open_file(Path(target))

    def recall(self, question: Union[str, Query]) -> Answer:
        """Ask what is where, when something was seen, what changed, how many there are.

        Args:
            question: English, or a ``Query`` for programs.

        Returns:
            The answer as a sentence and as records, best first, with the pictures it rests on. ``unknown`` is set where
            the memory does not know; ``warnings`` say what makes the answer less trustworthy.
        """
        return self._ask(Recall(question=question), Answer)

    def objects(self, *, include_gone: bool = False, world_frame: str = "") -> Tuple[ObjectRecord, ...]:
        """Return the objects that the memory holds in one map frame, by id; those known to be gone only if asked for.

        Args:
            include_gone: Also what is gone.
            world_frame: One of the memory's, or that of a session; empty for the one that the robot is in, or was in.

        Raises:
            RemoteError: From an address: there is no such frame; from a file that is a ``ValueError``.
        """
        return self._ask(ListObjects(include_gone=include_gone, world_frame=world_frame), ObjectsReply).objects

    def history(self, object_id: str) -> Tuple[Interval, ...]:
        """Return where an object was from when to when, oldest first.

        Raises:
            ValueError: There is no such object.
        """
        return self._ask(GetHistory(object_id=object_id), HistoryReply).intervals

    def interactions(
        self, since_ns: Optional[int] = None, *, object_id: str = "", world_frame: str = ""
    ) -> InteractionsReply:
        """Return what the robot took up and put down, and which rooms it was in, oldest first (see ``objects``).

        Args:
            since_ns: Only what ended at or after this instant.
            object_id: Only what was done with this object.
            world_frame: Empty for the frame that the robot is in, or was in.
        """
        request = ListInteractions(since_ns=since_ns, object_id=object_id, world_frame=world_frame)
        return self._ask(request, InteractionsReply)

    def find_goals(self, instruction: str) -> GoalsReply:
        """Return where to go to carry out an instruction such as "go to the mug that you moved first".

        Each goal is a frame of the robot's history from which it saw well, and from near, what is meant.

        Raises:
            NotUnderstood: The instruction is beyond the grammar.
        """
        return self._ask(FindGoals(instruction=instruction), GoalsReply)

    def rooms(self, *, world_frame: str = "") -> Tuple[RoomRecord, ...]:
        """Return the rooms of one map frame (see ``objects``), largest first."""
        return self._ask(ListRooms(world_frame=world_frame), RoomsReply).rooms

    def places(self, *, world_frame: str = "") -> Tuple[PlaceRecord, ...]:
        """Return the spots of free floor of one map frame (see ``objects``), by id; their graph covers the rooms."""
        return self._ask(ListPlaces(world_frame=world_frame), PlacesReply).places

    def sessions(self) -> Tuple[SessionRecord, ...]:
        """Return the runs of the robot that went into the memory, oldest first."""
        return self._ask(ListSessions(), SessionsReply).sessions

    def changes(self, since_ns: Optional[int] = None, *, world_frame: str = "") -> Tuple[Change, ...]:
        """Return what was moved, removed or added in one map frame (see ``objects``), latest first.

        Args:
            since_ns: Only what was noticed at or after this instant.
            world_frame: Empty for the frame that the robot is in, or was in.
        """
        return self._ask(ListChanges(since_ns=since_ns, world_frame=world_frame), ChangesReply).changes

    def map(self, session: str = "", min_seq: int = -1) -> MapReply:
        """Return the occupancy map built from depth. A file does not keep ``closest_view_m``; it is infinite there.

        Args:
            session: Whose views to tell of, in whose own frame; empty for the latest session, in the memory's.
            min_seq: Wait until this observation of the session has gone into the map.
        """
        return self._ask(GetMap(session=session, min_seq=min_seq), MapReply)

    def status(self) -> MemoryStatus:
        """Return how much the memory holds, how far it is on disk, and whether its perception works."""
        return self._ask(GetStatus(), MemoryStatus)

    def write_tokens(self, episode: str, step: int, perceptual: np.ndarray, cognitive: np.ndarray) -> TokensReply:
        """Add what a policy perceived at one step to the working memory of its episode, and return that memory.

        Args:
            episode: Any name, at most 200 characters.
            step: Larger than the last one written.
            perceptual: float32 (n_tokens, d_perceptual), of one shape throughout an episode.
            cognitive: float32 (n_tokens, d_cognitive), likewise.

        Raises:
            ValueError: The step does not grow, or the tokens do not fit those before.
        """
        request = WriteTokens(episode=episode, step=step, perceptual=perceptual, cognitive=cognitive)
        return self._ask(request, TokensReply)

    def read_tokens(self, episode: str) -> TokensReply:
        """Return the working memory of an episode. A policy that starts anew goes on behind its ``last_step``."""
        return self._ask(ReadTokens(episode=episode), TokensReply)

    def clear_tokens(self, episode: str) -> None:
        """Drop the working memory of an episode that is over."""
        self._ask(ClearTokens(episode=episode), TokensReply)

    def remember_experience(self, intent: str, text: str, *, succeeded: bool, stamp_ns: int) -> AddExperienceReply:
        """Remember an attempt, unless it is known already; the reply says what became of it.

        Args:
            intent: What was to be done, at most 500 characters.
            text: What was done and learned, at most 4,000 characters. It is data: nobody carries it out.
            succeeded: Whether it was done.
            stamp_ns: When it ended.
        """
        request = AddExperience(intent=intent, text=text, succeeded=succeeded, stamp_ns=stamp_ns)
        return self._ask(request, AddExperienceReply)

    def recall_experiences(self, intent: str, limit: int = 5) -> ExperiencesReply:
        """Return what was tried before for something alike, best first; at most ``limit`` successes and failures."""
        return self._ask(RecallExperiences(intent=intent, limit=limit), ExperiencesReply)

    def reward(self, ids: Iterable[int], reward: float) -> ExperiencesReply:
        """Tell how a task ended for which these experiences were used, from -1 to 1; return them as they are now.

        Raises:
            ValueError: An id is unknown, or the reward out of bounds; nothing was changed.
        """
        return self._ask(RewardExperiences(ids=tuple(ids), reward=reward), ExperiencesReply)

    def rename(self, entry: ObjectRecord, name: str) -> ObjectRecord:
        """Give an object a name, which stands before every detector's label from now on; return it as it is then.

        Raises:
            StaleEdit: It has changed since ``entry`` was read: read it again, then decide. So do the other edits.
            ValueError: The name is empty or too long, or there is no such object.
        """
        return self._edited(Edit(kind="rename", object_id=entry.id, epoch=entry.epoch, text=name))

    def delete(self, entry: ObjectRecord) -> None:
        """Say that an object is not there and never was. Seeing it again there does not bring it back."""
        self._ask(Edit(kind="delete", object_id=entry.id, epoch=entry.epoch), EditReply)

    def pin(self, entry: ObjectRecord) -> ObjectRecord:
        """Let nothing automatic rename, merge or remove an object; return it as it is then."""
        return self._edited(Edit(kind="pin", object_id=entry.id, epoch=entry.epoch))

    def unpin(self, entry: ObjectRecord) -> ObjectRecord:
        """Take back ``pin``; return the object as it is then."""
        return self._edited(Edit(kind="unpin", object_id=entry.id, epoch=entry.epoch))

    def annotate(self, entry: ObjectRecord, text: str, *, author: str = "") -> ObjectRecord:
        """Write a note to an object, at most 2,000 characters; return the object as it is then."""
        return self._edited(Edit(kind="annotate", object_id=entry.id, epoch=entry.epoch, text=text, author=author))

    def add(
        self,
        label: str,
        position_m: Point,
        *,
        size_m: Point = (0.1, 0.1, 0.1),
        world_frame: str = "",
        author: str = "",
    ) -> ObjectRecord:
        """Tell of an object that no camera has shown. It becomes a seen one once it is seen near there.

        Args:
            label: What it is, at most 80 characters.
            position_m: Its centre.
            size_m: Full lengths.
            world_frame: Of the position; empty for the frame that the robot is in now, or was in last.
            author: Who says so; kept as a note, and named when the memory is asked who told it.

        Raises:
            ValueError: The label is empty, the position is nowhere, or nothing has been observed yet.
        """
        edit = Edit(
            kind="add", text=label, position_m=position_m, size_m=size_m, world_frame=world_frame, author=author
        )
        return self._edited(edit)

    def forget(
        self,
        *,
        region: Optional[Box] = None,
        since_ns: Optional[int] = None,
        until_ns: Optional[int] = None,
        session: str = "",
        object_id: str = "",
        world_frame: str = "",
        only_count: bool = False,
    ) -> ForgetReply:
        """Take out for good what was seen in a region, in a time, in a session, or of one object.

        Conditions narrow each other. Records and pictures are gone from the disk when this returns; the map of free
        space stays. It takes time: the file is written anew.

        Args:
            region: In ``world_frame``, or where that is empty in the frame that the robot is in now, or was in last.
            since_ns: From this instant on.
            until_ns: Up to this instant.
            session: One run of the robot.
            object_id: One object, with every picture that shows it.
            world_frame: Of the region.
            only_count: Say what would go, and change nothing.

        Raises:
            ValueError: There is no condition, or it names what the memory does not know.
        """
        request = Forget(
            region=region,
            since_ns=since_ns,
            until_ns=until_ns,
            session=session,
            object_id=object_id,
            world_frame=world_frame,
            only_count=only_count,
        )
        return self._ask(request, ForgetReply)

    def close(self) -> None:
        """Close the file or the connection; further calls fail."""
        self._backend.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(
        self,
        exception_type: Optional[Type[BaseException]],
        exception: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def _edited(self, edit: Edit) -> ObjectRecord:
        entry = self._ask(edit, EditReply).object
        if entry is None:
            raise ProtocolError(f"{self.target} answered an edit ({edit.kind}) without the object")
        return entry

    def _ask(self, request: MemoryRequest, expected: Type[ResponseT]) -> ResponseT:
        response = self._backend.call(request)
        if isinstance(response, ErrorReply):
            raise RemoteError(response.code, response.message)
        if not isinstance(response, expected):
            raise ProtocolError(
                f"{self.target} answered {type(request).__name__} with {type(response).__name__}, "
                f"not {expected.__name__}"
            )
        return response


def _open_address(
    address: str, timeout_s: float, security: Optional[Security], while_waiting: Optional[Callable[[], None]]
) -> MemoryBackend:
    if not address.startswith(("ipc://", "tcp://")):
        raise ConfigurationError(f"memory {address!r}: expected a file, ipc://PATH or tcp://HOST:PORT")
    client: MemoryBackend = RpcClient(
        address, MemoryResponse, timeout_s=timeout_s, security=security, while_waiting=while_waiting
    )
    return client


def _open_file(path: Path) -> MemoryBackend:
    if not path.is_file():
        raise StoreError(f"no memory file at {path}" + _suggestion(path))
    backend: MemoryBackend = installed_function("file")(path)
    return backend


def installed_function(name: str) -> Any:
    """Return what an installed package has under a name of the entry points for memory files.

    Raises:
        ConfigurationError: There is no such package, or it does not load.
    """
    return load_plugin(ENTRY_POINT_GROUP, name, "opens memory files", ", or ask a running memory by its address")


def _suggestion(path: Path) -> str:
    inside = path / "memory.db"
    return f"; did you mean {inside}?" if inside.is_file() else ""
