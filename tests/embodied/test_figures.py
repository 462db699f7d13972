from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from embodied.figures import bootstrap_mean, mean_figure, write_figures


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


def test_the_interval_of_a_mean_is_that_of_the_normal_law_where_groups_are_single_values() -> None:
    values = list(np.random.default_rng(0).normal(3.0, 1.0, 400))
    mean, low, high = bootstrap_mean(values, [str(n) for n in range(400)])
    assert mean == pytest.approx(np.mean(values))
    half = 1.96 * np.std(values) / 20.0
    assert (low, high) == pytest.approx((mean - half, mean + half), abs=0.01)


def test_values_of_one_group_count_as_one_draw() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    groups = [str(n) for n in range(8)]
    _, low, high = bootstrap_mean(values, groups)
    again = bootstrap_mean(
        [value for value in values for _ in range(50)], [group for group in groups for _ in range(50)]
    )
    assert again == pytest.approx((0.625, low, high))
    assert high - low > 0.5


def test_groups_of_two_sizes_weigh_as_their_values() -> None:
    # Two groups: drawn are both small ones, one of each, or both large ones, a quarter, a half and a quarter of times.
    mean, low, high = bootstrap_mean([1.0, 0.0, 0.0, 0.0], ["a", "b", "b", "b"])
    assert (mean, low, high) == (0.25, 0.0, 1.0)


def test_the_interval_does_not_depend_on_the_order_and_one_group_tells_nothing() -> None:
    values, groups = [1.0, 2.0, 5.0, 6.0], ["a", "b", "c", "a"]
    assert bootstrap_mean(values[::-1], groups[::-1], 3) == bootstrap_mean(values, groups, 3)
    assert bootstrap_mean([1.0, 2.0], ["a", "a"]) == (1.5, 1.5, 1.5)
    with pytest.raises(ValueError, match="one for each"):
        bootstrap_mean([1.0], [])
