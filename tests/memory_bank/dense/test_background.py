from __future__ import annotations

import numpy as np
import pytest

from box_world import INTRINSICS, MUG, T_BASE_CAMERA, TABLE, render
from embodied.geometry import planar_pose
from embodied.messages import Box
from memory_bank.dense.background import KeyframeBackground, leaves_box_at
from memory_bank.episodes.keyframes import Keyframe, coarse_depth

WALL_X_M = 4.0


def test_a_ray_leaves_a_box_where_geometry_says() -> None:
    box = Box(center_m=(2.0, 0.0, 0.0), size_m=(1.0, 1.0, 1.0))
    rays = np.array([[1.0, 0.0, 0.0], [1.0, 0.25, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])
    np.testing.assert_allclose(leaves_box_at(np.zeros(3), rays, box, 0.0), [2.5, 2.0, 0.0, 0.0])
    turned = Box(center_m=(2.0, 0.0, 0.0), size_m=(1.0, 1.0, 1.0), yaw_rad=np.pi / 4)
    np.testing.assert_allclose(leaves_box_at(np.zeros(3), rays[:1], turned, 0.0), [2.0 + np.sqrt(0.5)])


AROUND = ((0.2, 0.0, 0.0), (0.4, 0.4, -0.3), (1.6, 1.7, -1.5), (2.1, 1.6, -1.6), (1.7, -1.7, 1.5), (2.2, -1.6, 1.7))


def keyframe(index: int, where: tuple[float, float, float]) -> Keyframe:
    pose = planar_pose(*where) @ T_BASE_CAMERA
    _, depth_m, _ = render((TABLE, MUG), pose)
    depth_mm, shape = coarse_depth(depth_m.astype(np.float32))
    return Keyframe(
        index=index, session="s", seq=index, stamp_ns=index, camera="head", T_world_camera=tuple(pose.ravel().tolist()),
        intrinsics=INTRINSICS, thumbnail_jpeg=b"", depth_mm=depth_mm, depth_shape=shape, track_ids=(),
    )  # fmt: skip


def test_behind_a_thing_lies_what_the_earlier_views_showed_there() -> None:
    pytest.importorskip("open3d", exc_type=ImportError)
    background = KeyframeBackground([keyframe(i, where) for i, where in enumerate(AROUND)])
    camera = planar_pose(0.9, 0.1, 0.1) @ T_BASE_CAMERA
    clock = Box(center_m=(3.9, 0.5, 1.2), size_m=(0.04, 0.3, 0.3))
    bird = Box(center_m=(2.5, 0.3, 1.5), size_m=(0.1, 0.1, 0.1))
    points = np.array([[3.88, 0.5, 1.2], [3.88, 0.6, 1.1], [2.45, 0.3, 1.5]])
    depth_m = (points - camera[:3, 3]) @ camera[:3, 2]
    rays = (points - camera[:3, 3]) / depth_m[:, None]
    onto_wall_m = (WALL_X_M - camera[0, 3]) / rays[:, 0] - depth_m
    behind_m = background.behind_m(points, [clock, bird], [2, 1], camera)
    np.testing.assert_allclose(behind_m, onto_wall_m, atol=0.05)
    assert behind_m[0] < 0.2 < 1.0 < behind_m[2]
    unseen = background.behind_m(np.array([[-3.0, 0.0, 1.0]]), [clock], [1], camera)
    assert np.isinf(unseen).all()
