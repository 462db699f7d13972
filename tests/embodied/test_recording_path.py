from __future__ import annotations

from pathlib import Path

import pytest

from embodied.errors import LogError
from embodied.messages import Observation
from embodied.recording.path import read_path
from recordings import make_session, write_session


def places() -> list[tuple[float, float]]:
    return [(m.T_world_base[0, 3], m.T_world_base[1, 3]) for m in make_session() if isinstance(m, Observation)]


def test_the_path_is_where_the_robot_was_at_each_observation(tmp_path: Path) -> None:
    assert list(read_path(write_session(tmp_path / "day-1.mcap"))) == places()


def test_of_a_log_that_was_cut_off_the_path_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    log = write_session(tmp_path / "day-1.mcap")
    log.write_bytes(log.read_bytes()[: int(0.6 * log.stat().st_size)])
    path = list(read_path(log))
    assert 0 < len(path) < len(places())
    assert path == places()[: len(path)]


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="none"):
        read_path(tmp_path / "none.mcap")
