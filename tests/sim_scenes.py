"""Small scenes whose geometry is known to the millimetre."""

from __future__ import annotations

from typing import List, Sequence, Tuple

import numpy as np

from embodied.geometry import planar_pose
from sim.scene import Instance, Light, Part, Region, Scene, Template

GREY = np.full((1, 1, 3), 160, dtype=np.uint8)
_CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float32)
_QUADS = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


def box_part(low: Sequence[float], high: Sequence[float], texture: np.ndarray = GREY, inward: bool = False) -> Part:
    """Return a closed box with outward (or inward) faces; each face shows the texture once."""
    corners = np.asarray(low) + _CORNERS * (np.asarray(high) - np.asarray(low))
    vertices: List[np.ndarray] = []
    faces: List[Tuple[int, int, int]] = []
    uv: List[Tuple[int, int]] = []
    for quad in _QUADS:
        first = len(vertices)
        vertices.extend(corners[list(quad)])
        uv.extend([(0, 0), (1, 0), (1, 1), (0, 1)])
        faces.extend([(first, first + 1, first + 2), (first, first + 2, first + 3)])
    triangles = np.array(faces, dtype=np.int32)
    return Part(
        vertices=np.array(vertices, dtype=np.float32),
        faces=triangles[:, ::-1].copy() if inward else triangles,
        uv=np.array(uv, dtype=np.float32),
        texture=texture,
    )


def box_template(handle: str, category: str, size_m: Sequence[float], texture: np.ndarray = GREY) -> Template:
    """Return a box that stands on its origin."""
    x, y, z = size_m
    return Template(
        handle=handle,
        category=category,
        colour="grey",
        parts=(box_part((-x / 2, -y / 2, 0), (x / 2, y / 2, z), texture),),
    )


def room_scene(objects: Sequence[Tuple[Template, float, float, float]] = (), size_m: float = 6.0) -> Scene:
    """Return one closed square room about the origin, 2.6 m high, with templates at x, y, z."""
    half = size_m / 2
    stage = Template(
        handle="stage",
        category="stage",
        colour="",
        parts=(box_part((-half, -half, 0.0), (half, half, 2.6), inward=True),),
    )
    instances = []
    for index, (template, x, y, z) in enumerate(objects):
        T = planar_pose(x, y, 0.0)
        T[2, 3] = z
        instances.append(Instance(instance_id=index + 1, template=template.handle, T_world_object=T))
    return Scene(
        name="room",
        stage=stage,
        templates={template.handle: template for template, _, _, _ in objects},
        instances=tuple(instances),
        lights=(Light(position_m=(0.0, 0.0, 2.4), color=(1.0, 0.95, 0.9), intensity=10.0),),
        regions=(Region(name="kitchen", rectangle_m=(-half, -half, half, half)),),
        doors=(),
        start_pose=(-2.0, 0.0, 0.0),
    )


def furnished_room() -> Scene:
    """Return a room with a table, a mug on it, and a cabinet."""
    table = Template(
        handle="table",
        category="table",
        colour="brown",
        parts=(
            box_part((-0.6, -0.4, 0.70), (0.6, 0.4, 0.74)),
            box_part((-0.58, -0.38, 0.0), (-0.52, -0.32, 0.70)),
            box_part((0.52, -0.38, 0.0), (0.58, -0.32, 0.70)),
            box_part((-0.58, 0.32, 0.0), (-0.52, 0.38, 0.70)),
            box_part((0.52, 0.32, 0.0), (0.58, 0.38, 0.70)),
        ),
    )
    red = np.array([[[200, 30, 30]]], dtype=np.uint8)
    mug = box_template("mug", "mug", (0.09, 0.09, 0.12), red)
    cabinet = box_template("cabinet", "cabinet", (0.5, 1.0, 1.8))
    return room_scene([(table, 1.0, 0.0, 0.0), (mug, 0.8, 0.1, 0.74), (cabinet, 2.0, -2.2, 0.0)])
