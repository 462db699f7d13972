from __future__ import annotations

import json
from pathlib import Path

import pytest

from embodied.config import Config
from embodied.errors import ConfigurationError
from embodied.runs import new_run


class Settings(Config):
    seed: int = 0


def test_a_run_holds_its_settings_and_the_git_hash(tmp_path: Path) -> None:
    run = new_run(str(tmp_path / "a" / "b"), Settings(seed=7))
    contents = json.loads((run / "settings.json").read_text())
    assert contents["settings"] == {"seed": 7}
    assert contents["git"]


def test_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    run = new_run(str(tmp_path / "a"), Settings())
    (run / "memory.db").write_text("old")
    assert not (new_run(str(run), Settings()) / "memory.db").exists()


def test_what_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigurationError, match="no earlier run"):
        new_run(str(tmp_path), Settings())
    assert (tmp_path / "thesis.txt").exists()
    with pytest.raises(ConfigurationError, match="is a file"):
        new_run(str(tmp_path / "thesis.txt"), Settings())
