from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from memory_bank import allocator

USES_GLIBC = sys.platform == "linux" and platform.libc_ver()[0] == "glibc"
FAULTS = """
import resource
import sys
import numpy as np
from memory_bank.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    large = [np.ones(8 << 20, dtype=np.uint8) for _ in range(3)]
    del large
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not USES_GLIBC, reason="only the allocator of glibc is told")
def test_large_arrays_are_not_given_back_to_the_system_and_fetched_again() -> None:
    faults = {
        how: int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, check=True).stdout)
        for how in ("keep", "as it is")
    }
    # The first frame takes its memory in any case: a twentieth of all.
    assert faults["keep"] < 0.2 * faults["as it is"]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        """A C library without ``mallopt``."""

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Other())
    assert not allocator.keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.keep_freed_memory()
