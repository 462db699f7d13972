"""A dataset read back is the scene that was written; what is broken is told, not guessed."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.errors import SceneError
from embodied.geometry import planar_pose, transform
from sim.glb import read_glb, write_glb
from sim.habitat_dataset import (
    DATASET_FILE,
    habitat_points,
    habitat_transform,
    read_dataset,
    world_points,
    world_transform,
    write_dataset,
)
from sim.houses import change_overnight, generate_house
from sim.scene import Door, Instance, Joint, Light, Region, Scene, Template, open_container
from sim.world_mesh import template_corners
from sim_scenes import box_part

TEXTURE = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3) * 10


def small_scene(name: str = "room", shift_m: float = 0.0) -> Scene:
    """Return a table with a two-textured mug on it, turned by odd angles."""
    stage = Template("stage", "stage", "", (box_part((0, 0, 0), (4, 3, 2.5), inward=True),))
    table = Template("table_brown", "table", "brown", (box_part((-0.5, -0.4, 0), (0.5, 0.4, 0.7)),))
    parts = (
        box_part((-0.05, -0.05, 0), (0.05, 0.05, 0.05)),
        box_part((-0.05, -0.05, 0.05), (0.05, 0.05, 0.1), TEXTURE),
    )
    mug = Template("mug_red", "mug", "red", parts)
    instances = (
        Instance(1, "table_brown", planar_pose(2.0 + shift_m, 1.5, 0.3)),
        Instance(
            4, "mug_red", planar_pose(2.1 + shift_m, 1.4, -2.0) @ transform(np.eye(3), np.array([0, 0, 0.7])), 1, "on"
        ),
    )
    return Scene(
        name=name,
        stage=stage,
        templates={"table_brown": table, "mug_red": mug},
        instances=instances,
        lights=(Light((1.0, 2.0, 2.3), (1.0, 0.9, 0.8), 0.7),),
        regions=(Region("kitchen", (0.0, 0.0, 4.0, 3.0)), Region("hallway", (4.1, 0.0, 6.0, 3.0))),
        doors=(Door("kitchen", "hallway", (4.05, 1.0), 0.9),),
        start_pose=(0.5, 0.5, 1.0),
    )


def assert_same_template(a: Template, b: Template) -> None:
    assert (a.handle, a.category, a.colour, len(a.parts)) == (b.handle, b.category, b.colour, len(b.parts))
    for p, q in zip(a.parts, b.parts):
        assert np.allclose(p.vertices, q.vertices, atol=1e-4)
        assert np.array_equal(p.faces, q.faces)
        assert np.allclose(p.uv, q.uv, atol=1e-4)
        assert np.array_equal(p.texture, q.texture)
        assert [x.dtype for x in (p.vertices, p.faces, p.uv)] == [x.dtype for x in (q.vertices, q.faces, q.uv)]


def test_what_opens_is_kept_with_how_far_it_stands_open(tmp_path: Path) -> None:
    joint = Joint("hinge", (0.5, 0.4, 0.0), (0.0, 0.0, 1.0), 1.5)
    scene = small_scene()
    table = scene.templates["table_brown"]
    table = replace(table, parts=(*table.parts, replace(box_part((0.4, -0.4, 0), (0.5, 0.4, 0.5)), joint=joint)))
    scene = replace(scene, templates={**scene.templates, "table_brown": table}, ambient_rgb=(0.2, 0.2, 0.3))
    scene = open_container(scene, 1, 0.5)
    write_dataset(scene, tmp_path)
    back = read_dataset(tmp_path)
    assert back.by_id()[1].opened == 0.5
    assert [part.joint for part in back.templates["table_brown"].parts] == [None, joint]
    assert_same_template(back.shape_of(back.by_id()[1]), scene.shape_of(scene.by_id()[1]))
    # What habitat-sim shows is what stands there: the open one.
    shown = np.concatenate(
        [world_points(part.vertices) for part in read_glb(tmp_path / "objects/table_brown~0500.glb")]
    )
    assert shown[:, 0].max() > 0.6
    assert (back.ambient_rgb, back.lamp_gain) == ((0.2, 0.2, 0.3), 1.0)


def assert_same_scene(a: Scene, b: Scene) -> None:
    assert_same_template(a.stage, b.stage)
    assert set(a.templates) == set(b.templates)
    for handle, template in a.templates.items():
        assert_same_template(template, b.templates[handle])
    for i, j in zip(a.instances, b.instances):
        assert (i.instance_id, i.template, i.support, i.relation) == (j.instance_id, j.template, j.support, j.relation)
        assert np.allclose(i.T_world_object, j.T_world_object, atol=1e-9)
    assert len(a.instances) == len(b.instances)
    assert (a.name, a.regions, a.doors, a.start_pose) == (b.name, b.regions, b.doors, b.start_pose)
    for m, n in zip(a.lights, b.lights):
        assert np.allclose([*m.position_m, *m.color, m.intensity], [*n.position_m, *n.color, n.intensity])
    assert len(a.lights) == len(b.lights)


def test_a_scene_read_back_is_the_scene_that_was_written(tmp_path: Path) -> None:
    config = write_dataset(small_scene(), tmp_path)
    assert_same_scene(small_scene(), read_dataset(config))
    assert_same_scene(small_scene(), read_dataset(tmp_path, "room"))


def test_a_house_and_its_next_day_share_a_directory_of_few_megabytes(tmp_path: Path) -> None:
    house = generate_house(0)
    after, _ = change_overnight(house, 0)
    write_dataset(house, tmp_path)
    write_dataset(after, tmp_path)
    assert_same_scene(house, read_dataset(tmp_path, house.name))
    assert_same_scene(after, read_dataset(tmp_path, after.name))
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < 5e6


def test_the_same_scene_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_dataset(small_scene(), tmp_path / folder)
    files = [file.relative_to(tmp_path / "a") for file in sorted((tmp_path / "a").rglob("*")) if file.is_file()]
    assert len(files) == 10
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_habitat_has_y_up_and_minus_z_where_we_have_y() -> None:
    assert np.allclose(habitat_points(np.eye(3)), [[1, 0, 0], [0, 0, -1], [0, 1, 0]])
    assert np.allclose(world_points(habitat_points(np.eye(3))), np.eye(3))


@given(st.floats(-np.pi, np.pi), st.tuples(*[st.floats(-9, 9)] * 3), st.tuples(*[st.floats(-2, 2)] * 3))
def test_points_and_poses_agree_in_both_worlds(yaw: float, t: Any, point: Any) -> None:
    T = planar_pose(t[0], t[1], yaw)
    T[2, 3] = t[2]
    p = np.array([point])
    in_habitat = habitat_points(p) @ habitat_transform(T)[:3, :3].T + habitat_transform(T)[:3, 3]
    assert np.allclose(in_habitat, habitat_points(p @ T[:3, :3].T + T[:3, 3]), atol=1e-9)
    assert np.allclose(world_transform(habitat_transform(T)), T, atol=1e-12)


def test_every_instance_has_a_configuration_with_its_semantic_id(tmp_path: Path) -> None:
    write_dataset(small_scene(), tmp_path)
    instances = json.loads((tmp_path / "scenes" / "room.scene_instance.json").read_text())["object_instances"]
    ids = []
    for instance in instances:
        config = json.loads((tmp_path / "objects" / f"{instance['template_name']}.object_config.json").read_text())
        assert (tmp_path / "objects" / config["render_asset"]).exists()
        assert config["semantic_id"] == instance["semantic_id"]
        ids.append(config["semantic_id"])
    assert ids == [1, 4]


def edit(path: Path, change: Callable[[Dict[str, Any]], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


BREAKAGES: Dict[str, Callable[[Path], Any]] = {
    "no dataset file": lambda d: (d / DATASET_FILE).unlink(),
    "dataset file is no JSON": lambda d: (d / DATASET_FILE).write_text("{"),
    "no stage": lambda d: (d / "stages" / "room.glb").unlink(),
    "no template": lambda d: (d / "objects" / "mug_red.glb").unlink(),
    "template cut off": lambda d: (d / "objects" / "mug_red.glb").write_bytes(
        (d / "objects" / "mug_red.glb").read_bytes()[:300]
    ),
    "template of noise": lambda d: (d / "objects" / "mug_red.glb").write_bytes(bytes(range(256)) * 4),
    "empty template": lambda d: (d / "objects" / "mug_red.glb").write_bytes(b""),
    "no scene": lambda d: (d / "scenes" / "room.scene_instance.json").unlink(),
    "scene is no JSON": lambda d: (d / "scenes" / "room.scene_instance.json").write_text("scene"),
    "pose is not a number": lambda d: edit(
        d / "scenes" / "room.scene_instance.json",
        lambda s: s["object_instances"][0].update(translation=[float("nan"), 0, 0]),
    ),
    "pose is a word": lambda d: edit(
        d / "scenes" / "room.scene_instance.json",
        lambda s: s["object_instances"][0].update(translation=["here", 0, 0]),
    ),
    "rotation of length zero": lambda d: edit(
        d / "scenes" / "room.scene_instance.json", lambda s: s["object_instances"][0].update(rotation=[0, 0, 0, 0])
    ),
    "one instance lost": lambda d: edit(
        d / "scenes" / "room.scene_instance.json", lambda s: s["object_instances"].pop()
    ),
    "other template name": lambda d: edit(
        d / "scenes" / "room.scene_instance.json",
        lambda s: s["object_instances"][0].update(template_name="sofa_red.0001"),
    ),
    "no annotation": lambda d: (d / "annotations" / "room.json").unlink(),
    "unknown template": lambda d: edit(
        d / "annotations" / "room.json", lambda a: a["instances"][0].update(template="sofa_red")
    ),
    "template outside the directory": lambda d: edit(
        d / "annotations" / "room.json", lambda a: a["templates"].update({"../x": {"category": "x", "colour": ""}})
    ),
    "unknown support": lambda d: edit(d / "annotations" / "room.json", lambda a: a["instances"][1].update(support=9)),
    "unknown relation": lambda d: edit(
        d / "annotations" / "room.json", lambda a: a["instances"][1].update(relation="under")
    ),
    "an id twice": lambda d: edit(d / "annotations" / "room.json", lambda a: a["instances"][1].update(instance_id=1)),
    "an id beyond any table": lambda d: edit(
        d / "annotations" / "room.json", lambda a: a["instances"][1].update(instance_id=10**9)
    ),
    "two things that rest on each other": lambda d: edit(
        d / "annotations" / "room.json", lambda a: a["instances"][0].update(support=4)
    ),
    "annotations of another version": lambda d: edit(d / "annotations" / "room.json", lambda a: a.update(version=99)),
    "no lighting": lambda d: shutil.rmtree(d / "lighting"),
}


@pytest.mark.parametrize("name", list(BREAKAGES))
def test_a_broken_dataset_is_a_scene_error_that_names_the_place(name: str, tmp_path: Path) -> None:
    write_dataset(small_scene(), tmp_path)
    BREAKAGES[name](tmp_path)
    with pytest.raises(SceneError, match=r"room|mug_red|house\.scene_dataset|dataset"):
        read_dataset(tmp_path / DATASET_FILE, "room")


@given(place=st.floats(0.0, 1.0, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_damaged_template_is_read_or_refused_and_nothing_else(place: float, flip: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mug.glb"
        write_glb(small_scene().templates["mug_red"], path)
        damaged = bytearray(path.read_bytes())
        damaged[int(place * len(damaged))] ^= flip
        path.write_bytes(bytes(damaged))
        try:
            parts = read_glb(path)
        except SceneError:
            return
        assert template_corners(Template("mug", "mug", "", parts)).shape[1:] == (3, 3)


def test_among_several_scenes_one_must_be_named(tmp_path: Path) -> None:
    write_dataset(small_scene("one"), tmp_path)
    write_dataset(small_scene("two", 0.2), tmp_path)
    with pytest.raises(SceneError, match=r"one.*two"):
        read_dataset(tmp_path)
    with pytest.raises(SceneError, match="three"):
        read_dataset(tmp_path, "three")
    with pytest.raises(SceneError, match="not the name"):
        read_dataset(tmp_path, "../one")


def test_a_missing_directory_is_a_scene_error(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="nowhere"):
        read_dataset(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["", "a/b", ".."])
def test_a_name_that_is_no_file_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="plain file names"):
        write_dataset(small_scene(name), tmp_path)


def test_a_pose_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="finite"):
        write_dataset(small_scene(shift_m=float("nan")), tmp_path)


def test_a_directory_that_cannot_be_made_is_a_scene_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SceneError, match="file"):
        write_dataset(small_scene(), tmp_path / "file" / "dataset")
