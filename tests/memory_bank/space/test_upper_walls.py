"""Walls seen above the height of doors."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from embodied.errors import StoreError
from embodied.geometry import camera_mount, intrinsics_from_fov, pixel_rays, planar_pose
from memory_bank.episodes.keyframes import Keyframe, coarse_depth
from memory_bank.space.upper_walls import UpperWalls, UpperWallsConfig
from memory_world import make_keyframe

INTRINSICS = intrinsics_from_fov(128, 128, np.pi / 2)
WALL_X_M = 3.0


def keyframe(index: int, yaw_rad: float, wall_height_m: float) -> Keyframe:
    """Return what a camera sees of a long wall at ``WALL_X_M`` with nothing above it."""
    T = planar_pose(0.0, 0.0, yaw_rad) @ camera_mount(0.0, 0.0, 1.25, 0.2)
    rays = pixel_rays(INTRINSICS) @ T[:3, :3].T.astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = WALL_X_M / rays[..., 0]
        z = 1.25 + depth * rays[..., 2]
    depth[(rays[..., 0] <= 0) | (z > wall_height_m) | (z < 0) | ~np.isfinite(depth)] = 0.0
    depth_mm, shape = coarse_depth(depth.astype(np.float32))
    return msgspec.structs.replace(
        make_keyframe(index, np.random.default_rng(0)),
        T_world_camera=tuple(T.ravel().tolist()),
        intrinsics=INTRINSICS,
        depth_mm=depth_mm,
        depth_shape=shape,
    )


def seen(wall_height_m: float, n_keyframes: int = 4) -> np.ndarray:
    upper = UpperWalls(0.05)
    upper.add(keyframe(i, 0.05 * i, wall_height_m) for i in range(n_keyframes))
    return upper.mask((80, 100), (-1.0, -2.0))


def test_a_wall_up_to_the_ceiling_is_seen_where_it_stands() -> None:
    mask = seen(2.5)
    columns = np.unique(np.nonzero(mask)[1])
    assert abs(columns * 0.05 - 1.0 + 0.025 - WALL_X_M).max() <= 0.06
    # In front of the camera, without gaps.
    assert mask.any(axis=1)[25:55].all()


def test_furniture_is_below_the_band() -> None:
    assert not seen(2.0).any()


def test_one_keyframe_alone_is_noise() -> None:
    assert not seen(2.5, n_keyframes=1).any()


def test_keyframes_can_come_one_by_one() -> None:
    upper = UpperWalls(0.05)
    for i in range(4):
        upper.add([keyframe(i, 0.05 * i, 2.5)])
        upper.mask((80, 100), (-1.0, -2.0))
    np.testing.assert_array_equal(upper.mask((80, 100), (-1.0, -2.0)), seen(2.5))
    assert upper.n_keyframes == 4


def test_what_was_counted_comes_back_and_goes_on() -> None:
    upper = UpperWalls(0.05)
    upper.add(keyframe(i, 0.05 * i, 2.5) for i in range(2))
    back = UpperWalls.from_bytes(upper.to_bytes(next_index=2), 0.05, UpperWallsConfig())
    assert back is not None
    again, next_index = back
    again.add(keyframe(i, 0.05 * i, 2.5) for i in range(next_index, 4))
    np.testing.assert_array_equal(again.mask((80, 100), (-1.0, -2.0)), seen(2.5))


def test_counts_of_other_settings_are_counted_again() -> None:
    data = UpperWalls(0.05).to_bytes(next_index=0)
    assert UpperWalls.from_bytes(data, 0.1, UpperWallsConfig()) is None
    assert UpperWalls.from_bytes(data, 0.05, UpperWallsConfig(lowest_m=1.0)) is None
    with pytest.raises(StoreError, match="upper walls: damaged"):
        UpperWalls.from_bytes(data[:-3], 0.05, UpperWallsConfig())
