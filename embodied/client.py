"""What a program asks a robot's memory: the same calls for a file and for a running memory."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, List, Optional, Protocol, Tuple, Type, TypeVar, Union, runtime_checkable

from embodied.errors import ConfigurationError, ProtocolError, RemoteError, StoreError
from embodied.messages import (
    Answer,
    Change,
    ChangesReply,
    ErrorReply,
    GetHistory,
    GetMap,
    GetStatus,
    HistoryReply,
    Interval,
    ListChanges,
    ListObjects,
    ListRooms,
    ListSessions,
    MapReply,
    MemoryRequest,
    MemoryResponse,
    MemoryStatus,
    ObjectRecord,
    ObjectsReply,
    Query,
    Recall,
    RoomRecord,
    RoomsReply,
    SessionRecord,
    SessionsReply,
)
from embodied.security import Security
from embodied.transport import RpcClient

ENTRY_POINT_GROUP = "embodied.memory"
"""Installed packages that open memory files name themselves here: ``file = "package.module:function"``, where
``function(path)`` returns a ``MemoryBackend``."""

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
        target: A memory file, or the address of a running memory, ``ipc://PATH`` or ``tcp://HOST:PORT``.
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
        if "://" in self.target:
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

    def objects(self, *, include_gone: bool = False) -> Tuple[ObjectRecord, ...]:
        """Return all objects that the memory holds, by id; those known to be gone only if asked for."""
        return self._ask(ListObjects(include_gone=include_gone), ObjectsReply).objects

    def history(self, object_id: str) -> Tuple[Interval, ...]:
        """Return where an object was from when to when, oldest first.

        Raises:
            ValueError: There is no such object.
        """
        return self._ask(GetHistory(object_id=object_id), HistoryReply).intervals

    def rooms(self) -> Tuple[RoomRecord, ...]:
        """Return the rooms, largest first."""
        return self._ask(ListRooms(), RoomsReply).rooms

    def sessions(self) -> Tuple[SessionRecord, ...]:
        """Return the runs of the robot that went into the memory, oldest first."""
        return self._ask(ListSessions(), SessionsReply).sessions

    def changes(self, since_ns: Optional[int] = None) -> Tuple[Change, ...]:
        """Return what was moved, removed or added, latest first; only what was noticed after ``since_ns`` if given."""
        return self._ask(ListChanges(since_ns=since_ns), ChangesReply).changes

    def map(self, session: str = "", min_seq: int = -1) -> MapReply:
        """Return the occupancy map built from depth. A file does not keep ``closest_view_m``; it is infinite there.

        Args:
            session: Whose views to tell of; empty for the latest session.
            min_seq: Wait until this observation of the session has gone into the map.
        """
        return self._ask(GetMap(session=session, min_seq=min_seq), MapReply)

    def status(self) -> MemoryStatus:
        """Return how much the memory holds, how far it is on disk, and whether its perception works."""
        return self._ask(GetStatus(), MemoryStatus)

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


def installed_backends() -> List[Any]:
    """Return the entry points of packages that open memory files; usually one."""
    found: Any = metadata.entry_points()
    if hasattr(found, "select"):
        return list(found.select(group=ENTRY_POINT_GROUP))
    return list(found.get(ENTRY_POINT_GROUP, ()))  # a dictionary on Python 3.9


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
    entry_points = [entry_point for entry_point in installed_backends() if entry_point.name == "file"]
    if not entry_points:
        raise ConfigurationError(
            f"nothing installed here opens memory files such as {path}; install the distribution embodied-memory "
            f"(Python 3.10 or newer), or ask a running memory by its address"
        )
    try:
        open_memory = entry_points[0].load()
    except (ImportError, AttributeError, SyntaxError, TypeError) as error:
        # The memory bank needs a newer Python than this package; its own import is what may fail, in any of these ways.
        raise ConfigurationError(f"cannot load {entry_points[0].value}, which opens memory files: {error}") from error
    backend: MemoryBackend = open_memory(path)
    return backend


def _suggestion(path: Path) -> str:
    inside = path / "memory.db"
    return f"; did you mean {inside}?" if inside.is_file() else ""
