from __future__ import annotations

import re
from pathlib import Path
from typing import Tuple

import pytest

from embodied.config import Config, git_hash, load_config, save_config
from embodied.errors import ConfigurationError


class Inner(Config):
    rate_hz: float = 5.0


class Settings(Config):
    name: str
    sizes_px: Tuple[int, int] = (256, 256)
    inner: Inner = Inner()


def test_settings_come_back_from_their_file_typed(tmp_path: Path) -> None:
    settings = Settings(name="bridge", sizes_px=(64, 48), inner=Inner(rate_hz=2.5))
    save_config(settings, tmp_path / "new" / "settings.json")
    assert load_config(tmp_path / "new" / "settings.json", Settings) == settings


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "bridge", "colour": 1}',
        '{"name": "bridge", "inner": {"rate": 1.0}}',
        '{"name": 5}',
        '{"name": "bridge", "sizes_px": [1]}',
        "{}",
        "not json",
        "",
    ],
)
def test_settings_with_unknown_missing_or_wrong_fields_are_refused_naming_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(str(path))):
        load_config(path, Settings)


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.json"):
        load_config(tmp_path / "absent.json", Settings)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings(name="bridge").name = "memory"  # type: ignore[misc]


def test_the_git_hash_is_a_commit_or_unknown() -> None:
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?|unknown", git_hash())
