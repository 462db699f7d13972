"""The whole group of real processes, on a short day. What it achieves on long days is measured, not tested."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from embodied import Memory
from embodied.messages import Observation
from embodied.recording import read_session, recover
from sim.truth import read_truth

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "launch" / "sim_episode.py"
DEADLINE_S = 120.0
ENDED_S = 10.0
"""By then the script has ended too, although the rest of a group may take three seconds to finish its files."""
MODULES = {
    "bridge": "sim.server",
    "memory": "memory_bank.server",
    "recorder": "embodied.recording.server",
    "policy": "policies.server",
}


def start(out: Path, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), "--out", str(out), "--n-rooms", "4", *flags]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(out: Path, *flags: str) -> dict[str, object]:
    process = start(out, *flags)
    stdout, stderr = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, stdout + stderr
    summary: dict[str, object] = json.loads((out / "summary.json").read_text())
    return summary


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "short"
    run(out, "--seed", "11", "--max-steps", "40", "--n-goals", "1")
    return out


def test_a_run_leaves_logs_memory_summary_and_report(short_run: Path) -> None:
    summary = json.loads((short_run / "summary.json").read_text())
    for name in ("precision", "recall", "position_error_m", "duplicates"):
        assert isinstance(summary["objects"][name], float)
    assert summary["frames_per_second"] > 0
    assert summary["questions"]["asked"] >= 8
    assert (short_run / "report.html").stat().st_size > 10_000
    assert {path.stem for path in (short_run / "logs").glob("*.mcap")} == {"day-1", "day-2", "errands"}
    with Memory(short_run / "memory.db") as memory:
        assert [record.session for record in memory.sessions()] == ["day-1", "day-2", "errands"]
        assert memory.objects()


def test_the_same_seed_gives_the_same_summary_but_for_times(short_run: Path, tmp_path: Path) -> None:
    def without_times(summary: dict[str, object]) -> dict[str, object]:
        measured = {"git", "frames_per_second", "peak_rss_mb", "processes_rss_mb", "stages_ms", "wall_s"}
        return {name: value for name, value in summary.items() if name not in measured}

    again = run(tmp_path / "again", "--seed", "11", "--max-steps", "40", "--n-goals", "1")
    assert without_times(again) == without_times(json.loads((short_run / "summary.json").read_text()))


def test_truth_is_written_for_the_judge_and_told_to_no_other_process(short_run: Path) -> None:
    assert sorted(path.name for path in (short_run / "truth").iterdir()) == ["day-1.json", "day-2.json", "errands.json"]
    for name in ("memory", "policy", "recorder"):
        told = (short_run / "config" / f"{name}.json").read_text()
        assert "truth" not in told
        assert "operator" not in told
        assert "house" not in told
    assert "truth" in (short_run / "config" / "bridge.json").read_text()


def test_segments_are_numbered_anew_in_each_frame_of_the_log(short_run: Path) -> None:
    numbers: dict[str, set[int]] = {}
    for message in read_session(short_run / "logs" / "day-1.mcap"):
        if isinstance(message, Observation):
            for index, label in enumerate(message.cameras[0].segment_labels):
                numbers.setdefault(label, set()).add(index)
    assert max(len(seen) for seen in numbers.values()) > 1


def test_poses_in_the_log_are_not_the_true_ones(short_run: Path) -> None:
    truth = {pose.seq: pose for pose in read_truth(short_run / "truth" / "day-1.json").poses}
    errors_m = [
        np.hypot(m.T_world_base[0, 3] - truth[m.seq].x_m, m.T_world_base[1, 3] - truth[m.seq].y_m)
        for m in read_session(short_run / "logs" / "day-1.mcap")
        if isinstance(m, Observation)
    ]
    assert min(errors_m) > 0.0
    assert max(errors_m) < 0.3, "small noise"


def lines_until(process: subprocess.Popen[str], pattern: str) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line
        if re.search(pattern, line):
            return


def logged(path: Path, pattern: str) -> datetime:
    """Return when a log's first line with this in it was written."""
    line = next(line for line in path.read_text().splitlines() if re.search(pattern, line))
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f")


def child(process: subprocess.Popen[str], module: str) -> int:
    for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    raise AssertionError(f"no child runs {module}")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the children in /proc")
@pytest.mark.parametrize("name", sorted(MODULES))
def test_a_process_killed_in_mid_run_ends_the_group_with_one_line_and_nothing_acknowledged_is_lost(
    name: str, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    process = start(out, "--seed", "12", "--max-steps", "600")
    seen = list(lines_until(process, r"day-1: exploring: [1-9]\d+ frames"))
    killed = datetime.now()
    os.kill(child(process, MODULES[name]), signal.SIGKILL)
    _, stderr = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1, seen
    assert stderr == f"sim_episode: ProcessError: {name} was killed by SIGKILL\n"
    within = timedelta(seconds=1)
    assert logged(out / "logs" / "launcher.log", f"{name} was killed") - killed < within
    if name != "bridge":
        # A bridge that misses a consumer of its stream stops the robot before it is told to.
        halted = f"halt: {name} was killed|lost consumer {name}"
        assert logged(out / "logs" / "bridge.log", halted) - killed < within
    assert datetime.now() - killed < timedelta(seconds=ENDED_S)
    with Memory(out / "memory.db") as memory:
        (record,) = memory.sessions()
        assert record.n_observations > 0
        assert memory.recall("where is the sofa?").text
    saved = recover(out / "logs" / "day-1.mcap", tmp_path / "recovered.mcap")
    assert saved
    assert any(isinstance(m, Observation) for m in read_session(tmp_path / "recovered.mcap"))


@pytest.mark.parametrize(
    ("flags", "words"),
    [(("--n-rooms", "2"), "n_rooms"), (("--out", "/dev/null"), "out")],
)
def test_settings_that_cannot_work_are_one_clear_line(flags: tuple[str, ...], words: str, tmp_path: Path) -> None:
    process = start(tmp_path / "run", *flags)
    _, stderr = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    (line,) = stderr.strip().splitlines()
    assert line.startswith("sim_episode: ")
    assert words in line
