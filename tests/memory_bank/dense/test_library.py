from __future__ import annotations

import builtins
import sys
from typing import Any

import pytest

from embodied.errors import ConfigurationError
from memory_bank.dense.library import open3d


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModuleNotFoundError("No module named 'open3d'", name="open3d"), r'pip install "embodied-memory\[mapping\]"'),
        (OSError("libusb-1.0.so.0: cannot open shared object file"), r"lacks libusb-1\.0\.so\.0; .*apt install"),
        (ImportError("libGL.so.1: cannot open shared object file"), r"lacks libGL\.so\.1; .*apt install"),
    ],
)
def test_what_is_missing_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, error: Exception, told: str) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "open3d":
            raise error
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "open3d", raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigurationError, match=told) as caught:
        open3d()
    assert "\n" not in str(caught.value)
