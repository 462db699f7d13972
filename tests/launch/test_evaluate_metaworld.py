from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "launch"))

from evaluate_metaworld import EXPERT, MEMORYLESS, Settings, main, summarise
from evaluation_rows import Row

from embodied.errors import ConfigurationError
from embodied.progress import Progress

IS_INSTALLED = all(importlib.util.find_spec(name) is not None for name in ("mujoco", "metaworld"))


def row(method: str, success: float, seed: int) -> Row:
    key = f"touch_order, seed {seed}"
    return Row(key="touch_order", episode=key, method=method, category="touch_order", values={"success": success})


def test_the_memoryless_player_stands_beside_what_it_must_be() -> None:
    rows = [row(EXPERT, 1.0, seed) for seed in range(4)] + [
        row(MEMORYLESS, float(seed == 0), seed) for seed in range(4)
    ]
    expert, memoryless = summarise(rows)
    assert (expert.name, expert.value, expert.met) == ("expert.touch_order", 1.0, True)
    assert (memoryless.name, memoryless.value, memoryless.goal) == ("memoryless.touch_order", 0.25, None)
    assert memoryless.peers["optimum"] == pytest.approx(1 / 6)


def test_an_unknown_task_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    with pytest.raises(ConfigurationError, match="no-such-task"):
        main(Settings(out=str(out), tasks=("no-such-task",)), Progress())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.metaworld
@pytest.mark.skipif(not IS_INSTALLED, reason="MuJoCo or Meta-World is not installed here")
def test_experts_win_where_the_same_guess_wins_now_and_then(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    main(Settings(out=str(out), tasks=("longest_lit",), episodes=8, seed=0), Progress())
    figures = {figure["name"]: figure for figure in json.loads(out.read_text())["figures"]}
    assert figures["expert.longest_lit"]["value"] == 1.0
    assert 0.0 < figures["memoryless.longest_lit"]["value"] < 0.8
