"""Record how a simulator's expert does a task: one session, and one log, a demonstration.

The bridge lets the expert act, which knows the simulator's state; the recorder, and the memory if it is asked to watch,
see only what the robot's own sensors give.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec
from episode_group import (
    FIRST_MORNING_NS,
    POLL_S,
    START_TIMEOUT_S,
    Group,
    addresses_of,
    memory_spec,
    recorder_spec,
)
from episode_settings import SimEpisode, bridge_python

from embodied.clock import NANOSECONDS
from embodied.config import git_hash
from embodied.errors import ConfigurationError, ProcessError
from embodied.progress import Progress
from embodied.structure import Structure
from embodied.supervisor import ProcessSpec, Supervisor, halt_over
from sim.bridge import BridgeConfig
from sim.bridge_session import SessionSettings
from sim.manipulation import TaskTruth, read_task_truth
from sim.operator_messages import EndSession, GetOperatorStatus, OperatorStatus, StartSession
from sim.sensors import ActionNoiseSettings
from sim.simulator_settings import MetaworldSettings, MikasaSettings, TabletopSettings
from sim.simulators import TaskSettings

BREAK_NS = 600 * NANOSECONDS
"""Between the beginnings of two demonstrations, on the robot's clock."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


class DemonstrationRow(Structure):
    """One demonstration."""

    session: str
    seed: int
    """Of its layout."""
    success: bool
    success_seq: int | None
    """The first observation at which the task was done."""
    n_steps: int
    wall_s: float


class DemonstrationsSummary(Structure):
    """What was recorded."""

    simulator: str
    task: str
    instruction: str
    git: str
    n_episodes: int
    n_successes: int
    success: float
    """Share of the demonstrations."""
    n_frames: int
    frames_per_second: float
    """While an expert acts, with recording."""
    episodes: tuple[DemonstrationRow, ...]
    peak_rss_mb: float
    processes_rss_mb: dict[str, float]
    stages_ms: dict[str, dict[str, float]]


def simulator_settings(settings: SimEpisode) -> TaskSettings:
    """Return the settings of the simulator that has the task."""
    if settings.simulator == "metaworld":
        return MetaworldSettings(image_px=settings.pixels)
    if settings.simulator == "tabletop":
        return TabletopSettings(image_px=settings.pixels)
    return MikasaSettings(image_px=settings.pixels, prepare=settings.task or "")


def process_specs(settings: SimEpisode, run: Path, addresses: dict[str, str]) -> list[ProcessSpec]:
    """Return the settings of bridge and recorder, and of the memory if it watches; no policy is needed."""
    bridge = BridgeConfig(
        pipe=addresses["pipe"],
        latest=addresses["latest"],
        actions=addresses["actions"],
        operator=addresses["operator"],
        seed=settings.seed,
        simulator=simulator_settings(settings),
        session=SessionSettings(
            max_demonstration_steps=settings.max_steps,
            action_noise=ActionNoiseSettings(deviation=settings.action_noise),
        ),
        consumers=("memory", "recorder") if settings.remember else ("recorder",),
        n_subscribers=0,
        truth_directory=str(run / "truth"),
    )
    specs = [
        ProcessSpec("bridge", "sim.server", bridge, python=bridge_python(settings)),
        recorder_spec(run, addresses),
    ]
    if settings.remember:
        specs.append(memory_spec(settings, run, addresses))
    return specs


def run_demonstrations(settings: SimEpisode, run: Path, progress: Progress) -> DemonstrationsSummary:
    """Record the demonstrations and leave everything in ``run``.

    Raises:
        ProcessError: A process failed, or a demonstration was halted.
        ConfigurationError: The simulator does not take the task or a seed.
    """
    addresses = addresses_of(run)
    specs = process_specs(settings, run, addresses)
    with Supervisor(specs, run, halt_over(addresses["actions"])) as supervisor, ExitStack() as stack:
        supervisor.start(timeout_s=START_TIMEOUT_S)
        progress.done(f"{', '.join(spec.name for spec in specs)} are ready")
        group = Group(supervisor, addresses, progress, stack)
        rows, truths = [], []
        for index in range(settings.episodes):
            truth, wall_s = _demonstrate(settings, run, group, index)
            rows.append(_row(truth, wall_s))
            truths.append(truth)
            progress.done(
                f"{truth.session}: {'done' if truth.success_once else 'NOT DONE'} after {truth.n_steps} steps, "
                f"{truth.n_steps / max(wall_s, 1e-6):.1f}/s"
            )
        summary = _summarise(settings, group, rows, truths[0].instruction)
    (run / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary), indent=2) + b"\n")
    return summary


def _demonstrate(settings: SimEpisode, run: Path, group: Group, index: int) -> tuple[TaskTruth, float]:
    """Have one demonstration given; return its truth and the seconds that it took."""
    assert settings.task is not None, "checked before the run began"
    seed = settings.seed + index
    # Not after the seed: every consumer reads the name, and the seed tells how things are laid out.
    session = f"{_NOT_IN_NAMES.sub('-', settings.task)[:48]}-{index:06d}"
    started_s = time.perf_counter()
    start = StartSession(
        session=session,
        stamp_ns=FIRST_MORNING_NS + index * BREAK_NS,
        task=settings.task,
        seed=seed,
        demonstrate=True,
    )
    try:
        group.operate(start)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error  # a seed that this simulator does not take
    while True:
        status = group.operate(GetOperatorStatus())
        assert isinstance(status, OperatorStatus)
        if status.halted:
            raise ProcessError(f"{session}: the robot was halted at observation {status.seq}")
        if not status.busy:
            break
        rate = status.seq / max(time.perf_counter() - started_s, 1e-6)
        group.progress.update(f"{session}: {status.seq} steps, {rate:.0f}/s, {index} of {settings.episodes} done")
        time.sleep(POLL_S)
    group.operate(EndSession())
    return read_task_truth(run / "truth" / f"{session}.json"), time.perf_counter() - started_s


def _row(truth: TaskTruth, wall_s: float) -> DemonstrationRow:
    return DemonstrationRow(
        session=truth.session,
        seed=truth.task_seed,
        success=truth.success_once,
        success_seq=truth.success_seq,
        n_steps=truth.n_steps,
        wall_s=round(wall_s, 2),
    )


def _summarise(
    settings: SimEpisode, group: Group, rows: list[DemonstrationRow], instruction: str
) -> DemonstrationsSummary:
    assert settings.task is not None, "checked before the run began"
    n_successes = sum(row.success for row in rows)
    n_frames = sum(row.n_steps + 1 for row in rows)
    rss_mb = group.peak_rss_mb()
    return DemonstrationsSummary(
        simulator=settings.simulator,
        task=settings.task,
        instruction=instruction,
        git=git_hash(),
        n_episodes=len(rows),
        n_successes=n_successes,
        success=n_successes / len(rows),
        n_frames=n_frames,
        frames_per_second=n_frames / max(sum(row.wall_s for row in rows), 1e-6),
        episodes=tuple(rows),
        peak_rss_mb=round(sum(rss_mb.values()), 1),
        processes_rss_mb=rss_mb,
        stages_ms=group.stages_ms(),
    )
