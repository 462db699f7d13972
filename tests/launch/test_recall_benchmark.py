"""The benchmark of recall: its right answers are right, and it runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from embodied.progress import Progress
from source_tree import ROOT

sys.path.insert(0, str(ROOT / "launch"))
import benchmark_recall
import recall_data


@pytest.mark.parametrize("kind", ["random", "clustered"])
def test_right_answers_are_those_of_a_plain_loop(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_data, "CHUNK", 70)
    frames = recall_data.make_frames(300, 16, kind, seed=1)
    assert np.linalg.norm(frames.vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    for share, boxed in ((None, False), (0.3, False), (None, True), (0.5, True)):
        questions = list(recall_data.make_questions(frames, kind, 1, 5, 4, share, boxed))
        for question, right in zip(questions, recall_data.right_rows(frames, questions), strict=True):
            scored = []
            for row in range(300):
                first, last = question.span_s or (-np.inf, np.inf)
                lower, upper = question.box or (np.full(3, -np.inf), np.full(3, np.inf))
                position = frames.positions_m[row].astype(float)
                if first <= frames.times_s[row] <= last and (position >= lower).all() and (position <= upper).all():
                    scored.append((-float(frames.vectors[row].astype(float) @ question.vector.astype(float)), row))
            assert right.tolist() == [row for _, row in sorted(scored)[:4]]


def test_recall_counts_what_was_found() -> None:
    right = [np.array([1, 2]), np.array([3]), np.zeros(0, dtype=int), np.zeros(0, dtype=int)]
    assert benchmark_recall.recall_of([[2, 9], [3], [], [4]], right) == pytest.approx((0.5 + 1 + 1 + 0) / 4)


def test_it_measures_a_small_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # as it sets them itself, and they are to be put back
    out = tmp_path / "figures.json"
    settings = benchmark_recall.Settings(
        out=str(out), sizes=(1500,), kinds=("clustered",), dim=32, n_questions=4, peers=()
    )
    benchmark_recall.main(settings, Progress())
    figures = {figure["name"]: figure for figure in json.loads(out.read_text(encoding="utf-8"))["figures"]}
    assert figures["1500 clustered, time 10 % and box: recall@k"]["value"] >= 0.99
    assert figures["1500 clustered, meaning: p50"]["value"] > 0
