"""Policies at tasks: who plays what, what the figures say, and that a simulator may be another process."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "launch"))

import evaluate_manipulation
from evaluate_manipulation import Settings, main
from evaluation_rows import Row
from manipulation_figures import crossed_mean, summarise
from manipulation_policy import CheckpointPolicy, read_checkpoints
from manipulation_rollouts import OtherProcess, play_player, play_policy
from manipulation_tasks import Task, find_task

from embodied.errors import ConfigurationError, ProcessError
from embodied.figures import FiguresFile, MeasuredFigure
from embodied.progress import Progress
from policies.vla.config import Interface, MemoryConfig, NetworkConfig
from policies.vla.normaliser import Bounds, Normaliser
from policies.vla.record import POLICY_FILE, DataRecord, PolicyRecord
from sim.rollout import BeginEpisode, EpisodeBegun, Instant, Rollout
from sim.simulator_settings import TabletopSettings
from sim.tabletop import TabletopSimulator

TASK = Task("tabletop", "remember_place")
FIRST = TabletopSimulator(TabletopSettings(image_px=64))


def record_of(**changed: Any) -> PolicyRecord:
    interface = Interface(
        cameras=tuple(camera.name for camera in FIRST.cameras), height_px=64, width_px=64,
        action_names=FIRST.action_space.names, proprioception_names=(), control_period_s=FIRST.control_period_s,
        chunk_steps=6, execute_steps=4,
    )  # fmt: skip
    n = len(interface.action_names)
    fields = {"network": NetworkConfig(), "interface": interface, **changed}
    return PolicyRecord(
        normaliser=Normaliser(actions=Bounds(low=(-1.0,) * n, high=(1.0,) * n)), seed=0, n_steps=1, trained_s=0.0,
        data=DataRecord(folders=(), sha256="", n_episodes=1, n_observations=1, instructions=("touch",)),
        settings={}, git="", packages={}, weights="none", weights_sha256="0" * 64, **fields,
    )  # fmt: skip


def write_record(folder: Path, **changed: Any) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / POLICY_FILE).write_bytes(msgspec.json.encode(record_of(**changed)))
    return str(folder)


class Still:
    """Never moves, and keeps what it was shown."""

    execute_steps, n_frames = 4, 2

    def __init__(self) -> None:
        self.seen: list[list[int]] = []

    def begin(self, begun: EpisodeBegun, episode: str) -> None:
        self.n_actions = len(begun.action_names)

    def act(self, instants: tuple[Instant, ...]) -> np.ndarray:
        self.seen.append([instant.step for instant in instants])
        return np.zeros((6, self.n_actions), dtype=np.float32)


def row(method: str, kind: str, success: float, seed: int, task: str, training: str = "") -> Row:
    notes = {"kind": kind, "training": training}
    values = {"success": success, "steps": 10.0, "calls": 3.0}
    return Row(key=task, episode=f"{task} {seed}", method=method, category=task, values=values, notes=notes)


def by_name(figures: list[MeasuredFigure]) -> dict[str, MeasuredFigure]:
    return {figure.name: figure for figure in figures}


# ------------------------------------------------------------------------------------------------ tasks and checkpoints


def test_a_task_is_found_by_its_full_name_and_by_its_own_where_that_is_enough() -> None:
    assert find_task("RememberColor9-Long-VLA-v0") == find_task("mikasa:RememberColor9-Long-VLA-v0")
    assert str(find_task("cue_delay")) == "metaworld:cue_delay"
    assert find_task("cue_delay").chance == 0.25
    for text, words in (
        ("no-such-task", "tasks: expected one of mikasa:"),
        ("tabletop:cue_delay", "tasks: expected one of tabletop:"),
        ("nowhere:cue_delay", "expected one of the simulators mikasa, metaworld, tabletop"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            find_task(text)


def test_trainings_of_one_method_are_known_by_their_names(tmp_path: Path) -> None:
    network = NetworkConfig(memory=MemoryConfig(kind="none"))
    folders = [write_record(tmp_path / "ours-seed0"), write_record(tmp_path / "ours-seed12")]
    folders.append(write_record(tmp_path / "twin", network=network))
    folders.append(write_record(tmp_path / "x", network=msgspec.structs.replace(network, n_stacked_frames=8)))
    found = read_checkpoints(folders, ())
    assert [(c.method, c.training, c.kind) for c in found] == [
        ("ours", "seed0", "memory"), ("ours", "seed12", "memory"), ("twin", "", "memoryless"), ("x", "", "frames"),
    ]  # fmt: skip
    assert [c.name for c in read_checkpoints(folders[:2], ("a", "b-seed1"))] == ["a", "b-seed1"]
    for names, words in (
        (("a",), "names: expected one for each of 2"),
        (("a", "a"), "names: expected different ones, got a more than once"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            read_checkpoints(folders[:2], names)
    with pytest.raises(ConfigurationError, match="names: b stands for policies of different kinds"):
        read_checkpoints(folders[1:3], ("b-seed0", "b-seed1"))
    other = msgspec.structs.replace(record_of().interface, height_px=128, width_px=128)
    with pytest.raises(ConfigurationError, match="pictures of one size"):
        read_checkpoints([folders[0], write_record(tmp_path / "large", interface=other)], ())


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"action_names": ("up",)}, r"trained for actions \('up',\), the task has"),
        ({"cameras": ("wrist",)}, "trained with camera wrist, the task has front"),
        ({"height_px": 32}, r"trained for pictures of front \(32, 64, 3\), the task has \(64, 64, 3\)"),
        ({"control_period_s": 0.2}, r"trained for control period, s 0\.2"),
        ({"proprioception_names": ("smell",)}, "the task does not measure smell"),
    ],
)
def test_a_policy_of_another_robot_is_refused_by_what_differs(changed: dict[str, Any], words: str) -> None:
    record = record_of(interface=msgspec.structs.replace(record_of().interface, **changed))
    actor: Any = SimpleNamespace(backend=SimpleNamespace(record=record))
    begun = Rollout(FIRST).answer(BeginEpisode(task=TASK.name, seed=0))
    with pytest.raises(ConfigurationError, match=words):
        CheckpointPolicy(actor, "ours").begin(begun, "0")


# ------------------------------------------------------------------------------------------------------------- playing


def test_a_policy_is_called_after_so_many_steps_and_sees_as_many_frames_as_it_wants() -> None:
    policy = Still()
    played = play_policy(Rollout(FIRST).answer, TASK, 3, policy, show_end=True)
    assert policy.seen[:3] == [[0], [3, 4], [7, 8]]
    assert not played.success
    assert played.n_calls == len(policy.seen) == -(-played.n_steps // 4)
    assert played.frame_steps == [*range(0, played.n_steps, 4), played.n_steps]
    assert len(played.frames) == len(played.frame_steps)


def test_all_methods_play_the_same_episodes_and_the_report_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate_manipulation, "open_policy", lambda *_: Still())
    twin = write_record(tmp_path / "twin", network=NetworkConfig(memory=MemoryConfig(kind="none")))
    given = {
        "out": str(tmp_path / "all.json"), "tasks": (TASK.name,), "episodes": 2, "strips": 1, "baselines": ("expert",),
        "checkpoint": (write_record(tmp_path / "ours"), twin),
    }  # fmt: skip
    settings = msgspec.convert(given, Settings)
    main(settings, Progress(StringIO()))
    figures = by_name(list(msgspec.json.decode((tmp_path / "all.json").read_bytes(), type=FiguresFile).figures))
    assert figures[f"{TASK}.expert.success"].value == 1.0
    assert figures[f"{TASK}.ours.success"].value == 0.0
    assert figures[f"{TASK}.twin.success"].peers == {"expert": 1.0, "ours": 0.0, "chance": 0.25}
    lines = [json.loads(line) for line in (tmp_path / "all.rows.jsonl").read_text().splitlines()[1:]]
    assert [line["seed"] for line in lines] == [100_000, 100_001]
    assert [len(line["failures"]) for line in lines] == [1, 1]
    assert lines[0]["failures"][0]["text"].startswith("expert: done after")
    assert lines[1]["failures"][0]["text"].startswith("ours: not done after"), "only what should have done it"
    assert "Episodes" in (tmp_path / "all.html").read_text()
    # Other weights in the same folder are another policy, whose rows these are not.
    other = msgspec.structs.replace(record_of(), weights_sha256="1" * 64)
    (tmp_path / "ours" / POLICY_FILE).write_bytes(msgspec.json.encode(other))
    with pytest.raises(ConfigurationError, match="other settings: weights"):
        main(settings, Progress(StringIO()))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"baselines": ()}, "checkpoint: expected at least one folder, or baselines, got neither"),
        ({"baselines": ("sweep",)}, "baselines: expected some of expert, got sweep"),
        ({"tasks": ()}, "tasks: expected at least one"),
        ({"checkpoint": ("nowhere",)}, "checkpoint nowhere: it is no policy's folder"),
    ],
)
def test_what_cannot_be_played_is_said_before_anything_is_written(
    changed: dict[str, Any], words: str, tmp_path: Path
) -> None:
    given = {"out": str(tmp_path / "all.json"), "tasks": (TASK.name,), "baselines": ("expert",), **changed}
    with pytest.raises(ConfigurationError, match=words):
        main(msgspec.convert(given, Settings), Progress(StringIO()))
    assert list(tmp_path.iterdir()) == []


def test_a_simulator_in_another_process_plays_as_it_does_here() -> None:
    other = OtherProcess(TabletopSettings(image_px=64), sys.executable)
    try:
        there = play_player(other.ask, TASK, 7, "expert", show=True)
        with pytest.raises(ValueError, match="task: expected"):
            other.ask(BeginEpisode(task="no-such-task", seed=0))
        other._process.kill()
        with pytest.raises(ProcessError, match="the simulator ended with code -9"):
            other.ask(BeginEpisode(task=TASK.name, seed=0))
    finally:
        other.close()
    here = play_player(Rollout(FIRST).answer, TASK, 7, "expert", show=True)
    assert (there.success, there.n_steps, there.frame_steps) == (here.success, here.n_steps, here.frame_steps)
    np.testing.assert_array_equal(np.stack(there.frames), np.stack(here.frames))


# ------------------------------------------------------------------------------------------------------------- figures


def test_trainings_are_drawn_as_well_as_episodes() -> None:
    rng = np.random.default_rng(0)
    alike = np.repeat((rng.random(40) < 0.5)[None], 3, axis=0).astype(float)
    apart = np.stack([np.zeros(40), np.full(40, 0.5), np.ones(40)])
    mean, (low, high) = crossed_mean(alike)
    assert mean == alike.mean()
    assert high - low == pytest.approx(4 * np.sqrt(0.25 / 40), rel=0.15), "three times the same episodes are 40"
    mean, (low, high) = crossed_mean(apart)
    assert (mean, low, high) == (0.5, pytest.approx(0.0, abs=0.01), pytest.approx(1.0, abs=0.01))


def test_each_kind_has_its_goal() -> None:
    task = "mikasa:RememberColor3-VLA-v0"
    rows = [
        made
        for seed in range(4)
        for made in (
            row("sweep", "player", float(seed < 2), seed, task),
            row("ours", "memory", 1.0, seed, task, "seed0"),
            row("ours", "memory", float(seed > 0), seed, task, "seed1"),
            row("twin", "memoryless", float(seed == 0), seed, task),
            row("last", "frames", 1.0, seed, task),
        )
    ]
    figures = by_name(summarise(rows))
    ours, twin = figures[f"{task}.ours.success"], figures[f"{task}.twin.success"]
    assert (ours.value, ours.goal, ours.met, ours.higher_is_better) == (0.875, 0.95, False, True)
    assert (twin.value, twin.goal, twin.met, twin.higher_is_better) == (0.25, 0.5, True, False)
    assert figures[f"{task}.last.success"].goal is None
    assert figures[f"{task}.ours.seed1.success"].value == 0.75
    assert figures[f"{task}.ours.calls"].value == 3.0
    assert f"{task}.twin.seed0.success" not in figures


def test_where_chance_is_known_it_is_the_bar_and_a_mean_over_tasks_has_a_goal_of_its_own() -> None:
    tasks = ("metaworld:cue_delay", "metaworld:hidden_ball")
    rows = [
        made
        for task in tasks
        for seed in range(4)
        for made in (row("ours", "memory", 1.0, seed, task), row("twin", "memoryless", float(seed == 0), seed, task))
    ]
    figures = by_name(summarise(rows))
    assert figures["metaworld:cue_delay.twin.success"].goal == pytest.approx(0.25 + 0.05)
    assert figures["metaworld:cue_delay.ours.success"].goal is None
    mean, twin = figures["metaworld.mean.ours.success"], figures["metaworld.mean.twin.success"]
    assert (mean.value, mean.goal, mean.met) == (1.0, 0.90, True)
    assert twin.goal == pytest.approx((1 / 4 + 1 / 3) / 2 + 0.05)
    assert twin.peers["chance"] == pytest.approx((1 / 4 + 1 / 3) / 2)
