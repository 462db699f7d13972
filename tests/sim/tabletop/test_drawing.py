from __future__ import annotations

from typing import Tuple

import numpy as np
import pytest

from embodied.geometry import camera_mount, intrinsics_from_fov, invert, planar_pose, project, transform_points
from sim.tabletop.drawing import Canvas, Light
from sim.tabletop.solids import Prism, disc, rectangle

INTRINSICS = intrinsics_from_fov(96, 64, 0.9)
T_BASE_CAMERA = planar_pose(1.4, 0.1, 3.0) @ camera_mount(0.0, 0.0, 0.7, 0.6)
TABLE = Prism(rectangle(0.4, 0.0, 0.6, 0.6), -0.1, 0.0, (0.5, 0.5, 0.5))
RED, GREEN = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)


@pytest.fixture
def canvas() -> Canvas:
    light = Light(np.array([0.0, 0.6, 0.8]), 0.5, 0.5)
    return Canvas(INTRINSICS, T_BASE_CAMERA, TABLE, light, (0.1, 0.1, 0.3))


def pixel_of(point_m: Tuple[float, float, float]) -> Tuple[int, int]:
    """Return row and column at which a point is seen."""
    u, v = project(transform_points(invert(T_BASE_CAMERA), np.array([point_m])), INTRINSICS)[0]
    return round(float(v)), round(float(u))


def test_a_solid_covers_the_pixels_within_its_projection_and_no_others(canvas: Canvas) -> None:
    """Against rays followed through the six planes of a box, one a pixel."""
    box = Prism(rectangle(0.5, 0.05, 0.12, 0.07, (0.8, 0.6)), 0.02, 0.2, RED)
    picture = canvas.picture(canvas.layer([box])).astype(int)
    is_red = picture[..., 0] > picture[..., 1] + 60
    for row in range(0, 64, 3):
        for column in range(0, 96, 3):
            ray = T_BASE_CAMERA[:3, :3] @ [
                (column - INTRINSICS.cx_px) / INTRINSICS.fx_px, (row - INTRINSICS.cy_px) / INTRINSICS.fy_px, 1.0
            ]  # fmt: skip
            points = T_BASE_CAMERA[:3, 3] + np.linspace(0.2, 2.5, 1500)[:, None] * ray
            normals, offsets = box.planes()
            depth_in = (points @ normals.T - offsets).max(axis=1).min()
            if abs(depth_in) > 0.012:
                assert is_red[row, column] == (depth_in < 0.0), (row, column)


def test_the_nearer_one_hides_the_other_whatever_the_order(canvas: Canvas) -> None:
    near = Prism(disc(0.7, 0.0, 0.05), 0.0, 0.25, RED)
    far = Prism(rectangle(0.4, 0.0, 0.05, 0.2), 0.0, 0.1, GREEN)
    first, second = (canvas.picture(canvas.layer(solids)) for solids in ([near, far], [far, near]))
    np.testing.assert_array_equal(first, second)
    assert first[pixel_of((0.4, 0.0, 0.05))].argmax() == 0
    assert first[pixel_of((0.45, 0.17, 0.05))].argmax() == 1
    above = canvas.picture(canvas.layer([near], canvas.layer([far])))
    is_same = (above == first).all(axis=2)
    assert is_same.mean() > 0.97, "but for shadows, layers show what one layer shows"


def test_what_stands_on_the_table_casts_a_shadow_away_from_the_light(canvas: Canvas) -> None:
    bare = canvas.picture(canvas.layer([]))
    shown = canvas.picture(canvas.layer([Prism(rectangle(0.5, 0.1, 0.04, 0.04), 0.1, 0.2, RED)]))
    shadow, opposite = pixel_of((0.5, 0.1 - 0.15 * 0.6 / 0.8, 0.0)), pixel_of((0.5, 0.1 + 0.15, 0.0))
    assert shown[shadow].sum() < 0.8 * bare[shadow].sum()
    np.testing.assert_array_equal(shown[opposite], bare[opposite])


def test_what_is_out_of_the_picture_changes_nothing_and_a_layer_below_stays_as_it_was(canvas: Canvas) -> None:
    below = canvas.layer([Prism(disc(0.5, 0.0, 0.1), 0.0, 0.1, GREEN)])
    before = canvas.picture(below)
    np.testing.assert_array_equal(
        canvas.picture(canvas.layer([Prism(disc(0.9, 3.0, 0.1), 0.0, 0.1, RED)], below)), before
    )
    assert not np.array_equal(canvas.picture(canvas.layer([Prism(disc(0.7, 0.0, 0.1), 0.0, 0.1, RED)], below)), before)
    np.testing.assert_array_equal(canvas.picture(below), before)
