from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.messages import Box
from memory_bank.geometry.boxes import (
    box_between,
    box_bounds,
    fitted_box,
    points_in_box,
    share_within,
    shared_volume_m3,
)
from memory_bank.geometry.voxels import VoxelCloud

CENTER_M = np.array([1.0, 2.0, 0.5])


def surface(rng: np.random.Generator, size_m: tuple[float, float, float], sides: str = "all") -> np.ndarray:
    """Points on the sides of a box around the origin; ``front`` is the top and two neighbouring sides."""
    points = rng.uniform(-0.5, 0.5, (300, 3))
    axis = rng.integers(0, 3, 300)
    front = np.where(axis == 2, 0.5, -0.5)
    points[np.arange(300), axis] = front if sides == "front" else rng.choice([-0.5, 0.5], 300)
    return points * size_m


def cloud_of(
    size_m: tuple[float, float, float], yaw_deg: float = 0.0, sides: str = "all", seed: int = 0, n_views: int = 25
) -> VoxelCloud:
    """The cloud of a box seen many times, with noise of depth and pose."""
    rng = np.random.default_rng(seed)
    c, s = math.cos(math.radians(yaw_deg)), math.sin(math.radians(yaw_deg))
    cloud = VoxelCloud()
    for _ in range(n_views):
        points = surface(rng, size_m, sides) @ np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) + CENTER_M
        points += rng.normal(0.0, 0.008, 3) + rng.normal(0.0, 0.005, points.shape)
        cloud.insert(points.astype(np.float32), 1.0)
    return cloud


@pytest.mark.parametrize("size_m", [(0.1, 0.1, 0.12), (0.5, 0.4, 0.9), (2.0, 1.5, 0.6)])
def test_the_box_of_noisy_views_is_the_true_one_within_noise(size_m: tuple[float, float, float]) -> None:
    cloud = cloud_of(size_m)
    box = fitted_box(cloud)
    assert box.yaw_rad == 0.0
    assert box.center_m == pytest.approx(CENTER_M, abs=0.03)
    assert box.size_m == pytest.approx(size_m, abs=0.045 + 1.5 * cloud.size_m)


@pytest.mark.parametrize("size_m", [(2.0, 0.9, 0.8), (0.5, 0.5, 0.9), (1.2, 0.05, 0.8), (0.45, 0.25, 0.3)])
@pytest.mark.parametrize("yaw_deg", [-38.0, 20.0, 30.0])
@pytest.mark.parametrize("sides", ["all", "front"])
def test_a_thing_that_stands_askew_has_a_turned_box(
    size_m: tuple[float, float, float], yaw_deg: float, sides: str
) -> None:
    cloud = cloud_of(size_m, yaw_deg, sides)
    box = fitted_box(cloud)
    assert math.degrees(box.yaw_rad) == pytest.approx(yaw_deg, abs=3.5)
    assert box.center_m == pytest.approx(CENTER_M, abs=0.05)
    assert box.size_m == pytest.approx(size_m, abs=0.07 + 1.5 * cloud.size_m)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_round_small_or_hardly_askew_is_not_turned(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angle, radius = rng.uniform(0, 2 * np.pi, 3000), 0.5 * np.sqrt(rng.uniform(0, 1, 3000))
    disc = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.full(3000, 0.7)], axis=1)
    table = VoxelCloud()
    table.insert((disc + rng.normal(0, 0.005, disc.shape)).astype(np.float32), 1.0)
    assert fitted_box(table).yaw_rad == 0.0
    assert fitted_box(cloud_of((0.12, 0.1, 0.12), 30.0, seed=seed)).yaw_rad == 0.0
    assert fitted_box(cloud_of((1.2, 0.8, 0.7), 4.0, seed=seed)).yaw_rad == 0.0


def test_a_turn_is_kept_until_another_is_clearly_better() -> None:
    cloud = cloud_of((1.2, 0.6, 0.7), 25.0)
    near = box_between(*box_bounds(fitted_box(cloud)))
    askew = Box(center_m=near.center_m, size_m=near.size_m, yaw_rad=math.radians(23.5))
    assert fitted_box(cloud, askew).yaw_rad == pytest.approx(askew.yaw_rad, abs=1e-4)
    wrong = Box(center_m=near.center_m, size_m=near.size_m, yaw_rad=math.radians(-20.0))
    assert math.degrees(fitted_box(cloud, wrong).yaw_rad) == pytest.approx(25.0, abs=3.0)
    assert fitted_box(cloud, wrong, search=False).yaw_rad == pytest.approx(wrong.yaw_rad, abs=1e-4)
    assert fitted_box(cloud, near, search=False).yaw_rad == 0.0
    straightened = cloud_of((1.2, 0.6, 0.7), 0.0)
    assert fitted_box(straightened, askew).yaw_rad == 0.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_fitted_box_holds_all_solid_points_and_touches_them_on_all_sides(seed: int, turned: bool) -> None:
    rng = np.random.default_rng(seed)
    size_m = tuple(rng.uniform(0.1, 1.5, 3).tolist())
    cloud = cloud_of(size_m, float(rng.uniform(-45, 45)) if turned else 0.0, seed=seed, n_views=3)
    box = fitted_box(cloud)
    points = cloud.solid_points()
    assert points_in_box(points, box, 2e-4).all()
    smaller = Box(center_m=box.center_m, size_m=tuple(max(0.0, s - 2e-3) for s in box.size_m), yaw_rad=box.yaw_rad)
    assert not points_in_box(points, smaller).all()
    low, high = box_bounds(box)
    assert (points >= low - 2e-4).all()
    assert (points <= high + 2e-4).all()


def test_a_box_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one voxel"):
        fitted_box(VoxelCloud())


def test_boxes_share_volumes_turned_or_not() -> None:
    cube = Box(center_m=(0.0, 0.0, 0.0), size_m=(1.0, 1.0, 1.0))
    askew = Box(center_m=(0.0, 0.0, 0.5), size_m=(1.0, 1.0, 1.0), yaw_rad=math.pi / 4)
    inner = Box(center_m=(0.1, 0.0, 0.0), size_m=(0.2, 0.2, 0.2), yaw_rad=0.3)
    assert shared_volume_m3(cube, Box(center_m=(0.5, 0.5, 0.0), size_m=(1.0, 1.0, 1.0))) == pytest.approx(0.25)
    assert shared_volume_m3(cube, askew) == pytest.approx(math.sqrt(2.0) - 1.0)
    assert share_within(inner, cube) == pytest.approx(1.0)
    assert share_within(cube, inner) == pytest.approx(0.008)
    assert share_within(inner, Box(center_m=(9.0, 0.0, 0.0), size_m=(1.0, 1.0, 1.0))) == 0.0


def test_the_bounds_of_a_turned_box_hold_its_corners() -> None:
    box = Box(center_m=(1.0, 2.0, 0.5), size_m=(2.0, 1.0, 0.4), yaw_rad=math.radians(30.0))
    low, high = box_bounds(box)
    c, s = math.cos(box.yaw_rad), math.sin(box.yaw_rad)
    corners = np.array([(1 + c * x - s * y, 2 + s * x + c * y) for x in (-1, 1) for y in (-0.5, 0.5)])
    assert low[:2] == pytest.approx(corners.min(axis=0))
    assert high[:2] == pytest.approx(corners.max(axis=0))
    assert (low[2], high[2]) == pytest.approx((0.3, 0.7))
