"""A policy without a network, for tests of those who run one: a few sums that depend on picture, memory and noise.

``python -m fake_policy SETTINGS.json`` is its process.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from typing import Any, Sequence

import msgspec
import numpy as np

from arm_simulator import SIZE_PX, ArmSimulator
from embodied.process import ProcessLink, run_process
from policies.vla.acting import Actor
from policies.vla.backend import StoredStream, TokenArrays
from policies.vla.config import PRESETS, Interface, MemoryConfig, NetworkConfig
from policies.vla.normaliser import Bounds, Normaliser
from policies.vla.record import DataRecord, PolicyRecord
from policies.vla.server import VlaServer, VlaServerConfig
from policies.vla.token_memory import ProcessMemory, Remembered, stream_config

INTERFACE = Interface(
    cameras=("above",),
    height_px=SIZE_PX,
    width_px=SIZE_PX,
    action_names=ArmSimulator.action_space.names,
    proprioception_names=(),
    control_period_s=0.05,
    chunk_steps=8,
    execute_steps=4,
)
BOUNDS = Bounds(low=(-0.5, -0.2, -1.0), high=(0.5, 0.8, 1.0))
NETWORK = msgspec.structs.replace(PRESETS["small"], memory=MemoryConfig(capacity=3))


def record_of(network: NetworkConfig = NETWORK, interface: Interface = INTERFACE) -> PolicyRecord:
    felt = len(interface.proprioception_names)
    return PolicyRecord(
        network=network,
        interface=interface,
        normaliser=Normaliser(actions=BOUNDS, proprioception=Bounds(low=(-1.0,) * felt, high=(1.0,) * felt)),
        data=DataRecord(folders=(), sha256="", n_episodes=0, n_observations=0, instructions=()),
        settings={},
        seed=0,
        n_steps=0,
        trained_s=0.0,
        git="",
        packages={},
        weights="fake",
    )


def words_of(instructions: Sequence[str]) -> np.ndarray:
    return np.array([[len(text), *[0.0] * 383] for text in instructions], dtype=np.float32)


class FakeBackend:
    """``Backend``."""

    def __init__(self, record: PolicyRecord | None = None) -> None:
        self._record = record or record_of()
        self.images: list[np.ndarray] = []
        """What was looked at."""
        self.read_steps: list[list[float]] = []
        """Steps of the entries of both streams, one after the other, at each reading."""
        self.spoil: dict[int, float] = {}
        """What all actions of the n-th answer are instead."""
        self._n_answers = 0

    @property
    def record(self) -> PolicyRecord:
        return self._record

    def encode(
        self, images: np.ndarray, words: np.ndarray, instruction: str, proprioception: np.ndarray
    ) -> TokenArrays:
        self.images.append(images)
        seen = images.reshape(len(images), 2, -1).mean(axis=(0, 2)) / 100.0
        felt = np.float32(proprioception.sum() + 0.01 * words[0])
        perceptual = np.array([[seen[0], seen[1]], [seen[1], 1.0]], dtype=np.float32)
        return TokenArrays(perceptual, np.array([[seen.mean(), felt, 1.0]], dtype=np.float32))

    def read(self, tokens: TokenArrays, step: int, perceptual: StoredStream, cognitive: StoredStream) -> TokenArrays:
        self.read_steps.append([*perceptual.steps.tolist(), *cognitive.steps.tolist()])
        fused = []
        for now, held in zip(tokens, (perceptual, cognitive)):
            weights = 1.0 / (1.0 + step - held.steps)
            then = np.tensordot(weights, held.tokens, axes=1)
            fused.append((now + 0.5 * then).astype(np.float32))
        return TokenArrays(*fused)

    def to_store(self, tokens: TokenArrays) -> TokenArrays:
        return tokens

    def locate(self, images: np.ndarray) -> np.ndarray:
        return np.zeros((3, 3), dtype=np.float32)

    def sample(self, fused: TokenArrays, positions: np.ndarray, noise: np.ndarray) -> np.ndarray:
        self._n_answers += 1
        if self._n_answers - 1 in self.spoil:
            return np.full_like(noise, self.spoil[self._n_answers - 1])
        return np.tanh(0.1 * fused.perceptual.sum() + 0.1 * fused.cognitive.sum() + noise).astype(np.float32)


def actor_of(record: PolicyRecord | None = None, **changed: Any) -> Actor:
    return Actor(FakeBackend(record), words=words_of, **changed)


class DyingMemory(ProcessMemory):
    """Is killed, with its process, before or after it has written the step that the environment names."""

    def write(self, episode: str, step: int, tokens: TokenArrays, note: bytes) -> Remembered:
        self._die_at(step, "DIE_BEFORE")
        held = super().write(episode, step, tokens, note)
        self._die_at(step, "DIE_AFTER")
        return held

    @staticmethod
    def _die_at(step: int, name: str) -> None:
        if os.environ.get(name) == str(step):
            os.kill(os.getpid(), signal.SIGKILL)


def main(config: VlaServerConfig, link: ProcessLink) -> None:
    """Serve as ``policies.vla.server`` does."""
    assert config.memory_address is not None
    with ExitStack() as stack:
        memory = DyingMemory(config.memory_address, stream_config(NETWORK.memory))
        stack.callback(memory.close)
        server = stack.enter_context(VlaServer(config, link, actor_of(settings=config.acting, memory=memory)))
        link.ready()
        server.run()


if __name__ == "__main__":
    run_process(main, VlaServerConfig)
