"""An evaluation that is stopped goes on where it was; its figures depend on the seed and on nothing else."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest

from embodied.errors import ConfigurationError, SceneError
from embodied.figures import FiguresFile, MeasuredFigure
from embodied.progress import Progress
from launch_evaluation import STOP_AT, Episode, EpisodeResult, Row, RowsFile, Settings, main
from source_tree import ROOT

SCRIPT = ROOT / "tests" / "launch_evaluation.py"
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}


def quiet() -> Progress:
    return Progress(io.StringIO())


def settings(folder: Path, **other: object) -> Settings:
    given = {"out": str(folder / "small.json"), "log": str(folder / "begun.txt"), "episodes": 4, **other}
    return msgspec.convert(given, Settings)


def rows_of(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "small.rows.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def figures_of(folder: Path) -> tuple[MeasuredFigure, ...]:
    return msgspec.json.decode((folder / "small.json").read_bytes(), type=FiguresFile).figures


def begun(folder: Path) -> list[str]:
    return (folder / "begun.txt").read_text().split("\n")[:-1]


def test_a_killed_evaluation_goes_on_and_repeats_no_finished_episode(tmp_path: Path) -> None:
    out, log = ["--out", str(tmp_path / "small.json")], ["--log", str(tmp_path / "begun.txt")]
    command = [sys.executable, str(SCRIPT), *out, *log, "--episodes", "4"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**ENVIRONMENT, STOP_AT: "2"}
    )
    with process:
        assert process.stdout is not None
        assert any(line == "waiting\n" for line in process.stdout)
        process.kill()
    assert [line["episode"] for line in rows_of(tmp_path)[1:]] == ["house 0", "house 1"]
    assert not (tmp_path / "small.json").exists()
    subprocess.run(command, check=True, timeout=60, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    assert begun(tmp_path) == ["house 0", "house 1", "house 2", "house 2", "house 3"]
    assert [line["episode"] for line in rows_of(tmp_path)[1:]] == [f"house {n}" for n in range(4)]
    (tmp_path / "anew").mkdir()
    whole = main(settings(tmp_path, out=str(tmp_path / "anew" / "small.json")), quiet())
    assert figures_of(tmp_path) == tuple(whole)


def test_more_episodes_continue_and_give_the_figures_of_one_run(tmp_path: Path) -> None:
    main(settings(tmp_path, episodes=2), quiet())
    continued = main(settings(tmp_path), quiet())
    (tmp_path / "anew").mkdir()
    assert continued == main(settings(tmp_path, out=str(tmp_path / "anew" / "small.json")), quiet())
    assert begun(tmp_path)[:4] == [f"house {n}" for n in range(4)]


def test_a_line_cut_short_is_dropped_and_its_episode_done_again(tmp_path: Path) -> None:
    whole = main(settings(tmp_path), quiet())
    path = tmp_path / "small.rows.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    assert main(settings(tmp_path), quiet()) == whole
    assert begun(tmp_path)[4:] == ["house 3"]
    path.write_bytes(path.read_bytes()[:5])
    assert main(settings(tmp_path), quiet()) == whole
    assert len(begun(tmp_path)) == 9


def test_damage_before_the_last_line_is_told_and_changes_nothing(tmp_path: Path) -> None:
    main(settings(tmp_path), quiet())
    path = tmp_path / "small.rows.jsonl"
    damaged = path.read_bytes().replace(b'"house 1"', b"house 1", 1)
    path.write_bytes(damaged)
    with pytest.raises(ConfigurationError, match="small.rows.jsonl, line 3: .*--restart"):
        main(settings(tmp_path), quiet())
    assert path.read_bytes() == damaged


def test_rows_of_other_settings_are_refused_unless_told_to_start_anew(tmp_path: Path) -> None:
    main(settings(tmp_path), quiet())
    with pytest.raises(ConfigurationError, match=r"small.rows.jsonl holds rows of other settings: noise 0.1 \(now 0.5"):
        main(settings(tmp_path, noise=0.5), quiet())
    assert (tmp_path / "small.failures" / "00003-0.jpg").exists()
    main(settings(tmp_path, noise=0.5, restart=True, episodes=2), quiet())
    assert not (tmp_path / "small.failures" / "00003-0.jpg").exists()
    main(settings(tmp_path, noise=0.5), quiet())
    assert begun(tmp_path) == [f"house {n}" for n in range(4)] * 2


def test_an_error_ends_the_evaluation_and_keeps_what_is_done(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="house 2 has no floor"):
        main(settings(tmp_path, fail_at=2), quiet())
    assert len(rows_of(tmp_path)) == 3


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"out": "figures"}, "out: expected the name of a .json file, got figures"),
        ({"workers": 0}, "workers: expected at least 1, got 0"),
        ({"episodes": 0}, "episodes: expected at least one, got none"),
        ({"episodes": -1}, "episodes: expected at least 0, got -1"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        main(settings(tmp_path, **wrong), quiet())


def test_two_evaluations_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "small.rows.jsonl"
    with RowsFile(path, "small", {}), pytest.raises(ConfigurationError, match="another evaluation writes"):
        RowsFile(path, "small", {})
    with pytest.raises(ConfigurationError, match="holds rows of small, not of large"):
        RowsFile(path, "large", {})


def test_rows_that_are_no_numbers_are_refused_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / "small.rows.jsonl"
    one = Episode(key="one", seed=1)
    with RowsFile(path, "small", {}) as rows:
        with pytest.raises(ValueError, match="episode one, q: expected a finite share, got nan"):
            rows.append(one, EpisodeResult(rows=(Row(key="q", values={"share": float("nan")}),)), 1.0)
        rows.append(one, EpisodeResult(rows=()), 1.0)
        with pytest.raises(ValueError, match="episode one: expected a new one"):
            rows.append(one, EpisodeResult(rows=()), 1.0)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_workers_without_ray_name_the_extra(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"embodied-memory\[ray\]"):
        main(settings(tmp_path, workers=2), quiet())


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray")
def test_workers_give_the_same_figures_and_pass_on_what_went_wrong(tmp_path: Path) -> None:
    one = main(settings(tmp_path), quiet())
    command = [sys.executable, str(SCRIPT), "--out", "two/small.json", "--episodes", "4", "--workers", "2"]
    subprocess.run(
        [*command, "--log", str(tmp_path / "begun.txt")], check=True, timeout=300, env=ENVIRONMENT, cwd=tmp_path
    )
    assert figures_of(tmp_path / "two") == tuple(one)
    # A relative path means the same to a worker.
    failed = subprocess.run(
        [*command, "--log", "relative.txt", "--restart", "--fail-at", "1"], capture_output=True, text=True,
        timeout=300, env=ENVIRONMENT, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert failed.stderr.strip().endswith("SceneError: house 1 has no floor")
    assert "house 1" in (tmp_path / "relative.txt").read_text()


def test_the_report_has_everything_and_no_words_of_the_data_become_markup(tmp_path: Path) -> None:
    main(settings(tmp_path), quiet())
    page = (tmp_path / "small.html").read_text(encoding="utf-8")
    ElementTree.fromstring(page.partition("\n")[2])
    for words in (
        "A &lt;b&gt;small&lt;/b&gt; evaluation", "episodes: 4, rows: 48", "small · correct", "where &amp; when",
        "&lt;i&gt;question", "&lt;u&gt;house 3&lt;/u&gt;", "It fell off.", "data:image/jpeg", "n = 12", "ours, error",
        "correct over length: ours, nothing", "correct over episodes so far", "noise",
    ):  # fmt: skip
        assert words in page, words
    for never in ("<b>small", "<i>question", "<u>house", "http:", "https:", "<script"):
        assert never not in page, never


def test_figures_say_how_sure_they_are_and_stand_beside_other_methods(tmp_path: Path) -> None:
    correct, length = main(settings(tmp_path, episodes=12), quiet())
    lines = rows_of(tmp_path)[1:]
    ours = [row["values"]["correct"] for line in lines for row in line["rows"] if row["method"] == "ours"]
    assert correct.value == pytest.approx(np.mean(ours))
    assert correct.interval is not None
    assert correct.interval[0] < correct.value < correct.interval[1]
    assert set(correct.peers) == {"nothing"}
    assert correct.met
    assert length.interval == (2.5, 2.5)
