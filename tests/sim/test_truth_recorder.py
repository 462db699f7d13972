from __future__ import annotations

import numpy as np
import pytest

from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from sim.renderer import Renderer
from sim.scene import Scene
from sim.truth import TrueChange, TruthSession
from sim.truth_recorder import TruthRecorder
from sim_scenes import box_template, furnished_room, room_scene

CAMERA = intrinsics_from_fov(256, 256, np.pi / 2)
T_BASE_CAMERA = camera_mount(0.0, 0.0, 1.25, np.deg2rad(20.0))


def truth_from(scene: Scene, *poses: tuple[float, float, float]) -> TruthSession:
    recorder = TruthRecorder(scene, CAMERA, T_BASE_CAMERA)
    renderer = Renderer(scene)
    for seq, pose in enumerate(poses):
        T_world_base = planar_pose(*pose)
        _, _, ids = renderer.render(T_world_base @ T_BASE_CAMERA, CAMERA)
        recorder.record(seq, 100 * seq, T_world_base, ids, collided=seq == 1)
    return recorder.finish("day-1", 5, 0, 900, ())


def test_objects_lie_where_they_lie_and_in_their_room() -> None:
    truth = truth_from(furnished_room())
    mug = truth.objects[1]
    assert (mug.instance_id, mug.category, mug.room) == (2, "mug", "kitchen")
    np.testing.assert_allclose(mug.position_m, (0.8, 0.1, 0.80), atol=1e-6)
    np.testing.assert_allclose(mug.box.size_m, (0.09, 0.09, 0.12), atol=1e-6)
    assert mug.first_sighting is mug.last_sighting is mug.best_sighting is None


def test_what_is_in_view_is_sighted_and_what_is_behind_is_not() -> None:
    truth = truth_from(furnished_room(), (-1.0, 0.0, 0.0), (-1.0, 0.0, np.pi), (-0.4, 0.0, 0.0))
    assert [pose.visible for pose in truth.poses] == [(1, 2, 3), (), (1, 2, 3)]
    mug = truth.objects[1]
    assert mug.n_sightings == 2
    assert mug.first_sighting is not None
    assert mug.best_sighting is not None
    assert (mug.first_sighting.seq, mug.best_sighting.seq) == (0, 2)
    assert mug.first_sighting.distance_m == pytest.approx(np.sqrt(1.8**2 + 0.1**2 + 0.45**2))
    assert truth.n_collisions == 1


def test_a_sliver_of_a_large_thing_is_no_sighting() -> None:
    wardrobe = box_template("wardrobe", "wardrobe", (0.5, 2.0, 2.0))
    screen = box_template("screen", "screen", (0.1, 2.0, 2.0))
    hidden = room_scene([(wardrobe, 2.0, 0.0, 0.0), (screen, 1.0, -0.4, 0.0)])
    shown = room_scene([(wardrobe, 2.0, 0.0, 0.0)])
    pose = (-2.0, 0.0, 0.0)
    _, _, ids = Renderer(hidden).render(planar_pose(*pose) @ T_BASE_CAMERA, CAMERA)
    assert (ids == 1).sum() > 100
    assert truth_from(hidden, pose).poses[0].visible == (2,)
    assert truth_from(shown, pose).poses[0].visible == (1,)


@pytest.mark.parametrize("yaw_rad", [0.0, 0.4, -0.6])
@pytest.mark.parametrize("x_m", [-2.0, 0.0])
def test_the_expected_size_of_an_unhidden_box_is_about_its_true_one(x_m: float, yaw_rad: float) -> None:
    scene = room_scene([(box_template("box", "box", (0.4, 0.4, 0.5)), 1.5, 0.0, 0.5)])
    T_world_camera = planar_pose(x_m, 0.0, yaw_rad) @ T_BASE_CAMERA
    _, _, ids = Renderer(scene).render(T_world_camera, CAMERA)
    expected = TruthRecorder(scene, CAMERA, T_BASE_CAMERA)._expected_px(T_world_camera)[0]
    assert expected == pytest.approx(int((ids == 1).sum()), rel=0.2)


def test_changes_are_passed_on() -> None:
    scene = furnished_room()
    change = TrueChange(kind="removed", instance_id=9, category="mug", from_position_m=(0, 0, 0), to_position_m=None)
    truth = TruthRecorder(scene, CAMERA, T_BASE_CAMERA).finish("day-2", 5, 0, 900, (change,))
    assert truth.changes == (change,)
