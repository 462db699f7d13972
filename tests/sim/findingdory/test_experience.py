"""A day of pick and place: honest, the same each time, and told by nothing but pictures and the gripper."""

from __future__ import annotations

from itertools import islice
from typing import List

import numpy as np
import pytest

from embodied.errors import SceneError
from embodied.messages import Observation, SessionEnd, SessionStart
from findingdory_day import house
from sim.findingdory.asking import instructions_of
from sim.findingdory.experience import ACTIONS, PROPRIOCEPTION, Experience
from sim.findingdory.phase_two import Evening
from sim.findingdory.routine import MIN_CARRY_M
from sim.findingdory.scoring import Judge
from sim.findingdory.walking import MOVE_M, TURN_RAD
from sim.simulator_settings import CameraSettings
from sim.tours import MIN_SEGMENT_PX

START_NS = 10**18


def make(seed: int = 3) -> Experience:
    camera = CameraSettings(width_px=64, height_px=64)
    return Experience(house(), session="a", start_ns=START_NS, seed=seed, n_interactions=2, camera=camera)


@pytest.fixture(scope="module")
def experience() -> Experience:
    return make()


@pytest.fixture(scope="module")
def observations(experience: Experience) -> List[Observation]:
    messages = list(experience)
    assert isinstance(messages[0], SessionStart)
    assert isinstance(messages[-1], SessionEnd)
    assert messages[-1].n_observations == experience.n_frames
    return [message for message in messages if isinstance(message, Observation)]


def test_each_thing_goes_once_to_rest_on_another_piece_of_furniture(experience: Experience) -> None:
    errands = experience.routine.errands
    assert len({errand.instance_id for errand in errands}) == len(errands) == 2
    for errand in errands:
        assert errand.placed.support != errand.picked_from
        moved_m = np.linalg.norm(np.subtract(errand.placed_position_m, errand.picked_position_m)[:2])
        assert moved_m >= MIN_CARRY_M
        top_m = errand.afterwards.templates[errand.afterwards.by_id()[errand.placed.support].template].size_m[2]
        assert errand.placed.T_world_object[2, 3] == pytest.approx(top_m, abs=0.005)


def test_the_robot_moves_by_the_benchmark_s_steps(experience: Experience, observations: List[Observation]) -> None:
    poses = experience.truth().poses
    moved_m = np.linalg.norm(np.diff(poses[:, :2], axis=0), axis=1)
    turned_rad = np.abs((np.diff(poses[:, 2]) + np.pi) % (2 * np.pi) - np.pi)
    assert (np.isclose(moved_m, 0) | np.isclose(moved_m, MOVE_M)).all()
    assert (np.isclose(turned_rad, 0) | np.isclose(turned_rad, TURN_RAD)).all()
    assert not ((moved_m > 0.01) & (turned_rad > 0.01)).any()


def test_the_gripper_feels_what_is_held_and_nothing_else_tells_of_it(
    experience: Experience, observations: List[Observation]
) -> None:
    held = experience.truth().held
    assert PROPRIOCEPTION[-1] == "gripper_closed"
    assert ACTIONS[-1] == "gripper"
    for observation in observations:
        assert observation.proprioception[-1] == float(held[observation.seq] > 0)
        assert observation.proprioception.shape == (len(PROPRIOCEPTION),)
        assert observation.action is not None
        assert observation.action.shape == (len(ACTIONS),)


def test_a_thing_leaves_its_place_when_it_is_picked_up_and_is_in_view_until_it_is_put_down(
    experience: Experience, observations: List[Observation]
) -> None:
    truth = experience.truth()
    for interaction in truth.interactions:
        thing, first, after = interaction.instance_id, interaction.picked_frame, interaction.placed_frame
        assert (truth.held[first:after] == thing).all()
        assert truth.held[first - 1] == truth.held[after] == 0
        # In hand it is nearer than where it lay, and is seen nearly all the way: close to a wall it is not.
        assert truth.coverage[first, thing] > truth.coverage[first - 1, thing] > 0
        assert (truth.coverage[first:after, thing] * 64 * 64 >= MIN_SEGMENT_PX).mean() > 0.9
        assert truth.coverage[after, thing] > 0
        labels = observations[(first + after) // 2].cameras[0].segment_labels
        assert interaction.category in labels


def test_what_is_true_of_the_frames_fits_what_was_done(experience: Experience, observations: List[Observation]) -> None:
    truth = experience.truth()
    assert truth.n_frames == len(observations) == len(truth.rooms)
    assert [o.stamp_ns for o in observations] == truth.stamps_ns.tolist()
    assert (np.diff(truth.stamps_ns) > 0).all()
    total_s = (truth.stamps_ns[-1] - truth.stamps_ns[0]) / 1e9
    assert sum(truth.seconds_in.values()) == pytest.approx(total_s)
    ends = {i.instance_id: i.placed_on for i in truth.interactions}
    assert {i: truth.after.by_id()[i].support for i in ends} == ends
    pairs = zip(truth.before.instances, truth.after.instances)
    touched = [a.instance_id for a, b in pairs if not np.array_equal(a.T_world_object, b.T_world_object)]
    assert sorted(touched) == sorted(ends)


def test_the_same_seed_gives_the_same_day(observations: List[Observation]) -> None:
    again = [message for message in islice(make(), 240) if isinstance(message, Observation)]
    for a, b in zip(observations, again):
        assert a.stamp_ns == b.stamp_ns
        assert (a.T_world_base == b.T_world_base).all()
        assert (a.cameras[0].rgb == b.cameras[0].rgb).all()
        assert a.cameras[0].segment_labels == b.cameras[0].segment_labels
        assert (np.asarray(a.cameras[0].depth) == np.asarray(b.cameras[0].depth)).all()
    other = make(seed=4)
    assert [m.pose for m in other.moments] != [m.pose for m in make().moments]


def test_the_truth_is_there_only_after_the_day() -> None:
    with pytest.raises(ValueError, match="taken to its end"):
        make().truth()


def test_a_number_of_errands_beyond_the_published_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 to 11, got 12"):
        Experience(house(), session="a", start_ns=START_NS, seed=1, n_interactions=12)


def test_a_house_without_two_things_to_move_is_refused() -> None:
    bare = house().with_instances(house().instances[:4])
    with pytest.raises(SceneError, match="expected 2 things to move, got 1"):
        Experience(bare, session="a", start_ns=START_NS, seed=1)


def test_a_day_gives_instructions_that_its_frames_answer(
    experience: Experience, observations: List[Observation]
) -> None:
    judge = Judge(Evening(experience.truth(), experience.floor, experience.camera))
    instructions = instructions_of(judge, seed=1)
    assert len(instructions) >= 25
    assert len({i.text for i in instructions}) == len(instructions)
    assert instructions == instructions_of(judge, seed=1)
    for instruction in instructions:
        assert all(judge.right_frames(goal) for goal in instruction.goals)
