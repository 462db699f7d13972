"""A change that could not be written: its asker hears of it, and it does not come about later, unnoticed."""

from __future__ import annotations

import errno
import sqlite3
import threading
from pathlib import Path
from typing import Any, Callable, Iterator

import numpy as np
import pytest

from box_world import CHAIR, MUG, PLANT, TABLE, World, tour
from embodied.errors import StoreError
from embodied.messages import (
    AddExperience,
    Box,
    Edit,
    Forget,
    ListObjects,
    ListRooms,
    MemoryRequest,
    MemoryResponse,
    ObjectsReply,
    ReadTokens,
    TokensReply,
    WriteTokens,
)
from embodied.process import ProcessConfig, ProcessLink
from embodied.transport import RpcClient
from memory_bank.bank import MemoryBank
from memory_bank.file_client import open_memory
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.server import MemoryConfig, main
from memory_bank.stores.protocol import Batch
from memory_bank.stores.sqlite_store import SqliteStore


class FullStore(SqliteStore):
    """A file on a disk that may be full."""

    is_full = False

    def write(self, batch: Batch) -> None:
        if self.is_full:
            raise StoreError("the disk is full")
        super().write(batch)


class Home:
    """A bank over a file, and the world it watches."""

    def __init__(self, path: Path) -> None:
        self.path, self.world = path, World((TABLE, MUG, CHAIR, PLANT))
        self.store = FullStore(path)
        self.bank = MemoryBank(MapperConfig(), SimulatorPerception(), self.store)
        self.bank.take(self.world.start("day-1"))
        for seq, pose in enumerate(tour(30)):
            self.bank.take(self.world.observe("day-1", seq, pose))
        self.bank.commit()

    def reopened(self) -> MemoryBank:
        self.store.close()
        self.store = FullStore(self.path)
        return MemoryBank(MapperConfig(), None, self.store)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "memory.db")
    yield home
    home.store.close()


def objects(bank: MemoryBank) -> dict[str, Any]:
    reply = bank.handle(ListObjects(include_gone=True))
    assert isinstance(reply, ObjectsReply)
    return {record.label: record for record in reply.objects}


def delete_mug(bank: MemoryBank) -> MemoryRequest:
    mug = objects(bank)["mug"]
    return Edit(kind="delete", object_id=mug.id, epoch=mug.epoch)


def forget_mug(bank: MemoryBank) -> MemoryRequest:
    return Forget(region=Box(center_m=MUG.center_m, size_m=(0.3, 0.3, 0.3)))


def write_tokens(bank: MemoryBank) -> MemoryRequest:
    tokens = np.ones((2, 4), dtype=np.float32)
    return WriteTokens(episode="e", step=0, perceptual=tokens, cognitive=tokens)


@pytest.mark.parametrize("change", [delete_mug, forget_mug, write_tokens])
@pytest.mark.parametrize("n_waiting", [0, 1])
def test_what_could_not_be_written_never_comes_about(
    home: Home, change: Callable[[MemoryBank], MemoryRequest], n_waiting: int
) -> None:
    request, before = change(home.bank), objects(home.bank)
    for seq in range(30, 30 + n_waiting):
        home.bank.take(home.world.observe("day-1", seq, (0.0, 0.0, 0.0)))
    home.store.is_full = True
    with pytest.raises(StoreError, match="the disk is full"):
        home.bank.handle(request)
    home.store.is_full = False
    for attempt in (lambda: home.bank.handle(ListRooms()), home.bank.commit):
        with pytest.raises(StoreError, match="has to be opened again: the disk is full"):
            attempt()
    with pytest.raises(StoreError, match="has to be opened again"):
        home.bank.take(home.world.observe("day-1", 31, (0.0, 0.0, 0.0)))
    bank = home.reopened()
    assert objects(bank) == before
    tokens = bank.handle(ReadTokens(episode="e"))
    assert isinstance(tokens, TokensReply)
    assert tokens.last_step == -1


def test_a_change_that_fails_half_way_never_comes_about(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    request, before = delete_mug(home.bank), objects(home.bank)

    def damaged(frame: object) -> None:
        raise StoreError("keyframe 3 is damaged")

    monkeypatch.setattr(home.bank.service, "view_of", damaged)
    with pytest.raises(StoreError, match="keyframe 3"):
        home.bank.handle(request)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="opened again"):
        home.bank.commit()
    assert objects(home.reopened()) == before


def test_what_is_refused_stops_nothing(home: Home) -> None:
    home.bank.take(home.world.observe("day-1", 30, (0.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="object_id"):
        home.bank.handle(Edit(kind="pin", object_id="o99"))
    home.bank.handle(delete_mug(home.bank))
    assert "mug" not in objects(home.reopened())


def test_a_disk_that_could_not_be_wiped_is_wiped_when_asked_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy() -> None:
        raise StoreError("somebody is reading; try again")

    monkeypatch.setattr(home.store, "purge", busy)
    with pytest.raises(StoreError, match="try again"):
        home.bank.handle(forget_mug(home.bank))
    monkeypatch.undo()
    home.bank.handle(forget_mug(home.bank))
    assert "mug" not in objects(home.bank)


def test_a_reader_of_a_file_that_was_damaged_does_not_answer_from_before(home: Home) -> None:
    reader = open_memory(home.path)
    reader.call(ListObjects())
    home.bank.handle(delete_mug(home.bank))
    with sqlite3.connect(home.path) as damage:
        damage.execute("UPDATE tracks SET body = zeroblob(8)")
    damage.close()
    for _ in range(2):
        with pytest.raises(StoreError, match="damaged"):
            reader.call(ListObjects())
    reader.close()


def test_a_memory_process_that_cannot_write_ends_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = MemoryConfig(
        process=ProcessConfig(name="memory"), memory=f"ipc://{tmp_path}/memory", database=str(tmp_path / "memory.db")
    )
    ended: list[str] = []

    def run() -> None:
        try:
            main(config, ProcessLink(config.process))
        except StoreError as error:
            ended.append(str(error))

    monkeypatch.setattr("memory_bank.server.open_store", FullStore)
    thread = threading.Thread(target=run)
    thread.start()
    client = RpcClient(config.memory, MemoryResponse, timeout_s=10.0)
    tried = AddExperience(intent="open the door", text="pull", succeeded=True, stamp_ns=1)
    client.call(tried)
    monkeypatch.setattr(FullStore, "is_full", True)
    with pytest.raises(StoreError, match="the disk is full"):
        client.call(tried)
    monkeypatch.setattr(FullStore, "is_full", False)
    thread.join(10.0)
    client.close()
    assert ended == ["this memory could not write and has to be opened again: the disk is full"]


def test_a_disk_too_full_to_note_a_commit_is_told_like_any_other(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    request = delete_mug(home.bank)
    monkeypatch.setattr("memory_bank.stores.lock.os.pwrite", full)
    with pytest.raises(StoreError, match="No space left"):
        home.bank.handle(request)
    monkeypatch.undo()
    with pytest.raises(StoreError, match="opened again"):
        home.bank.handle(request)
    home.reopened()
