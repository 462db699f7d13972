from __future__ import annotations

from typing import List, Optional

import numpy as np
import pytest

from paper_table import PaperTable, deal, play, watch
from sim.metaworld.table import MemoryTask, TouchSensor
from sim.metaworld.tasks import TASKS
from sim.metaworld.waypoints import CLOSED, OPEN

SEEDS = range(12)


@pytest.fixture(params=list(TASKS))
def task(request: pytest.FixtureRequest) -> MemoryTask:
    return TASKS[request.param]


def test_there_are_six_demands_on_memory_and_one_more() -> None:
    assert {name: task.n_answers for name, task in TASKS.items()} == {
        "cue_delay": 4,
        "hidden_ball": 3,
        "count_blinks": 4,
        "touch_order": 6,
        "put_back": 4,
        "longest_lit": 3,
        "new_block": 4,
    }
    assert len({task.instruction for task in TASKS.values()}) == len(TASKS)


def test_what_the_robot_sees_when_it_is_let_go_is_the_same_for_every_answer(task: MemoryTask) -> None:
    for seed in SEEDS:
        trials = [deal(task, seed, answer) for answer in range(task.n_answers)]
        assert len({trial.n_held_steps for trial in trials}) == 1, "how long it takes tells the answer"
        visible = [_in_sight(watch(task, trial)[0]) for trial in trials]
        assert all(seen == visible[0] for seen in visible)


def test_what_is_shown_before_differs_between_any_two_answers(task: MemoryTask) -> None:
    for seed in SEEDS:
        shown = [watch(task, deal(task, seed, answer))[1] for answer in range(task.n_answers)]
        for a in range(task.n_answers):
            for b in range(a):
                assert shown[a] != shown[b]


def test_every_answer_has_a_way_that_wins_for_it_and_for_no_other(task: MemoryTask) -> None:
    for seed in range(3):
        for truth in range(task.n_answers):
            for believed in range(task.n_answers):
                trial = deal(task, seed, truth)
                table, _ = watch(task, trial)
                verdict = play(trial, table, deal(task, seed, believed).waypoints())
                assert verdict is (believed == truth)


def test_whatever_the_robot_does_nothing_tells_the_answer_before_the_verdict_and_no_two_answers_win(
    task: MemoryTask,
) -> None:
    """Random courses that come down on things now and then: no course is right for two answers."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        trials = [deal(task, seed, answer) for answer in range(task.n_answers)]
        tables = [watch(task, trial)[0] for trial in trials]
        verdicts: List[Optional[bool]] = [None] * len(trials)
        places = [place for place in tables[0].places.values() if place[2] > 0.0]
        gripper = OPEN
        for _ in range(60):
            x_m, y_m, _ = places[rng.integers(len(places))]
            before, gripper = gripper, float(rng.choice([OPEN, CLOSED]))
            for z_m, command in ((0.25, before), (0.1, before), (0.02, before), (0.02, gripper), (0.25, gripper)):
                for i, (trial, table) in enumerate(zip(trials, tables)):
                    if verdicts[i] is None:
                        table.go(np.array([x_m, y_m, z_m]), command)
                        verdicts[i] = trial.judge(table)
                open_ones = [_in_sight(table) for verdict, table in zip(verdicts, tables) if verdict is None]
                assert all(seen == open_ones[0] for seen in open_ones)
        assert verdicts.count(True) <= 1
        assert any(verdict is not None for verdict in verdicts)


def test_as_many_numbers_are_drawn_whatever_the_answer(task: MemoryTask) -> None:
    states = []
    for answer in range(task.n_answers):
        rng = np.random.default_rng(0)
        task.deal(rng, answer)
        states.append(rng.bit_generator.state)
    assert all(state == states[0] for state in states)


def test_seeds_lay_out_different_tables(task: MemoryTask) -> None:
    assert watch(task, deal(task, 0, 0))[1][-1] != watch(task, deal(task, 1, 0))[1][-1]


def test_the_lamp_turns_green_when_the_robot_is_let_go_and_not_before(task: MemoryTask) -> None:
    trial = deal(task, 0, 0)
    _, shown = watch(task, trial)
    colors = [color["signal"] for _, color in shown]
    assert len(set(colors[:-1])) == 1
    assert colors[-1] not in colors[:-1]


def test_things_on_the_table_do_not_overlap_when_the_robot_is_let_go(task: MemoryTask) -> None:
    solid = [prop for prop in task.props if prop.category not in ("mark", "ball")]
    for seed in SEEDS:
        table, _ = watch(task, deal(task, seed, 0))
        for i, one in enumerate(solid):
            for other in solid[:i]:
                apart = np.abs(np.subtract(table.places[one.name], table.places[other.name]))
                assert (apart > np.add(one.half_size_m, other.half_size_m)).any(), (one.name, other.name)


def _in_sight(table: PaperTable) -> object:
    """Return what can be seen, without what lies under a cup."""
    places, colors = table.shown
    cups = [name for name in places if name.startswith("cup")]
    for cup in cups:
        if "ball" in places and np.allclose(places["ball"][:2], places[cup][:2]):
            places.pop("ball")
    return places, colors


# ------------------------------------------------------------------------------------------------ touching


def test_a_place_is_touched_once_until_the_tool_has_risen() -> None:
    sensor = TouchSensor([(0.5, 0.0), (0.7, 0.0)], touch_height_m=0.05, release_height_m=0.1)
    ways = [(0.5, 0.2), (0.5, 0.04), (0.52, 0.03), (0.5, 0.08), (0.5, 0.04), (0.5, 0.12), (0.5, 0.04)]
    assert [sensor.update(np.array([x_m, 0.0, z_m])) for x_m, z_m in ways] == [None, 0, None, None, None, None, 0]


def test_a_tool_beside_every_place_touches_none() -> None:
    sensor = TouchSensor([(0.5, 0.0), (0.7, 0.0)], touch_height_m=0.05, release_height_m=0.1, radius_m=0.04)
    assert sensor.update(np.array([0.6, 0.0, 0.01])) is None
    assert sensor.update(np.array([0.67, 0.0, 0.01])) == 1
