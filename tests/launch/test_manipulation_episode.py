"""Demonstrations by real processes; the bridge's simulator is the tests' own arm."""

from __future__ import annotations

import os
import sys
from io import StringIO
from pathlib import Path

import msgspec
import numpy as np
import pytest

from arm_simulator import TASK, ArmSimulator
from embodied import Memory
from embodied.errors import ConfigurationError
from embodied.messages import Observation, SessionStart
from embodied.progress import Progress
from embodied.recording import log_info, read_session
from embodied.runs import new_run
from sim.manipulation import TaskEpisode, read_task_truth
from sim.simulator_settings import MetaworldSettings, TabletopSettings

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "launch"))

import manipulation_episode
from episode_settings import SimEpisode, bridge_python, check
from manipulation_episode import DemonstrationsSummary, process_specs, run_demonstrations, simulator_settings

ROOT = Path(__file__).resolve().parents[2]
TASK_SETTINGS = {"metaworld": MetaworldSettings, "tabletop": TabletopSettings}


def settings_of(out: Path, **changed: object) -> SimEpisode:
    fields = {"simulator": "metaworld", "task": TASK, "episodes": 2, "seed": 5, "out": str(out), "image_px": 64}
    return msgspec.convert({**fields, **changed}, SimEpisode)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DemonstrationsSummary]:
    out = tmp_path_factory.mktemp("demonstrations") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
        patch.setattr(
            manipulation_episode,
            "process_specs",
            lambda *given: [
                spec._replace(module="arm_bridge") if spec.name == "bridge" else spec for spec in process_specs(*given)
            ],
        )
        settings = settings_of(out, remember=True)
        run = new_run(settings.out, settings)
        return run, run_demonstrations(settings, run, Progress(StringIO()))


def test_each_demonstration_is_a_log_a_truth_and_a_row(recorded: tuple[Path, DemonstrationsSummary]) -> None:
    run, summary = recorded
    assert (summary.n_episodes, summary.n_successes, summary.success) == (2, 2, 1.0)
    assert [row.seed for row in summary.episodes] == [5, 6]
    assert sorted(path.stem for path in (run / "logs").glob("*.mcap")) == ["reach-000000", "reach-000001"]
    for row in summary.episodes:
        truth = read_task_truth(run / "truth" / f"{row.session}.json")
        assert (truth.task_seed, truth.success_seq, truth.n_steps) == (row.seed, row.success_seq, row.n_steps)
        assert truth.demonstrated
    assert summary.n_frames == sum(row.n_steps + 1 for row in summary.episodes)
    saved = msgspec.json.decode((run / "summary.json").read_bytes(), type=DemonstrationsSummary)
    assert saved == summary


def test_a_log_says_what_the_robot_was_told_and_holds_what_the_expert_did(
    recorded: tuple[Path, DemonstrationsSummary],
) -> None:
    run, _ = recorded
    path = run / "logs" / "reach-000000.mcap"
    start, *observations = read_session(path)
    assert isinstance(start, SessionStart)
    assert (start.instruction, start.action_names) == ("go to the red square", ("dx", "dy", "gripper"))
    assert start.world_frame == start.session, "each episode is a world of its own"
    assert log_info(path).start == start
    arm = ArmSimulator()
    arm.load(TaskEpisode(TASK, 5))
    steps = [o for o in observations if isinstance(o, Observation)][1:]
    assert len(steps) > 5
    for observation in steps:
        action = arm.limited(arm.expert_action()[None])[0]
        np.testing.assert_array_equal(observation.action, action)
        np.testing.assert_array_equal(observation.proprioception, arm.step(action, 0.05).measured)


def test_the_recorder_keeps_what_each_camera_has(recorded: tuple[Path, DemonstrationsSummary]) -> None:
    run, _ = recorded
    path = run / "logs" / "reach-000000.mcap"
    first = next(m for m in read_session(path) if isinstance(m, Observation))
    above, wrist = first.cameras
    assert above.depth is not None
    assert above.segments is not None
    assert (wrist.depth, wrist.segments) == (None, None)
    assert "/camera/wrist/depth" not in {topic.topic for topic in log_info(path).topics}


def test_the_memory_watches_if_it_is_asked_to(recorded: tuple[Path, DemonstrationsSummary]) -> None:
    run, summary = recorded
    with Memory(run / "memory.db") as memory:
        seen = {record.session: record.n_observations for record in memory.sessions()}
    assert seen == {row.session: row.n_steps + 1 for row in summary.episodes}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"task": None}, "task: expected one of cue_delay, .*, got None"),
        ({"task": "no-such-task"}, "task: expected one of cue_delay, .*, got 'no-such-task'"),
        ({"simulator": "mikasa", "task": "cue_delay"}, "task: expected one of RememberColor3-VLA-v0, "),
        ({"simulator": "tabletop", "task": "cue_delay"}, "task: expected one of remember_color_3, "),
        ({"simulator": "houses"}, "task: expected none"),
        ({"simulator": "mikasa", "remember": True}, "remember: expected"),
        ({"mesh": True}, "mesh: expected a house"),
        ({"episodes": 0}, "episodes: expected 1"),
        ({"image_px": 8}, "image_px: expected 64"),
        ({"bridge_python": "/no/such/python"}, "bridge_python: expected"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changed: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check(settings_of(tmp_path, **changed))


def test_the_bridge_gets_the_simulator_that_has_the_task_with_its_picture(tmp_path: Path) -> None:
    given = {simulator: simulator_settings(settings_of(tmp_path, simulator=simulator)) for simulator in TASK_SETTINGS}
    assert given == {simulator: kind(image_px=64) for simulator, kind in TASK_SETTINGS.items()}


def test_the_interpreter_of_the_bridge_is_the_one_named_then_the_one_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EMBODIED_METAWORLD_PYTHON", raising=False)
    assert bridge_python(settings_of(tmp_path)) == sys.executable
    monkeypatch.setenv("EMBODIED_METAWORLD_PYTHON", "/bin/sh")
    assert bridge_python(settings_of(tmp_path)) == "/bin/sh"
    assert bridge_python(settings_of(tmp_path, bridge_python="/bin/ls")) == "/bin/ls"
