"""Opens a memory file for a program that asks: ``embodied.Memory("runs/demo/memory.db")`` ends up here."""

from __future__ import annotations

from pathlib import Path

from embodied.errors import StoreError
from embodied.messages import MemoryRequest, MemoryResponse
from memory_bank.agent.agent_memory import AgentMemory
from memory_bank.bank import MemoryBank
from memory_bank.features.settings import LateImageEncoder, LateTextEncoder
from memory_bank.mapper import MapperConfig
from memory_bank.restoring import META_ADDRESS, features_of, occupancy_config_of, state_of
from memory_bank.service import MemoryService, ServiceConfig
from memory_bank.stores.opening import is_database, open_store

__all__ = ["FileMemory", "open_memory", "state_of"]


class FileMemory:
    """Answers requests from a memory file; also from one that is being written to.

    It is the file's writer only for as long as a request takes that changes the memory.
    """

    def __init__(self, path: Path | str, config: ServiceConfig = ServiceConfig()) -> None:
        """Open and check the file, or the memory in a database.

        Raises:
            StoreError: The file is missing, damaged, or of another version.
        """
        self._path, self._config = path, config
        self._store = open_store(path, read_only=True)
        try:
            self._read()
        except BaseException:
            self._store.close()
            raise

    def _read(self) -> None:
        version = self._store.version
        contents = self._store.load()
        self._occupancy = occupancy_config_of(contents)
        self._address = contents.meta.get(META_ADDRESS, b"").decode(errors="replace")
        state, names = state_of(contents, self._store.keyframes), features_of(contents)
        self._service = MemoryService(
            state,
            self._config,
            LateTextEncoder(names.text) if names.text else None,
            LateImageEncoder(names.image) if names.image else None,
        )
        self._service.readers.update(AgentMemory(None, contents.meta, lambda name, body: None).readers)
        self._version = version  # Not before: what cannot be read must not be answered from what was read earlier.

    def call(self, request: MemoryRequest) -> MemoryResponse:
        """Answer one request from what is on disk now; what it changes is on disk when this returns.

        Raises:
            StoreError: The file has been damaged meanwhile, or is to be changed and another process writes to it.
            ValueError: The question is beyond the grammar, or there is no such object.
        """
        if self._store.version != self._version:
            self._read()
        if type(request) in self._service.readers:
            return self._service.handle(request)
        return self._change(request)

    def _change(self, request: MemoryRequest) -> MemoryResponse:
        """Carry out a request that changes the memory."""
        try:
            store = open_store(self._path)
        except StoreError as error:
            where = f"ask it at {self._address}" if self._address else "ask it at its address"
            raise StoreError(f"{error}; {where} instead of the file, or try again when it has ended") from error
        try:
            return MemoryBank(MapperConfig(occupancy=self._occupancy), None, store, self._config).handle(request)
        finally:
            store.close()

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def open_memory(path: Path | str) -> FileMemory:
    """Open a memory file, or a memory in a database; the function behind the entry point ``file``.

    Raises:
        StoreError: The file is missing, damaged, or of another version.
    """
    return FileMemory(path if is_database(path) else Path(path))
