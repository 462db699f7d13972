"""The detector of the simulator: it is told the segments, and can be made as unreliable as a real one.

Segments are numbered anew in each frame, so it knows no more than an instance segmentation network would.
"""

from __future__ import annotations

import zlib

import numpy as np

from embodied.config import Config
from embodied.errors import PerceptionError
from memory_bank.perception.protocol import Detection, View


class SimulatorPerceptionConfig(Config):
    """How unreliable the detector is."""

    dropout: float = 0.0
    """Share of things in a frame that it overlooks."""
    label_noise: float = 0.0
    """Share of detections with a wrong label."""
    seed: int = 0
    """Of the faults; the same stream and seed give the same faults."""
    min_pixels: int = 12
    """Smaller masks are not detected."""
    confusable: tuple[str, ...] = ("box", "bag", "cup", "bottle", "chair", "table", "plant", "book")
    """Wrong labels are drawn from these."""


class SimulatorPerception:
    """Turns ``View.segments`` into detections."""

    name = "simulator"

    def __init__(self, config: SimulatorPerceptionConfig = SimulatorPerceptionConfig()) -> None:
        for field in ("dropout", "label_noise"):
            if not 0.0 <= getattr(config, field) <= 1.0:
                raise ValueError(f"{field}: expected a share from 0 to 1, got {getattr(config, field)}")
        self._config = config

    def detect(self, view: View) -> list[Detection]:
        """Return one detection for each segment that is large enough, less the dropout."""
        segments = view.segments
        if not isinstance(segments, np.ndarray):
            raise PerceptionError("simulator perception needs segments and the observation has none")
        n_labels = len(view.segment_labels)
        if segments.shape != view.depth_m.shape or (segments.size and int(segments.max()) > n_labels):
            raise PerceptionError(
                f"segments of shape {segments.shape} with indices up to {int(segments.max())} do not fit "
                f"a depth image {view.depth_m.shape} and {n_labels} labels"
            )
        random = np.random.default_rng([self._config.seed, zlib.crc32(view.session.encode()), view.seq])
        fates = random.random((n_labels, 2))
        detections = []
        for index, label in enumerate(view.segment_labels):
            mask = segments == index + 1
            if fates[index, 0] < self._config.dropout or np.count_nonzero(mask) < self._config.min_pixels:
                continue
            wrong = fates[index, 1] < self._config.label_noise
            said = self._wrong_label(label, random) if wrong else label
            detections.append(Detection(mask=mask, label=said, score=0.6 if wrong else 0.9, touches_border=_edge(mask)))
        return detections

    def _wrong_label(self, label: str, random: np.random.Generator) -> str:
        """Draw another label."""
        others = [other for other in self._config.confusable if other != label]
        return others[int(random.integers(len(others)))] if others else label


def _edge(mask: np.ndarray) -> bool:
    """Tell whether a mask reaches the edge of its image."""
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
