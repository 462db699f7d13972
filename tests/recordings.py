"""A small made-up session for tests of logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Optional, Sequence

import numpy as np

from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from embodied.messages import CameraFrame, Observation, SessionEnd, SessionStart, StreamMessage
from embodied.recording import SessionWriter

N_OBSERVATIONS = 6
START_NS = 1_767_603_600_000_000_000
HEIGHT, WIDTH = 24, 32


def make_observation(seq: int, **changes: Any) -> Observation:
    """Return an observation that is the same for the same number; ``changes`` are fields of it or of its camera."""
    rng = np.random.default_rng(seq)
    camera = {
        "name": "head",
        "intrinsics": intrinsics_from_fov(WIDTH, HEIGHT, 1.4),
        "T_base_camera": camera_mount(0.1, 0.0, 1.25, 0.35),
        "rgb": np.linspace(0, 200, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3).astype(np.uint8) + np.uint8(seq),
        "rgb_encoding": "raw",
        "depth": rng.integers(0, 6000, (HEIGHT, WIDTH)).astype(np.uint16),
        "segments": rng.integers(0, 3 if seq % 2 else 700, (HEIGHT, WIDTH)).astype(np.uint16),
        "segment_labels": ("mug", "chair"),
    }
    observation = {
        "session": "day-1",
        "seq": seq,
        "stamp_ns": START_NS + seq * 200_000_001,
        "T_world_base": planar_pose(0.1 * seq, 1 / 3, 0.3 * seq),
        "proprioception": rng.normal(size=3).astype(np.float32),
        "action": None if seq == 0 else np.array([0.1, np.nan, 0.3], np.float32),
        "collided": seq == 2,
        "awaiting_action": seq % 2 == 0,
    }
    camera.update({key: value for key, value in changes.items() if key in camera})
    observation.update({key: value for key, value in changes.items() if key in observation})
    return Observation(**{"cameras": changes.get("cameras", (CameraFrame(**camera),)), **observation})


def make_session() -> List[StreamMessage]:
    """Return the messages of a session."""
    start = SessionStart(session="day-1", robot="tester", stamp_ns=START_NS)
    end = SessionEnd(session="day-1", stamp_ns=START_NS + 2_000_000_000, n_observations=N_OBSERVATIONS)
    return [start, *(make_observation(seq) for seq in range(N_OBSERVATIONS)), end]


def write_session(path: Path, messages: Optional[Sequence[StreamMessage]] = None) -> Path:
    """Write messages, by default those of ``make_session``, as a log."""
    with SessionWriter(path) as writer:
        for message in make_session() if messages is None else messages:
            writer.write(message)
    return path


def assert_same(read: StreamMessage, original: StreamMessage) -> None:
    """Check that a message read is the one written, but for its colours, which went through JPEG."""
    assert type(read) is type(original)
    if not isinstance(read, Observation) or not isinstance(original, Observation):
        assert read == original
        return
    for name in ("session", "seq", "stamp_ns", "collided", "awaiting_action"):
        assert getattr(read, name) == getattr(original, name), name
    for name in ("T_world_base", "proprioception", "action"):
        _assert_same_array(getattr(read, name), getattr(original, name))
    assert len(read.cameras) == len(original.cameras)
    for camera, expected in zip(read.cameras, original.cameras):
        for name in ("name", "intrinsics", "segment_labels"):
            assert getattr(camera, name) == getattr(expected, name), name
        for name in ("T_base_camera", "depth", "segments"):
            _assert_same_array(getattr(camera, name), getattr(expected, name))


def _assert_same_array(read: Optional[np.ndarray], original: Optional[np.ndarray]) -> None:
    if read is None or original is None:
        assert read is original
        return
    assert read.dtype == original.dtype
    np.testing.assert_array_equal(read, original)
