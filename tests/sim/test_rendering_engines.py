"""Machine code and numpy make the same frames."""

from __future__ import annotations

import gc
import importlib.util
import sys
import weakref
from typing import Any, List, Tuple

import numpy as np
import pytest

from embodied.arrays import Transform
from embodied.errors import ConfigurationError
from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from embodied.messages import Intrinsics
from sim.embree_packets import PacketScene, embree_library
from sim.houses import generate_house
from sim.lighting_settings import LightingSettings
from sim.plain_renderer import PlainRenderer
from sim.renderer import FrameRenderer, Renderer, best_engine
from sim.scene import Scene
from sim.surfaces import Surfaces, light_surfaces
from sim.world_mesh import MeshBuilder
from sim_scenes import box_template, furnished_room, room_scene

pytest.importorskip("numba")
if embree_library() is None:
    pytest.skip("Embree 4 is not where it is looked for", allow_module_level=True)

from sim.compiled_renderer import CompiledRenderer

ROUGH = LightingSettings(spacing_m=0.5, n_ambient_rays=2, n_shadow_rays=1)
"""What light falls does not matter here, only that both show it."""


def surfaces_of(scene: Scene) -> Surfaces:
    return light_surfaces(MeshBuilder().build(scene), scene, ROUGH)


def views_of(scene: Scene) -> List[Transform]:
    """Return two views from the middle of each room."""
    mount = camera_mount(0.0, 0.0, 1.25, 0.35)
    rectangles = [region.rectangle_m for region in scene.regions]
    middles = [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in rectangles]
    return [planar_pose(x, y, 0.4 + 1.3 * i + 2.5 * k) @ mount for i, (x, y) in enumerate(middles) for k in range(2)]


def assert_alike(one: FrameRenderer, other: FrameRenderer, T_world_camera: Transform, camera: Intrinsics) -> None:
    """Fail unless frames are equal but for rounding, which may turn a pixel at an edge to the other side."""
    (rgb, depth_m, ids), (other_rgb, other_depth_m, other_ids) = (
        renderer.render(T_world_camera, camera) for renderer in (one, other)
    )
    assert (rgb.dtype, depth_m.dtype, ids.dtype) == (other_rgb.dtype, other_depth_m.dtype, other_ids.dtype)
    assert (rgb.shape, depth_m.shape, ids.shape) == (other_rgb.shape, other_depth_m.shape, other_ids.shape)
    assert np.mean(np.abs(depth_m - other_depth_m) <= 1e-4) >= 0.999
    assert np.mean(ids == other_ids) >= 0.999
    assert np.mean(np.abs(rgb.astype(int) - other_rgb).max(axis=2) <= 1) >= 0.999


def patterned_room() -> Scene:
    """Return a room full of things with fine and coarse textures, wide and high ones, near and far."""
    rng = np.random.default_rng(5)
    things = []
    for index in range(12):
        texture = rng.integers(0, 255, (*(2 ** rng.integers(0, 8, 2)), 3)).astype(np.uint8)
        template = box_template(f"box-{index}", "box", rng.uniform(0.1, 0.8, 3).tolist(), texture)
        x_m, y_m = rng.uniform(-2.5, 2.5, 2).tolist()
        things.append((template, x_m, y_m, float(rng.uniform(0.0, 1.5))))
    return room_scene(things)


@pytest.mark.parametrize("n_lanes", [8, 16])
def test_textured_things_look_the_same_in_machine_code(n_lanes: int) -> None:
    scene = patterned_room()
    surfaces = surfaces_of(scene)
    plain, compiled = PlainRenderer(surfaces), CompiledRenderer(surfaces, n_lanes)
    for T_world_camera in views_of(scene):
        assert_alike(compiled, plain, T_world_camera, intrinsics_from_fov(160, 96, 1.6))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 3])
def test_a_house_looks_the_same_in_machine_code(seed: int) -> None:
    scene = generate_house(seed, 8, variety="full")
    surfaces = surfaces_of(scene)
    plain, compiled = PlainRenderer(surfaces), CompiledRenderer(surfaces)
    for T_world_camera in views_of(scene):
        assert_alike(compiled, plain, T_world_camera, intrinsics_from_fov(256, 192, 1.6))


@pytest.mark.parametrize("size_px", [(61, 47), (3, 2), (1, 9)])
def test_images_need_not_be_whole_packets(size_px: Tuple[int, int]) -> None:
    surfaces = surfaces_of(furnished_room())
    T_world_camera = planar_pose(-2.0, -2.0, 0.7) @ camera_mount(0.0, 0.0, 1.25, 0.35)
    camera = intrinsics_from_fov(*size_px, 1.2)
    assert_alike(CompiledRenderer(surfaces), PlainRenderer(surfaces), T_world_camera, camera)


def test_beyond_the_house_both_show_the_sky() -> None:
    surfaces = surfaces_of(room_scene())
    T_world_camera = planar_pose(-9.0, 0.0, 0.0) @ camera_mount(0.0, 0.0, 9.0, -0.3)
    camera = intrinsics_from_fov(32, 24, 1.2)
    rgb, depth_m, ids = CompiledRenderer(surfaces).render(T_world_camera, camera)
    assert (depth_m == 0).all()
    assert (ids == 0).all()
    assert_alike(CompiledRenderer(surfaces), PlainRenderer(surfaces), T_world_camera, camera)
    assert len(np.unique(rgb.reshape(-1, 3), axis=0)) == 1


def test_rays_keep_no_scene_alive() -> None:
    packets = PacketScene(surfaces_of(room_scene()).corners)
    gone = weakref.ref(packets)
    del packets
    gc.collect()
    assert gone() is None


def test_machine_code_is_chosen_where_numba_is_and_only_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Renderer(room_scene(), ROUGH).engine == best_engine() == "compiled"
    find: Any = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "numba" else find(name, *rest))
    assert Renderer(room_scene(), ROUGH).engine == "plain"


def test_a_numba_that_does_not_load_costs_time_and_no_frame(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "sim.compiled_renderer", None)
    assert Renderer(room_scene(), ROUGH).engine == "plain"
    assert "numba is installed but fails" in caplog.text


def test_asking_for_machine_code_without_numba_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sim.compiled_renderer", None)
    with pytest.raises(ConfigurationError, match="extra rendering"):
        Renderer(room_scene(), ROUGH, engine="compiled")
