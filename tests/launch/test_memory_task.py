"""The demo's task of memory, with the policies that are in the repository."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "launch"))

from memory_task import N_EPISODES, POLICIES, TASK, try_memory_task

from embodied.progress import Progress

pytest.importorskip("onnxruntime")


def test_a_memory_makes_the_difference() -> None:
    score, item = try_memory_task(Progress(io.StringIO()))
    assert score is not None, item.text
    assert (score.task, score.episodes) == (str(TASK), N_EPISODES)
    assert score.with_memory >= 0.8 * N_EPISODES
    assert score.without_memory <= 0.6 * N_EPISODES
    assert f"{score.with_memory} of {N_EPISODES} episodes" in item.text
    with Image.open(io.BytesIO(item.strip_jpeg)) as strip:
        assert strip.width > strip.height > 256


def test_the_policies_are_small_enough_to_be_in_the_repository() -> None:
    assert sum(path.stat().st_size for path in POLICIES.rglob("*") if path.is_file()) <= 8_000_000


@pytest.mark.parametrize("missing", ["onnxruntime", "a policy"])
def test_without_what_it_needs_the_report_says_so(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(POLICIES, tmp_path / "policies")
    if missing == "onnxruntime":
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    else:
        (tmp_path / "policies" / "twin" / "policy.json").unlink()
    score, item = try_memory_task(Progress(io.StringIO()), tmp_path / "policies")
    assert score is None
    assert ("needs onnxruntime" if missing == "onnxruntime" else "it is no policy's folder") in item.text
    assert item.strip_jpeg == b""
