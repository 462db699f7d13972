"""A memory at work: stream in, answers out, and everything again from its file."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import msgspec
import pytest

from box_world import CHAIR, MUG, PLANT, TABLE, World, tour
from embodied.errors import ConfigurationError, MalformedMessage, StoreError
from embodied.messages import (
    Answer,
    ChangesReply,
    Edit,
    GetHistory,
    GetMap,
    GetStatus,
    HistoryReply,
    ListChanges,
    ListObjects,
    ListRooms,
    ListSessions,
    MapReply,
    MemoryRequest,
    MemoryResponse,
    MemoryStatus,
    ObjectsReply,
    Query,
    Recall,
    RoomsReply,
    SessionsReply,
)
from memory_bank.bank import MemoryBank
from memory_bank.features.settings import FeaturesConfig
from memory_bank.file_client import FileMemory, open_memory
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.service import MemoryService
from memory_bank.stores.sqlite_store import SqliteStore

THINGS = (TABLE, MUG, CHAIR, PLANT)


class Home:
    """A bank over a file, and a world to feed it from."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.world = World(THINGS)
        self.open()

    def open(self) -> None:
        self.store = SqliteStore(self.path)
        self.bank = MemoryBank(MapperConfig(), SimulatorPerception(), self.store)

    def session(self, name: str, n_frames: int = 40, *, end: bool = True, segments: bool = True) -> None:
        self.bank.take(self.world.start(name))
        for seq, pose in enumerate(tour(n_frames)):
            self.bank.take(self.world.observe(name, seq, pose, segments=segments))
        if end:
            self.bank.take(self.world.end(name, n_frames))

    def ask(self, request: MemoryRequest) -> MemoryResponse:
        return self.bank.service.handle(request)

    def recall(self, question: str) -> Answer:
        found = self.ask(Recall(question=question))
        assert isinstance(found, Answer)
        return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path / "memory.db")
    yield home
    home.store.close()


@pytest.fixture
def opened(home: Home) -> Iterator[FileMemory]:
    """The file of a memory that has had one session."""
    home.session("day-1")
    home.bank.commit()
    memory = open_memory(home.path)
    yield memory
    memory.close()


REQUESTS: tuple[MemoryRequest, ...] = (
    Recall(question="where is the red mug?"),
    Recall(question="what is on the table?"),
    ListObjects(include_gone=True),
    GetHistory(object_id="o0"),
    ListRooms(),
    ListSessions(),
    ListChanges(),
    GetStatus(),
)


def test_a_mug_on_a_table_is_found_with_its_picture(home: Home) -> None:
    home.session("day-1")
    found = home.recall("where is the mug?")
    assert found.text.startswith("The mug is on the table in the ")
    assert found.objects[0].position_m == pytest.approx(MUG.center_m, abs=0.06)
    assert found.evidence[0].crop_jpeg.startswith(b"\xff\xd8")


def test_the_file_answers_like_the_running_memory(home: Home, opened: FileMemory) -> None:
    for request in REQUESTS[:-1]:
        assert opened.call(request) == home.ask(request)
    statuses = [msgspec.structs.replace(a, stage_ms={}) for a in (opened.call(GetStatus()), home.ask(GetStatus()))]
    assert statuses[0] == statuses[1]
    told, kept = home.ask(GetMap()), opened.call(GetMap())
    assert isinstance(told, MapReply)
    assert isinstance(kept, MapReply)
    assert (kept.occupancy == told.occupancy).mean() > 0.999
    assert (kept.session, kept.seq, kept.origin_m) == (told.session, told.seq, told.origin_m)


def test_a_reader_of_the_file_follows_the_writer(home: Home, opened: FileMemory) -> None:
    home.session("day-2")
    home.bank.commit()
    sessions = opened.call(ListSessions())
    assert isinstance(sessions, SessionsReply)
    assert [s.session for s in sessions.sessions] == ["day-1", "day-2"]


def test_memory_goes_on_after_a_restart(home: Home) -> None:
    home.session("day-1")
    before = home.ask(ListObjects())
    rooms = home.ask(ListRooms())
    home.bank.commit()
    home.store.close()
    home.open()
    assert home.ask(ListObjects()) == before
    assert home.ask(ListRooms()) == rooms
    home.world.things = (TABLE, MUG, CHAIR.at(-1.8, 1.8))
    home.session("day-2")
    changes = home.ask(ListChanges())
    assert isinstance(changes, ChangesReply)
    assert sorted((c.kind, c.label) for c in changes.changes) == [("moved", "chair"), ("removed", "plant")]
    assert "is gone" in home.recall("where is the plant?").text
    history = home.ask(GetHistory(object_id=home.recall("where is the chair?").objects[0].id))
    assert isinstance(history, HistoryReply)
    assert [i.session for i in history.intervals][-1] == "day-2"
    assert all(i.room for i in history.intervals)


def test_what_was_not_committed_is_gone_after_a_crash_and_the_rest_is_whole(home: Home) -> None:
    home.bank.take(home.world.start("day-1"))
    for seq, pose in enumerate(tour(40)):
        home.bank.take(home.world.observe("day-1", seq, pose))
        if seq == 29:
            home.bank.commit()
    memory = open_memory(home.path)
    status = memory.call(GetStatus())
    assert isinstance(status, MemoryStatus)
    assert (status.seq, status.durable_seq) == (29, 29)
    found = memory.call(Recall(question="where is the mug?"))
    assert isinstance(found, Answer)
    assert found.warnings == ("session day-1 was cut off after 30 observations",)
    memory.close()


def test_a_history_is_told_in_the_rooms_of_now_whatever_was_asked_before(home: Home) -> None:
    home.bank.take(home.world.start("day-1"))
    for seq, pose in enumerate(tour(30)):
        home.bank.take(home.world.observe("day-1", seq, pose))
        if seq == 5:
            known = home.bank.service.view.objects[0].id
            early = home.bank.service.history(known)
    late = home.bank.service.history(known)
    assert late == MemoryService(home.bank.state).history(known)
    assert late[0].room != early[0].room, "the rooms have got names"


def test_a_session_that_never_ended_is_closed_by_the_next(home: Home) -> None:
    home.session("day-1", end=False)
    home.session("day-2")
    sessions = home.ask(ListSessions())
    assert isinstance(sessions, SessionsReply)
    assert [s.end_ns is None for s in sessions.sessions] == [True, False]


def test_sessions_tell_how_far_the_robot_went(home: Home) -> None:
    home.session("day-1")
    sessions = home.ask(ListSessions())
    assert isinstance(sessions, SessionsReply)
    assert sessions.sessions[0].n_observations == 40
    assert 3.0 < sessions.sessions[0].path_length_m < 6.0


def test_a_detector_that_is_down_is_told_with_every_answer(home: Home) -> None:
    home.session("day-1")
    home.session("day-2", 3, segments=False)
    found = home.recall("where is the mug?")
    assert not found.unknown
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith("perception (simulator) is not working")
    status = home.ask(GetStatus())
    assert isinstance(status, MemoryStatus)
    assert not status.perception_healthy


def test_an_empty_memory_says_so(home: Home) -> None:
    found = home.recall("where is the mug?")
    assert found.unknown
    assert found.warnings == ("nothing has been observed yet",)
    rooms = home.ask(ListRooms())
    assert isinstance(rooms, RoomsReply)
    assert rooms.rooms == ()


@pytest.mark.parametrize("n_times", [1, 2])
def test_an_observation_that_comes_again_changes_nothing(home: Home, n_times: int) -> None:
    home.bank.take(home.world.start("day-1"))
    first = home.world.observe("day-1", 0, (0.0, 0.0, 0.0))
    for _ in range(n_times):
        home.bank.take(first)
    status = home.ask(GetStatus())
    assert isinstance(status, MemoryStatus)
    assert status.seq == 0


def test_a_stream_that_cannot_go_in_is_refused(home: Home) -> None:
    with pytest.raises(MalformedMessage, match="outside of it"):
        home.bank.take(home.world.observe("day-1", 0, (0.0, 0.0, 0.0)))
    home.session("day-1", 3)
    with pytest.raises(MalformedMessage, match="end of session 'day-2'"):
        home.bank.take(home.world.end("day-2", 0))
    with pytest.raises(ConfigurationError, match="in this memory already"):
        home.bank.take(home.world.start("day-1"))


def test_asking_for_what_does_not_exist_is_the_askers_mistake(home: Home) -> None:
    for request in (GetHistory(object_id="o99"), Recall(question="gibberish"), GetMap(session="day-9")):
        with pytest.raises(ValueError, match="got 'o99'|did not understand|got 'day-9'"):
            home.ask(request)


@pytest.mark.parametrize("field", ["since_ns", "until_ns", "unseen_since_ns", "known_ns"])
@pytest.mark.parametrize("stamp_ns", [2**63, -(2**63)])
def test_an_instant_beyond_the_clock_is_the_askers_mistake(home: Home, field: str, stamp_ns: int) -> None:
    with pytest.raises(ValueError, match=f"{field}: expected nanoseconds"):
        home.bank.handle(Recall(question=Query(kind="where", label="mug", **{field: stamp_ns})))


def test_gone_objects_are_listed_only_if_asked_for(home: Home) -> None:
    home.session("day-1")
    home.world.things = (TABLE, MUG, CHAIR)
    home.session("day-2")
    listed, everything = home.ask(ListObjects()), home.ask(ListObjects(include_gone=True))
    assert isinstance(listed, ObjectsReply)
    assert isinstance(everything, ObjectsReply)
    assert {o.label for o in everything.objects} - {o.label for o in listed.objects} == {"plant"}


def test_a_file_that_is_being_written_is_changed_by_its_writer_only(home: Home, opened: FileMemory) -> None:
    edit = Edit(kind="annotate", object_id="o0", epoch=0, text="ours", author="me")
    with pytest.raises(StoreError, match="another process is writing to it; ask it at its address instead of the file"):
        opened.call(edit)
    home.store.close()
    home.bank = MemoryBank(MapperConfig(), None, SqliteStore(home.path), address="ipc:///tmp/memory")
    home.bank.commit()
    with pytest.raises(StoreError, match="ask it at ipc:///tmp/memory instead"):
        opened.call(ListRooms()) and opened.call(edit)


def test_words_are_compared_by_the_encoder_that_the_file_names(home: Home) -> None:
    home.store.close()
    home.store = SqliteStore(home.path)
    features = FeaturesConfig(text="none-such")
    home.bank = MemoryBank(MapperConfig(), SimulatorPerception(), home.store, features=features)
    home.session("day-1", 20)
    home.bank.commit()
    memory = open_memory(home.path)
    assert memory.call(ListRooms()) == home.ask(ListRooms())
    with pytest.raises(ConfigurationError, match="encoder: expected one of .*, got 'none-such'"):
        memory.call(Recall(question=Query(kind="where", text="something to drink from")))
    memory.close()
    with pytest.raises(ConfigurationError):
        home.ask(Recall(question=Query(kind="where", text="something to drink from")))


def test_a_missing_file_is_no_memory(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        open_memory(tmp_path / "none.db")


def test_the_same_stream_gives_the_same_memory(tmp_path: Path) -> None:
    answers = []
    for name in ("a.db", "b.db"):
        home = Home(tmp_path / name)
        home.session("day-1", 20)
        home.bank.commit()
        answers.append([home.ask(request) for request in REQUESTS[:-1]])
        home.store.close()
    assert answers[0] == answers[1]
