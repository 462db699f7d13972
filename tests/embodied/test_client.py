"""A program asks the same way whatever stands behind the memory."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Callable, Iterator

import numpy as np
import pytest

from embodied import plugins
from embodied.client import Memory, MemoryBackend
from embodied.errors import (
    ConfigurationError,
    DeadlineExceeded,
    InsecureAddress,
    PerceptionError,
    ProcessError,
    ProtocolError,
    RemoteError,
    StoreError,
)
from embodied.messages import (
    ErrorReply,
    FindGoals,
    GetHistory,
    GetMap,
    GetStatus,
    GoalsReply,
    InteractionsReply,
    ListChanges,
    ListInteractions,
    ListObjects,
    MapReply,
    MemoryRequest,
    MemoryStatus,
    ObjectsReply,
    Query,
    Recall,
)
from embodied.transport import RpcServer
from memories import ANSWER, COUCH, INTERVALS, MOVE, MUG, REMOVAL, ROOMS, SESSIONS, FakeBackend, FakeEntryPoint

MAP = MapReply(
    session="day-1",
    seq=4,
    resolution_m=0.05,
    origin_m=(-1.0, -2.0),
    occupancy=np.array([[0, 1, 2]], np.uint8),
    closest_view_m=np.array([[np.inf, 1.5, 2.5]], np.float32),
)
STATUS = MemoryStatus(
    session="day-1", seq=4, n_objects=2, n_keyframes=1, perception="simulator", perception_healthy=True, durable_seq=4
)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend({GetMap: MAP, GetStatus: STATUS})


@pytest.fixture
def file(tmp_path: Path, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> str:
    path = tmp_path / "memory.db"
    path.touch()
    monkeypatch.setattr(plugins, "installed_plugins", lambda group: [FakeEntryPoint(backend)])
    return str(path)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[FakeBackend], str]]:
    """Answer requests at an address, in a thread, until the test is over."""
    stopping = threading.Event()
    threads = []

    def start(backend: FakeBackend) -> str:
        address = f"ipc://{tmp_path}/memory"
        bound = threading.Event()

        def run() -> None:
            with RpcServer(address, MemoryRequest) as server:
                bound.set()
                while not stopping.is_set():
                    call = server.receive(0.02)
                    if call is not None:
                        call.answer(backend.call)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        assert bound.wait(5.0)
        return address

    yield start
    stopping.set()
    for thread in threads:
        thread.join(5.0)


class TestCalls:
    def test_each_call_sends_its_request_and_unpacks_the_reply(self, file: str, backend: FakeBackend) -> None:
        with Memory(file) as memory:
            assert memory.recall("where is the red mug?") is ANSWER
            assert memory.recall(ANSWER.query) is ANSWER
            assert memory.objects(include_gone=True) == (MUG, COUCH)
            assert memory.history("o3") == INTERVALS
            assert memory.rooms() == ROOMS
            assert memory.sessions() == SESSIONS
            assert memory.changes(since_ns=5) == (MOVE, REMOVAL)
            assert memory.map("day-1", 4) is MAP
            assert memory.status() is STATUS
        assert backend.requests[:4] == [
            Recall(question="where is the red mug?"),
            Recall(question=Query(kind="where", label="mug", colour="red")),
            ListObjects(include_gone=True),
            GetHistory(object_id="o3"),
        ]
        assert backend.requests[6:8] == [ListChanges(since_ns=5), GetMap(session="day-1", min_seq=4)]

    def test_what_the_robot_did_and_where_to_go_back_to_can_be_asked(self, file: str, backend: FakeBackend) -> None:
        done, goals = InteractionsReply(interactions=()), GoalsReply(goals=(), unknown=True)
        backend.responses.update({ListInteractions: done, FindGoals: goals})
        with Memory(file) as memory:
            assert memory.interactions(5, object_id="o3") is done
            assert memory.find_goals("go to the mug") is goals
        assert backend.requests == [
            ListInteractions(since_ns=5, object_id="o3"),
            FindGoals(instruction="go to the mug"),
        ]

    def test_the_backend_is_closed_with_the_memory(self, file: str, backend: FakeBackend) -> None:
        with Memory(file):
            assert not backend.closed
        assert backend.closed

    def test_an_error_reply_is_raised(self, file: str, backend: FakeBackend) -> None:
        backend.responses[Recall] = ErrorReply(code="PerceptionError", message="no masks")
        with pytest.raises(RemoteError, match="PerceptionError: no masks"):
            Memory(file).recall("where?")

    def test_an_answer_to_another_question_is_a_protocol_error(self, file: str, backend: FakeBackend) -> None:
        backend.responses[Recall] = ObjectsReply(objects=())
        with pytest.raises(ProtocolError, match="answered Recall with ObjectsReply, not Answer"):
            Memory(file).recall("where?")


class TestFiles:
    def test_the_installed_backend_gets_the_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        entry_point = FakeEntryPoint(FakeBackend())
        monkeypatch.setattr(plugins, "installed_plugins", lambda group: [entry_point])
        (tmp_path / "memory.db").touch()
        Memory(tmp_path / "memory.db")
        assert entry_point.paths == [tmp_path / "memory.db"]

    def test_a_missing_file_is_a_store_error(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"no memory file at .*none\.db"):
            Memory(tmp_path / "none.db")

    def test_a_run_directory_is_answered_with_the_file_in_it(self, tmp_path: Path) -> None:
        (tmp_path / "memory.db").touch()
        with pytest.raises(StoreError, match=r"did you mean .*/memory\.db\?"):
            Memory(tmp_path)

    def test_without_a_backend_the_error_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(plugins, "installed_plugins", lambda group: [])
        (tmp_path / "memory.db").touch()
        with pytest.raises(ConfigurationError, match="install the distribution embodied-memory"):
            Memory(tmp_path / "memory.db")

    def test_a_backend_that_does_not_load_is_a_configuration_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Broken(FakeEntryPoint):
            def load(self) -> object:
                raise ImportError("no module named nothing")

        monkeypatch.setattr(plugins, "installed_plugins", lambda group: [Broken(FakeBackend())])
        (tmp_path / "memory.db").touch()
        with pytest.raises(ConfigurationError, match=r"cannot load fake:open_memory.*no module named nothing"):
            Memory(tmp_path / "memory.db")

    def test_installed_backends_are_found_among_the_entry_points(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = tmp_path / "some_memory-1.0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: some-memory\nVersion: 1.0\n")
        (package / "entry_points.txt").write_text("[embodied.memory]\nfile = memories:FakeBackend\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        found = [
            entry_point
            for entry_point in plugins.installed_plugins("embodied.memory")
            if entry_point.value.startswith("memories")
        ]
        assert [entry_point.name for entry_point in found] == ["file"]
        assert isinstance(found[0].load()(), MemoryBackend)


class TestAddresses:
    def test_a_running_memory_answers_the_same_calls(
        self, serve: Callable[[FakeBackend], str], backend: FakeBackend
    ) -> None:
        with Memory(serve(backend)) as memory:
            assert memory.recall("where is the red mug?") == ANSWER
            assert memory.sessions() == SESSIONS
            np.testing.assert_array_equal(memory.map().closest_view_m, MAP.closest_view_m)

    def test_its_errors_arrive_as_they_were_raised(self, serve: Callable[[FakeBackend], str]) -> None:
        class Blind(FakeBackend):
            def call(self, request: object) -> object:
                raise PerceptionError("the detector is down") if isinstance(request, Recall) else ValueError("no o99")

        with Memory(serve(Blind())) as memory:
            with pytest.raises(PerceptionError, match="the detector is down"):
                memory.recall("where?")
            with pytest.raises(ValueError, match="no o99"):
                memory.history("o99")

    def test_a_memory_that_does_not_run_exceeds_the_deadline(self, tmp_path: Path) -> None:
        with Memory(f"ipc://{tmp_path}/none", timeout_s=0.05) as memory, pytest.raises(DeadlineExceeded):
            memory.rooms()

    def test_a_wait_ends_when_the_program_learns_that_the_memory_died(self, tmp_path: Path) -> None:
        def look() -> None:
            raise ProcessError("memory was killed by SIGKILL")

        with Memory(f"ipc://{tmp_path}/none", timeout_s=10.0, while_waiting=look) as memory:
            with pytest.raises(ProcessError, match="memory was killed"):
                memory.rooms()

    def test_an_address_off_this_machine_needs_keys(self) -> None:
        with pytest.raises(InsecureAddress, match="embodied keys new"):
            Memory("tcp://192.0.2.1:5555")

    def test_another_kind_of_address_is_refused(self) -> None:
        with pytest.raises(ConfigurationError, match="expected a file, ipc://PATH or tcp://HOST:PORT"):
            Memory("http://localhost:80")
