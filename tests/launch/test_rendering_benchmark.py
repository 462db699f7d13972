"""What the rendering benchmark measures is the house, finer, seen from where the robot can be."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from embodied.errors import ConfigurationError, ProcessError
from embodied.figures import FiguresFile
from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from embodied.progress import Progress
from sim.habitat_timing import HabitatJob
from sim.renderer import Renderer
from sim.simulator_settings import CameraSettings
from sim_scenes import box_part, furnished_room

sys.path.insert(0, str(Path(__file__).parents[2] / "launch"))

from benchmark_rendering import Run, Settings, agreement, choose_poses, cut_finer, cut_scene_finer, main, run_habitat

PYTHON = os.environ.get("EMBODIED_HABITAT_PYTHON", "")


def test_a_part_cut_finer_is_the_same_surface_in_four_times_as_many_triangles() -> None:
    part = box_part((0.0, 0.0, 0.0), (1.0, 2.0, 3.0))
    finer = cut_finer(part)
    assert len(finer.faces) == 4 * len(part.faces)
    corners = finer.vertices[finer.faces].astype(float)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert 0.5 * np.linalg.norm(normals, axis=1).sum() == np.float64(22.0)
    # Divergence: all faces still look outwards.
    np.testing.assert_allclose(np.einsum("ij,ij->", corners[:, 0], normals) / 6, 6.0)
    # Vertices that faces had in common are still common.
    assert len(finer.vertices) == 6 * (4 + 5)


def test_a_scene_cut_finer_looks_the_same() -> None:
    scene = furnished_room()
    T_world_camera = planar_pose(-2.0, -2.0, 0.7) @ camera_mount(0.0, 0.0, 1.25, 0.35)
    camera = intrinsics_from_fov(64, 48, 1.4)
    frames = [Renderer(s).render(T_world_camera, camera) for s in (scene, cut_scene_finer(scene))]
    np.testing.assert_allclose(frames[0][1], frames[1][1], atol=1e-4)
    np.testing.assert_array_equal(frames[0][2], frames[1][2])
    assert np.abs(frames[0][0].astype(int) - frames[1][0]).mean() < 4


def test_poses_are_where_the_robot_fits_and_the_same_each_time() -> None:
    scene = furnished_room()
    poses = choose_poses(scene, 20, seed=4)
    assert poses == choose_poses(scene, 20, seed=4) != choose_poses(scene, 20, seed=5)
    for x_m, y_m, _ in poses:
        assert max(abs(x_m), abs(y_m)) <= 2.8
        assert not (0.4 < x_m < 1.6 and -0.4 < y_m < 0.4), "inside the table"


def test_agreement_is_counted_by_pixels() -> None:
    times_ms = np.ones((1, 1))
    depth_m = np.ones((2, 2), dtype=np.float32)
    ids = np.ones((2, 2), dtype=np.int32)
    ours = Run(times_ms, times_ms, [], [depth_m], [ids])
    off_m = depth_m + np.array([[0.0, 0.002], [0.003, 0.5]], dtype=np.float32)
    theirs = Run(times_ms, times_ms, [], [off_m], [np.array([[1, 1], [1, 2]], dtype=np.int32)])
    error_m, near, same = agreement(ours, theirs)
    np.testing.assert_allclose((error_m, near, same), (0.0025, 0.75, 0.75), atol=1e-6)


def test_without_an_interpreter_for_habitat_sim_nothing_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EMBODIED_HABITAT_PYTHON", raising=False)
    with pytest.raises(ConfigurationError, match="habitat_python"):
        main(Settings(out=str(tmp_path / "figures.json")), Progress())


@pytest.mark.habitat
@pytest.mark.skipif(not PYTHON, reason="EMBODIED_HABITAT_PYTHON does not name an interpreter with habitat-sim")
def test_a_small_house_is_measured_and_agrees(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    main(Settings(out=str(out), n_rooms=3, n_cuts=0, n_views=4, n_rounds=2), Progress())
    figures = {figure.name: figure for figure in msgspec.json.decode(out.read_bytes(), type=FiguresFile).figures}
    for size in ("256x256", "640x480"):
        assert figures[f"depth_error_m.{size}"].met
        assert figures[f"depth_within_1cm.{size}"].met
        assert figures[f"instances_equal.{size}"].met
        assert set(figures[f"frame_core_ms.{size}"].peers) == {"habitat-sim", "ours without numba"}


@pytest.mark.skipif(importlib.util.find_spec("habitat_sim") is not None, reason="habitat_sim is installed here")
def test_an_interpreter_that_has_no_habitat_sim_is_said_in_one_line(tmp_path: Path) -> None:
    job = HabitatJob(
        dataset="house",
        scene_name="house",
        camera=CameraSettings(),
        poses=(),
        n_rounds=1,
        out=str(tmp_path / "out.npz"),
    )
    with pytest.raises(ProcessError, match=r"habitat-sim: .*habitat_sim is missing in this interpreter"):
        run_habitat(sys.executable, tmp_path, job)
