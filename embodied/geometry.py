"""Rigid transforms, quaternions and the pinhole camera. The only file that knows the order of a quaternion: x, y, z, w.

``T_world_camera`` maps points of the camera frame to the world, so inner names cancel:
``T_world_camera = T_world_base @ T_base_camera``. World and body: x forward, y left, z up. Camera: x right, y down,
z forward; depth is z. All functions are pure and work in float64 unless told otherwise.
"""

from __future__ import annotations

from typing import Tuple

import numpy as np

from embodied.arrays import Bool, DepthMetres, Float, Points, Quaternion, Rotation, Transform, Vector3
from embodied.messages import Intrinsics

R_BASE_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Rotation of a camera that looks along the body's x axis, level: maps optical axes to body axes."""


def transform(R: Rotation, t: Vector3) -> Transform:
    """Build the 4x4 of a rotation and a translation in metres."""
    T = np.eye(4)
    T[:3, :3] = R
    T[:3, 3] = t
    return T


def invert(T_a_b: Transform) -> Transform:
    """Return ``T_b_a`` of a rigid transform."""
    T_b_a = np.eye(4)
    T_b_a[:3, :3] = T_a_b[:3, :3].T
    T_b_a[:3, 3] = -T_a_b[:3, :3].T @ T_a_b[:3, 3]
    return T_b_a


def transform_points(T_a_b: Transform, points_b: Points) -> Points:
    """Map points of frame b to frame a; keeps the dtype of the points."""
    R = T_a_b[:3, :3].astype(points_b.dtype)
    return points_b @ R.T + T_a_b[:3, 3].astype(points_b.dtype)


def rotation_z(yaw_rad: float) -> Rotation:
    """Return the rotation about the vertical axis, counter-clockwise seen from above."""
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def rotation_about(axis: Vector3, angle_rad: float) -> Rotation:
    """Return the rotation about a unit vector through the origin, counter-clockwise (Rodrigues)."""
    x, y, z = (float(value) for value in axis)
    K = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle_rad) * K + (1.0 - np.cos(angle_rad)) * (K @ K))


def planar_pose(x_m: float, y_m: float, yaw_rad: float) -> Transform:
    """Return ``T_world_base`` of a robot that stands on the floor."""
    return transform(rotation_z(yaw_rad), np.array([x_m, y_m, 0.0]))


def yaw_of(T_world_base: Transform) -> float:
    """Return the heading of a body frame in radians, in [-pi, pi]."""
    return float(np.arctan2(T_world_base[1, 0], T_world_base[0, 0]))


def wrap_angle(angle_rad: float) -> float:
    """Return the same angle in [-pi, pi)."""
    wrapped_rad = float((angle_rad + np.pi) % (2.0 * np.pi) - np.pi)
    return wrapped_rad if wrapped_rad < np.pi else -np.pi  # just below -pi the remainder rounds up to a whole turn


def camera_mount(x_m: float, y_m: float, z_m: float, pitch_rad: float) -> Transform:
    """Return ``T_base_camera`` of a camera on the body that looks forward and ``pitch_rad`` downwards."""
    c, s = np.cos(pitch_rad), np.sin(pitch_rad)
    tilt = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    return transform(tilt @ R_BASE_OPTICAL, np.array([x_m, y_m, z_m], dtype=float))


def matrix_from_quaternion(q_xyzw: Quaternion) -> Rotation:
    """Return the rotation of a quaternion of any length but zero."""
    norm = float(np.linalg.norm(q_xyzw))
    if not np.isfinite(norm) or norm < 1e-12:
        raise ValueError(f"q_xyzw: expected a quaternion of positive finite length, got {q_xyzw}")
    x, y, z, w = np.asarray(q_xyzw, dtype=float) / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_matrix(R: Rotation) -> Quaternion:
    """Return the unit quaternion with w >= 0, by the largest of the four components (Shepperd 1978)."""
    squares = np.array(
        [
            1.0 + R[0, 0] - R[1, 1] - R[2, 2],
            1.0 - R[0, 0] + R[1, 1] - R[2, 2],
            1.0 - R[0, 0] - R[1, 1] + R[2, 2],
            1.0 + R[0, 0] + R[1, 1] + R[2, 2],
        ]
    )
    largest = int(np.argmax(squares))
    xy, xz, yz = R[1, 0] + R[0, 1], R[0, 2] + R[2, 0], R[2, 1] + R[1, 2]
    wx, wy, wz = R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]
    rows = ([squares[0], xy, xz, wx], [xy, squares[1], yz, wy], [xz, yz, squares[2], wz], [wx, wy, wz, squares[3]])
    q_xyzw = np.array(rows[largest]) / (2.0 * np.sqrt(squares[largest]))
    q_xyzw /= np.linalg.norm(q_xyzw)
    return -q_xyzw if q_xyzw[3] < 0 else q_xyzw


def pixel_rays(intrinsics: Intrinsics) -> Float[np.ndarray, "height width 3"]:
    """Return the camera-frame point at depth 1 m behind each pixel, float32."""
    u = (np.arange(intrinsics.width_px, dtype=np.float32) - intrinsics.cx_px) / intrinsics.fx_px
    v = (np.arange(intrinsics.height_px, dtype=np.float32) - intrinsics.cy_px) / intrinsics.fy_px
    rays = np.ones((intrinsics.height_px, intrinsics.width_px, 3), dtype=np.float32)
    rays[..., 0] = u[None, :]
    rays[..., 1] = v[:, None]
    return rays


def unproject(depth_m: DepthMetres, intrinsics: Intrinsics) -> Float[np.ndarray, "height width 3"]:
    """Return the camera-frame point of each pixel; the origin where depth is invalid (0)."""
    return pixel_rays(intrinsics) * depth_m[..., None]


def project(points_camera: Points, intrinsics: Intrinsics) -> Float[np.ndarray, "n_points 2"]:
    """Return pixel coordinates u, v of camera-frame points with z > 0."""
    z = points_camera[:, 2]
    u = intrinsics.fx_px * points_camera[:, 0] / z + intrinsics.cx_px
    v = intrinsics.fy_px * points_camera[:, 1] / z + intrinsics.cy_px
    return np.stack([u, v], axis=1)


def intrinsics_from_fov(width_px: int, height_px: int, horizontal_fov_rad: float) -> Intrinsics:
    """Return an ideal camera with square pixels whose axis goes through the middle of the image."""
    focal_px = width_px / (2.0 * np.tan(horizontal_fov_rad / 2.0))
    return Intrinsics(
        width_px=width_px,
        height_px=height_px,
        fx_px=float(focal_px),
        fy_px=float(focal_px),
        cx_px=(width_px - 1) / 2.0,
        cy_px=(height_px - 1) / 2.0,
    )


def surface_normals(
    points: Float[np.ndarray, "height width 3"], valid: Bool[np.ndarray, "height width"]
) -> Tuple[Float[np.ndarray, "height width 3"], Bool[np.ndarray, "height width"]]:
    """Return unit normals of a point image, facing the camera, and where they can be trusted.

    Differences over two pixels either way, so that a depth camera's quantisation does not turn a table into a
    staircase; a jump of more than 15 cm between the ends makes the normal invalid.
    """
    step = 2
    normals = np.zeros_like(points)
    trusted = np.zeros(valid.shape, dtype=bool)
    inner = (slice(step, -step), slice(step, -step))
    right, left = (slice(step, -step), slice(2 * step, None)), (slice(step, -step), slice(None, -2 * step))
    below, above = (slice(2 * step, None), slice(step, -step)), (slice(None, -2 * step), slice(step, -step))
    dx, dy = points[right] - points[left], points[below] - points[above]
    n = np.cross(dy, dx)
    length = np.linalg.norm(n, axis=2)
    ok = valid[inner] & valid[right] & valid[left] & valid[below] & valid[above] & (length > 1e-9)
    ok &= (np.abs(dx).max(axis=2) < 0.15) & (np.abs(dy).max(axis=2) < 0.15)
    normals[inner] = np.where(ok[..., None], n / np.maximum(length, 1e-9)[..., None], 0.0)
    trusted[inner] = ok
    return normals, trusted
