from __future__ import annotations

import json
from pathlib import Path

import pytest

from embodied.figures import mean_figure, write_figures


def test_a_figure_is_the_mean_and_says_whether_it_reaches_its_goal() -> None:
    more, less = (mean_figure("f", [1.0, 3.0], goal=1.5, higher_is_better=higher) for higher in (True, False))
    assert (more.value, more.interval, more.met, less.met) == (2.0, (1.0, 3.0), True, False)


def test_one_run_has_no_interval_and_no_goal_no_verdict() -> None:
    figure = mean_figure("f", [1.0])
    assert (figure.interval, figure.goal, figure.met) == (None, None, None)


def test_no_runs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mean_figure("f", [])


def test_a_figures_file_has_the_fixed_fields(tmp_path: Path) -> None:
    write_figures(tmp_path / "a" / "figures.json", "line", [mean_figure("f", [1.0], unit="m")])
    contents = json.loads((tmp_path / "a" / "figures.json").read_text())
    assert set(contents) == {"name", "command", "git", "environment", "figures"}
    (figure,) = contents["figures"]
    assert set(figure) == {"name", "value", "unit", "interval", "peers", "goal", "higher_is_better", "met"}
    assert str(tmp_path) not in contents["command"]
