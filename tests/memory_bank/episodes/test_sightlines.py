"""Which pictures show a box."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from box_world import T_BASE_CAMERA
from embodied.geometry import intrinsics_from_fov, planar_pose
from embodied.messages import Box, Point
from memory_bank.episodes.keyframes import DEPTH_STRIDE_PX, Keyframe, coarse_depth
from memory_bank.episodes.sightlines import SLACK_M, keyframe_shows, lies_in, picture_may_show
from memory_bank.geometry.boxes import points_in_box
from memory_world import box, make_keyframe

AHEAD = box((2.0, 0.0, 0.8), (0.4, 0.4, 0.4))


def keyframe_before_a_wall(wall_m: float) -> Keyframe:
    """Return a keyframe from the origin along x, of a wall at some distance; 0 for no depth."""
    T = planar_pose(0.0, 0.0, 0.0) @ T_BASE_CAMERA
    T[:3, :3] = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    data, shape = coarse_depth(np.full((96, 96), wall_m, dtype=np.float32))
    return msgspec.structs.replace(
        make_keyframe(0, np.random.default_rng(0)),
        T_world_camera=tuple(T.ravel().tolist()),
        intrinsics=intrinsics_from_fov(96, 96, math.pi / 2),
        depth_mm=data,
        depth_shape=shape,
    )


@pytest.mark.parametrize(("wall_m", "shown"), [(1.0, False), (2.0, True), (5.0, False), (0.0, True)])
def test_a_keyframe_shows_what_its_depth_reaches_or_what_it_has_no_depth_of(wall_m: float, shown: bool) -> None:
    assert keyframe_shows(keyframe_before_a_wall(wall_m), AHEAD) is shown


@pytest.mark.parametrize("center_m", [(-2.0, 0.0, 1.2), (2.0, 4.0, 1.2), (2.0, 0.0, 4.5)])
def test_a_keyframe_does_not_show_what_is_behind_or_beside_it(center_m: Point) -> None:
    assert not keyframe_shows(keyframe_before_a_wall(0.0), box(center_m))


@given(st.tuples(*[st.floats(-3.0, 3.0)] * 3), st.floats(0.05, 3.0), st.floats(-3.0, 3.0))
@settings(max_examples=50, deadline=None)
def test_a_keyframe_shows_exactly_the_boxes_that_its_points_lie_in(
    center_m: Point, size_m: float, yaw_rad: float
) -> None:
    keyframe = keyframe_before_a_wall(2.0)
    depth, K = keyframe.depth_m(), keyframe.intrinsics
    rows, columns = np.indices(depth.shape) * DEPTH_STRIDE_PX
    rays = np.stack([(columns - K.cx_px) / K.fx_px, (rows - K.cy_px) / K.fy_px, np.ones_like(depth)], axis=-1)
    points = (rays * depth[..., None]).reshape(-1, 3) @ keyframe.T[:3, :3].T + keyframe.T[:3, 3]
    wanted = Box(center_m=center_m, size_m=(size_m, 0.5 * size_m, size_m), yaw_rad=yaw_rad)
    n_inside = int(points_in_box(points.astype(np.float32), wanted, SLACK_M).sum())
    assert keyframe_shows(keyframe, wanted, max(1, n_inside - 1)) is (n_inside > 0)
    assert not keyframe_shows(keyframe, wanted, n_inside + 2)


def test_few_pixels_can_be_too_few() -> None:
    small = box((2.0, 0.0, 1.25), (0.05, 0.05, 0.05))
    assert keyframe_shows(keyframe_before_a_wall(2.0), small)
    assert not keyframe_shows(keyframe_before_a_wall(2.0), small, least_pixels=100)


@pytest.mark.parametrize(
    ("center_m", "shown"),
    [
        ((1.0, 0.0, 1.0), True),  # before it
        ((4.0, 0.0, 1.0), True),  # behind it
        ((8.0, 0.0, 1.0), False),  # too far behind
        ((2.0, 1.5, 1.0), False),  # beside it
        ((-2.0, 0.0, 1.0), False),  # behind the camera
    ],
)
def test_the_picture_of_a_thing_may_show_what_is_before_and_behind_it(center_m: Point, shown: bool) -> None:
    thing = box((2.0, 0.0, 1.0), (0.3, 0.3, 0.3))
    assert picture_may_show((0.0, 0.0, 1.0), thing, box(center_m)) is shown


def test_a_large_region_between_the_rays_to_its_corners_is_found() -> None:
    wide = box((3.0, 0.3, 1.0), (1.0, 9.0, 2.0))
    assert picture_may_show((0.0, 0.0, 1.0), box((2.0, 0.0, 1.0), (0.05, 0.05, 0.05)), wide)
    assert picture_may_show((2.0, 0.0, 1.0), box((2.0, 0.0, 1.0)), box((9.0, 9.0, 9.0)))


@pytest.mark.parametrize(("x_m", "lies"), [(0.9, True), (1.0, True), (1.1, False)])
def test_a_thing_lies_where_its_middle_is(x_m: float, lies: bool) -> None:
    assert lies_in(box((x_m, 0.0, 0.5), (1.0, 1.0, 1.0)), box((0.0, 0.0, 0.5), (2.0, 2.0, 2.0))) is lies
