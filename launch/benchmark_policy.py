"""Measure what a memory costs a policy: a call with it beside a call of the same network that neither reads nor writes.

Calls of all kinds in turn, so that whatever else the machine does is shared fairly; one thread. ``without`` encodes and
samples and does nothing else; the twin is the network as it is trained without a memory, which reads what it sees now.
The pictures are noise: what a call costs does not depend on what is seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np

from embodied.arrays import Float, Image
from embodied.config import Config, git_hash
from embodied.errors import ConfigurationError
from embodied.figures import MeasuredFigure, write_figures
from embodied.progress import Progress
from policies.vla.acting import STAGES, ActingConfig, Actor
from policies.vla.action_codec import n_network_actions
from policies.vla.backend import TorchBackend
from policies.vla.config import PRESETS, WORDS_DIM, Interface, NetworkConfig
from policies.vla.normaliser import Bounds, Normaliser
from policies.vla.record import DataRecord, PolicyRecord, package_versions, read_record

GOAL_RATIO, GOAL_SHARE, GOAL_GROWTH = 1.04, 0.05, 1.05
MARKS = (10, 100, 1000)
"""Calls of an episode at which a call is timed."""
WINDOW = 25
"""Calls from there on whose median counts."""
INTERFACE = Interface(
    cameras=("front",), height_px=128, width_px=128, action_names=tuple(f"action_{n}" for n in range(7)),
    proprioception_names=(), control_period_s=0.05, chunk_steps=16, execute_steps=4,
)  # fmt: skip
"""Of the policy with random weights."""
Times = dict[str, list[float]]
"""Milliseconds by stage, of all calls."""


class Settings(Config):
    """What to measure."""

    out: str
    """The figures file to write."""
    checkpoint: str = ""
    """A policy's folder; empty for one with random weights, which costs the same."""
    preset: str = "compact"
    """Of the policy with random weights."""
    calls: int = MARKS[-1] + WINDOW
    """Of one episode."""
    acting: ActingConfig = ActingConfig()
    """How the policy acts."""
    seed: int = 0
    """Of the pictures."""


class Without:
    """The same network without its memory: what is seen goes straight to the head."""

    def __init__(self, backend: TorchBackend, seed: int) -> None:
        self._backend = backend
        self._words = np.zeros(WORDS_DIM, dtype=np.float32)
        interface = backend.record.interface
        n_actions = n_network_actions(backend.record.network, interface)
        rng = np.random.default_rng(seed)
        self._noise = rng.standard_normal((interface.chunk_steps, n_actions), dtype=np.float32)

    def act(self, frames: Sequence[Image], felt: Float[np.ndarray, " n_proprioception"]) -> None:
        """Perceive and decide."""
        images = np.stack(frames)
        tokens = self._backend.encode(images, self._words, "", felt)
        self._backend.sample(tokens, self._backend.locate(images), self._noise)


def no_words(instructions: Sequence[str]) -> Float[np.ndarray, "n 384"]:
    """Stand in for the encoder of instructions, which works once an episode."""
    return np.zeros((len(instructions), WORDS_DIM), dtype=np.float32)


def random_policy(folder: Path, network: NetworkConfig, interface: Interface) -> str:
    """Write a policy with random weights; return their checksum."""
    from policies.vla.checkpoint import save_policy, stored_tensors
    from policies.vla.model import MemoryPolicy

    n_actions = len(interface.action_names)
    record = PolicyRecord(
        network=network, interface=interface, seed=0, n_steps=0, trained_s=0.0, settings={},
        normaliser=Normaliser(actions=Bounds(low=(-1.0,) * n_actions, high=(1.0,) * n_actions)),
        data=DataRecord(folders=(), sha256="", n_episodes=0, n_observations=0, instructions=()),
        git=git_hash(), packages=package_versions(),
    )  # fmt: skip
    save_policy(folder, stored_tensors(MemoryPolicy(network, interface)), record)
    return read_record(folder).weights_sha256


def write_twin(source: Path, folder: Path) -> dict[str, int]:
    """Write the same weights as a policy without a memory; return how many parameters each part has.

    Raises:
        ConfigurationError: The source has no policy, or one without a memory.
    """
    from policies.vla.checkpoint import load_policy, save_policy, stored_tensors

    policy, record = load_policy(source)
    if record.network.memory.kind != "memory":
        raise ConfigurationError(f"checkpoint {source}: expected a policy with a memory")
    replace = msgspec.structs.replace
    network = replace(record.network, memory=replace(record.network.memory, kind="none"))
    # A loaded policy is frozen, and what is frozen is not stored.
    save_policy(folder, stored_tensors(policy.requires_grad_(True)), replace(record, network=network))
    return policy.n_parameters()


def measure_calls(settings: Settings, with_memory: Path, twin: Path, progress: Progress) -> Times:
    """Return the milliseconds of each call of an episode: of its stages, of the twin, and without the memory."""
    backends = [TorchBackend(folder, settings.acting.sampling) for folder in (with_memory, twin)]
    actors = [Actor(backend, settings.acting, words=no_words) for backend in backends]
    without = Without(backends[0], settings.seed)
    interface, network = backends[0].record.interface, backends[0].record.network
    felt = np.zeros(len(interface.proprioception_names) if network.proprioception else 0, dtype=np.float32)
    rng = np.random.default_rng(settings.seed)
    for actor in actors:
        actor.warm_up()
        actor.begin("", "benchmark")
    times: Times = {name: [] for name in (*STAGES, "memory call", "twin call", "without call")}
    shape = (interface.height_px, interface.width_px, 3)
    for call in range(settings.calls):
        frames = [rng.integers(256, size=shape, dtype=np.uint8) for _ in interface.cameras]
        step = call * interface.execute_steps
        marks = [time.perf_counter()]
        for actor in actors:
            actor.act(frames, step, felt)
            marks.append(time.perf_counter())
        without.act(frames * network.n_stacked_frames, felt)
        marks.append(time.perf_counter())
        for name, taken_s in zip(("memory call", "twin call", "without call"), np.diff(marks), strict=True):
            times[name].append(1000.0 * float(taken_s))
        for stage, taken_s in actors[0].stage_s.items():
            times[stage].append(1000.0 * taken_s)
        if call % WINDOW == 0:
            progress.update(f"call {call} of {settings.calls}")
    return times


def figures_of(times: Times, parameters: dict[str, int]) -> list[MeasuredFigure]:
    """Return the figures: the ratio first.

    Calls are compared with those right beside them, so that a machine that slows down for a while slows down both.
    """
    medians = {name: float(np.median(values)) for name, values in times.items()}
    ratios = np.array(times["memory call"]) / np.array(times["without call"])
    twin = float(np.median(np.array(times["twin call"]) / np.array(times["without call"])))
    figures = [
        _figure("call.ratio", float(np.median(ratios)), "", GOAL_RATIO, {"twin": twin}),
        _figure("memory.share_of_parameters", parameters["memory"] / parameters["total"], "", GOAL_SHARE),
    ]
    reached = [mark for mark in MARKS if mark < len(ratios)]
    if MARKS[-1] in reached:
        first, *_, last = (float(np.median(ratios[mark : mark + WINDOW])) for mark in MARKS)
        figures.append(_figure("call.growth", last / first, "", GOAL_GROWTH))
    for mark in reached:
        window = np.median(times["memory call"][mark : mark + WINDOW])
        figures.append(_figure(f"call.at_{mark}", float(window), "ms"))
    peers = {"twin": medians["twin call"], "without": medians["without call"]}
    figures.append(_figure("call", medians["memory call"], "ms", None, peers))
    figures += [_figure(f"stage.{name}", medians[name], "ms") for name in STAGES]
    figures += [_figure(f"parameters.{name}", float(count), "") for name, count in parameters.items()]
    return figures


def _figure(
    name: str, value: float, unit: str, goal: float | None = None, peers: dict[str, float] | None = None
) -> MeasuredFigure:
    """Return a figure of which less is better."""
    return MeasuredFigure(
        name=name, value=value, unit=unit, interval=None, peers=peers or {}, goal=goal, higher_is_better=False,
        met=None if goal is None else value <= goal,
    )  # fmt: skip


def main(settings: Settings, progress: Progress) -> None:
    """Measure one episode."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if settings.preset not in PRESETS:
        raise ConfigurationError(f"preset: expected one of {', '.join(PRESETS)}, got {settings.preset!r}")
    if settings.calls < 1:
        raise ConfigurationError(f"calls: expected at least 1, got {settings.calls}")
    with TemporaryDirectory() as scratch:
        source, twin = Path(settings.checkpoint or Path(scratch) / "policy"), Path(scratch) / "twin"
        try:
            if not settings.checkpoint:
                random_policy(source, PRESETS[settings.preset], INTERFACE)
            parameters = write_twin(source, twin)
        except ImportError as error:
            raise ConfigurationError(
                f"policy: torch is missing: pip install 'embodied-memory[vla]' ({error})"
            ) from error
        times = measure_calls(settings, source, twin, progress)
    figures = figures_of(times, parameters)
    write_figures(Path(settings.out), "policy", figures)
    for figure in figures:
        goal = "" if figure.goal is None else f" (goal {figure.goal:g}) {'met' if figure.met else 'MISSED'}"
        beside = "".join(f"; {name} {value:.3f}" for name, value in figure.peers.items())
        progress.done(f"{figure.name}: {figure.value:.3f} {figure.unit}{goal}{beside}")
