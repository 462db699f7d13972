"""Three memories behind one face, for the diagnoses: ours, a plain list of all observations, and eMEM.

All three live through the same observations with the same detector. The list keeps every detection, with its place,
time and map, and answers by the latest one with the label asked for. eMEM (``pip install emem``) is given the same
detections as texts with coordinates and MiniLM as its model of words; it knows neither maps nor "unknown", so its
finds are filtered here by map and by likeness, to its advantage.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from recall_world import Detector, ask

from embodied.clock import NANOSECONDS
from embodied.geometry import transform_points, unproject
from embodied.messages import Edit, Observation, Point, Query, SessionStart, StreamMessage
from memory_bank.bank import MemoryBank
from memory_bank.perception.protocol import View
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig

NEAR_M = 2.0
"""What "near me" means."""
ALIKE = 0.6
"""Least likeness of words for eMEM's finds to count."""
N_FETCHED = 50


@dataclass(frozen=True)
class Seen:
    """One detection."""

    label: str
    position_m: Point
    stamp_ns: int
    frame: str
    told: bool = False


class Rival(Protocol):
    """What a diagnosis asks of a memory."""

    name: str

    def take(self, message: StreamMessage) -> None:
        """Live through a moment."""
        ...

    def tell(self, label: str, position_m: Point) -> None:
        """Hear from a person where something is."""
        ...

    def where(self, label: str, frame: str = "") -> Point | None:
        """Return where something is in a map, by default the present one; None for unknown."""
        ...

    def source(self, label: str) -> str:
        """Return ``seen`` or ``told``, or nothing."""
        ...

    def is_near(self, label: str) -> bool:
        """Tell whether something is within two metres of the robot now."""
        ...

    def room_with(self, labels: tuple[str, ...]) -> Point | None:
        """Return a point of the room that holds all of these."""
        ...


class Ours:
    """The memory of this project, asked by its queries."""

    name = "ours"

    def __init__(self, memory: MemoryBank) -> None:
        self._memory = memory

    def take(self, message: StreamMessage) -> None:
        """Take it in."""
        self._memory.take(message)

    def tell(self, label: str, position_m: Point) -> None:
        """Add it as a person would."""
        self._memory.handle(Edit(kind="add", text=label, position_m=position_m, author="anna"))

    def where(self, label: str, frame: str = "") -> Point | None:
        """Ask where it is."""
        answer = ask(self._memory, Query(kind="where", label=label, world_frame=frame))
        there = [record for record in answer.objects if record.state != "gone"]
        return None if answer.unknown or not there else there[0].position_m

    def source(self, label: str) -> str:
        """Ask where it is, and read the source."""
        answer = ask(self._memory, Query(kind="where", label=label))
        return answer.objects[0].source if answer.objects and not answer.unknown else ""

    def is_near(self, label: str) -> bool:
        """Ask in English."""
        answer = ask(self._memory, f"is there a {label} near me?")
        return not answer.unknown and bool(answer.objects)

    def room_with(self, labels: tuple[str, ...]) -> Point | None:
        """Ask for the room."""
        answer = ask(self._memory, Query(kind="which_room", labels=labels))
        return answer.rooms[0].center_m if answer.rooms else None


class Detections:
    """The detections of a stream, with the place of each: the middle of its visible surface."""

    def __init__(self, seed: int, detector: Detector) -> None:
        self._perception = SimulatorPerception(
            SimulatorPerceptionConfig(dropout=detector.dropout, label_noise=detector.label_noise, seed=seed)
        )
        self.frame = ""
        self.robot_m = (0.0, 0.0)
        self.now_ns = 0

    def of(self, message: StreamMessage) -> list[Seen]:
        """Return what is detected in a moment."""
        if isinstance(message, SessionStart):
            self.frame = message.world_frame
        if not isinstance(message, Observation):
            return []
        camera = message.cameras[0]
        assert camera.depth is not None, camera.name
        depth_m = camera.depth.astype(np.float32) * np.float32(1e-3)
        T_world_camera = message.T_world_base @ camera.T_base_camera
        view = View(
            session=message.session, seq=message.seq, stamp_ns=message.stamp_ns, rgb=camera.rgb, depth_m=depth_m,
            intrinsics=camera.intrinsics, T_world_camera=T_world_camera, segments=camera.segments,
            segment_labels=camera.segment_labels,
        )  # fmt: skip
        self.robot_m = float(message.T_world_base[0, 3]), float(message.T_world_base[1, 3])
        self.now_ns = message.stamp_ns
        points = unproject(depth_m, camera.intrinsics)
        found = []
        for detection in self._perception.detect(view):
            valid = detection.mask & (depth_m > 0)
            if valid.sum() >= 12:
                x, y, z = np.median(transform_points(T_world_camera, points[valid]), axis=0).tolist()
                found.append(Seen(detection.label, (x, y, z), message.stamp_ns, self.frame))
        return found

    def is_close(self, position_m: Point | None) -> bool:
        """Tell whether a place is near the robot."""
        if position_m is None:
            return False
        return float(np.hypot(position_m[0] - self.robot_m[0], position_m[1] - self.robot_m[1])) <= NEAR_M


@dataclass
class PlainList:
    """Every observation, for ever; the latest with the label is the answer."""

    detections: Detections
    name: str = "plain list"
    rows: list[Seen] = field(default_factory=list)

    def take(self, message: StreamMessage) -> None:
        """Write it down."""
        self.rows += self.detections.of(message)

    def tell(self, label: str, position_m: Point) -> None:
        """Write it down, as told."""
        self.rows.append(Seen(label, position_m, self.detections.now_ns, self.detections.frame, told=True))

    def _last(self, label: str, frame: str = "") -> Seen | None:
        frame = frame or self.detections.frame
        return next((row for row in reversed(self.rows) if row.label == label and row.frame == frame), None)

    def where(self, label: str, frame: str = "") -> Point | None:
        """Return the place of the latest."""
        last = self._last(label, frame)
        return last.position_m if last else None

    def source(self, label: str) -> str:
        """Return the source of the latest."""
        last = self._last(label)
        return "" if last is None else "told" if last.told else "seen"

    def is_near(self, label: str) -> bool:
        """Compare the latest with the robot's place."""
        return self.detections.is_close(self.where(label))

    def room_with(self, labels: tuple[str, ...]) -> Point | None:
        """Return the middle of the latest ones."""
        return middle_of([self.where(label) for label in labels])


class Emem:
    """eMEM, as its documentation uses it."""

    name = "eMEM"

    def __init__(self, detections: Detections, encoder: Any, folder: Path) -> None:
        from emem import SpatioTemporalMemory
        from emem.config import SpatioTemporalMemoryConfig
        from emem.embeddings import CallableEmbeddingProvider

        self._detections = detections
        self._encoder = encoder
        config = SpatioTemporalMemoryConfig(
            db_path=str(folder / "emem.db"), hnsw_path=str(folder / "emem.bin"), hnsw_max_elements=1_000_000
        )
        provider = CallableEmbeddingProvider(self._embed, dim=encoder.dim)
        self._memory: Any = SpatioTemporalMemory(
            config=config, embedding_provider=provider, get_current_time=lambda: detections.now_ns / NANOSECONDS
        )

    def _embed(self, texts: str | list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._encoder.encode([texts] if isinstance(texts, str) else texts).tolist()
        return vectors

    def take(self, message: StreamMessage) -> None:
        """Add its detections."""
        for row in self._detections.of(message):
            self._add(row)

    def tell(self, label: str, position_m: Point) -> None:
        """Add it with its source."""
        self._add(Seen(label, position_m, self._detections.now_ns, self._detections.frame, told=True))

    def _add(self, row: Seen) -> None:
        x, y, z = row.position_m
        self._memory.add(
            row.label, x=x, y=y, z=z, timestamp=row.stamp_ns / NANOSECONDS, source_type="told" if row.told else "seen",
            metadata={"frame": row.frame},
        )  # fmt: skip

    def _last(self, label: str, frame: str = "") -> Any:
        frame = frame or self._detections.frame
        self._memory._ensure_flushed()
        found = self._memory.store.semantic_search(label, n_results=N_FETCHED)
        wanted = self._encoder.encode([label])[0]
        rows = [
            each
            for each in found
            if (getattr(each, "metadata", None) or {}).get("frame") == frame
            and float(self._encoder.encode([each.text])[0] @ wanted) >= ALIKE
        ]
        return max(rows, key=lambda each: each.timestamp, default=None)

    def where(self, label: str, frame: str = "") -> Point | None:
        """Return the place of the latest of its finds."""
        last = self._last(label, frame)
        if last is None:
            return None
        x, y, z = map(float, last.coordinates)
        return (x, y, z)

    def source(self, label: str) -> str:
        """Return the source of the latest of its finds."""
        last = self._last(label)
        return "" if last is None else str(last.source_type)

    def is_near(self, label: str) -> bool:
        """Compare the latest of its finds with the robot's place."""
        return self._detections.is_close(self.where(label))

    def room_with(self, labels: tuple[str, ...]) -> Point | None:
        """Return the middle of its finds."""
        return middle_of([self.where(label) for label in labels])


def middle_of(points: list[Point | None]) -> Point | None:
    """Return the middle of the points that there are."""
    there = [point for point in points if point is not None]
    if not there:
        return None
    x, y, z = np.mean(there, axis=0).tolist()
    return (x, y, z)
