from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from embodied.geometry import (
    camera_mount,
    intrinsics_from_fov,
    invert,
    matrix_from_quaternion,
    planar_pose,
    project,
    quaternion_from_matrix,
    rotation_z,
    transform,
    transform_points,
    unproject,
    wrap_angle,
    yaw_of,
)

COORDINATES = st.floats(-100.0, 100.0)
VECTORS = st.tuples(COORDINATES, COORDINATES, COORDINATES).map(np.array)
ANGLES = st.floats(-10.0, 10.0)
UNIT = st.floats(-1.0, 1.0)
QUATERNIONS = (
    st.tuples(UNIT, UNIT, UNIT, UNIT)
    .map(np.array)
    .filter(lambda q: np.linalg.norm(q) > 1e-3)
    .map(lambda q: q / np.linalg.norm(q))
)
TRANSFORMS = st.builds(lambda q, t: transform(matrix_from_quaternion(q), t), QUATERNIONS, VECTORS)


def about(axis: np.ndarray, angle_rad: float) -> np.ndarray:
    """Return the quaternion of a rotation about a unit axis."""
    return np.append(axis * math.sin(angle_rad / 2.0), math.cos(angle_rad / 2.0))


@given(QUATERNIONS)
def test_a_quaternion_becomes_a_rotation_and_comes_back(q_xyzw: np.ndarray) -> None:
    R = matrix_from_quaternion(q_xyzw)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)
    back = quaternion_from_matrix(R)
    assert back[3] >= 0.0
    np.testing.assert_allclose(matrix_from_quaternion(back), R, atol=1e-9)
    assert abs(float(back @ q_xyzw)) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("axis", [*np.eye(3), np.array([0.6, 0.0, 0.8]), np.array([-0.6, 0.8, 0.0])])
@pytest.mark.parametrize("angle_rad", [0.0, 1e-12, 1e-8, 1e-4, math.pi - 1e-8, math.pi, math.pi + 1e-8])
def test_quaternions_near_identity_and_half_a_turn_come_back(axis: np.ndarray, angle_rad: float) -> None:
    R = matrix_from_quaternion(about(axis, angle_rad))
    back = quaternion_from_matrix(R)
    assert np.isfinite(back).all()
    np.testing.assert_allclose(matrix_from_quaternion(back), R, atol=1e-12)


def test_a_quaternion_is_written_x_y_z_w() -> None:
    np.testing.assert_allclose(
        matrix_from_quaternion(np.array([0.0, 0.0, math.sin(0.25), math.cos(0.25)])), rotation_z(0.5)
    )
    np.testing.assert_allclose(quaternion_from_matrix(np.eye(3)), [0.0, 0.0, 0.0, 1.0])


@pytest.mark.parametrize("q_xyzw", [[0.0, 0.0, 0.0, 0.0], [math.nan, 0.0, 0.0, 1.0], [math.inf, 0.0, 0.0, 1.0]])
def test_a_quaternion_without_direction_is_refused(q_xyzw: list) -> None:
    with pytest.raises(ValueError, match="q_xyzw"):
        matrix_from_quaternion(np.array(q_xyzw))


@given(TRANSFORMS, TRANSFORMS)
def test_an_inverse_cancels_and_reverses_products(T_a_b: np.ndarray, T_b_c: np.ndarray) -> None:
    np.testing.assert_allclose(T_a_b @ invert(T_a_b), np.eye(4), atol=1e-9)
    np.testing.assert_allclose(invert(T_a_b @ T_b_c), invert(T_b_c) @ invert(T_a_b), atol=1e-9)


@given(TRANSFORMS, st.lists(VECTORS, min_size=1, max_size=5))
def test_points_go_there_and_back_and_keep_their_distances(T_a_b: np.ndarray, vectors: list) -> None:
    points_b = np.stack(vectors)
    points_a = transform_points(T_a_b, points_b)
    np.testing.assert_allclose(transform_points(invert(T_a_b), points_a), points_b, atol=1e-9)
    np.testing.assert_allclose(
        np.linalg.norm(points_a - points_a[0], axis=1), np.linalg.norm(points_b - points_b[0], axis=1), atol=1e-9
    )
    assert transform_points(T_a_b, points_b.astype(np.float32)).dtype == np.float32


@given(ANGLES)
@example(math.nextafter(-math.pi, -4.0))
@example(math.pi)
@example(-math.pi)
def test_a_wrapped_angle_is_the_same_direction_in_its_range(angle_rad: float) -> None:
    wrapped = wrap_angle(angle_rad)
    assert -math.pi <= wrapped < math.pi
    assert math.cos(wrapped - angle_rad) == pytest.approx(1.0)


@given(COORDINATES, COORDINATES, st.floats(-3.1, 3.1))
def test_a_planar_pose_has_the_heading_it_was_given(x_m: float, y_m: float, yaw_rad: float) -> None:
    T_world_base = planar_pose(x_m, y_m, yaw_rad)
    assert yaw_of(T_world_base) == pytest.approx(yaw_rad, abs=1e-12)
    ahead = transform_points(T_world_base, np.array([[1.0, 0.0, 0.0]]))[0]
    np.testing.assert_allclose(ahead, [x_m + math.cos(yaw_rad), y_m + math.sin(yaw_rad), 0.0], atol=1e-9)


def test_a_level_camera_looks_ahead_with_right_to_the_right_and_down_below() -> None:
    T_base_camera = camera_mount(0.1, 0.0, 1.2, 0.0)
    optical = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    forward, right, down = transform_points(T_base_camera, optical) - T_base_camera[:3, 3]
    np.testing.assert_allclose(forward, [1.0, 0.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(right, [0.0, -1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(down, [0.0, 0.0, -1.0], atol=1e-12)


@given(st.floats(0.01, 1.5))
def test_a_pitched_camera_sees_the_floor_where_its_axis_meets_it(pitch_rad: float) -> None:
    T_base_camera = camera_mount(0.0, 0.0, 1.25, pitch_rad)
    on_axis = transform_points(T_base_camera, np.array([[0.0, 0.0, 1.25 / math.sin(pitch_rad)]]))[0]
    np.testing.assert_allclose(on_axis, [1.25 / math.tan(pitch_rad), 0.0, 0.0], atol=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_projecting_what_was_unprojected_gives_the_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width, height = (int(n) for n in rng.integers(2, 40, size=2))
    intrinsics = intrinsics_from_fov(width, height, float(rng.uniform(0.3, 2.5)))
    depth_m = rng.uniform(0.2, 10.0, size=(height, width)).astype(np.float32)
    points = unproject(depth_m, intrinsics)
    np.testing.assert_allclose(points[..., 2], depth_m)
    v, u = np.mgrid[:height, :width]
    np.testing.assert_allclose(
        project(points.reshape(-1, 3), intrinsics), np.stack([u.ravel(), v.ravel()], axis=1), atol=1e-3
    )


def test_invalid_depth_unprojects_to_the_origin() -> None:
    assert not unproject(np.zeros((3, 4), dtype=np.float32), intrinsics_from_fov(4, 3, 1.0)).any()


def test_a_camera_with_90_degrees_sees_45_degrees_at_its_edge() -> None:
    intrinsics = intrinsics_from_fov(256, 256, math.pi / 2.0)
    edge_px = intrinsics.cx_px + 128.0  # half a pixel beyond the centre of the last one
    assert (edge_px - intrinsics.cx_px) / intrinsics.fx_px == pytest.approx(1.0)
    assert intrinsics.cx_px == intrinsics.cy_px == 127.5
