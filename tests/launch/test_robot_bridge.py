"""A recording through the real processes, and the real Kinect recording through the memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embodied import Memory
from embodied.messages import Observation, SessionEnd, SessionStart
from embodied.recording import read_session
from folder_recordings import write_recording
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.perception.geometric import GeometricPerception
from memory_bank.track import Track
from sim.robots.folder import FolderConfig, FolderRobot
from sim.robots.server import to_observation

ROOT = Path(__file__).resolve().parents[2]
REAL_RGBD = ROOT.parent / "shared" / "real-rgbd"
MUGS_M = ((-0.712, 1.80, 0.767), (0.255, 1.654, 0.768))
"""Middles of the two mugs, measured by hand: their pixels in two depth images each, in the levelled world."""
WITHIN_M = 0.10


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "launch" / "robot_bridge.py"), *flags]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=120, check=False)


def test_a_recording_goes_through_bridge_memory_and_recorder(tmp_path: Path) -> None:
    data = write_recording(tmp_path / "data", n_frames=6)
    out = tmp_path / "out"
    done = run("--data", str(data), "--up", "+y", "--out", str(out))
    assert done.returncode == 0, done.stderr
    with Memory(out / "memory.db") as memory:
        (record,) = memory.sessions()
        assert (record.n_observations, record.robot) == (6, "folder")
        assert (memory.map().occupancy == 1).any(), "the floor is free"
    logged = [m for m in read_session(out / "logs" / "recording.mcap") if isinstance(m, Observation)]
    assert [m.seq for m in logged] == list(range(6))
    assert (out / "report.html").stat().st_size > 5_000


def test_a_missing_recording_is_one_clear_line(tmp_path: Path) -> None:
    done = run("--data", str(tmp_path / "nothing"), "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("robot_bridge: ProcessError: bridge failed: SceneError")


def remember(every: int) -> list[Track]:
    """Put every n-th frame of the real recording into a memory; return what it then believes to be there."""
    robot = FolderRobot(FolderConfig(data=str(REAL_RGBD)))
    robot.connect()
    mapper = Mapper(MapperConfig(), GeometricPerception())
    start_ns = robot.config.start_ns
    mapper.start_session(SessionStart(session="s", robot="folder", stamp_ns=start_ns))
    n = 0
    for index, frame in enumerate(robot.frames()):
        if index % every == 0:
            mapper.integrate(to_observation(frame, robot, "s", n))
            n += 1
    mapper.end_session(SessionEnd(session="s", stamp_ns=frame.stamp_ns, n_observations=n))
    return [track for track in mapper.graph.confirmed() if track.is_there]


@pytest.mark.real_data
@pytest.mark.skipif(not REAL_RGBD.is_dir(), reason="needs the real RGB-D recording beside the project")
def test_two_real_mugs_become_objects_of_their_own_and_stay_single() -> None:
    positions = np.array([thing.position_m for thing in remember(every=3)])
    for mug in MUGS_M:
        distances = np.linalg.norm(positions - mug, axis=1)
        assert distances.min() <= WITHIN_M
        assert (distances <= 2 * WITHIN_M).sum() == 1, "stays single"
