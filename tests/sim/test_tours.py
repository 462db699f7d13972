"""A tour shows everything, honestly, and again the same."""

from __future__ import annotations

from typing import List

import numpy as np
import pytest

from embodied.geometry import planar_pose
from embodied.messages import Observation, SessionEnd, SessionStart
from sim.renderer import Renderer
from sim.sensors import DepthNoiseSettings, PoseNoiseSettings
from sim.tours import Tour, TourNoise, tour
from sim.viewpoints import FLOOR_NEAR_M, free_floor
from sim_scenes import furnished_room

SECOND_NS = 1_000_000_000
EXACT = TourNoise(depth=DepthNoiseSettings(scale=0.0), pose=PoseNoiseSettings(scale=0.0))
SMALL = {"width_px": 64, "height_px": 64}


ROOM = furnished_room()


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(ROOM)


def make(renderer: Renderer, **more: object) -> Tour:
    settings = {"session": "a", "start_ns": 10 * SECOND_NS, "seed": 1, "renderer": renderer, **SMALL, **more}
    return Tour(ROOM, **settings)  # type: ignore[arg-type]


def observations(messages: object) -> List[Observation]:
    return [message for message in messages if isinstance(message, Observation)]  # type: ignore[attr-defined]


def test_a_tour_is_a_session_whose_stamps_and_steps_a_walking_robot_could_have(renderer: Renderer) -> None:
    start, *frames, end = list(make(renderer, noise=EXACT, world_frame="kitchen map"))
    assert isinstance(start, SessionStart)
    assert (start.session, start.stamp_ns, start.world_frame) == ("a", 10 * SECOND_NS, "kitchen map")
    assert isinstance(end, SessionEnd)
    assert end.n_observations == len(frames)
    assert [frame.seq for frame in frames] == list(range(len(frames)))
    for before, after in zip(frames, frames[1:]):
        elapsed_s = (after.stamp_ns - before.stamp_ns) / SECOND_NS
        moved_m = float(np.linalg.norm(after.T_world_base[:3, 3] - before.T_world_base[:3, 3]))
        assert elapsed_s >= 1.0
        assert moved_m <= 0.6 * elapsed_s


def test_everything_is_seen_from_several_places(renderer: Renderer) -> None:
    made = make(renderer, n_views=3, width_px=160, height_px=160)
    list(made)
    truth = made.truth()
    assert [thing.category for thing in truth.objects] == ["table", "mug", "cabinet"]
    for thing in truth.objects:
        seen = [pose for pose in truth.poses if thing.instance_id in pose.visible]
        places = {(round(pose.x_m, 3), round(pose.y_m, 3)) for pose in seen}
        assert len(places) >= 3, thing.category
    stops = np.array([(stop.x_m, stop.y_m) for stop in made.stops])
    floor = free_floor(ROOM)
    apart = np.linalg.norm(floor.centers(floor.reachable)[:, None] - stops[None], axis=2).min(axis=1)
    assert apart.max() < FLOOR_NEAR_M + 0.2


def test_the_same_seed_gives_the_same_stream_and_another_one_another(renderer: Renderer) -> None:
    made = make(renderer)
    first, again, other = observations(made), observations(made), observations(make(renderer, seed=2))
    for a, b in zip(first, again):
        assert (a.T_world_base == b.T_world_base).all()
        assert (a.cameras[0].depth == b.cameras[0].depth).all()
        assert a.cameras[0].segment_labels == b.cameras[0].segment_labels
    assert len(first) != len(other) or any((a.T_world_base != b.T_world_base).any() for a, b in zip(first, other))


def test_noise_is_only_what_was_asked_for(renderer: Renderer) -> None:
    exact, noisy = make(renderer, noise=EXACT), make(renderer)
    frames, wrong = observations(exact), observations(noisy)
    for frame, pose in zip(frames, exact.truth().poses):
        assert frame.T_world_base[:2, 3] == pytest.approx((pose.x_m, pose.y_m), abs=1e-9)
    off_m = [float(np.linalg.norm(a.T_world_base[:2, 3] - b.T_world_base[:2, 3])) for a, b in zip(frames, wrong)]
    assert 0.001 < max(off_m) < 0.06
    depths = [(a.cameras[0].depth, b.cameras[0].depth) for a, b in zip(frames, wrong)]
    assert any((a != b).any() for a, b in depths)


def test_a_session_may_have_its_own_frame(renderer: Renderer) -> None:
    T = planar_pose(3.0, -1.0, 0.7)
    plain, turned = make(renderer, noise=EXACT), make(renderer, noise=EXACT, T_frame_world=T)
    for a, b in zip(observations(plain), observations(turned)):
        assert b.T_world_base == pytest.approx(T @ a.T_world_base, abs=1e-9)
        assert (a.cameras[0].depth == b.cameras[0].depth).all()
    assert [pose.x_m for pose in plain.truth().poses] == [pose.x_m for pose in turned.truth().poses]


def test_the_truth_of_a_tour_that_was_not_taken_is_refused(renderer: Renderer) -> None:
    made = make(renderer)
    next(iter(made))
    with pytest.raises(ValueError, match="taken to its end"):
        made.truth()


def test_a_plain_call_streams_a_tour() -> None:
    assert isinstance(next(tour(ROOM, session="b", start_ns=0, seed=0, n_views=1)), SessionStart)
