"""The processes of an episode, and what its script says to them."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from episode_settings import SimEpisode

from embodied import Memory
from embodied.clock import NANOSECONDS
from embodied.messages import GetTask, RunTask, TaskResponse, TaskStatus
from embodied.process import ProcessConfig, peak_rss_mb
from embodied.progress import Progress
from embodied.recording.server import RecorderConfig
from embodied.runs import run_address
from embodied.supervisor import ProcessSpec, Supervisor
from embodied.transport import RpcClient
from memory_bank.perception.simulator import SimulatorPerceptionConfig
from memory_bank.server import MemoryConfig
from sim.operator_messages import OperatorRequest, OperatorResponse

FIRST_MORNING_NS = 1_767_603_600 * NANOSECONDS
"""2026-01-05 09:00 UTC."""
POLL_S = 0.05
START_TIMEOUT_S = 150.0
"""Another simulator's libraries may take a minute to load, and more on a busy machine."""
CHANNELS = ("pipe", "latest", "actions", "operator", "memory", "tasks")


def addresses_of(run: Path) -> dict[str, str]:
    """Return the address of each channel of a run."""
    return {name: run_address(run, name) for name in CHANNELS}


def recorder_spec(run: Path, addresses: dict[str, str]) -> ProcessSpec:
    """Return the recorder, which writes into ``logs/``."""
    config = RecorderConfig(
        process=ProcessConfig(name="recorder"),
        pipe=addresses["pipe"],
        directory=str(run / "logs"),
        connect_timeout_s=START_TIMEOUT_S,
    )
    return ProcessSpec("recorder", "embodied.recording.server", config)


def memory_spec(settings: SimEpisode, run: Path, addresses: dict[str, str]) -> ProcessSpec:
    """Return the memory, which keeps ``memory.db``."""
    config = MemoryConfig(
        process=ProcessConfig(name="memory"),
        pipe=addresses["pipe"],
        connect_timeout_s=START_TIMEOUT_S,
        memory=addresses["memory"],
        database=str(run / "memory.db"),
        simulator=SimulatorPerceptionConfig(
            seed=settings.seed, dropout=settings.dropout, label_noise=settings.label_noise
        ),
    )
    return ProcessSpec("memory", "memory_bank.server", config)


class Group:
    """What a script says to the running processes. A process that dies ends every wait for an answer."""

    def __init__(self, supervisor: Supervisor, addresses: dict[str, str], progress: Progress, stack: ExitStack) -> None:
        self.supervisor = supervisor
        self.progress = progress
        self._addresses = addresses
        self._stack = stack
        self._operator = self._client("operator", OperatorResponse, START_TIMEOUT_S)
        self._tasks: RpcClient | None = None
        self._memory: Memory | None = None

    def _client(self, name: str, response: Any, timeout_s: float) -> RpcClient:
        return self._stack.enter_context(
            RpcClient(self._addresses[name], response, timeout_s=timeout_s, while_waiting=self.supervisor.check)
        )

    @property
    def memory(self) -> Memory:
        """The memory process, by the public client."""
        if self._memory is None:
            client = Memory(self._addresses["memory"], timeout_s=20.0, while_waiting=self.supervisor.check)
            self._memory = self._stack.enter_context(client)
        return self._memory

    def operate(self, request: OperatorRequest) -> OperatorResponse:
        """Tell the bridge what the one who runs the episode wants."""
        response: OperatorResponse = self._operator.call(request)
        return response

    def run_task(self, request: RunTask, headline: str) -> tuple[TaskStatus, float]:
        """Have the policy do something to its end; return its last status and the seconds that it took."""
        if self._tasks is None:
            self._tasks = self._client("tasks", TaskResponse, 5.0)
        started_s = time.perf_counter()
        status: TaskStatus = self._tasks.call(request)
        while status.state == "running":
            time.sleep(POLL_S)
            status = self._tasks.call(GetTask())
            rate = status.n_steps / max(time.perf_counter() - started_s, 1e-6)
            self.progress.update(f"{headline}: {status.n_steps} frames, {rate:.0f}/s, {status.progress:.0%} done")
        return status, time.perf_counter() - started_s

    def peak_rss_mb(self) -> dict[str, float]:
        """Return the most memory that each process has held, and this script."""
        heartbeats = self.supervisor.statistics
        peaks = {name: round(beat.peak_rss_mb, 1) for name, beat in sorted(heartbeats.items())}
        return {**peaks, "launcher": round(peak_rss_mb(), 1)}

    def stages_ms(self) -> dict[str, dict[str, float]]:
        """Return the mean time that a frame spends in each stage of each process."""
        return {
            name: {k: round(v, 3) for k, v in sorted(beat.statistics.items()) if k.endswith("_ms")}
            for name, beat in sorted(self.supervisor.statistics.items())
        }
