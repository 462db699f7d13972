"""From one map frame to another: points, boxes, tracks, keyframes.

Two frames differ by a turn about the vertical and a shift: gravity is known to every robot.
"""

from __future__ import annotations

import msgspec
import numpy as np

from embodied.arrays import Float, Transform
from embodied.geometry import rotation_z, transform, wrap_angle
from embodied.messages import Alignment, Box, Point
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.geometry.boxes import fitted_box
from memory_bank.geometry.voxels import VoxelCloud, pack, unpack
from memory_bank.objects.lifecycle import refresh
from memory_bank.objects.track import Track

Pose = Float[np.ndarray, " 4"]
"""Yaw, x, y, z of ``T_to_from``: of the frame ``from`` in the frame ``to``."""


def pose_of(alignment: Alignment) -> Pose:
    """Return the pose of an alignment."""
    return np.array([alignment.yaw_rad, *alignment.position_m])


def matrix_of(pose: Pose) -> Transform:
    """Return a pose as a matrix."""
    return transform(rotation_z(float(pose[0])), pose[1:])


def inverted(pose: Pose) -> Pose:
    """Return the pose the other way round."""
    return np.array([-pose[0], *(-moved(np.array([-pose[0], 0.0, 0.0, 0.0]), pose[None, 1:])[0])])


def after(second: Pose, first: Pose) -> Pose:
    """Return the pose of going through ``first`` and then through ``second``."""
    x, y, z = moved(second, first[None, 1:])[0].tolist()
    return np.array([wrap_angle(float(first[0] + second[0])), x, y, z])


def moved(pose: Pose, points_m: Float[np.ndarray, "n dims"]) -> Float[np.ndarray, "n dims"]:
    """Return points (x, y or x, y, z) of the frame ``from`` in ``to``."""
    cos, sin = np.cos(pose[0]), np.sin(pose[0])
    result = np.array(points_m, dtype=float)
    result[:, 0] = cos * points_m[:, 0] - sin * points_m[:, 1] + pose[1]
    result[:, 1] = sin * points_m[:, 0] + cos * points_m[:, 1] + pose[2]
    if result.shape[1] == 3:
        result[:, 2] += pose[3]
    return result


def moved_point(pose: Pose, point_m: Point) -> Point:
    """Return one point in the other frame."""
    x, y, z = np.round(moved(pose, np.array([point_m], dtype=float))[0], 4).tolist()
    return x, y, z


def moved_box(pose: Pose, box: Box) -> Box:
    """Return a box in the other frame."""
    yaw_rad = wrap_angle(box.yaw_rad + float(pose[0]))
    return Box(center_m=moved_point(pose, box.center_m), size_m=box.size_m, yaw_rad=yaw_rad)


# ------------------------------------------------------------------------------------------ what is kept


def move_voxels(cloud: VoxelCloud, pose: Pose) -> VoxelCloud:
    """Return a cloud in the other frame; cells that come to lie in one are joined as when voxels are coarsened."""
    result = VoxelCloud(cloud.level)
    if len(cloud) == 0:
        return result
    cells = np.floor(moved(pose, (unpack(cloud.keys) + 0.5) * cloud.size_m) / cloud.size_m).astype(np.int64)
    result.keys, inverse = np.unique(pack(cells), return_inverse=True)
    result.hits = np.zeros(len(result.keys), dtype=np.float32)
    result.through = np.full(len(result.keys), np.inf, dtype=np.float32)
    np.maximum.at(result.hits, inverse, cloud.hits)
    np.minimum.at(result.through, inverse, cloud.through)
    return result


def move_track(track: Track, pose: Pose) -> None:
    """Bring everything that a track knows of places into the other frame."""
    track.voxels = move_voxels(track.voxels, pose)
    track.box = moved_box(pose, track.box)
    if len(track.voxels):
        track.box = fitted_box(track.voxels)
    for view in track.views:
        view.camera_position_m = moved_point(pose, view.camera_position_m)
    track.missed_from = [moved_point(pose, point) for point in track.missed_from]
    track.intervals = [
        msgspec.structs.replace(
            interval, position_m=moved_point(pose, interval.position_m), box=moved_box(pose, interval.box)
        )
        for interval in track.intervals
    ]
    track.epoch += 1
    refresh(track)


def moved_keyframe(keyframe: Keyframe, pose: Pose) -> Keyframe:
    """Return a keyframe in the other frame."""
    T = matrix_of(pose) @ keyframe.T
    return msgspec.structs.replace(keyframe, T_world_camera=tuple(T.ravel().tolist()))
