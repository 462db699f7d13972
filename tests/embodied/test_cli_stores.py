"""``embodied memory copy`` and ``check``: what is called, and what is said."""

from __future__ import annotations

from typing import Any, List, Tuple

import pytest

from embodied import plugins
from embodied.cli import main
from embodied.errors import StoreError


class Installed:
    """Stands for an installed package that copies and checks memories."""

    value = "fake:function"

    def __init__(self, name: str, calls: List[Tuple[Any, ...]]) -> None:
        self.name = name
        self.calls = calls

    def load(self) -> Any:
        """Return the function."""
        return self.copy if self.name == "copy" else self.check

    def copy(self, source: str, target: str, progress: Any) -> None:
        """Note what was asked for."""
        self.calls.append((source, target))
        progress("half")

    def check(self, target: str) -> None:
        """Find damage."""
        raise StoreError(f"memory {target}: damaged: keyframe 7 is missing")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> List[Tuple[Any, ...]]:
    noted: List[Tuple[Any, ...]] = []
    monkeypatch.setattr(
        plugins, "installed_plugins", lambda group: [Installed(name, noted) for name in ("copy", "check")]
    )
    return noted


def test_a_memory_is_copied(calls: List[Tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["memory", "copy", "a.db", "postgresql://u:secret@h/db"]) == 0
    assert calls == [("a.db", "postgresql://u:secret@h/db")]
    said = capsys.readouterr().err
    assert said == "half\ndone: the copy, read back, is the same\n"


def test_damage_is_one_clear_line(calls: List[Tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["memory", "check", "a.db"]) == 1
    assert capsys.readouterr().err == "embodied: StoreError: memory a.db: damaged: keyframe 7 is missing\n"


def test_without_the_package_it_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(plugins, "installed_plugins", lambda group: [])
    assert main(["memory", "check", "a.db"]) == 1
    assert "install the distribution embodied-memory" in capsys.readouterr().err
