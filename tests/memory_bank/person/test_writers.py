"""What a person wants changed, asked of a memory at work and of a file: kept by both, or gone for good."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

from box_world import CHAIR, MUG, PLANT, TABLE, Thing, World, tour
from embodied.client import Memory
from embodied.config import save_config
from embodied.errors import StaleEdit, StoreError
from embodied.messages import Box, Edit, EditReply, Forget, ForgetReply, ListObjects, ObjectRecord, ObjectsReply
from embodied.process import ProcessConfig
from memory_bank.bank import MemoryBank
from memory_bank.file_client import FileMemory
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.server import MemoryConfig
from memory_bank.stores.sqlite_store import SqliteStore

HOME = (TABLE, MUG, CHAIR, PLANT)
BAG = Thing("bag", PLANT.center_m, (0.5, 0.4, 0.8), (40, 60, 200))


class Home:
    """A bank over a file, and the world it watches."""

    def __init__(self, path: Path, world: World) -> None:
        self.path, self.world = path, world
        self.open()

    def open(self) -> None:
        self.store = SqliteStore(self.path)
        self.bank = MemoryBank(MapperConfig(), SimulatorPerception(), self.store)

    def restart(self) -> None:
        self.store.close()
        self.open()

    def session(self, name: str, *things: Thing, n_frames: int = 40) -> None:
        self.world.things = things
        self.bank.take(self.world.start(name))
        for seq, pose in enumerate(tour(n_frames)):
            self.bank.take(self.world.observe(name, seq, pose))
        self.bank.take(self.world.end(name, n_frames))
        self.bank.commit()

    def objects(self) -> dict[str, ObjectRecord]:
        """Return what is shown, by label, gone or not."""
        reply = self.bank.handle(ListObjects(include_gone=True))
        assert isinstance(reply, ObjectsReply)
        assert len({record.label for record in reply.objects}) == len(reply.objects)
        return {record.label: record for record in reply.objects}

    def edit(self, label: str, kind: Any, **fields: Any) -> ObjectRecord | None:
        record = self.objects()[label]
        reply = self.bank.handle(Edit(kind=kind, object_id=record.id, epoch=record.epoch, **fields))
        assert isinstance(reply, EditReply)
        return reply.object

    def forget(self, **conditions: Any) -> ForgetReply:
        reply = self.bank.handle(Forget(**conditions))
        assert isinstance(reply, ForgetReply)
        return reply


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a memory of one session."""
    home = Home(tmp_path_factory.mktemp("home") / "memory.db", World(HOME))
    home.session("day-1", *HOME, n_frames=60)
    home.store.close()
    return home.path


@pytest.fixture
def home(first_day: Path, tmp_path: Path) -> Iterator[Home]:
    shutil.copytree(first_day.parent, tmp_path, dirs_exist_ok=True)
    world = World(HOME, seed=1)
    world.start("a day later")
    home = Home(tmp_path / "memory.db", world)
    yield home
    home.store.close()


def test_an_edit_is_on_disk_when_it_is_answered(home: Home) -> None:
    told = home.edit("mug", "rename", text="Ann's mug")
    assert told is not None
    assert (told.label, told.labels) == ("Ann's mug", {"mug": 1.0})
    home.edit("Ann's mug", "annotate", text="a gift", author="ann")
    home.edit("Ann's mug", "pin")
    home.restart()
    kept = home.objects()["Ann's mug"]
    assert kept.pinned
    assert [(note.text, note.author) for note in kept.notes] == [("a gift", "ann")]
    assert kept.epoch == told.epoch + 2


def test_an_edit_of_what_was_edited_since_is_refused(home: Home) -> None:
    record = home.objects()["mug"]
    home.edit("mug", "annotate", text="mine")
    with pytest.raises(StaleEdit, match=f"read at epoch {record.epoch}"):
        home.bank.handle(Edit(kind="delete", object_id=record.id, epoch=record.epoch))
    assert "mug" in home.objects()


def test_a_renamed_object_that_moves_keeps_its_name_and_its_notes(home: Home) -> None:
    before = home.edit("mug", "rename", text="Ann's mug")
    home.edit("Ann's mug", "annotate", text="a gift")
    home.session("day-2", TABLE, MUG.at(-2.0, 1.0, 0.06), CHAIR, PLANT, n_frames=60)
    after = home.objects()["Ann's mug"]
    assert before is not None
    assert (after.id, after.state) == (before.id, "moved")
    assert [note.text for note in after.notes] == ["a gift"]
    assert sorted(home.objects()) == ["Ann's mug", "chair", "plant", "table"]


def test_what_was_deleted_is_not_shown_when_it_is_seen_again(home: Home) -> None:
    assert home.edit("plant", "delete") is None
    home.restart()
    home.session("day-2", *HOME)
    assert sorted(home.objects()) == ["chair", "mug", "table"]


def test_another_thing_where_something_was_deleted_is_shown(home: Home) -> None:
    home.edit("plant", "delete")
    home.session("day-2", TABLE, MUG, CHAIR, BAG)
    assert sorted(home.objects()) == ["bag", "chair", "mug", "table"]
    home.session("day-3", *HOME)
    assert "plant" not in home.objects()


def test_a_pinned_object_is_doubted_at_most(home: Home) -> None:
    home.edit("plant", "pin")
    home.session("day-2", TABLE, MUG, CHAIR, n_frames=60)
    plant = home.objects()["plant"]
    assert (plant.state, plant.pinned) == ("unknown", True)


def test_a_told_object_is_kept_and_becomes_a_seen_one(home: Home) -> None:
    reply = home.bank.handle(Edit(kind="add", text="vase", position_m=(-1.2, 2.2, 0.2)))
    assert isinstance(reply, EditReply)
    assert reply.object is not None
    assert (reply.object.source, reply.object.n_observations) == ("told", 0)
    home.restart()
    home.session("day-2", *HOME, Thing("vase", (-1.4, 2.0, 0.15), (0.2, 0.2, 0.3), (200, 30, 30)))
    vase = home.objects()["vase"]
    assert (vase.id, vase.source, vase.state) == (reply.object.id, "seen", "present")
    assert vase.position_m == pytest.approx((-1.4, 2.0, 0.15), abs=0.06)


def test_nothing_can_be_told_before_there_is_a_map(tmp_path: Path) -> None:
    home = Home(tmp_path / "memory.db", World(HOME))
    with pytest.raises(ValueError, match="no map yet"):
        home.bank.handle(Edit(kind="add", text="keys", position_m=(0.0, 0.0, 0.0)))
    home.store.close()


def test_a_file_is_edited_by_who_opens_it_unless_somebody_writes_to_it(home: Home) -> None:
    file = FileMemory(home.path)
    record = home.objects()["mug"]
    edit = Edit(kind="rename", object_id=record.id, epoch=record.epoch, text="Ann's mug")
    with pytest.raises(StoreError, match="another process is writing to it; ask it at its address"):
        file.call(edit)
    home.store.close()
    assert isinstance(file.call(edit), EditReply)
    file.close()
    with Memory(home.path) as memory:
        (found,) = [entry for entry in memory.objects() if entry.label == "Ann's mug"]
        memory.delete(memory.annotate(found, "chipped"))
        assert all(entry.label != "Ann's mug" for entry in memory.objects(include_gone=True))
        added = memory.add("keys", (1.0, 1.0, 0.8))
        assert memory.forget(object_id=added.id).n_objects == 1
    home.open()


# ------------------------------------------------------------------------------------------ forgetting


def bytes_on_disk(home: Home) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(home.path.parent.iterdir()) if path.is_file())


def pictures_of(home: Home) -> dict[tuple[str, int], bytes]:
    """Return all pictures of the memory, of objects and of keyframes."""
    found = {
        (track.id, number): view.crop_jpeg
        for track in home.bank.state.tracks()
        for number, view in enumerate(track.views)
    }
    return found | {("keyframe", keyframe.index): keyframe.thumbnail_jpeg for keyframe in home.bank.state.keyframes}


def test_what_is_forgotten_cannot_be_read_on_the_disk(home: Home) -> None:
    plant = home.edit("plant", "annotate", text="bought at Gantenbein's")
    assert plant is not None
    pictures, before = pictures_of(home), bytes_on_disk(home)
    counted = home.forget(object_id=plant.id, only_count=True)
    assert pictures_of(home) == pictures
    assert home.forget(object_id=plant.id) == counted
    assert counted.n_objects == 1
    left = pictures_of(home)
    assert len(pictures) - len(left) == counted.n_keyframes + counted.n_pictures
    kept = b"".join(left.values())
    gone = [picture for picture in pictures.values() if picture not in kept]
    pieces = {picture[i : i + 48] for picture in gone for i in range(0, len(picture) - 48, 16)}
    secrets = [b"Gantenbein", *(piece for piece in pieces if piece not in kept)]
    assert len(secrets) > 100
    assert all(secret in before for secret in secrets)
    assert not any(secret in bytes_on_disk(home) for secret in secrets)
    home.restart()
    assert sorted(home.objects()) == ["chair", "mug", "table"]
    assert not any(secret in bytes_on_disk(home) for secret in secrets)


def test_a_disk_that_could_not_be_wiped_is_wiped_when_asked_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    n_wiped = 0

    def purge() -> None:
        nonlocal n_wiped
        n_wiped += 1
        if n_wiped == 1:
            raise StoreError("somebody is reading")

    monkeypatch.setattr(home.store, "purge", purge)
    with pytest.raises(StoreError, match="somebody is reading"):
        home.forget(session="day-1")
    assert home.objects() == {}
    assert home.forget(session="day-1").n_objects == 0
    assert n_wiped == 2


def test_a_memory_goes_on_after_it_has_forgotten(home: Home) -> None:
    region = Box(center_m=CHAIR.center_m, size_m=(0.6, 0.6, 1.0))
    assert home.forget(region=region).n_objects == 1
    n_left = len(home.bank.state.keyframes)
    assert home.forget(region=region) == ForgetReply(n_objects=0, n_keyframes=0, n_pictures=0)
    home.session("day-2", *HOME)
    assert sorted(home.objects()) == ["chair", "mug", "plant", "table"]
    indices = [keyframe.index for keyframe in home.bank.state.keyframes]
    assert indices == sorted(set(indices))
    assert len(indices) > n_left
    home.restart()
    assert [keyframe.index for keyframe in home.bank.state.keyframes] == indices


def test_the_session_that_runs_can_be_forgotten_and_goes_on(home: Home) -> None:
    home.bank.take(home.world.start("day-2"))
    poses = list(tour(40))
    for seq, pose in enumerate(poses[:20]):
        home.bank.take(home.world.observe("day-2", seq, pose))
    home.forget(session="day-2")
    assert not any(keyframe.session == "day-2" for keyframe in home.bank.state.keyframes)
    for seq, pose in enumerate(poses[20:], start=20):
        home.bank.take(home.world.observe("day-2", seq, pose))
    home.bank.take(home.world.end("day-2", 40))
    home.bank.commit()
    assert sorted(home.objects()) == ["chair", "mug", "plant", "table"]


# ------------------------------------------------------------------------------------------ the process


def test_an_edit_over_rpc_outlives_the_memory_process(home: Home) -> None:
    home.store.close()
    address, settings = f"ipc://{home.path.parent}/memory", home.path.parent / "memory.json"
    config = MemoryConfig(process=ProcessConfig(name="memory"), memory=address, database=str(home.path))
    save_config(config, settings)
    child = subprocess.Popen(
        [sys.executable, "-m", "memory_bank.server", str(settings)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    )
    try:
        with Memory(address, timeout_s=20.0) as memory:
            entries = {entry.label: entry for entry in memory.objects()}
            named = memory.rename(entries["mug"], "Ann's mug")
            memory.annotate(named, "a gift", author="ann")
            memory.delete(entries["plant"])
            with pytest.raises(StaleEdit, match="read it again"):
                memory.pin(named)
            assert memory.forget(object_id=entries["chair"].id).n_objects == 1
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait(10.0)
    home.open()
    left = home.objects()
    assert sorted(left) == ["Ann's mug", "table"]
    assert [note.text for note in left["Ann's mug"].notes] == ["a gift"]
