"""Sessions in map frames of their own: kept apart, or brought over into the frame of an earlier one."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import msgspec
import numpy as np
import pytest

from box_world import BLUE, CHAIR, GREEN, MUG, PLANT, RED, TABLE, WOODEN, Thing, World, tour
from embodied.geometry import planar_pose
from embodied.messages import (
    Answer,
    ChangesReply,
    GetHistory,
    GetMap,
    HistoryReply,
    ListChanges,
    ListObjects,
    ListPlaces,
    ListRooms,
    ListSessions,
    MapReply,
    MemoryRequest,
    MemoryResponse,
    ObjectRecord,
    ObjectsReply,
    PlacesReply,
    Query,
    Recall,
    RoomsReply,
)
from memory_bank.bank import MemoryBank
from memory_bank.file_client import open_memory
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.stores.sqlite_store import SqliteStore

HOUSE = (
    TABLE, MUG, CHAIR, PLANT,
    Thing("couch", (-2.9, 1.0, 0.4), (0.8, 1.8, 0.8), GREEN),
    Thing("lamp", (3.3, 2.9, 0.8), (0.3, 0.3, 1.6), RED),
    Thing("shelf", (-0.8, 3.5, 0.9), (1.2, 0.4, 1.8), WOODEN),
    Thing("box", (2.9, -2.4, 0.25), (0.5, 0.5, 0.5), BLUE),
    Thing("bed", (0.2, -2.9, 0.3), (1.9, 1.2, 0.6), RED),
    Thing("bin", (-3.2, -2.9, 0.3), (0.35, 0.35, 0.6), BLUE),
    Thing("cabinet", (-2.6, 3.2, 0.6), (0.7, 0.5, 1.2), WOODEN),
    Thing("stool", (1.4, 3.1, 0.3), (0.35, 0.35, 0.6), GREEN),
)  # fmt: skip
OTHER_HOUSE = tuple(
    thing.at(*place)
    for thing, place in zip(
        HOUSE,
        ((-1.9, 1.4), (-1.8, 1.3), (2.2, 2.6), (3.0, 0.2), (1.0, -2.8), (-3.4, -1.0), (0.9, 3.4), (-1.6, -2.6),
         (3.0, -2.4), (-1.2, 3.2), (-3.3, 0.4), (2.0, -0.9)),
    )
)  # fmt: skip
T_NEW_MAP = planar_pose(4.0, -1.5, 2.2)
"""Where the house lies in the frame of a session that was started elsewhere."""


class Home:
    """A bank over a file, and a world to feed it from, in frames of any name."""

    def __init__(self, path: Path, things: tuple[Thing, ...] = HOUSE) -> None:
        self.path = path
        self.world = World(things)
        self.open()

    def open(self) -> None:
        self.store = SqliteStore(self.path)
        self.bank = MemoryBank(MapperConfig(), SimulatorPerception(), self.store)

    def reopen(self) -> None:
        self.store.close()
        self.open()

    def session(
        self, name: str, frame: str = "map", T: np.ndarray | None = None, n_frames: int = 26, *, end: bool = True
    ) -> None:
        self.bank.take(msgspec.structs.replace(self.world.start(name), world_frame=frame))
        for seq, pose in enumerate(tour(n_frames)):
            seen = self.world.observe(name, seq, pose)
            if T is not None:
                seen = msgspec.structs.replace(seen, T_world_base=T @ seen.T_world_base)
            self.bank.take(seen)
        if end:
            self.bank.take(self.world.end(name, n_frames))
        self.bank.commit()

    def ask(self, request: MemoryRequest) -> MemoryResponse:
        return self.bank.handle(request)

    def objects(self, frame: str = "", *, include_gone: bool = False) -> dict[str, ObjectRecord]:
        reply = self.ask(ListObjects(world_frame=frame, include_gone=include_gone))
        assert isinstance(reply, ObjectsReply)
        return {record.label: record for record in reply.objects}

    def recall(self, question: str | Query) -> Answer:
        found = self.ask(Recall(question=question))
        assert isinstance(found, Answer)
        return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "memory.db")
    yield home
    home.store.close()


def in_new_map(position_m: tuple[float, float, float]) -> list[float]:
    found: list[float] = (T_NEW_MAP @ np.array([*position_m, 1.0]))[:3].tolist()
    return found


def test_a_session_in_a_new_frame_finds_its_place_in_the_known_house(home: Home) -> None:
    home.session("day-1")
    before = home.objects()
    home.world.things = tuple(thing for thing in HOUSE if thing.label != "stool")
    home.session("day-2", "elsewhere", T_NEW_MAP, 40)
    record = home.bank.state.sessions["day-2"]
    assert (record.world_frame, record.memory_frame) == ("elsewhere", "map")
    assert record.alignment is not None
    assert record.alignment.n_matched >= 8
    assert list(home.bank.state.frames) == ["map"]
    after = home.objects()
    assert {label: record.id for label, record in after.items()} == {
        label: record.id for label, record in before.items() if label != "stool"
    }
    for thing in home.world.things:
        assert after[thing.label].position_m == pytest.approx(before[thing.label].position_m, abs=0.12)
        assert after[thing.label].world_frame == "map"
    changes = home.ask(ListChanges())
    assert isinstance(changes, ChangesReply)
    assert [(change.kind, change.label) for change in changes.changes] == [("removed", "stool")]


def test_a_merged_memory_is_whole_in_its_file_and_goes_on(home: Home) -> None:
    home.session("day-1")
    home.session("day-2", "elsewhere", T_NEW_MAP, end=False)
    assert home.bank.state.sessions["day-2"].memory_frame == "map"
    requests = (ListObjects(include_gone=True), ListRooms(), ListPlaces(), ListChanges(), ListSessions())
    kept = open_memory(home.path)
    for request in requests[:1]:
        assert kept.call(request) == home.ask(request)
    kept.close()
    before = home.objects()
    home.reopen()
    assert home.objects() == before
    for keyframe in home.bank.state.keyframes:
        assert np.abs(keyframe.position_m[:2]).max() < 1.0, "in the memory's frame, where the robot circled"
    home.session("day-3", "elsewhere", T_NEW_MAP)
    record = home.bank.state.sessions["day-3"]
    assert record.memory_frame == "map"
    assert record.alignment == home.bank.state.sessions["day-2"].alignment
    assert {label: found.id for label, found in home.objects().items()} == {
        label: found.id for label, found in before.items()
    }


def test_what_is_known_is_told_in_the_frame_that_the_robot_thinks_in(home: Home) -> None:
    home.session("day-1")
    home.session("day-2", "elsewhere", T_NEW_MAP)
    there = home.objects("elsewhere")
    assert there["mug"].position_m == pytest.approx(in_new_map(MUG.center_m), abs=0.1)
    assert there["mug"].world_frame == "elsewhere"
    found = home.recall(Query(kind="where", label="mug", world_frame="elsewhere"))
    assert found.objects[0].position_m == there["mug"].position_m
    x, y, z = in_new_map(MUG.center_m)
    near = home.recall(Query(kind="what", near_m=(x, y, z), radius_m=0.4, world_frame="elsewhere"))
    assert "mug" in {record.label for record in near.objects}
    told, own = home.ask(GetMap()), home.ask(GetMap(session="day-2"))
    assert isinstance(told, MapReply)
    assert isinstance(own, MapReply)
    assert (told.world_frame, own.world_frame, own.session, own.seq) == ("map", "elsewhere", "day-2", 25)
    assert state_at(told, 0.0, 0.0) == state_at(own, *in_new_map((0.0, 0.0, 0.0))[:2]) == 1
    assert state_at(told, 3.98, -0.8) == state_at(own, *in_new_map((3.98, -0.8, 0.0))[:2]) == 2
    rooms, places = home.ask(ListRooms(world_frame="elsewhere")), home.ask(ListPlaces(world_frame="elsewhere"))
    assert isinstance(rooms, RoomsReply)
    assert isinstance(places, PlacesReply)
    assert {room.world_frame for room in rooms.rooms} == {"elsewhere"}
    assert places.places
    for place in places.places:
        assert state_at(own, *place.position_m[:2]) != 2
    with pytest.raises(ValueError, match=r"world_frame: expected one that I know \('map'\), got 'nowhere'"):
        home.objects("nowhere")


def state_at(told: MapReply, x_m: float, y_m: float) -> int:
    column, row = np.floor((np.array([x_m, y_m]) - told.origin_m) / told.resolution_m).astype(int)
    return int(told.occupancy[row, column])


def test_another_house_is_kept_apart_and_said_so(home: Home) -> None:
    home.session("day-1")
    known = home.objects()
    home.world.things = OTHER_HOUSE[:6] + OTHER_HOUSE[7:]
    home.session("day-2", "flat")
    assert list(home.bank.state.frames) == ["map", "flat"]
    here = home.objects()
    assert "shelf" not in here
    assert not {record.id for record in here.values()} & {record.id for record in known.values()}
    assert home.objects("map") == known
    assert {record.world_frame for record in here.values()} == {"flat"}
    found = home.recall("where is the shelf?")
    assert found.unknown
    assert found.objects == ()
    assert "In another map (map)" in found.text
    assert home.recall("how many shelves are there?").count == 0
    assert home.recall("how many tables are there?").count == 1
    assert home.recall(Query(kind="where", label="shelf", world_frame="map")).objects[0].id == known["shelf"].id
    assert home.recall(Query(kind="where", label="shelf", session="day-1")).objects[0].id == known["shelf"].id
    history = home.ask(GetHistory(object_id=known["shelf"].id))
    assert isinstance(history, HistoryReply)
    assert [interval.session for interval in history.intervals] == ["day-1"]


def test_frames_that_are_apart_outlive_a_crash_in_mid_session(home: Home) -> None:
    home.session("day-1")
    home.world.things = OTHER_HOUSE
    home.session("day-2", "flat", n_frames=20, end=False)
    before, elsewhere = home.objects(), home.objects("map")
    home.reopen()
    assert home.objects() == before
    assert home.objects("map") == elsewhere
    home.session("day-3", "flat")
    after = home.objects()
    assert {after[label].id for label in before} == {record.id for record in before.values()}
    home.world.things = HOUSE
    home.session("day-4")
    assert {label: record.id for label, record in home.objects().items()} == {
        label: record.id for label, record in elsewhere.items()
    }
    kept = open_memory(home.path)
    for request in (ListObjects(), ListObjects(world_frame="flat"), Recall(question="where is the mug?")):
        assert kept.call(request) == home.ask(request)
    kept.close()


def test_a_frame_kept_apart_for_sessions_is_merged_when_it_is_recognised(home: Home) -> None:
    """Day one and two saw different halves; day three, in the frame of day two, sees all."""
    home.session("day-1")
    everything = home.world.things
    home.world.things = tuple(thing for thing in everything if thing.center_m[1] < 0.5)
    home.session("day-2", "elsewhere", T_NEW_MAP)
    assert list(home.bank.state.frames) == ["map", "elsewhere"]
    home.world.things = everything
    home.session("day-3", "elsewhere", T_NEW_MAP)
    assert list(home.bank.state.frames) == ["map"]
    assert {record.memory_frame for record in home.bank.state.sessions.values()} == {"map"}
    found = home.objects()
    assert sorted(found) == sorted(thing.label for thing in everything)
    assert len(home.bank.service.view.objects) == len(everything)


def test_nothing_of_a_merged_frame_is_left_in_the_file(home: Home) -> None:
    """The map and what was derived of it are as large as the house."""
    everything = home.world.things
    home.session("day-1")
    home.world.things = tuple(thing for thing in everything if thing.center_m[1] < 0.5)
    home.session("day-2", "elsewhere", T_NEW_MAP)
    assert set(home.store.load().maps) == {"map", "elsewhere"}
    home.objects(), home.objects("map")
    home.world.things = everything
    home.session("day-3", "elsewhere", T_NEW_MAP)
    contents = home.store.load()
    assert (set(contents.maps), set(contents.rooms)) == ({"map"}, {"map"})
    assert not [name for name in contents.meta if "elsewhere" in name]
    assert (set(home.bank.service._walls), set(home.bank.service._derived)) == ({"map"}, {"map"})
    home.reopen()
    assert sorted(home.objects()) == sorted(thing.label for thing in everything)


def test_nothing_of_a_merged_frame_is_written_by_the_batch_that_merges_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.session("day-1")
    everything = home.world.things
    monkeypatch.setattr(home.bank, "commit", lambda: None)
    home.world.things = tuple(thing for thing in everything if thing.center_m[1] < 0.5)
    home.session("day-2", "elsewhere", T_NEW_MAP)
    home.world.things = everything
    home.session("day-3", "elsewhere", T_NEW_MAP)
    monkeypatch.undo()
    home.bank.commit()
    contents = home.store.load()
    assert (set(contents.maps), set(contents.rooms)) == ({"map"}, {"map"})
    assert not [name for name in contents.meta if "elsewhere" in name]
