"""Things that are let go end where they would in a room: on what is under them, or over its edge."""

from __future__ import annotations

from typing import Tuple

import numpy as np
import pytest

from embodied.geometry import rotation_about, transform
from sim.houses.catalogue import build_template
from sim.physics import OVERLAP_M, Obstacles, hull_body, settle
from sim.scene import Instance, Scene
from sim_scenes import box_template, furnished_room, room_scene

PLATE = box_template("plate", "plate", (0.3, 0.2, 0.03))
TABLE_EDGE_M, TABLE_TOP_M = 0.4, 0.74
"""Of ``furnished_room``: the table's front edge in x, and its height."""


def with_thing(size_m: Tuple[float, float, float]) -> Scene:
    """Return the furnished room and a box, instance 9, somewhere in it."""
    scene, thing = furnished_room(), box_template("thing", "thing", size_m)
    instance = Instance(9, "thing", transform(np.eye(3), np.array([-2.0, -2.0, 0.0])))
    return Scene(
        **{
            **vars(scene),
            "templates": {**scene.templates, "thing": thing},
            "instances": (*scene.instances, instance),
        }
    )


def let_go(scene: Scene, xyz: Tuple[float, float, float], axis: str = "y", angle_deg: float = 0.0) -> Instance:
    R = rotation_about(np.eye(3)["xyz".index(axis)], np.deg2rad(angle_deg))
    after = settle(scene, 9, transform(R, np.array(xyz)))
    result = after.by_id()[9]
    assert Obstacles(after, (9,)).overlap_m(hull_body(after.shape_of(result)), result.T_world_object) <= OVERLAP_M
    return result


def test_what_is_over_a_table_comes_down_on_it() -> None:
    thing = let_go(with_thing((0.1, 0.1, 0.2)), (1.2, 0.0, 0.9))
    assert (thing.support, thing.relation) == (1, "on")
    assert np.allclose(thing.T_world_object[:3, 3], (1.2, 0.0, TABLE_TOP_M), atol=0.002)
    assert np.allclose(thing.T_world_object[:3, :3], np.eye(3))


@pytest.mark.parametrize(("over_m", "support"), [(-0.02, 1), (0.02, 0)])
def test_a_plate_stays_on_the_edge_if_its_middle_does(over_m: float, support: int) -> None:
    thing = let_go(with_thing((0.3, 0.2, 0.03)), (TABLE_EDGE_M - over_m, 0.25, 0.8))
    assert thing.support == support
    upright = thing.T_world_object[2, 2]
    assert upright > 0.99 if support else thing.T_world_object[2, 3] < 0.4


def test_a_leaning_box_falls_flat_on_a_side() -> None:
    thing = let_go(with_thing((0.1, 0.2, 0.5)), (-1.0, 1.5, 0.4), "y", 30.0)
    # It lies on its long side: its own x points down, its own z along the floor.
    assert np.allclose(np.abs(thing.T_world_object[2, :3]), (1.0, 0.0, 0.0), atol=0.02)
    assert thing.support == 0


def test_a_box_that_leans_a_little_stands_up_again() -> None:
    thing = let_go(with_thing((0.3, 0.3, 0.3)), (-1.0, 1.5, 0.4), "x", 20.0)
    assert np.allclose(thing.T_world_object[:3, :3], np.eye(3), atol=0.02)


def test_things_stack_and_what_is_carried_comes_along() -> None:
    scene = with_thing((0.2, 0.2, 0.1))
    below = settle(scene, 9, transform(np.eye(3), np.array([1.3, 0.2, 0.8])))
    T = transform(np.eye(3), np.array([1.3, 0.2, 1.0]))
    stacked = settle(below, 2, T)
    assert stacked.by_id()[2].support == 9
    moved = settle(stacked, 9, transform(np.eye(3), np.array([-1.0, -1.0, 0.3])))
    assert moved.by_id()[9].support == 0
    assert np.allclose(moved.by_id()[2].T_world_object[:3, 3], (-1.0, -1.0, 0.103), atol=0.003)


def test_what_is_put_into_a_bowl_lies_in_it() -> None:
    bowl, apple = build_template("bowl", "blue", 0), build_template("apple", "red", 0)
    scene = room_scene([(bowl, 1.0, 0.0, 0.001), (apple, -1.0, 0.0, 0.0)])
    after = settle(scene, 2, transform(np.eye(3), np.array([1.02, 0.0, 0.3]))).by_id()[2]
    assert (after.support, after.relation) == (1, "in")
    assert 0.01 < after.T_world_object[2, 3] < 0.06


def test_letting_go_twice_gives_the_same() -> None:
    scene = with_thing((0.1, 0.2, 0.5))
    first, again = (let_go(scene, (0.45, 0.1, 1.0), "x", 25.0) for _ in range(2))
    assert np.array_equal(first.T_world_object, again.T_world_object)


@pytest.mark.parametrize(
    ("instance_id", "T", "named"),
    [
        (77, np.eye(4), "instance_id"),
        (9, np.full((4, 4), np.nan), "finite"),
        (9, transform(np.eye(3), np.array([50.0, 0.0, 1.0])), "over nothing"),
    ],
)
def test_what_cannot_be_let_go_is_refused(instance_id: int, T: np.ndarray, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        settle(with_thing((0.1, 0.1, 0.1)), instance_id, T)


def test_a_rigid_body_engine_ends_in_the_same_place() -> None:
    mujoco = pytest.importorskip("mujoco")
    for over_m in (-0.03, 0.03):
        x = TABLE_EDGE_M - over_m
        model = mujoco.MjModel.from_xml_string(
            f"""<mujoco><option timestep="0.002"/><worldbody>
            <geom type="plane" size="5 5 .1"/><geom type="box" pos="1 0 .72" size=".6 .4 .02"/>
            <body pos="{x} .25 .8"><freejoint/><geom type="box" size=".15 .1 .015" density="400"/></body>
            </worldbody></mujoco>"""
        )
        data = mujoco.MjData(model)
        for _ in range(2000):
            mujoco.mj_step(model, data)
        ours = let_go(with_thing((0.3, 0.2, 0.03)), (x, 0.25, 0.8))
        center_z = ours.T_world_object[2, 3] + 0.015 * ours.T_world_object[2, 2]
        if over_m < 0:
            assert np.allclose([ours.T_world_object[0, 3], center_z], data.qpos[[0, 2]], atol=0.005)
        assert (center_z > 0.7) == (data.qpos[2] > 0.7)
