from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arm_simulator import N_STEPS, TASK, ArmSimulator
from embodied.errors import SceneError
from embodied.messages import ActionChunk, Observation
from sim.bridge_session import BridgeSession, SessionSettings
from sim.houses_simulator import CameraSettings, HousesSettings, HousesSimulator
from sim.manipulation import TaskEpisode, TaskWorld, read_task_truth
from sim.operator_messages import StartSession
from sim_contracts import TaskConformance
from sim_scenes import furnished_room

START_NS = 1_767_603_600_000_000_000


class TestArmSimulator(TaskConformance):
    """The conformance suite itself, on a simulator that keeps the contract."""

    worlds = (TaskEpisode(TASK, 0), TaskEpisode(TASK, 1))
    max_steps = N_STEPS

    def make_empty(self) -> ArmSimulator:
        return ArmSimulator()


def request(seed: int = 0, **changed: Any) -> StartSession:
    return StartSession(**{"session": "episode-0", "stamp_ns": START_NS, "task": TASK, "seed": seed, **changed})


def begin(
    settings: SessionSettings | None = None, *, demonstrate: bool = False, seed: int = 0
) -> tuple[TaskWorld, BridgeSession]:
    world = TaskWorld(ArmSimulator())
    world.begin(request(seed))
    session = BridgeSession(
        world.simulator, "episode-0", START_NS, (0, 0), settings or SessionSettings(), demonstrate=demonstrate
    )
    return world, session


def play(world: TaskWorld, session: BridgeSession) -> list[Observation]:
    frames = [session.first()]
    while session.busy:
        frames.append(session.advance())
    for frame in frames:
        world.record(frame)
    return [frame.observation for frame in frames]


def chunk(actions: np.ndarray, seq: int = 0) -> ActionChunk:
    return ActionChunk(
        session="episode-0",
        seq=seq,
        observation_seq=0,
        stamp_ns=START_NS,
        valid_until_ns=START_NS + 10**12,
        actions=actions.astype(np.float32),
    )


def test_a_session_says_what_the_robot_is_told_and_what_its_numbers_are() -> None:
    _, session = begin()
    opening = session.opening()
    assert opening.instruction == "go to the red square"
    assert opening.action_names == ("dx", "dy", "gripper")
    assert opening.proprioception_names == ("tool_x_m", "tool_y_m", "gripper")
    assert (opening.robot, opening.control_period_s) == ("arm", 0.05)


def test_all_cameras_cross_the_wire_each_with_what_it_has() -> None:
    _, session = begin()
    above, wrist = session.first().observation.cameras
    assert (above.name, wrist.name) == ("above", "wrist")
    assert above.depth is not None
    assert set(above.segment_labels) == {"square", "tool"}
    assert (wrist.depth, wrist.segments, wrist.segment_labels) == (None, None, ())


def test_an_arm_feels_and_stands_without_the_errors_of_wheels() -> None:
    world, session = begin()
    session.first()
    assert session.accept(chunk(np.array([[0.0, 1.0, -1.0]]))).accepted
    observation = session.advance().observation
    np.testing.assert_array_equal(observation.T_world_base, np.eye(4))
    np.testing.assert_array_equal(observation.proprioception, world.simulator.measured())
    assert observation.stamp_ns - START_NS == 50_000_000


def test_a_demonstration_goes_on_until_the_task_is_done_and_has_settled(tmp_path: Path) -> None:
    world, session = begin(SessionSettings(n_settling_steps=3), demonstrate=True)
    observations = play(world, session)
    assert not any(o.awaiting_action for o in observations)
    world.finish(session, 0, tmp_path)
    assert read_task_truth(tmp_path / "episode-0.json").success_seq == observations[-1].seq - 3
    assert session.accept(chunk(np.zeros((1, 3)))).reason.startswith("busy: ")


def test_a_demonstration_that_does_not_come_to_its_end_is_stopped() -> None:
    world, session = begin(SessionSettings(max_demonstration_steps=2), demonstrate=True)
    assert len(play(world, session)) == 3


def test_a_world_that_has_ended_takes_no_more_actions() -> None:
    _, session = begin()
    session.first()
    session.accept(chunk(np.zeros((N_STEPS + 9, 3))))
    observations = []
    while session.busy:
        observations.append(session.advance().observation)
    assert len(observations) == N_STEPS
    assert session.ended
    assert not observations[-1].awaiting_action
    assert session.accept(chunk(np.zeros((1, 3)), seq=1)).reason.startswith("ended: ")


def test_what_was_true_of_an_episode_is_written_and_read(tmp_path: Path) -> None:
    world, session = begin(demonstrate=True, seed=7)
    world.begin(request(seed=7))
    observations = play(world, session)
    assert world.finish(session, 5, tmp_path) is True
    truth = read_task_truth(tmp_path / "episode-0.json")
    assert (truth.simulator, truth.task, truth.task_seed, truth.seed) == ("arm", TASK, 7, 5)
    assert truth.success_once
    assert truth.demonstrated
    assert truth.n_steps == len(observations) - 1
    assert truth.success_seq == truth.n_steps - SessionSettings().n_settling_steps


def test_an_episode_that_nobody_solves_is_no_success(tmp_path: Path) -> None:
    world, session = begin()
    play(world, session)
    assert world.finish(session, 0, tmp_path) is False
    assert read_task_truth(tmp_path / "episode-0.json").success_seq is None


def test_a_robot_without_an_expert_gives_no_demonstration() -> None:
    simulator = HousesSimulator(furnished_room(), HousesSettings(camera=CameraSettings(width_px=32, height_px=24)))
    with pytest.raises(ValueError, match="demonstrate: expected a simulator with an expert, got houses"):
        BridgeSession(simulator, "day-1", START_NS, (0,), SessionSettings(), demonstrate=True)


@pytest.mark.parametrize(("changed", "message"), [({"task": ""}, "task: expected"), ({"task": "dance"}, "'dance'")])
def test_a_session_without_a_task_or_with_an_unknown_one_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TaskWorld(ArmSimulator()).begin(request(**changed))


def test_nights_and_damaged_truth_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a simulator of houses"):
        TaskWorld(ArmSimulator()).change(1)
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(SceneError, match=r"x\.json"):
        read_task_truth(tmp_path / "x.json")
