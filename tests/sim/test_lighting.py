from __future__ import annotations

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from hypothesis import given
from hypothesis import strategies as st

from sim.lighting import LightField, bake
from sim.lighting_settings import LightingSettings
from sim.scene import Light, Scene
from sim.world_mesh import MeshBuilder, WorldMesh
from sim_scenes import box_template, room_scene


def linear_field(n: int) -> LightField:
    """One face whose light is 2 + 3 u - v at barycentric u, v, after one of other size."""
    rows = [(i / n, j / n) for i in range(n + 1) for j in range(n + 1 - i)]
    values = [9.0, 9.0, 9.0] + [2 + 3 * u - v for u, v in rows] + [np.nan] * 4
    rgb = np.tile(np.array(values, dtype=np.float32), (3, 1))
    return LightField(np.array([1, n], dtype=np.int32), np.array([0, 3], dtype=np.int32), rgb)


@given(n=st.integers(1, 9), u=st.floats(0, 1), v=st.floats(0, 1))
def test_light_between_lattice_points_is_linear(n: int, u: float, v: float) -> None:
    if u + v > 1:
        u, v = 1 - u, 1 - v
    face = np.array([1], dtype=np.int32)
    red, _, _ = linear_field(n).at(face, np.array([u * 0.9999], np.float32), np.array([v * 0.9999], np.float32))
    np.testing.assert_allclose(red, 2 + 3 * u - v, atol=2e-3)


def lit(scene: Scene, **settings: float) -> tuple[WorldMesh, LightField]:
    mesh = MeshBuilder().build(scene)
    embree = EmbreeScene()
    TriangleMesh(embree, mesh.corners)
    return mesh, bake(mesh, embree, scene.lights, LightingSettings(**settings))


def light_at(mesh: WorldMesh, field: LightField, point: tuple[float, float, float]) -> float:
    """Light on the surface straight below a point."""
    embree = EmbreeScene()
    TriangleMesh(embree, mesh.corners)
    hit = embree.run(np.array([point], np.float32), np.array([[0, 0, -1]], np.float32), output=1)
    return float(field.at(hit["primID"], hit["u"], hit["v"])[1][0])


def test_light_fades_with_distance_from_the_lamp() -> None:
    mesh, field = lit(room_scene())
    lights = [light_at(mesh, field, (x_m, 0.3, 1.0)) for x_m in (0.0, 1.0, 2.0)]
    assert lights[0] > lights[1] > lights[2] > 0


def test_what_lies_under_a_board_lies_in_its_shadow() -> None:
    board = box_template("board", "board", (1.0, 1.0, 0.05))
    mesh, field = lit(room_scene([(board, 0.0, 0.0, 1.0)]))
    bare_mesh, bare = lit(room_scene())
    assert light_at(mesh, field, (0.05, 0.05, 0.5)) < 0.6 * light_at(bare_mesh, bare, (0.05, 0.05, 0.5))


def test_corners_are_darker_than_the_open_floor_without_any_lamp() -> None:
    mesh, field = lit(room_scene(), ambient=1.0)
    assert light_at(mesh, field, (2.95, 2.95, 1.0)) < 0.85 * light_at(mesh, field, (0.0, 0.3, 1.0))


def test_a_house_is_equally_bright_whatever_unit_its_lamps_are_in() -> None:
    scene = room_scene()
    lamp = scene.lights[0]
    strong = Light(position_m=lamp.position_m, color=lamp.color, intensity=1000 * lamp.intensity)
    mesh, field = lit(scene)
    _, other = lit(type(scene)(**{**scene.__dict__, "lights": (strong,)}))
    point = (0.5, 0.3, 1.0)
    np.testing.assert_allclose(light_at(mesh, field, point), light_at(mesh, other, point), rtol=1e-3)
