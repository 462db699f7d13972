from __future__ import annotations

import numpy as np
import pytest

from box_world import INTRINSICS, T_BASE_CAMERA, Thing, render
from embodied.geometry import pixel_rays, planar_pose, transform_points
from memory_bank.objects.visibility import Sighting, VisibilityConfig, frustum_bounds, look_at, near_frustum

CONFIG = VisibilityConfig()
BOX = Thing("box", (1.6, 0.0, 0.3), (0.4, 0.4, 0.6))
WALL = Thing("shelf", (1.0, 0.0, 0.6), (0.1, 1.5, 1.2))
T_WORLD_CAMERA = planar_pose(0.0, 0.0, 0.0) @ T_BASE_CAMERA


def surface(thing: Thing, n: int = 200) -> np.ndarray:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (n, 3))
    points[:, 0] = -0.5  # The side that faces the camera.
    return (points * thing.size_m + thing.center_m).astype(np.float32)


def look(things: tuple[Thing, ...], *targets: np.ndarray) -> Sighting:
    _, depth, index = render(things, T_WORLD_CAMERA)
    return look_at(
        list(targets),
        np.full(len(targets), 0.01),
        depth.astype(np.float32),
        index.astype(np.int16),
        len(things) + 1,
        T_WORLD_CAMERA,
        INTRINSICS,
        CONFIG,
    )


def test_points_of_what_is_there_fall_on_its_surface_and_into_its_mask() -> None:
    sighting = look((BOX,), surface(BOX))
    assert sighting.n_seen[0] == pytest.approx(200, abs=10)
    assert sighting.n_surface[0, 1] >= 0.9 * sighting.n_seen[0]
    assert sighting.n_through[0] <= 10
    assert sighting.distance_m[0] == pytest.approx(1.63, abs=0.15)


def test_points_of_what_was_taken_away_are_seen_through() -> None:
    sighting = look((), surface(BOX))
    assert sighting.n_through[0] >= 0.8 * sighting.n_seen[0]


def test_points_behind_something_say_nothing() -> None:
    assert look((WALL,), surface(BOX)).n_seen[0] == 0


def test_points_out_of_view_say_nothing() -> None:
    sighting = look((BOX,), surface(BOX) - np.float32(4.0))
    assert sighting.n_seen[0] == 0
    assert sighting.distance_m[0] == np.inf


def test_invalid_depth_says_nothing() -> None:
    blind = np.zeros((96, 96), dtype=np.float32)
    owner = np.zeros((96, 96), dtype=np.int16)
    sighting = look_at([surface(BOX)], np.zeros(1), blind, owner, 1, T_WORLD_CAMERA, INTRINSICS, CONFIG)
    assert sighting.n_seen[0] == 0


def test_several_tracks_are_told_apart_and_none_is_allowed() -> None:
    sighting = look((BOX,), surface(BOX, 50), np.zeros((0, 3), dtype=np.float32), surface(WALL, 30))
    assert sighting.n_seen[1] == 0
    assert sighting.n_through[2] > 20
    assert len(look((BOX,)).n_seen) == 0


def test_a_thing_seen_edge_on_is_narrow() -> None:
    line = np.stack([np.full(40, 1.5), np.linspace(-0.3, 0.3, 40), np.full(40, 0.4)], axis=1).astype(np.float32)
    sighting = look((), surface(BOX), line)
    assert sighting.breadth_px(0) > 10
    assert sighting.breadth_px(1) < 2


def test_only_spheres_that_reach_into_the_view_are_near_the_frustum() -> None:
    centers = np.array([[2.0, 0.0, 0.5], [-2.0, 0.0, 0.5], [2.0, 3.0, 0.5], [2.0, 2.5, 0.5], [20.0, 0.0, 0.5]])
    radii = np.array([0.1, 0.1, 0.1, 1.0, 0.1])
    assert near_frustum(centers, radii, T_WORLD_CAMERA, INTRINSICS, 5.0).tolist() == [0, 3]


def test_the_bounds_of_a_view_hold_what_it_sees_and_little_more() -> None:
    low, high = frustum_bounds(T_WORLD_CAMERA, INTRINSICS, 3.0)
    pixels = pixel_rays(INTRINSICS).reshape(-1, 3).astype(float)
    seen = np.concatenate([transform_points(T_WORLD_CAMERA, pixels * depth_m) for depth_m in (0.1, 1.0, 3.0)])
    assert (seen >= low).all()
    assert (seen <= high).all()
    corners = transform_points(T_WORLD_CAMERA, np.concatenate([np.zeros((1, 3)), pixels * 3.0]))
    assert low == pytest.approx(corners.min(axis=0), abs=0.05)
    assert high == pytest.approx(corners.max(axis=0), abs=0.05)
