from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied.geometry import planar_pose
from sim.scene import Template
from sim.world_mesh import CREASE_RAD, MeshBuilder, face_normals, smooth_normals
from sim_scenes import box_part, box_template, room_scene


def cylinder(n: int) -> np.ndarray:
    """Corners of the side of an upright cylinder of radius 1, outward."""
    angle = np.linspace(0, 2 * np.pi, n + 1)
    low = np.stack([np.cos(angle), np.sin(angle), np.zeros(n + 1)], axis=1)
    high = low + [0.0, 0.0, 1.0]
    first = np.stack([low[:-1], low[1:], high[1:]], axis=1)
    second = np.stack([low[:-1], high[1:], high[:-1]], axis=1)
    return np.concatenate([first, second])


def test_a_fine_cylinder_is_smooth() -> None:
    corners = cylinder(24)
    radial = corners * [1.0, 1.0, 0.0]
    np.testing.assert_allclose(smooth_normals(corners, CREASE_RAD), radial, atol=1e-9)


def test_a_box_keeps_its_edges() -> None:
    part = box_part((0, 0, 0), (1, 2, 3))
    corners = part.vertices[part.faces].astype(float)
    flat = np.repeat(face_normals(corners)[:, None], 3, axis=1)
    np.testing.assert_allclose(smooth_normals(corners, CREASE_RAD), flat, atol=1e-9)


def test_templates_stand_where_their_instances_say_and_carry_their_ids() -> None:
    box = box_template("box", "box", (0.2, 0.4, 0.6))
    scene = room_scene([(box, 1.0, 0.0, 0.0), (box, -1.0, 0.5, 0.3)])
    turned = replace(scene.instances[1], T_world_object=planar_pose(-1.0, 0.5, np.pi / 2))
    mesh = MeshBuilder().build(scene.with_instances((scene.instances[0], turned)))
    for instance_id, low, high in ((1, (0.9, -0.2, 0.0), (1.1, 0.2, 0.6)), (2, (-1.2, 0.4, 0.0), (-0.8, 0.6, 0.6))):
        vertices = mesh.corners[mesh.instance_id == instance_id].reshape(-1, 3)
        np.testing.assert_allclose(vertices.min(axis=0), low, atol=1e-6)
        np.testing.assert_allclose(vertices.max(axis=0), high, atol=1e-6)
    np.testing.assert_allclose(mesh.normals[:, 0], face_normals(mesh.corners), atol=1e-5)


def test_a_template_is_computed_once_unless_it_changes() -> None:
    builder = MeshBuilder()
    box = box_template("box", "box", (0.2, 0.4, 0.6))
    assert builder.mesh_of(box) is builder.mesh_of(box)
    assert builder.mesh_of(replace(box, colour="red")) is not builder.mesh_of(box)


def test_a_template_without_parts_has_no_faces() -> None:
    empty = Template(handle="nothing", category="nothing", colour="", parts=())
    assert len(MeshBuilder().mesh_of(empty).corners) == 0
