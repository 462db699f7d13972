"""The real habitat-sim loads our datasets unchanged, and sees what our renderer sees.

Needs an interpreter with habitat-sim: ``EMBODIED_HABITAT_PYTHON=/path/to/python pytest -m habitat``.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Callable, Dict, List

import numpy as np
import pytest

from embodied.arrays import Transform
from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose, quaternion_from_matrix
from sim.habitat_dataset import R_HABITAT_WORLD, write_dataset
from sim.houses import change_overnight, generate_house
from sim.renderer import Renderer
from sim.scene import Scene, open_container

PYTHON = os.environ.get("EMBODIED_HABITAT_PYTHON", "")
SCRIPT = Path(__file__).parents[1] / "habitat_render.py"
SIZE_PX = 192
R_OPTICAL_HABITAT = np.diag([1.0, -1.0, -1.0])
"""Habitat's cameras look along -z with y up."""

pytestmark = [
    pytest.mark.habitat,
    pytest.mark.skipif(not PYTHON, reason="EMBODIED_HABITAT_PYTHON does not name an interpreter with habitat-sim"),
]


def views(scene: Scene) -> List[Transform]:
    """Return a view from the middle of each room."""
    mount = camera_mount(0.0, 0.0, 1.25, np.radians(20.0))
    middles = [
        ((r.rectangle_m[0] + r.rectangle_m[2]) / 2, (r.rectangle_m[1] + r.rectangle_m[3]) / 2) for r in scene.regions
    ]
    return [planar_pose(x, y, 0.4 + 1.3 * i) @ mount for i, (x, y) in enumerate(middles)]


def render_in_habitat(scene: Scene, directory: Path, poses: List[Transform]) -> Dict[str, np.ndarray]:
    config = write_dataset(scene, directory)
    rotations = [quaternion_from_matrix(R_HABITAT_WORLD @ T[:3, :3] @ R_OPTICAL_HABITAT) for T in poses]
    poses_path, out = directory / "poses.npz", directory / "frames.npz"
    np.savez(
        poses_path,
        positions=np.stack([R_HABITAT_WORLD @ T[:3, 3] for T in poses]),
        rotations_wxyz=np.stack([q[[3, 0, 1, 2]] for q in rotations]),
    )
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "PYTHONPATH")}
    environment.update(HABITAT_SIM_LOG="quiet", MAGNUM_LOG="quiet")
    command = [PYTHON, str(SCRIPT), str(config), scene.name, str(poses_path), str(out), str(SIZE_PX)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(out) as frames:
        return {name: frames[name] for name in frames.files}


def opened_house() -> Scene:
    """Return a house whose doors stand ajar, and whose cupboards and drawers are open."""
    scene = generate_house(5, 6, variety="full")
    for instance in scene.instances:
        if scene.templates[instance.template].can_open:
            scene = open_container(scene, instance.instance_id, 0.6)
    return scene


SCENES: Dict[str, Callable[[], Scene]] = {
    "a house": lambda: generate_house(1),
    "the next day": lambda: change_overnight(generate_house(1), 1)[0],
    "a large house": lambda: generate_house(4, 8),
    "a house with everything open": opened_house,
}


@pytest.mark.parametrize("name", list(SCENES))
def test_habitat_sees_the_same_depth_and_instances_as_our_renderer(name: str, tmp_path: Path) -> None:
    scene = SCENES[name]()
    poses = views(scene)
    frames = render_in_habitat(scene, tmp_path, poses)
    renderer = Renderer(scene)
    intrinsics = intrinsics_from_fov(SIZE_PX, SIZE_PX, np.pi / 2)
    n_seen = set()
    for i, T_world_camera in enumerate(poses):
        _, depth_m, instance_ids = renderer.render(T_world_camera, intrinsics)
        error_m = np.abs(frames["depth"][i] - depth_m)
        assert np.median(error_m) <= 0.001
        assert np.mean(error_m <= 0.01) >= 0.99
        assert np.mean(frames["semantic"][i].astype(int) == instance_ids) >= 0.99
        n_seen |= set(np.unique(instance_ids).tolist())
    assert len(n_seen) > 15


def test_habitat_shows_a_lit_house(tmp_path: Path) -> None:
    scene = generate_house(1)
    rgb = render_in_habitat(scene, tmp_path, views(scene))["rgb"][..., :3].astype(float)
    means = rgb.mean(axis=(1, 2, 3))
    assert 40 < means.min() <= means.max() < 230
    assert rgb.std(axis=(1, 2)).min() > 10
