"""Opens a memory file for a program that asks: ``embodied.Memory("runs/demo/memory.db")`` ends up here."""

from __future__ import annotations

from pathlib import Path

import msgspec

from embodied.errors import StoreError
from embodied.messages import MemoryRequest, MemoryResponse
from memory_bank.bank import META_HEALTH, META_NEXT_TRACK, META_OCCUPANCY
from memory_bank.occupancy import OccupancyConfig, OccupancyMap
from memory_bank.rooms import EMPTY_ROOMS
from memory_bank.rows import read_struct
from memory_bank.service import Health, MemoryService, MemoryState, ServiceConfig
from memory_bank.sqlite_store import SqliteStore
from memory_bank.store import Contents


def state_of(contents: Contents) -> MemoryState:
    """Return the state that questions are answered from.

    Raises:
        StoreError: What is stored does not fit together.
    """
    state = MemoryState(version=1, map_version=1)
    state.graph.restore(contents.tracks, int(contents.meta.get(META_NEXT_TRACK, b"0")))
    state.sessions = {session.session: session for session in contents.sessions}
    if META_HEALTH in contents.meta:
        state.health = read_struct(META_HEALTH, contents.meta[META_HEALTH], Health)
    state.keyframes = list(contents.keyframes)
    for world_frame, data in contents.maps.items():
        try:
            config = msgspec.json.decode(contents.meta.get(META_OCCUPANCY, b"{}"), type=OccupancyConfig)
        except msgspec.MsgspecError as error:
            raise StoreError(f"settings of the map: damaged ({error})") from error
        state.occupancy = OccupancyMap.from_bytes(data, config)
        state.rooms = contents.rooms.get(world_frame, EMPTY_ROOMS)
    return state


class FileMemory:
    """Answers requests from a memory file, without changing it; also from one that is being written to."""

    def __init__(self, path: Path, config: ServiceConfig = ServiceConfig()) -> None:
        """Open and check the file.

        Raises:
            StoreError: The file is missing, damaged, or of another version.
        """
        self._config = config
        self._store = SqliteStore(path, read_only=True)
        try:
            self._read()
        except BaseException:
            self._store.close()
            raise

    def _read(self) -> None:
        self._version = self._store.version
        self._service = MemoryService(state_of(self._store.load()), self._config)

    def call(self, request: MemoryRequest) -> MemoryResponse:
        """Answer one request from what is on disk now.

        Raises:
            StoreError: The file has been damaged meanwhile.
            ValueError: The question is beyond the grammar, or there is no such object.
        """
        if self._store.version != self._version:
            self._read()
        return self._service.handle(request)

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def open_memory(path: Path) -> FileMemory:
    """Open a memory file to ask it; the function behind the entry point ``file`` of ``embodied.memory``.

    Raises:
        StoreError: The file is missing, damaged, or of another version.
    """
    return FileMemory(Path(path))
