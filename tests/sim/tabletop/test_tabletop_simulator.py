from __future__ import annotations

from typing import List

import numpy as np
import pytest

from embodied.errors import ConfigurationError
from embodied.geometry import invert, project, transform_points
from sim.manipulation import TaskEpisode
from sim.simulator import StepResult
from sim.simulator_settings import TabletopSettings
from sim.simulators import open_task_simulator
from sim.tabletop import TASKS, TabletopSimulator
from sim.tabletop.simulator import TOUCH_M
from sim.tabletop.tasks import COLORS
from sim_contracts import TaskConformance, arrays_of

PERIOD_S = 0.05
SMALL = TabletopSettings(image_px=48)
STANDING = np.zeros(4, dtype=np.float32)


@pytest.fixture
def simulator() -> TabletopSimulator:
    return TabletopSimulator(SMALL)


def seen_and_felt(simulator: TabletopSimulator) -> List[np.ndarray]:
    return [*arrays_of(simulator.observe()), simulator.measured()]


def wait(simulator: TabletopSimulator) -> None:
    """Let time pass until the robot is let go."""
    while simulator.is_held:
        simulator.step(simulator.expert_action(), PERIOD_S)


def finish(simulator: TabletopSimulator) -> StepResult:
    """Let the expert act to the end."""
    while True:
        result = simulator.step(simulator.expert_action(), PERIOD_S)
        if result.success or result.ended:
            return result


class TestTabletopSimulator(TaskConformance):
    worlds = (TaskEpisode("remember_color_3", 0), TaskEpisode("remember_color_3", 1))

    def make_empty(self) -> TabletopSimulator:
        opened = open_task_simulator(SMALL)
        assert isinstance(opened, TabletopSimulator)
        return opened


@pytest.mark.parametrize("name", TASKS)
def test_the_cue_differs_and_once_it_is_gone_nothing_tells_it_before_the_verdict(
    simulator: TabletopSimulator, name: str
) -> None:
    """So whoever has no memory acts alike whatever was shown, and is right for one answer in ``n_answers``."""
    n_answers = TASKS[name].n_answers
    believed = n_answers - 1
    cues, streams, verdicts = [], [], []
    for answer in range(n_answers):
        simulator.load_answer(TaskEpisode(name, 6), answer, believed)
        cues.append(simulator._running().trial.shown)
        wait(simulator)
        stream, ended = [seen_and_felt(simulator)], False
        while not ended:
            result = simulator.step(simulator.expert_action(), PERIOD_S)
            ended = result.success or result.ended
            # Pictures at some steps only: they cost more than the world does.
            stream.append(seen_and_felt(simulator) if len(stream) % 8 == 0 else [simulator.measured()])
        streams.append(stream)
        verdicts.append(result.success)
    assert verdicts == [answer == believed for answer in range(n_answers)]
    assert len(set(cues)) == n_answers
    for stream in streams[:-1]:
        for frame, same in zip(stream, streams[-1]):
            for array, other in zip(frame, same):
                np.testing.assert_array_equal(array, other)


def test_while_it_is_held_the_robot_cannot_write_the_cue_into_its_pose(simulator: TabletopSimulator) -> None:
    frames = []
    for push in (0.0, 1.0):
        simulator.load(TaskEpisode("remember_place", 2))
        while simulator.is_held:
            simulator.step(np.full(4, push, dtype=np.float32), PERIOD_S)
        frames.append(seen_and_felt(simulator))
    for array, other in zip(*frames):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("name", TASKS)
def test_the_expert_does_every_task_also_when_it_is_disturbed(simulator: TabletopSimulator, name: str) -> None:
    for seed in range(10, 13):
        rng = np.random.default_rng(seed)
        simulator.load(TaskEpisode(name, seed))
        wait(simulator)
        for _ in range(6):
            simulator.step(simulator.expert_action() + rng.uniform(-0.5, 0.5, 4), PERIOD_S)
        assert finish(simulator).success


def test_each_answer_comes_up_as_often(simulator: TabletopSimulator) -> None:
    episodes = [TaskEpisode("remember_color_3", seed) for seed in range(300)]
    answers = [simulator.answer_of(episode) for episode in episodes]
    assert np.bincount(answers).tolist() == pytest.approx([100] * 3, abs=25)


def test_a_cue_is_shown_and_gone_for_one_to_five_steps() -> None:
    for seed in range(30):
        trial = TASKS["remember_color_5"].deal(np.random.default_rng(seed), 0)
        n_shown = sum(len(things) > 0 for things in trial.shown)
        assert [len(things) for things in trial.shown] == [1] * n_shown + [0] * (trial.n_held_steps - n_shown)
        assert 1 <= n_shown <= 5
        assert 1 <= trial.n_held_steps - n_shown <= 5


@pytest.mark.parametrize("name", TASKS)
def test_no_two_places_are_touched_at_once(name: str) -> None:
    for seed in range(20):
        places_m = np.array(TASKS[name].deal(np.random.default_rng(seed), 0).places_m)
        apart_m = np.linalg.norm(places_m[:, None] - places_m[None], axis=2)
        assert apart_m[np.triu_indices(len(places_m), 1)].min() > 2.0 * TOUCH_M


def test_every_cube_is_seen_at_its_place_in_a_colour_that_is_told_from_the_others() -> None:
    simulator = TabletopSimulator(TabletopSettings(image_px=128))
    for seed in range(3):
        episode = TaskEpisode("remember_color_9", seed)
        simulator.load(episode)
        wait(simulator)
        (view,), trial = simulator.observe().views, simulator._running().trial
        points_camera = transform_points(invert(view.T_base_camera), np.array(trial.places_m))
        pixels = np.round(project(points_camera, simulator.cameras[0].intrinsics)).astype(int)
        shown = view.rgb[pixels[:, 1], pixels[:, 0]] / 255.0
        nearest = np.linalg.norm(shown[:, None] - np.array(COLORS)[None], axis=2).argmin(axis=1)
        assert [COLORS[index] for index in nearest] == [cube.color for cube in trial.left]


def test_only_who_stands_still_touches(simulator: TabletopSimulator) -> None:
    simulator.load_answer(TaskEpisode("remember_color_3", 0), 0, believed=1)
    wait(simulator)
    goal_m = np.array(simulator._running().trial.places_m[simulator._running().believed[0]])
    n_near = 0
    while n_near < 3:
        toward = goal_m + [0.0, 0.0, 0.04] - simulator.measured()[:3]
        # Swings about the wrong place at half of the full speed.
        swing = [0.5 * (-1.0) ** n_near, 0.5 * (-1.0) ** n_near, 0.0]
        result = simulator.step(np.append(np.clip(toward / 0.04, -1.0, 1.0) + swing, -1.0), PERIOD_S)
        n_near += bool(np.linalg.norm(simulator.measured()[:3] - goal_m) < TOUCH_M)
        assert not result.ended
    assert finish(simulator).ended, "until it stands there"


def test_a_wrong_touch_ends_the_episode_and_it_takes_no_more_steps(simulator: TabletopSimulator) -> None:
    simulator.load_answer(TaskEpisode("remember_color_5", 0), 1, believed=2)
    result = finish(simulator)
    assert (result.success, result.ended) == (False, True)
    with pytest.raises(ValueError, match="ended"):
        simulator.step(STANDING, PERIOD_S)


def test_an_idle_robot_runs_out_of_time(simulator: TabletopSimulator) -> None:
    simulator.load(TaskEpisode("count", 0))
    limit = simulator.n_held_steps + TASKS["count"].max_free_steps
    results = [simulator.step(STANDING, PERIOD_S) for _ in range(limit)]
    assert [result.ended for result in results] == [False] * (limit - 1) + [True]


@pytest.mark.parametrize(
    ("episode", "answer", "message"),
    [
        (TaskEpisode("count", -1), 0, "seed: expected 0 or more"),
        (TaskEpisode("count", 0), 4, "answer: expected 0 to 3, got 4"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(
    simulator: TabletopSimulator, episode: TaskEpisode, answer: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        simulator.load_answer(episode, answer)


def test_another_control_period_and_a_picture_without_a_size_are_refused(simulator: TabletopSimulator) -> None:
    simulator.load(TaskEpisode("count", 0))
    with pytest.raises(ValueError, match="period_s"):
        simulator.step(STANDING, 0.2)
    with pytest.raises(ConfigurationError, match="image_px"):
        TabletopSimulator(TabletopSettings(image_px=0))
