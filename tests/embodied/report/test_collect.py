from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from embodied import plugins
from embodied.client import Memory
from embodied.messages import Alignment, GetMap, ListSessions, MapReply, Query, Recall, SessionsReply
from embodied.recording.path import read_path
from embodied.report.collect import collect, portraits
from embodied.report.page import render
from memories import ANSWER, COUCH, MOVE, MUG, REMOVAL, ROOMS, SESSIONS, FakeBackend, FakeEntryPoint
from recordings import write_session

MAP = MapReply(
    session="day-1",
    seq=4,
    resolution_m=0.05,
    origin_m=(0.0, 0.0),
    occupancy=np.array([[0, 1, 2]], np.uint8),
    closest_view_m=np.array([[np.inf, 1.5, 2.5]], np.float32),
)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend({GetMap: MAP})


@pytest.fixture
def memory(backend: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(plugins, "installed_plugins", lambda group: [FakeEntryPoint(backend)])
    (tmp_path / "memory.db").touch()
    return Memory(tmp_path / "memory.db")


def test_everything_that_the_memory_says_is_gathered_and_sessions_without_a_log_have_no_path(
    memory: Memory, tmp_path: Path
) -> None:
    write_session(tmp_path / "day-1.mcap")
    data = collect(memory, tmp_path, title="a house", created="today")
    assert (data.title, data.objects, data.rooms, data.sessions) == ("a house", (MUG, COUCH), ROOMS, SESSIONS)
    assert [item.change for item in data.changes] == [MOVE, REMOVAL]
    assert set(data.paths) == {"day-1"}


def test_paths_are_shown_where_they_lie_and_sessions_kept_apart_are_named(
    memory: Memory, backend: FakeBackend, tmp_path: Path
) -> None:
    turned = Alignment(yaw_rad=np.pi / 2, position_m=(3.0, 0.0, 0.0), n_matched=9, confidence=0.9)
    day_1 = msgspec.structs.replace(SESSIONS[0], world_frame="boot", memory_frame="map", alignment=turned)
    day_2 = msgspec.structs.replace(SESSIONS[1], world_frame="flat", memory_frame="flat")
    backend.responses[GetMap] = msgspec.structs.replace(MAP, world_frame="map")
    backend.responses[ListSessions] = SessionsReply(sessions=(day_1, day_2))
    for name in ("day-1", "day-2"):
        write_session(tmp_path / f"{name}.mcap")
    data = collect(memory, tmp_path, title="a house", created="today")
    assert list(data.paths) == ["day-1"]
    for (x, y), (own_x, own_y) in zip(data.paths["day-1"], read_path(tmp_path / "day-1.mcap")):
        assert (x, y) == pytest.approx((3.0 - own_y, own_x))
    assert len(data.warnings) == 1
    assert "day-2 is kept apart" in data.warnings[0]
    assert "boot at (3.00, 0.00) in map, turned 90°" in render(data)


def test_a_portrait_is_the_best_picture_of_the_thing_itself(memory: Memory, backend: FakeBackend) -> None:
    (picture,) = portraits(memory, [MUG, COUCH])
    assert picture.jpeg == ANSWER.evidence[0].crop_jpeg
    assert picture.caption.startswith(MUG.id)
    asked = [r.question for r in backend.requests if isinstance(r, Recall)]
    assert [q.near_m for q in asked if isinstance(q, Query)] == [MUG.position_m, COUCH.position_m]
