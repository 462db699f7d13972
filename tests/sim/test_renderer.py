from __future__ import annotations

import numpy as np
import pytest

from embodied.geometry import (
    R_BASE_OPTICAL,
    camera_mount,
    intrinsics_from_fov,
    invert,
    planar_pose,
    project,
    transform,
    transform_points,
)
from sim.renderer import Renderer
from sim_scenes import GREY, box_part, box_template, furnished_room, room_scene

CAMERA = intrinsics_from_fov(64, 48, np.pi / 2)
T_ORIGIN_CAMERA = transform(R_BASE_OPTICAL, np.array([0.0, 0.0, 1.0]))
"""At the middle of the room, one metre up, looking along x."""


def looking_at_a_box() -> Renderer:
    return Renderer(room_scene([(box_template("box", "box", (0.5, 0.8, 0.6)), 1.75, 0.0, 0.7)]))


def test_depth_of_a_box_in_front_of_the_camera_is_its_distance_along_the_axis() -> None:
    _, depth_m, ids = looking_at_a_box().render(T_ORIGIN_CAMERA, CAMERA)
    assert depth_m.dtype == np.float32
    assert (ids == 1).sum() > 100
    # Its front lies 1.5 m ahead: the same depth for all its pixels, however far off the axis.
    np.testing.assert_allclose(depth_m[ids == 1], 1.5, atol=1e-4)


def test_depth_of_the_wall_is_exact_at_every_pixel() -> None:
    _, depth_m, ids = Renderer(room_scene()).render(T_ORIGIN_CAMERA, CAMERA)
    v, u = np.mgrid[:48, :64].astype(float)
    x, y = (u - CAMERA.cx_px) / CAMERA.fx_px, (v - CAMERA.cy_px) / CAMERA.fy_px
    with np.errstate(divide="ignore"):
        # Side walls, wall ahead, ceiling 1.6 m above, floor 1 m below.
        planes = np.stack([3.0 / np.abs(x), np.full_like(x, 3.0), np.where(y < 0, 1.6 / -y, 1.0 / y)])
    np.testing.assert_allclose(depth_m, planes.min(axis=0), atol=1e-4)
    assert (ids == 0).all()


def test_pixels_of_an_object_are_those_that_its_silhouette_projects_to() -> None:
    _, _, ids = looking_at_a_box().render(T_ORIGIN_CAMERA, CAMERA)
    v, u = np.mgrid[:48, :64].astype(float)
    y_m, z_m = -(u - CAMERA.cx_px) / CAMERA.fx_px * 1.5, 1.0 - (v - CAMERA.cy_px) / CAMERA.fy_px * 1.5
    inside = (np.abs(y_m) < 0.4) & (np.abs(z_m - 1.0) < 0.3)
    np.testing.assert_array_equal(ids == 1, inside)


def test_nothing_hit_gives_depth_zero_and_id_zero() -> None:
    scene = room_scene()
    T_up = T_ORIGIN_CAMERA.copy()
    T_up[2, 3] = 50.0
    rgb, depth_m, ids = Renderer(scene).render(T_up, CAMERA)
    level = slice(0, 24)
    assert (depth_m[level] == 0).all()
    assert (ids == 0).all()
    assert (rgb[level] == rgb[0, 0]).all()


def test_a_texture_lies_the_right_way_up_and_round() -> None:
    # Red above green, blue to the left of the rest of the lower half.
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    picture[:32] = (255, 0, 0)
    picture[32:, :32] = (0, 0, 255)
    picture[32:, 32:] = (0, 255, 0)
    board = box_template("board", "board", (0.1, 1.0, 1.0), GREY)
    vertices = np.array([[-0.1, 0.5, 0], [-0.1, -0.5, 0], [-0.1, -0.5, 1], [-0.1, 0.5, 1]], dtype=np.float32)
    front = box_part((0, 0, 0), (1, 1, 1), picture)
    front = type(front)(
        vertices=vertices,
        faces=np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32),
        uv=np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32),
        texture=picture,
    )
    board = type(board)(handle="board", category="board", colour="", parts=(front,))
    rgb, _, ids = Renderer(room_scene([(board, 1.5, 0.0, 0.5)])).render(T_ORIGIN_CAMERA, CAMERA)
    rows, columns = np.nonzero(ids == 1)
    top, bottom, left, right = rows.min(), rows.max(), columns.min(), columns.max()
    assert rgb[top + 2, left + 2].argmax() == rgb[top + 2, right - 2].argmax() == 0
    assert rgb[bottom - 2, left + 2].argmax() == 2
    assert rgb[bottom - 2, right - 2].argmax() == 1


def test_a_distant_fine_pattern_is_averaged_instead_of_flickering() -> None:
    checks = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    texture = np.repeat(checks[..., None], 3, axis=2)
    near = box_template("board", "board", (0.1, 2.0, 2.0), texture)
    rgb, _, ids = Renderer(room_scene([(near, 2.5, 0.0, 0.0)])).render(T_ORIGIN_CAMERA, CAMERA)
    # Single texels would give black and white; the mean over the pixel is grey.
    assert rgb[ids == 1].min() > 40
    assert rgb[ids == 1].std() < 40


def test_faces_drawn_inside_out_are_lit_too() -> None:
    template = box_template("box", "box", (0.5, 0.8, 0.6))
    inside_out = type(template)(
        handle="box",
        category="box",
        colour="",
        parts=(box_part((-0.25, -0.4, 0), (0.25, 0.4, 0.6), inward=True),),
    )
    lit = [Renderer(room_scene([(t, 1.75, 0.0, 0.7)])).render(T_ORIGIN_CAMERA, CAMERA) for t in (template, inside_out)]
    means = [rgb[ids == 1].mean() for rgb, _, ids in lit]
    assert means[1] == pytest.approx(means[0], rel=0.25)


def test_what_stands_in_the_shadow_of_a_table_is_darker() -> None:
    T_world_camera = planar_pose(0.0, -2.5, np.pi / 2) @ camera_mount(0.0, 0.0, 0.6, 0.2)
    rgb, _, _ = Renderer(furnished_room()).render(T_world_camera, CAMERA)
    # Under the table, and as far from the lamp on the empty side.
    floor = np.array([[1.1, 0.0, 0.0], [-1.1, 0.0, 0.0]])
    pixels = np.round(project(transform_points(invert(T_world_camera), floor), CAMERA)).astype(int)
    under, beside = (rgb[v, u].mean() for u, v in pixels)
    assert under < 0.75 * beside


def test_the_light_of_an_image_is_neither_drowned_nor_burnt() -> None:
    T = planar_pose(-2.0, -2.0, 0.7) @ camera_mount(0.0, 0.0, 1.25, 0.35)
    rgb, _, _ = Renderer(furnished_room()).render(T, CAMERA)
    assert 70 < rgb.mean() < 190
    assert (rgb.max(axis=2) < 12).mean() < 0.01
    assert (rgb.min(axis=2) > 250).mean() < 0.02


def test_loading_another_scene_shows_the_other_scene() -> None:
    template = box_template("box", "box", (0.5, 0.8, 0.6))
    renderer = Renderer(room_scene([(template, 1.75, 0.0, 0.7)]))
    renderer.load(room_scene([(template, 2.25, 0.0, 0.7)]))
    _, depth_m, ids = renderer.render(T_ORIGIN_CAMERA, CAMERA)
    np.testing.assert_allclose(depth_m[ids == 1], 2.0, atol=1e-4)


def test_images_are_the_same_each_time_and_share_no_memory() -> None:
    renderer = looking_at_a_box()
    first, second = (renderer.render(T_ORIGIN_CAMERA, CAMERA) for _ in range(2))
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b)
        assert not np.shares_memory(a, b)
