"""Copies of memories: the same, or no memory at all."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from embodied.errors import StoreError
from memory_bank.stores import copying
from memory_bank.stores.copying import check_memory, copy_memory, copy_store
from memory_bank.stores.opening import has_password
from memory_bank.stores.protocol import Batch
from memory_bank.stores.sqlite_store import SqliteStore
from memory_world import make_batch, make_keyframe
from store_contract import comparable, sealed_batch


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A memory with a block, a tail and a keyframe that was removed."""
    rng = np.random.default_rng(0)
    store = SqliteStore(tmp_path / "source.db")
    store.write(sealed_batch(rng))
    store.write(make_batch(2000, rng))
    store.write(Batch(removed_keyframes={9}, keyframe_blocks={0: b"block"}))
    store.close()
    return store.path


def read(path: Path) -> tuple[object, object]:
    store = SqliteStore(path, read_only=True)
    try:
        return comparable(store.load()), store.keyframes(store.keyframe_indices())
    finally:
        store.close()


def test_a_copy_is_the_same(source: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    copy_memory(str(source), str(tmp_path / "copy.db"), lines.append)
    assert read(tmp_path / "copy.db") == read(source)
    assert lines[-2:] == ["1027 of 1027 keyframes copied", "comparing"]
    check_memory(str(tmp_path / "copy.db"))


def test_a_memory_is_never_copied_over(source: Path, tmp_path: Path) -> None:
    held = SqliteStore(tmp_path / "held.db")
    held.write(Batch(keyframes=[make_keyframe(0, np.random.default_rng(0))]))
    held.close()
    before = read(held.path)
    for target in (held.path, source):
        with pytest.raises(StoreError, match="holds a memory already"):
            copy_memory(str(source), str(target))
    assert read(held.path) == before


def test_a_source_that_is_not_there_makes_no_target(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        copy_memory(str(tmp_path / "none.db"), str(tmp_path / "copy.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "has"),
    [
        ("runs/a:b@c/memory.db", False),
        ("postgresql://u@h/db?memory=a", False),
        ("postgresql://u:p@h/db", True),
        ("postgresql:///db?user=u&password=p", True),
    ],
)
def test_an_address_with_a_password_is_told(target: str, has: bool) -> None:
    assert has_password(target) == has


class Interrupted(Exception):
    """Somebody pressed a key."""


def test_a_copy_that_was_not_finished_is_no_memory(source: Path, tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        raise Interrupted

    target = tmp_path / "copy.db"
    with pytest.raises(Interrupted):
        copy_memory(str(source), str(target), interrupt)
    for attempt in (lambda: read(target), lambda: copy_memory(str(source), str(target))):
        with pytest.raises(StoreError, match="was not finished"):
            attempt()


def test_a_memory_that_changes_meanwhile_is_not_copied(source: Path, tmp_path: Path) -> None:
    writer, reader = SqliteStore(source), SqliteStore(source, read_only=True)
    target = SqliteStore(tmp_path / "copy.db")

    def go_on(line: str) -> None:
        writer.write(make_batch(3000, np.random.default_rng(1)))

    with pytest.raises(StoreError, match="was written to while it was copied"):
        copy_store(reader, target, go_on)
    for store in (writer, reader, target):
        store.close()
    with pytest.raises(StoreError, match="was not finished"):
        read(target.path)


def test_a_copy_that_differs_is_told(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(SqliteStore):
        def write(self, batch: Batch) -> None:
            for keyframe in batch.keyframes:
                if keyframe.index == 300:
                    batch.keyframes[:] = [msgspec.structs.replace(k, seq=k.seq + 1) for k in batch.keyframes]
            super().write(batch)

    opened = copying.open_store
    monkeypatch.setattr(
        copying,
        "open_store",
        lambda path, read_only=False: opened(path, read_only=True) if read_only else Careless(path),
    )
    with pytest.raises(StoreError, match="the copy differs in: keyframes from 257 on"):
        copy_memory(str(source), str(tmp_path / "copy.db"))


def test_damage_in_a_keyframe_is_found(source: Path) -> None:
    data = bytearray(source.read_bytes())
    store = SqliteStore(source, read_only=True)
    (keyframe,) = store.keyframes([500])
    store.close()
    data[data.find(keyframe.thumbnail_jpeg)] ^= 1
    source.write_bytes(data)
    with pytest.raises(StoreError, match="keyframes 500 does not match its checksum"):
        check_memory(str(source))
