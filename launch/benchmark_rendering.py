"""Measure frames of colour, depth and instances: our renderer's beside habitat-sim's, of the same house and poses.

Each has one thread. habitat-sim runs in the interpreter that ``--habitat-python`` names, on the CPU unless its build
finds a GPU; its times are those of its sensors alone, without a policy or noise. Times are medians over rounds and
poses; the goals hold for core time, which other programs on the machine disturb the least.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from embodied.arrays import Float, Image, Int
from embodied.config import Config
from embodied.errors import ConfigurationError, ProcessError
from embodied.figures import MeasuredFigure, write_figures
from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from embodied.progress import Progress
from sim.collision import navigable_grid
from sim.habitat_dataset import write_dataset
from sim.habitat_timing import HabitatJob
from sim.houses import generate_house
from sim.renderer import Engine, Renderer
from sim.scene import Part, Scene, Template
from sim.simulator_settings import CameraSettings

GOAL_TRIANGLES = 100_000
GOAL_SPEEDUP = {(256, 256): 3.0, (640, 480): 1.5}
GOAL_DEPTH_M, GOAL_SHARE = 0.001, 0.99
NEAR_M = 0.01
Pose = tuple[float, float, float]


class Settings(Config):
    """What to measure."""

    out: str
    """The figures file to write."""
    seed: int = 0
    """Of the house, and of where the robot stands in it."""
    n_rooms: int = 12
    """Rooms of the house."""
    n_cuts: int = 1
    """How often each triangle is cut into four, as finely as scanned houses are; they look the same."""
    n_views: int = 24
    """Poses."""
    n_rounds: int = 5
    """How often each is rendered."""
    habitat_python: str | None = None
    """Interpreter that has habitat_sim and this project; the variable EMBODIED_HABITAT_PYTHON if it is not given."""


class Run(NamedTuple):
    """What one renderer made of all poses."""

    clock_ms: Float[np.ndarray, "n_rounds n_views"]
    core_ms: Float[np.ndarray, "n_rounds n_views"]
    rgb: list[Image]
    depth_m: list[Float[np.ndarray, "height width"]]
    instance_ids: list[Int[np.ndarray, "height width"]]


def cut_finer(part: Part) -> Part:
    """Return a part with each triangle cut into four at the middles of its edges."""
    edges = np.sort(part.faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    middles, inverse = np.unique(edges, axis=0, return_inverse=True)
    a, b, c = part.faces.T
    ab, bc, ca = (inverse.reshape(-1, 3) + len(part.vertices)).T
    faces = np.concatenate([np.stack(f, axis=1) for f in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return replace(
        part,
        vertices=np.concatenate([part.vertices, part.vertices[middles].mean(axis=1)]).astype(np.float32),
        uv=np.concatenate([part.uv, part.uv[middles].mean(axis=1)]).astype(np.float32),
        faces=faces.astype(np.int32),
    )


def cut_scene_finer(scene: Scene) -> Scene:
    """Return a scene that looks the same, of four times as many triangles."""

    def finer(template: Template) -> Template:
        return replace(template, parts=tuple(cut_finer(part) for part in template.parts))

    templates = {handle: finer(template) for handle, template in scene.templates.items()}
    return replace(scene, stage=finer(scene.stage), templates=templates)


def choose_poses(scene: Scene, n_views: int, seed: int) -> tuple[Pose, ...]:
    """Return places all over the house where the robot fits, looking anywhere."""
    rng = np.random.default_rng(seed)
    grid = navigable_grid(scene)
    cells = np.argwhere(grid.cells)
    chosen = cells[rng.choice(len(cells), n_views, replace=False)]
    yaws = rng.uniform(-np.pi, np.pi, n_views)
    return tuple((*grid.center(int(row), int(column)), float(yaw)) for (row, column), yaw in zip(chosen, yaws))


def run_ours(renderer: Renderer, camera: CameraSettings, poses: tuple[Pose, ...], n_rounds: int) -> Run:
    """Render all poses; the first frame, before which machine code may have to be made, is not counted."""
    intrinsics = intrinsics_from_fov(camera.width_px, camera.height_px, camera.horizontal_fov_rad)
    mount = camera_mount(0.0, 0.0, camera.height_m, camera.pitch_rad)
    views = [planar_pose(*pose) @ mount for pose in poses]
    renderer.render(views[0], intrinsics)
    clock_ms, core_ms = np.zeros((n_rounds, len(views))), np.zeros((n_rounds, len(views)))
    run = Run(clock_ms, core_ms, [], [], [])
    for round_index in range(n_rounds):
        for index, T_world_camera in enumerate(views):
            clock_s, core_s = time.perf_counter(), time.process_time()
            rgb, depth_m, instance_ids = renderer.render(T_world_camera, intrinsics)
            clock_ms[round_index, index] = 1e3 * (time.perf_counter() - clock_s)
            core_ms[round_index, index] = 1e3 * (time.process_time() - core_s)
            if round_index == n_rounds - 1:
                run.rgb.append(rgb)
                run.depth_m.append(depth_m)
                run.instance_ids.append(instance_ids)
    return run


def run_habitat(python: str, folder: Path, job: HabitatJob) -> Run:
    """Have habitat-sim do the same in its own interpreter."""
    request = folder / "job.json"
    request.write_bytes(msgspec.json.encode(job))
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "PYTHONPATH")}
    # Its software renderer would otherwise take all cores.
    environment.update(HABITAT_SIM_LOG="quiet", MAGNUM_LOG="quiet", LP_NUM_THREADS="0", OMP_NUM_THREADS="1")
    command = [python, "-m", "sim.habitat_timing", str(request)]
    root = Path(__file__).resolve().parents[1]
    try:
        done = subprocess.run(
            command, env=environment, cwd=root, capture_output=True, text=True, timeout=900, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProcessError(f"habitat-sim: {error}") from error
    if done.returncode != 0:
        raise ProcessError(f"habitat-sim: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    with np.load(job.out) as frames:
        return Run(
            frames["clock_ms"],
            frames["core_ms"],
            list(frames["rgb"][..., :3]),
            list(frames["depth"]),
            list(frames["semantic"].astype(np.int32)),
        )


def agreement(ours: Run, theirs: Run) -> tuple[float, float, float]:
    """Return the median depth error in metres, the share of pixels within 1 cm, and that of equal instance ids."""
    errors_m = np.abs(np.stack(ours.depth_m) - np.stack(theirs.depth_m))
    same = np.mean(np.stack(ours.instance_ids) == np.stack(theirs.instance_ids))
    return float(np.median(errors_m)), float(np.mean(errors_m <= NEAR_M)), float(same)


def figures_of(size: tuple[int, int], ours: Run, plain: Run, theirs: Run) -> list[MeasuredFigure]:
    """Return what a frame costs, and how the pictures agree."""
    name = f"{size[0]}x{size[1]}"
    figures = []
    for kind in ("core", "clock"):
        mine, slow, other = (np.median(getattr(run, f"{kind}_ms")) for run in (ours, plain, theirs))
        rounds = np.median(getattr(ours, f"{kind}_ms"), axis=1)
        peers = {"habitat-sim": float(other), "ours without numba": float(slow)}
        interval = (float(rounds.min()), float(rounds.max()))
        figures.append(_figure(f"frame_{kind}_ms.{name}", float(mine), "ms", interval, None, peers, higher=False))
        ratios = np.median(getattr(theirs, f"{kind}_ms"), axis=1) / rounds
        goal = GOAL_SPEEDUP[size] if kind == "core" else None
        interval = (float(ratios.min()), float(ratios.max()))
        figures.append(_figure(f"speedup_{kind}.{name}", float(other / mine), "", interval, goal, {}))
    error_m, near, same = agreement(ours, theirs)
    figures.append(_figure(f"depth_error_m.{name}", error_m, "m", None, GOAL_DEPTH_M, {}, higher=False))
    figures.append(_figure(f"depth_within_1cm.{name}", near, "", None, GOAL_SHARE, {}))
    figures.append(_figure(f"instances_equal.{name}", same, "", None, GOAL_SHARE, {}))
    return figures


def _figure(
    name: str,
    value: float,
    unit: str,
    interval: tuple[float, float] | None,
    goal: float | None,
    peers: dict[str, float],
    *,
    higher: bool = True,
) -> MeasuredFigure:
    return MeasuredFigure(
        name=name,
        value=value,
        unit=unit,
        interval=interval,
        peers=peers,
        goal=goal,
        higher_is_better=higher,
        met=None if goal is None else (value >= goal if higher else value <= goal),
    )


def main(settings: Settings, progress: Progress) -> None:
    """Measure rendering.

    Raises:
        ConfigurationError: No interpreter with habitat-sim is named.
    """
    python = settings.habitat_python or os.environ.get("EMBODIED_HABITAT_PYTHON", "")
    if not python:
        raise ConfigurationError("habitat_python: expected an interpreter that has habitat_sim (docs/simulators.md)")
    scene = generate_house(settings.seed, settings.n_rooms, variety="full")
    poses = choose_poses(scene, settings.n_views, settings.seed)
    for _ in range(settings.n_cuts):
        scene = cut_scene_finer(scene)
    engines: tuple[Engine, ...] = ("compiled", "plain")
    renderers = {engine: Renderer(scene, engine=engine) for engine in engines}
    n_triangles = len(renderers["compiled"].mesh.corners)
    progress.done(f"house of {len(scene.regions)} rooms, {len(scene.instances)} things, {n_triangles} triangles")
    figures = [_figure("triangles", float(n_triangles), "", None, float(GOAL_TRIANGLES), {})]
    with tempfile.TemporaryDirectory() as scratch:
        dataset = write_dataset(scene, Path(scratch))
        for width_px, height_px in GOAL_SPEEDUP:
            camera = CameraSettings(width_px=width_px, height_px=height_px)
            runs = [run_ours(renderers[engine], camera, poses, settings.n_rounds) for engine in engines]
            job = HabitatJob(
                dataset=str(dataset),
                scene_name=scene.name,
                camera=camera,
                poses=poses,
                n_rounds=settings.n_rounds,
                out=str(Path(scratch) / "frames.npz"),
            )
            figures += figures_of((width_px, height_px), *runs, run_habitat(python, Path(scratch), job))
    write_figures(Path(settings.out), "rendering", figures)
    for figure in figures:
        verdict = "" if figure.met is None else "met" if figure.met else "MISSED"
        beside = "".join(f"; {name} {value:.1f}" for name, value in figure.peers.items())
        goal = "" if figure.goal is None else f" (goal {figure.goal:g}) {verdict}"
        progress.done(f"{figure.name}: {figure.value:.4g} {figure.unit}{goal}{beside}")
