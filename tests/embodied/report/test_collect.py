from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied import client
from embodied.client import Memory
from embodied.messages import GetMap, MapReply, Query, Recall
from embodied.report.collect import collect, portraits
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
    monkeypatch.setattr(client, "installed_backends", lambda: [FakeEntryPoint(backend)])
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


def test_a_portrait_is_the_best_picture_of_the_thing_itself(memory: Memory, backend: FakeBackend) -> None:
    (picture,) = portraits(memory, [MUG, COUCH])
    assert picture.jpeg == ANSWER.evidence[0].crop_jpeg
    assert picture.caption.startswith(MUG.id)
    asked = [r.question for r in backend.requests if isinstance(r, Recall)]
    assert [q.near_m for q in asked if isinstance(q, Query)] == [MUG.position_m, COUCH.position_m]
