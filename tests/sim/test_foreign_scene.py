"""Scenes that others made load as they mean it: axes, units, scales, colours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from embodied.errors import SceneError
from embodied.geometry import rotation_z
from foreign_scenes import SHELF, bare_file, dataset
from sim.collision import navigable_grid, nearest_cell
from sim.foreign_scene import load_scene
from sim.habitat_dataset import write_dataset
from sim.houses.changes import change_overnight
from sim.houses.placing import bounds_of
from sim.scene import Scene
from sim_scenes import furnished_room


def box_of(scene: Scene, instance_id: int) -> np.ndarray:
    instance = scene.by_id()[instance_id]
    return np.array(bounds_of(scene.shape_of(instance), instance.T_world_object))


def test_a_bare_file_is_a_room_with_things_in_it(tmp_path: Path) -> None:
    scene = load_scene(bare_file(tmp_path / "flat.glb"))
    assert [scene.category_of(i.instance_id) for i in scene.instances] == ["chair", "red table"]
    assert np.allclose(box_of(scene, 1), (4.0, 1.0, 0.0, 4.5, 1.5, 0.9), atol=1e-3)
    assert np.allclose(box_of(scene, 2), (2.0, 2.0, 0.0, 3.0, 3.0, 0.7), atol=1e-3)
    chair, table = (scene.templates[i.template].parts[0] for i in scene.instances)
    assert chair.texture.reshape(-1, 3).tolist() == [[30, 60, 200]] * 16
    rows = ((1.0 - table.uv[:, 1]) * 64).astype(int)
    seen = table.texture[rows, (table.uv[:, 0] * 64).astype(int)]
    assert np.abs(seen.astype(int) - (200, 30, 30)).max() <= 9


def test_a_bare_file_can_be_all_building(tmp_path: Path) -> None:
    scene = load_scene(bare_file(tmp_path / "flat.glb"), nodes="stage")
    assert scene.instances == ()
    assert len(scene.stage.parts) == 7


def test_a_robot_can_stand_in_a_scene_of_others_and_it_is_lit(tmp_path: Path) -> None:
    scene = load_scene(bare_file(tmp_path / "flat.glb"))
    grid = navigable_grid(scene)
    row, column = nearest_cell(grid, scene.start_pose[:2])
    assert grid.cells[row, column]
    assert scene.regions[0].rectangle_m == pytest.approx((-0.1, -0.1, 6.1, 5.1), abs=1e-3)
    assert scene.lights
    assert all(0.0 < light.position_m[0] < 6.0 for light in scene.lights)


def test_a_dataset_with_other_axes_units_and_scales_means_the_same_place(tmp_path: Path) -> None:
    scene = load_scene(dataset(tmp_path))
    assert scene.name == "flat"
    stage = np.concatenate([part.vertices for part in scene.stage.parts])
    assert np.allclose([*stage.min(axis=0), *stage.max(axis=0)], (-0.1, -0.1, -0.1, 6.1, 5.1, 2.6), atol=1e-3)
    assert [scene.category_of(i.instance_id) for i in scene.instances] == ["shelf", "shelf"]
    # Of the first the middle is placed, of the second its own origin; both are half as high again.
    sizes = np.array([np.ptp([[*low], [*high]], axis=0) for low, high in SHELF])
    assert np.allclose(box_of(scene, 1), (1.85, 1.6, 0.0, 2.15, 2.4, 1.5), atol=1e-3), sizes
    # Turned by 45 degrees about its origin, which is a lower corner.
    corners = np.array([[x, y, 0.0] for x in (0.0, 0.3) for y in (0.0, 0.8)]) @ rotation_z(np.pi / 4).T
    assert np.allclose(box_of(scene, 2)[:2], corners.min(axis=0)[:2] + (4.0, 3.0), atol=2e-3)


def test_a_scene_instance_finds_its_dataset(tmp_path: Path) -> None:
    config = dataset(tmp_path)
    scene = load_scene(tmp_path / "scenes" / "flat.scene_instance.json")
    assert [i.template for i in scene.instances] == [i.template for i in load_scene(config).instances]


def test_our_own_datasets_keep_what_the_format_cannot_say(tmp_path: Path) -> None:
    scene = furnished_room()
    write_dataset(scene, tmp_path)
    assert load_scene(tmp_path).regions == scene.regions


def test_what_cannot_be_loaded_is_told_with_its_place(tmp_path: Path) -> None:
    config = dataset(tmp_path)
    with pytest.raises(SceneError, match="'attic' is not among its scene_instances"):
        load_scene(config, "attic")
    scene = tmp_path / "scenes" / "flat.scene_instance.json"
    document = json.loads(scene.read_text())
    document["object_instances"][0]["template_name"] = "unicorn"
    scene.write_text(json.dumps(document))
    with pytest.raises(SceneError, match="'unicorn' is not among its objects"):
        load_scene(config)
    (tmp_path / "broken.glb").write_bytes(b"glTF")
    with pytest.raises(SceneError, match=r"broken\.glb: not a readable GLB"):
        load_scene(tmp_path / "broken.glb")
    with pytest.raises(SceneError, match="expected one file"):
        load_scene(tmp_path / "scenes")


def test_scenes_of_others_do_not_change_overnight(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a house from generate_house, got one with \['red table'\]"):
        change_overnight(load_scene(bare_file(tmp_path / "flat.glb")), 0)
