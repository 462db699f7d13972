"""A robot's camera fills a memory: bridge, memory and recorder, and a report when it is done.

    python launch/robot_bridge.py --robot folder --data ../shared/real-rgbd --out runs/kitchen

``folder`` plays a recorded RGB-D sequence as if it were a robot. Nothing names what it sees there, so the geometric
detector is used unless a detector file is given with ``--onnx``.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import msgspec
import tyro

from embodied import Memory
from embodied.config import Config
from embodied.errors import EmbodiedError
from embodied.messages import MemoryStatus
from embodied.process import ProcessConfig
from embodied.progress import Progress
from embodied.recording.server import RecorderConfig
from embodied.report import Figure, write_report
from embodied.report.collect import collect
from embodied.runs import new_run
from embodied.supervisor import ProcessSpec, Supervisor
from embodied.transport import socket_address
from memory_bank.perception.onnx import OnnxConfig
from memory_bank.server import MemoryConfig
from sim.robots.folder import FolderConfig
from sim.robots.server import RobotBridgeConfig

POLL_S = 0.2


class RobotBridge(Config):
    """A robot, its memory and its recorder."""

    robot: Literal["folder"] = "folder"
    """Which robot."""
    data: str
    """The recording's folder."""
    out: str = "runs/robot"
    """Where everything goes; must not exist yet, or be an earlier run, which is replaced."""
    session: str = "recording"
    """Name of the session."""
    up: Literal["+x", "-x", "+y", "-y", "+z", "-z"] = "-y"
    """Roughly up in the recording's world frame."""
    rate_hz: float = 15.0
    """Frames a second at which it was recorded."""
    max_frames: int | None = None
    """Stop after so many frames."""
    onnx: str | None = None
    """A detector file to use instead of the geometric detector."""
    seed: int = 0
    """Recorded with the run; nothing random happens here."""


def process_specs(settings: RobotBridge, run: Path) -> list[ProcessSpec]:
    """Return the settings of the three processes."""
    addresses = {name: socket_address(run / "sockets", name) for name in ("pipe", "latest", "memory")}
    bridge = RobotBridgeConfig(
        process=ProcessConfig(name="bridge"),
        pipe=addresses["pipe"],
        latest=addresses["latest"],
        robot=FolderConfig(data=settings.data, up=settings.up, rate_hz=settings.rate_hz),
        session=settings.session,
        max_frames=settings.max_frames,
    )
    memory = MemoryConfig(
        process=ProcessConfig(name="memory"),
        pipe=addresses["pipe"],
        memory=addresses["memory"],
        database=str(run / "memory.db"),
        perception="onnx" if settings.onnx else "geometric",
        onnx=OnnxConfig(model=settings.onnx) if settings.onnx else None,
    )
    recorder = RecorderConfig(
        process=ProcessConfig(name="recorder"), pipe=addresses["pipe"], directory=str(run / "logs")
    )
    return [
        ProcessSpec("bridge", "sim.robots.server", bridge),
        ProcessSpec("memory", "memory_bank.server", memory),
        ProcessSpec("recorder", "embodied.recording.server", recorder),
    ]


def stream(supervisor: Supervisor, progress: Progress) -> float:
    """Watch the bridge until it has played everything; return frames a second."""
    started_s = time.perf_counter()
    while True:
        supervisor.check()
        time.sleep(POLL_S)
        beat = supervisor.statistics.get("bridge")
        statistics = beat.statistics if beat else {}
        n, expected = int(statistics.get("frames", 0)), int(statistics.get("expected", 0))
        rate = n / max(time.perf_counter() - started_s, 1e-6)
        progress.update(f"{n} of {expected} frames, {rate:.0f}/s")
        if statistics.get("done"):
            return rate


def run_bridge(settings: RobotBridge, run: Path, progress: Progress) -> MemoryStatus:
    """Stream the robot to its end, and write the report."""
    specs = process_specs(settings, run)
    address = socket_address(run / "sockets", "memory")
    with Supervisor(specs, run) as supervisor:
        supervisor.start(timeout_s=40.0)
        progress.done("bridge, memory and recorder are ready")
        rate = stream(supervisor, progress)
        with Memory(address, timeout_s=20.0) as memory:
            status = memory.status()
            created = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
            data = collect(memory, run / "logs", title=f"What the robot remembers of {run.name}", created=created)
        beats = supervisor.statistics
    figures = (
        Figure(name="objects", value=float(sum(o.state != "gone" for o in data.objects))),
        Figure(name="frames", value=float(sum(s.n_observations for s in data.sessions))),
        Figure(name="frames_per_second", value=rate, unit="1/s"),
    )
    data = msgspec.structs.replace(
        data,
        settings={name: str(value) for name, value in msgspec.to_builtins(settings).items()},
        summary=figures,
        stages={"memory": status.stage_ms},
        processes={name: beat.peak_rss_mb for name, beat in sorted(beats.items())},
    )
    write_report(run / "report.html", data)
    return status


def main(settings: RobotBridge) -> int:
    """Run the bridge; return the exit code."""
    progress = Progress()
    try:
        run = new_run(settings.out, settings)
        status = run_bridge(settings, run, progress)
    except EmbodiedError as error:
        progress.interrupt()
        print(f"robot_bridge: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    progress.done(f"{status.n_objects} objects and {status.n_keyframes} keyframes remembered")
    print(f"\nreport   {run / 'report.html'}")
    print(f"ask      embodied objects --memory {run / 'memory.db'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(RobotBridge)))
