"""Whether a picture shows what lies in a box: exactly where there is depth, on the safe side where there is none."""

from __future__ import annotations

import itertools
import math

import numpy as np

from embodied.arrays import Float, Vector3
from embodied.messages import Box, Point
from memory_bank.episodes.keyframes import DEPTH_STRIDE_PX, Keyframe
from memory_bank.geometry.boxes import points_in_box, rays_through_box, rotation_of

SLACK_M = 0.03
"""Depth and poses are this wrong."""
BACKGROUND_M = 6.0
"""In the picture of a thing, what is farther from the camera is a few pixels at most."""
CROP_MARGIN = 1.3
"""A picture of a thing shows so much more than the thing, across."""
_CONE_RAYS = 12
_SIGNS = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))


def lies_in(box: Box, region: Box) -> bool:
    """Tell whether a thing lies in a region: its centre does, or half of it."""
    steps = np.linspace(-0.4, 0.4, 5)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3) * np.array(box.size_m)
    points = grid @ rotation_of(box).T + np.array(box.center_m)
    return bool(points_in_box(np.array([box.center_m], dtype=np.float32), region)[0]) or bool(
        points_in_box(points.astype(np.float32), region).mean() >= 0.5
    )


def keyframe_shows(keyframe: Keyframe, box: Box, least_pixels: int = 1) -> bool:
    """Tell whether the coarse depth of a keyframe has points in a box, or looks towards it without any depth.

    Args:
        keyframe: The whole of it.
        box: World frame of its session.
        least_pixels: Fewer of the coarse image are noise.
    """
    T, intrinsics = keyframe.T, keyframe.intrinsics
    camera_m, R_world_camera = T[:3, 3], T[:3, :3]
    window = _window((_corners(box, SLACK_M) - camera_m) @ R_world_camera, keyframe)
    if window is None:
        return False
    depth = keyframe.depth_m()[window]
    rows, columns = np.arange(window[0].start, window[0].stop), np.arange(window[1].start, window[1].stop)
    x = (columns * DEPTH_STRIDE_PX - intrinsics.cx_px) / intrinsics.fx_px
    y = (rows * DEPTH_STRIDE_PX - intrinsics.cy_px) / intrinsics.fy_px
    rays = np.ones((*depth.shape, 3))
    rays[..., 0], rays[..., 1] = x[None], y[:, None]
    rays = rays.reshape(-1, 3) @ R_world_camera.T
    enter, leave = rays_through_box(camera_m, rays, box, SLACK_M)
    z = depth.reshape(-1)
    hits = (enter <= leave) & (leave > 0.0) & ((z == 0.0) | ((z >= enter) & (z <= leave)))
    return int(np.count_nonzero(hits)) >= least_pixels


def _corners(box: Box, slack_m: float) -> Float[np.ndarray, "8 3"]:
    """Return the corners of a box that is ``slack_m`` larger on all sides."""
    return _SIGNS * (0.5 * np.array(box.size_m) + slack_m) @ rotation_of(box).T + np.array(box.center_m)


def _window(corners: Float[np.ndarray, "8 3"], keyframe: Keyframe) -> tuple[slice, slice] | None:
    """Return the rows and columns of the coarse depth in which a box lies, whose corners are in the camera's frame.

    None if it is behind the camera or beside the image.
    """
    n_rows, n_columns = keyframe.depth_shape
    z = corners[:, 2]
    if z.max() <= 0.0:
        return None
    if z.min() < 0.05:
        return slice(0, n_rows), slice(0, n_columns)  # The camera stands in it, or beside it.
    intrinsics = keyframe.intrinsics
    u = (intrinsics.fx_px * corners[:, 0] / z + intrinsics.cx_px) / DEPTH_STRIDE_PX
    v = (intrinsics.fy_px * corners[:, 1] / z + intrinsics.cy_px) / DEPTH_STRIDE_PX
    left, right = max(0, math.floor(u.min())), min(n_columns, math.ceil(u.max()) + 1)
    top, bottom = max(0, math.floor(v.min())), min(n_rows, math.ceil(v.max()) + 1)
    return (slice(top, bottom), slice(left, right)) if left < right and top < bottom else None


def picture_may_show(camera_m: Point, thing: Box, box: Box) -> bool:
    """Tell whether the picture of a thing may have a box in it, before or behind the thing; walls are not minded.

    Args:
        camera_m: Where the camera was.
        thing: What the picture was cut around.
        box: What may be in it, within ``BACKGROUND_M`` of the camera.
    """
    camera, center = np.array(camera_m), np.array(thing.center_m)
    axis = center - camera
    distance_m = float(np.linalg.norm(axis))
    radius_m = 0.5 * CROP_MARGIN * math.hypot(*thing.size_m)
    if distance_m <= radius_m:
        return True
    axis, half_rad = axis / distance_m, math.asin(radius_m / distance_m)
    corners = np.stack(np.meshgrid(*[np.array([-0.5, 0.0, 0.5])] * 3), axis=-1).reshape(-1, 3) * np.array(box.size_m)
    points = corners @ rotation_of(box).T + np.array(box.center_m) - camera
    lengths = np.linalg.norm(points, axis=1)
    cosines = points @ axis / np.maximum(lengths, 1e-9)
    if bool(((lengths <= BACKGROUND_M) & (cosines >= math.cos(half_rad))).any()):
        return True
    enter, leave = rays_through_box(camera, _cone(axis, half_rad), box, SLACK_M)
    return bool(((enter <= leave) & (leave > 0.0) & (enter <= BACKGROUND_M)).any())


def _cone(axis: Vector3, half_rad: float) -> Float[np.ndarray, "n 3"]:
    """Return unit rays that fill a cone."""
    side = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    other = np.cross(axis, side)
    rays = [axis]
    for share in (0.35, 0.7, 1.0):
        for step in range(_CONE_RAYS):
            turn = 2.0 * math.pi * step / _CONE_RAYS
            across = math.cos(turn) * side + math.sin(turn) * other
            rays.append(math.cos(share * half_rad) * axis + math.sin(share * half_rad) * across)
    return np.array(rays)
