"""The memory process: takes the robot's stream off the pipe, stores it, and answers questions about it.

python -m memory_bank.server settings.json
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Literal

from embodied.config import Config
from embodied.errors import ConfigurationError, DeadlineExceeded
from embodied.messages import GetMap, MemoryRequest, SessionEnd
from embodied.process import ProcessConfig, ProcessLink, run_process
from embodied.transport import Call, LosslessConsumer, RpcServer, Security, wait_any
from memory_bank.agent.agent_memory import AgentConfig
from memory_bank.allocator import keep_freed_memory
from memory_bank.bank import MemoryBank
from memory_bank.features.registry import build_image_encoder, build_text_encoder
from memory_bank.features.settings import FeaturesConfig
from memory_bank.frames.alignment import AlignmentConfig
from memory_bank.mapper import MapperConfig
from memory_bank.perception.geometric import GeometricConfig
from memory_bank.perception.onnx import OnnxConfig
from memory_bank.perception.protocol import Perception
from memory_bank.perception.simulator import SimulatorPerceptionConfig
from memory_bank.service import ServiceConfig
from memory_bank.stores.opening import open_store

IDLE_S = 0.2
"""A stream silent for so long is committed as far as it came."""
CONNECT_TRY_S = 0.5


class MemoryConfig(Config):
    """Settings of the memory process."""

    process: ProcessConfig
    """Who we are, and whose."""
    memory: str
    """Address to answer questions at."""
    database: str
    """The memory file, or ``postgresql://USER@HOST/DATABASE?memory=NAME``; made if it does not exist."""
    pipe: str = ""
    """Address of the lossless stream; empty to answer from the file only."""
    consumer: str = "memory"
    """Our name on the stream."""
    perception: Literal["simulator", "geometric", "onnx"] = "simulator"
    """Which detector to use; its settings are those of the same name."""
    simulator: SimulatorPerceptionConfig = SimulatorPerceptionConfig()
    """Masks that come with the observations."""
    geometric: GeometricConfig = GeometricConfig()
    """Things on surfaces, without classes."""
    onnx: OnnxConfig | None = None
    """A detector file of your own."""
    mapper: MapperConfig = MapperConfig()
    """How observations become a map of objects."""
    service: ServiceConfig = ServiceConfig()
    """How rooms and relations are found."""
    alignment: AlignmentConfig = AlignmentConfig()
    """When the map frame of a session turns out to be a known one, turned and shifted."""
    features: FeaturesConfig = FeaturesConfig()
    """Encoders of words and pictures."""
    agent: AgentConfig = AgentConfig()
    """Working memory of policies, and experiences."""
    commit_every: int = 20
    """Messages between two commits: what a crash may lose. Session ends and pauses commit too."""
    connect_timeout_s: float = 30.0
    """How long the stream's producer may take to come."""
    map_timeout_s: float = 10.0
    """How long a request for a map waits for its observation."""
    answer_budget_s: float = 0.02
    """Time given to answers between two observations; a single answer may take longer."""
    security: Security | None = None
    """Keys, for addresses off this machine."""


def build_perception(config: MemoryConfig) -> Perception:
    """Build the detector that the settings name. Its libraries are imported here, not before.

    Raises:
        ConfigurationError: The detector's settings are missing, or it cannot be loaded.
    """
    if config.perception == "simulator":
        from memory_bank.perception.simulator import SimulatorPerception

        return SimulatorPerception(config.simulator)
    if config.perception == "geometric":
        from memory_bank.perception.geometric import GeometricPerception

        return GeometricPerception(config.geometric)
    if config.onnx is None:
        raise ConfigurationError("perception 'onnx' needs settings: onnx.model is the detector's file")
    from memory_bank.perception.onnx import OnnxPerception

    return OnnxPerception(config.onnx)


class MemoryServer:
    """The loop of the memory process: observations first, questions between them."""

    def __init__(
        self,
        config: MemoryConfig,
        link: ProcessLink,
        bank: MemoryBank,
        rpc: RpcServer,
        consumer: LosslessConsumer | None,
    ) -> None:
        self._config = config
        self._link = link
        self._bank = bank
        self._rpc = rpc
        self._consumer = consumer
        self._waiting: list[tuple[Call, float]] = []
        """Requests for maps that wait for their observation, and when they end."""
        self._received_s = 0.0

    def run(self) -> None:
        """Work until asked to stop; then commit."""
        if self._consumer is not None:
            self._connect(self._consumer)
        channels = [self._rpc] if self._consumer is None else [self._consumer, self._rpc]
        while not self._link.stopping:
            ready = wait_any(channels, 0.05 if self._waiting or self._bank.n_uncommitted else 0.2)
            if self._consumer in ready:
                self._take()
            elif time.monotonic() - self._received_s > IDLE_S:
                self._commit()
            if self._rpc in ready:
                self._answer()
            if self._waiting:
                self._answer_waiting()
        self._bank.cut_off()
        self._commit()

    def _connect(self, consumer: LosslessConsumer) -> None:
        deadline_s = time.monotonic() + self._config.connect_timeout_s
        while not self._link.stopping:
            try:
                consumer.connect(CONNECT_TRY_S)
                return
            except DeadlineExceeded:
                if time.monotonic() > deadline_s:
                    raise
            self._answer()

    def _take(self) -> None:
        """Take what has come off the pipe; commit if it is time."""
        assert self._consumer is not None
        message = self._consumer.receive(0.0)
        if message is None:
            return
        self._received_s = time.monotonic()
        self._bank.take(message)
        self._link.worked(1, frame_ms=(time.monotonic() - self._received_s) * 1e3)
        if isinstance(message, SessionEnd) or self._bank.n_uncommitted >= self._config.commit_every:
            self._commit()
        else:
            self._consumer.acknowledge()

    def _commit(self) -> None:
        if self._bank.n_uncommitted:
            self._bank.commit()
            self._link.worked(0, **{f"{stage}_ms": mean_ms for stage, mean_ms in self._bank.stage_ms.items()})
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Tell how much of the stream is on disk; requests that change the memory commit it, too."""
        if self._consumer is not None and not self._bank.n_uncommitted:
            self._consumer.acknowledge(durable=self._consumer.n_received)

    def _answer(self) -> None:
        """Answer what has come in, for a bounded time."""
        end_s = time.monotonic() + self._config.answer_budget_s
        while (call := self._rpc.receive(0.0)) is not None:
            if isinstance(call.request, GetMap) and call.request.min_seq >= 0 and not self._has(call.request):
                self._waiting.append((call, time.monotonic() + self._config.map_timeout_s))
            else:
                call.answer(self._bank.handle)
            if time.monotonic() >= end_s:
                break
        self._acknowledge()

    def _has(self, request: GetMap) -> bool:
        """Tell whether a session's observation is in the map, or can no longer come."""
        state = self._bank.state
        session = request.session or state.health.session
        if session == state.health.session:
            return state.health.seq >= request.min_seq or not state.open_session
        return session in state.sessions

    def _answer_waiting(self) -> None:
        now_s = time.monotonic()
        still = []
        for call, end_s in self._waiting:
            if self._has(call.request):
                call.answer(self._bank.handle)
            elif now_s >= end_s:
                call.fail(
                    DeadlineExceeded(
                        f"observation {call.request.min_seq} of session {call.request.session!r} has not come within "
                        f"{self._config.map_timeout_s:.0f} s"
                    )
                )
            else:
                still.append((call, end_s))
        self._waiting = still


def main(config: MemoryConfig, link: ProcessLink) -> None:
    """Run the memory process until ``link.stopping``.

    Raises:
        EmbodiedError: A setting, an address, the file or the stream does not work.
    """
    keep_freed_memory()
    with ExitStack() as stack:
        store = open_store(config.database)
        stack.callback(store.close)
        bank = MemoryBank(
            config.mapper,
            build_perception(config),
            store,
            config.service,
            alignment=config.alignment,
            agent_config=config.agent,
            features=config.features,
            text_encoder=build_text_encoder(config.features.text) if config.features.text else None,
            image_encoder=build_image_encoder(config.features.image) if config.features.image else None,
            address=config.memory,
        )
        bank.state.keyframes.warm_up()
        rpc = stack.enter_context(RpcServer(config.memory, MemoryRequest, security=config.security))
        consumer = None
        if config.pipe:
            consumer = stack.enter_context(
                LosslessConsumer(config.pipe, name=config.consumer, security=config.security)
            )
        server = MemoryServer(config, link, bank, rpc, consumer)
        link.ready()
        server.run()


if __name__ == "__main__":
    run_process(main, MemoryConfig)
