"""Measure what a frame costs in maps of many objects: one 640x480 view of twenty things, in maps of 100 to 10,000.

The whole of ``Mapper.integrate`` on one thread, in a house that is known from the day before. Larger maps are made of
copies of that house around it. The same frame goes to all maps in turn, so that whatever else the machine does is
shared fairly. Beside it, the steps of two published maps, written anew from their papers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from mapping_peers import ConceptGraphsStep, DynaMemStep, Frame
from mapping_scene import MappingScene, make_scene, mapper_of

from embodied.config import Config
from embodied.figures import MeasuredFigure, write_figures
from embodied.messages import Observation, SessionStart
from embodied.progress import Progress
from memory_bank.allocator import keep_freed_memory
from memory_bank.mapper import Mapper

WARM_UP = 5
"""Frames before times are taken."""
GOAL_MS, GOAL_GROWTH = 15.0, 1.3


class Settings(Config):
    """What to measure."""

    out: str
    """The figures file to write."""
    seed: int = 300
    """Of the house."""
    objects: tuple[int, ...] = (100, 1000, 10_000)
    """Sizes of the maps."""
    frames: int = 45
    """Views, of which the first five are not counted."""
    peers: bool = True
    """Measure the others too; their largest maps take a second a frame."""


def timed(step: Callable[[], object]) -> tuple[float, float]:
    """Return the time that something takes in milliseconds: on the clock, and of this thread on its core."""
    started_s, cpu_s = time.perf_counter(), time.thread_time()
    step()
    return 1e3 * (time.perf_counter() - started_s), 1e3 * (time.thread_time() - cpu_s)


class Ours:
    """Our mapper with a map of some size, and what its frames cost."""

    def __init__(self, scene: MappingScene, n_objects: int) -> None:
        self.mapper: Mapper = mapper_of(scene, n_objects)
        self.clock_ms: list[float] = []
        self.core_ms: list[float] = []
        self.stage_ms: dict[str, list[float]] = {}
        first = scene.frames[0]
        self.mapper.start_session(SessionStart(session=first.session, robot="houses", stamp_ns=first.stamp_ns - 1))

    def integrate(self, observation: Observation) -> None:
        """Take in one frame."""

        def step() -> None:
            report = self.mapper.integrate(observation)
            for stage, spent_ms in report.stage_ms.items():
                self.stage_ms.setdefault(stage, []).append(spent_ms)

        clock_ms, core_ms = timed(step)
        self.clock_ms.append(clock_ms)
        self.core_ms.append(core_ms)


class Others:
    """The others with a map of the same objects."""

    def __init__(self, mapper: Mapper) -> None:
        clouds = [track.voxels.solid_points() for track in mapper.graph]
        self._steps = (ConceptGraphsStep(clouds), DynaMemStep(np.concatenate(clouds)))
        self.clock_ms: dict[str, list[float]] = {step.name: [] for step in self._steps}

    def integrate(self, frame: Frame) -> None:
        """Take in one frame."""
        for step in self._steps:
            self.clock_ms[step.name].append(timed(partial(step.integrate, frame))[0])

    def medians(self) -> dict[str, float]:
        """Return what a frame costs, by name."""
        return {name: float(np.median(values)) for name, values in self.clock_ms.items()}


def _frame_of(observation: Observation) -> Frame:
    """Return what the others are given."""
    camera = observation.cameras[0]
    assert camera.depth is not None
    assert camera.segments is not None
    return Frame(
        depth_m=camera.depth.astype(np.float32) * np.float32(1e-3),
        owner=camera.segments,
        n_masks=len(camera.segment_labels),
        T_world_camera=observation.T_world_base @ camera.T_base_camera,
        intrinsics=camera.intrinsics,
    )


def _figures(ours: dict[int, Ours], others: dict[int, Others]) -> list[MeasuredFigure]:
    """Return the medians with their quartiles, and how they grow."""
    figures = []
    for n, run in ours.items():
        low, median, high = np.percentile(run.clock_ms[WARM_UP:], [25, 50, 75]).tolist()
        peers = others[n].medians() if n in others else {}
        figures.append(_figure(f"frame_ms.{n}", median, "ms", (low, high), GOAL_MS, peers))
        low, core_ms, high = np.percentile(run.core_ms[WARM_UP:], [25, 50, 75]).tolist()
        figures.append(_figure(f"frame_core_ms.{n}", core_ms, "ms", (low, high), None, {}))
    smallest, largest = ours[min(ours)], ours[max(ours)]
    growth = float(np.median(np.array(largest.clock_ms[WARM_UP:])) / np.median(smallest.clock_ms[WARM_UP:]))
    peers = {}
    if others:
        before, after = others[min(ours)].medians(), others[max(ours)].medians()
        peers = {name: after[name] / before[name] for name in before}
    figures.append(_figure("growth", growth, "", None, GOAL_GROWTH, peers))
    return figures


def _figure(
    name: str,
    value: float,
    unit: str,
    interval: tuple[float, float] | None,
    goal: float | None,
    peers: dict[str, float],
) -> MeasuredFigure:
    """Return a figure of which less is better."""
    return MeasuredFigure(
        name=name,
        value=value,
        unit=unit,
        interval=interval,
        peers=peers,
        goal=goal,
        higher_is_better=False,
        met=None if goal is None else value <= goal,
    )


def main(settings: Settings, progress: Progress) -> None:
    """Measure the mapper."""
    keep_freed_memory()
    scene = make_scene(settings.seed, settings.frames)
    progress.done(f"house of {len(scene.tracks)} objects, views of {scene.n_detections:.1f} things")
    ours = {n: Ours(scene, n) for n in settings.objects}
    others = {n: Others(run.mapper) for n, run in ours.items()} if settings.peers else {}
    for i, observation in enumerate(scene.frames):
        for run in ours.values():
            run.integrate(observation)
        if WARM_UP <= i < WARM_UP + 10:
            for other in others.values():
                other.integrate(_frame_of(observation))
        progress.update(f"frame {i + 1} of {len(scene.frames)}")
    for n, run in ours.items():
        stages = ", ".join(f"{stage} {np.median(values):.2f}" for stage, values in run.stage_ms.items())
        progress.done(f"{n} objects: {stages} ms")
    figures = _figures(ours, others)
    write_figures(Path(settings.out), "mapping", figures)
    for figure in figures:
        verdict = "" if figure.met is None else "met" if figure.met else "MISSED"
        beside = "".join(f"; {name} {value:.1f}" for name, value in figure.peers.items())
        goal = "" if figure.goal is None else f" (goal {figure.goal}) {verdict}"
        progress.done(f"{figure.name}: {figure.value:.2f} {figure.unit}{goal}{beside}")
