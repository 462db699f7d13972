from __future__ import annotations

import numpy as np
import pytest

from embodied.errors import PerceptionError
from embodied.geometry import intrinsics_from_fov
from memory_bank.perception.protocol import View
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig

LABELS = tuple(f"thing{i}" for i in range(15))


def view(seq: int = 0, segments: np.ndarray | None = None, labels: tuple[str, ...] = LABELS) -> View:
    if segments is None:
        segments = np.kron(np.arange(16, dtype=np.uint16).reshape(4, 4), np.ones((8, 8), dtype=np.uint16))
    return View(
        session="day",
        seq=seq,
        stamp_ns=seq,
        rgb=np.zeros((32, 32, 3), dtype=np.uint8),
        depth_m=np.ones((32, 32), dtype=np.float32),
        intrinsics=intrinsics_from_fov(32, 32, 1.5),
        T_world_camera=np.eye(4),
        segments=segments,
        segment_labels=labels,
    )


def test_every_segment_becomes_a_detection_with_its_label_and_mask() -> None:
    found = SimulatorPerception().detect(view())
    assert [d.label for d in found] == list(LABELS)
    assert all(d.mask.sum() == 64 for d in found)
    assert found[4].touches_border is False
    assert found[0].touches_border is True


def test_small_segments_are_not_seen() -> None:
    segments = np.zeros((32, 32), dtype=np.uint16)
    segments[0, :5] = 1
    assert SimulatorPerception().detect(view(segments=segments, labels=("pea",))) == []


def test_dropout_and_label_noise_come_at_the_set_rates_and_the_same_for_the_same_seed() -> None:
    config = SimulatorPerceptionConfig(dropout=0.2, label_noise=0.3, seed=5)
    runs = [[SimulatorPerception(config).detect(view(seq)) for seq in range(60)] for _ in range(2)]
    labels = [[[d.label for d in frame] for frame in run] for run in runs]
    assert labels[0] == labels[1]
    said = [label for frame in labels[0] for label in frame]
    assert 0.75 < len(said) / (60 * 15) < 0.85
    assert 0.24 < np.mean([label not in LABELS for label in said]) < 0.36


def test_missing_segments_are_an_error_and_not_an_empty_room() -> None:
    blind = view()
    blind = View(**{**blind.__dict__, "segments": None})
    with pytest.raises(PerceptionError, match="needs segments"):
        SimulatorPerception().detect(blind)


def test_segments_without_labels_are_an_error() -> None:
    with pytest.raises(PerceptionError, match="do not fit"):
        SimulatorPerception().detect(view(labels=("one",)))


def test_a_rate_beyond_one_is_refused() -> None:
    with pytest.raises(ValueError, match="dropout"):
        SimulatorPerception(SimulatorPerceptionConfig(dropout=1.5))
