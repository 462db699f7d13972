"""A recording through the real processes, and the real Kinect recording through the memory."""

from __future__ import annotations

import importlib.util
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from embodied import Memory
from embodied.messages import Observation, SessionEnd, SessionStart
from embodied.recording import export_session, read_session
from embodied.security import allow_client, new_keys, trust_server
from folder_recordings import write_recording
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.objects.track import Track
from memory_bank.perception.geometric import GeometricPerception
from sim.robots.folder import FolderConfig, FolderRobot
from sim.robots.server import to_observation

ROOT = Path(__file__).resolve().parents[2]
REAL_RGBD = ROOT.parent / "shared" / "real-rgbd"
MUGS_M = ((-0.712, 1.80, 0.767), (0.255, 1.654, 0.768))
"""Middles of the two mugs, measured by hand: their pixels in two depth images each, in the levelled world."""
WITHIN_M = 0.10


SCRIPT = ROOT / "launch" / "robot_bridge.py"
DEADLINE_S = 120


def run(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *flags]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=DEADLINE_S, check=False)


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
    exported = tmp_path / "exported"
    assert export_session(out / "logs" / "recording.mcap", exported) == 6
    played = FolderRobot(FolderConfig(data=str(exported / "camera"), up="+z", color="registered"))
    played.connect()
    for frame, message in zip(played.frames(), logged, strict=True):
        np.testing.assert_array_equal(frame.depth, message.cameras[0].depth)
        np.testing.assert_allclose(
            frame.T_world_camera, message.T_world_base @ message.cameras[0].T_base_camera, atol=0.02
        )


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """Leave an earlier run, which what cannot work must not replace."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "settings.json").write_text('{"git": "unknown", "settings": {}}')
    (tmp_path / "out" / "memory.db").write_text("old")
    return tmp_path / "out"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    """Load the script as a module, for what needs no processes."""
    spec = importlib.util.spec_from_file_location("robot_bridge", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    terminate = signal.getsignal(signal.SIGTERM)
    yield module
    signal.signal(signal.SIGTERM, terminate)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"data": "nothing"}, "ConfigurationError: data: there is no folder nothing"),
        ({"rate_hz": 0.0}, "ConfigurationError: rate_hz: expected more than 0"),
        ({"max_frames": 0}, "ConfigurationError: max_frames: expected 1 or more"),
        ({"session": "a/b"}, "ConfigurationError: session: expected"),
        ({"onnx": "nothing.onnx"}, "ConfigurationError: onnx: there is no file"),
        ({"bind": "ipc://x"}, "ConfigurationError: bind: expected tcp://HOST:PORT"),
        ({"bind": "tcp://0.0.0.0:5600"}, "InsecureAddress: .*`embodied keys new`"),
        ({"bind": "tcp://127.0.0.1:65535"}, "ConfigurationError: address .*65536"),
        ({"keys": "nothing"}, "ConfigurationError: keys nothing: there is no pair"),
    ],
)
def test_settings_that_cannot_work_are_one_clear_line_and_cost_no_earlier_run(
    settings: dict[str, object], line: str, earlier: Path, script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main(script.RobotBridge(out=str(earlier), **{"data": ".", **settings})) == 1
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert re.match(f"robot_bridge: {line}", said)
    assert (earlier / "memory.db").read_text() == "old"


def test_a_folder_without_a_recording_is_one_clear_line(tmp_path: Path) -> None:
    done = run("--data", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    (said,) = done.stderr.strip().splitlines()
    assert said.startswith("robot_bridge: ProcessError: bridge failed: SceneError: recording")


def free_port() -> int:
    """Return a port that is free now, as its successor is."""
    for _ in range(50):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port
    raise AssertionError("no two free ports in a row")


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    data = write_recording(tmp_path / "data", n_frames=3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        done = run("--data", str(data), "--up", "+y", "--bind", bind, "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    (said,) = done.stderr.strip().splitlines()
    assert said.startswith("robot_bridge: ProcessError: memory failed: AddressInUse: address tcp://127.0.0.1:")


@contextmanager
def staying(*flags: str) -> Iterator[subprocess.Popen[str]]:
    """Run until the memory answers and all is played; end it as Ctrl-C does."""
    command = [sys.executable, str(SCRIPT), *flags, "--stay"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            seen = []
            for line in process.stdout:
                seen.append(line)
                if "the memory answers at" in line:
                    break
            else:
                raise AssertionError("".join(seen) + (process.stderr.read() if process.stderr else ""))
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=DEADLINE_S)


def ask(address: str, keys: Path | None, timeout_s: int) -> subprocess.CompletedProcess[str]:
    flags = [] if keys is None else ["--keys", str(keys)]
    command = [sys.executable, "-m", "embodied", "sessions", "--memory", address, "--timeout", str(timeout_s), *flags]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=DEADLINE_S, check=False)


def test_another_machine_asks_with_keys_and_gets_nothing_without(tmp_path: Path) -> None:
    robot, laptop, stranger = (tmp_path / name for name in ("robot", "laptop", "stranger"))
    for folder in (robot, laptop, stranger):
        public, _ = new_keys(folder, folder.name)
        trust_server(folder, robot / "robot.pub")
        if folder == laptop:
            allow_client(robot, public)
    (robot / "server.pub").unlink()  # the robot needs nobody's key but its own
    data, port = write_recording(tmp_path / "data", n_frames=4), free_port()
    flags = ("--data", str(data), "--up", "+y", "--out", str(tmp_path / "out"))
    with staying(*flags, "--bind", f"tcp://0.0.0.0:{port}", "--keys", str(robot)) as process:
        address = f"tcp://127.0.0.1:{port}"
        done = ask(address, laptop, timeout_s=20)
        assert done.returncode == 0, done.stderr
        assert "recording" in done.stdout
        for keys in (stranger, None):
            refused = ask(address, keys, timeout_s=1)
            assert refused.returncode == 1
            assert "DeadlineExceeded" in refused.stderr
    assert process.returncode == 0


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
