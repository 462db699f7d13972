"""A robot's camera fills a memory: bridge, memory and recorder, and a report when it is done.

    python launch/robot_bridge.py --robot folder --data ../shared/real-rgbd --out runs/kitchen

``folder`` plays a recorded RGB-D sequence as if it were a robot. Nothing names what it sees there, so the geometric
detector is used unless a detector file is given with ``--onnx``.

Only this machine is answered, unless ``--bind`` says otherwise, for which ``--keys`` names the keys::

    embodied keys new robot && embodied keys allow laptop.pub
    python launch/robot_bridge.py --data DIR --bind tcp://0.0.0.0:5600 --keys keys --stay
    embodied recall --memory tcp://ROBOT:5600 --keys keys "where is the mug?"      # on the laptop
"""

from __future__ import annotations

import re
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import msgspec
import tyro

from embodied import Memory
from embodied.config import Config
from embodied.errors import ConfigurationError
from embodied.messages import MemoryStatus
from embodied.process import ProcessConfig
from embodied.progress import Progress
from embodied.recording.server import SESSION_NAME, RecorderConfig
from embodied.report import Figure, write_report
from embodied.report.collect import collect, portraits
from embodied.runs import new_run, run_address, run_script
from embodied.security import Security, check_address, own_keys
from embodied.supervisor import ProcessSpec, Supervisor
from memory_bank.perception.onnx import OnnxConfig
from memory_bank.server import MemoryConfig
from memory_bank.stores.opening import has_password
from sim.robots.folder import FolderConfig
from sim.robots.server import RobotBridgeConfig

POLL_S = 0.2
ANY_HOST = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}
"""Where this machine reaches what is bound on all its interfaces."""


class RobotBridge(Config):
    """A robot, its memory and its recorder."""

    robot: Literal["folder"] = "folder"
    """Which robot."""
    data: str
    """The recording's folder."""
    out: str = "runs/robot"
    """Where everything goes; must not exist yet, or be an earlier run, which is replaced."""
    database: str | None = None
    """Where the memory is kept: a file, or postgresql://USER@HOST/DATABASE?memory=NAME; by default in the run."""
    session: str = "recording"
    """Name of the session."""
    up: Literal["+x", "-x", "+y", "-y", "+z", "-z"] = "-y"
    """Roughly up in the recording's world frame."""
    rate_hz: float = 15.0
    """Frames a second at which it was recorded."""
    max_frames: int | None = None
    """Stop after so many frames."""
    color: Literal["auto", "registered", "kinect"] = "auto"
    """Whether colour lies on depth already, as in an exported log, or as a Kinect's cameras see it."""
    onnx: str | None = None
    """A detector file to use instead of the geometric detector."""
    bind: str | None = None
    """tcp://HOST:PORT where the memory answers; the newest observations are published at the next port."""
    keys: str | None = None
    """Directory of keys, for an address that other machines reach."""
    key_name: str = ""
    """Whose pair of that directory to use; needed if it has several."""
    stay: bool = False
    """Go on answering when everything is played, until Ctrl-C."""
    seed: int = 0
    """Recorded with the run; nothing random happens here."""


class Wires(Config):
    """Where the processes meet."""

    pipe: str
    latest: str
    memory: str
    ask: str
    """Where this machine reaches the memory."""
    security: Security


def wires(settings: RobotBridge, run: Path) -> Wires:
    """Return the addresses. The pipe stays on this machine: its consumers are the memory and the recorder here.

    Raises:
        ConfigurationError: ``bind`` is no address, the keys are not there, or (InsecureAddress) none are named.
    """
    memory, latest = run_address(run, "memory"), run_address(run, "latest")
    ask, security = memory, Security()
    if settings.keys is not None:
        security = own_keys(settings.keys, settings.key_name)
        security = msgspec.structs.replace(security, server=security.name)  # our own processes are the servers
    if settings.bind is not None:
        match = re.fullmatch(r"(?P<scheme>tcp://)(?P<host>.+):(?P<port>\d+)", settings.bind)
        if match is None:
            raise ConfigurationError(f"bind: expected tcp://HOST:PORT, got {settings.bind!r}")
        memory, latest = settings.bind, f"tcp://{match['host']}:{int(match['port']) + 1}"
        ask = f"tcp://{ANY_HOST.get(match['host'], match['host'])}:{match['port']}"
        for address in (memory, latest):
            check_address(address, security)
    return Wires(pipe=run_address(run, "pipe"), latest=latest, memory=memory, ask=ask, security=security)


def process_specs(settings: RobotBridge, run: Path, addresses: Wires) -> list[ProcessSpec]:
    """Return the settings of the three processes."""
    bridge = RobotBridgeConfig(
        process=ProcessConfig(name="bridge"),
        pipe=addresses.pipe,
        latest=addresses.latest,
        robot=FolderConfig(data=settings.data, up=settings.up, rate_hz=settings.rate_hz, color=settings.color),
        session=settings.session,
        max_frames=settings.max_frames,
        security=addresses.security,
    )
    memory = MemoryConfig(
        process=ProcessConfig(name="memory"),
        pipe=addresses.pipe,
        memory=addresses.memory,
        database=settings.database or str(run / "memory.db"),
        perception="onnx" if settings.onnx else "geometric",
        onnx=OnnxConfig(model=settings.onnx) if settings.onnx else None,
        security=addresses.security,
    )
    recorder = RecorderConfig(process=ProcessConfig(name="recorder"), pipe=addresses.pipe, directory=str(run / "logs"))
    return [
        ProcessSpec("bridge", "sim.robots.server", bridge),
        ProcessSpec("memory", "memory_bank.server", memory),
        ProcessSpec("recorder", "embodied.recording.server", recorder),
    ]


def stream(supervisor: Supervisor, progress: Progress, max_frames: int | None) -> float:
    """Watch the bridge until it has played everything; return frames a second."""
    started_s = time.perf_counter()
    while True:
        supervisor.check()
        time.sleep(POLL_S)
        beat = supervisor.statistics.get("bridge")
        statistics = beat.statistics if beat else {}
        n, expected = int(statistics.get("frames", 0)), int(statistics.get("expected", 0))
        expected = min(expected, max_frames or expected)
        rate = n / max(time.perf_counter() - started_s, 1e-6)
        progress.update(f"{n} of {expected} frames, {rate:.0f}/s")
        if statistics.get("done"):
            return rate


def stay(supervisor: Supervisor, progress: Progress, ask: str) -> None:
    """Keep the processes until a person has had enough."""
    progress.done(f"the memory answers at {ask}; Ctrl-C ends it")
    try:
        while True:
            supervisor.check()
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        progress.done("asked to end")


def run_bridge(settings: RobotBridge, run: Path, addresses: Wires, progress: Progress) -> MemoryStatus:
    """Stream the robot to its end, and write the report."""
    with Supervisor(process_specs(settings, run, addresses), run) as supervisor:
        supervisor.start(timeout_s=40.0)
        progress.done("bridge, memory and recorder are ready")
        rate = stream(supervisor, progress, settings.max_frames)
        with Memory(
            addresses.ask, timeout_s=20.0, security=addresses.security, while_waiting=supervisor.check
        ) as memory:
            status = memory.status()
            created = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
            data = collect(memory, run / "logs", title=f"What the robot remembers of {run.name}", created=created)
            pictures = portraits(memory, [thing for thing in data.objects if thing.state != "gone"])
        peaks_mb = {name: beat.peak_rss_mb for name, beat in sorted(supervisor.statistics.items())}
        figures = (
            Figure(name="objects", value=float(sum(o.state != "gone" for o in data.objects))),
            Figure(name="frames", value=float(sum(s.n_observations for s in data.sessions))),
            Figure(name="frames_per_second", value=rate, unit="1/s"),
        )
        data = msgspec.structs.replace(
            data,
            settings={name: str(value) for name, value in msgspec.to_builtins(settings).items()},
            summary=figures,
            pictures=pictures,
            stages={"memory": status.stage_ms},
            processes=peaks_mb,
        )
        write_report(run / "report.html", data)
        if settings.stay:
            stay(supervisor, progress, settings.bind or addresses.ask)
    return status


def check(settings: RobotBridge) -> None:
    """Refuse what cannot work before anything is made or replaced.

    Raises:
        ConfigurationError: A setting is out of its range, or the recording is not there.
    """
    if not Path(settings.data).is_dir():
        raise ConfigurationError(f"data: there is no folder {settings.data}")
    if not 0.0 < settings.rate_hz <= 1000.0:
        raise ConfigurationError(f"rate_hz: expected more than 0, at most 1000, got {settings.rate_hz}")
    if settings.max_frames is not None and settings.max_frames < 1:
        raise ConfigurationError(f"max_frames: expected 1 or more, got {settings.max_frames}")
    if not SESSION_NAME.fullmatch(settings.session):
        raise ConfigurationError(f"session: expected letters, digits, '.', '_' and '-', got {settings.session!r}")
    if settings.database is not None and has_password(settings.database):
        raise ConfigurationError("database: the settings of a run are kept with it; put the password into ~/.pgpass")
    if settings.onnx is not None and not Path(settings.onnx).is_file():
        raise ConfigurationError(f"onnx: there is no file {settings.onnx}")


def main(settings: RobotBridge) -> int:
    """Run the bridge; return the exit code."""

    def work(progress: Progress) -> None:
        check(settings)
        addresses = wires(settings, Path(settings.out))
        run = new_run(settings.out, settings)
        status = run_bridge(settings, run, addresses, progress)
        progress.done(f"{status.n_objects} objects and {status.n_keyframes} keyframes remembered")
        print(f"\nreport   {run / 'report.html'}")
        print(f"ask      embodied objects --memory '{settings.database or run / 'memory.db'}'")

    return run_script("robot_bridge", work)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(RobotBridge)))
