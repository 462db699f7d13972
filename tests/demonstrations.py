"""Small made-up demonstrations as logs, for tests of what is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, List, Optional, Sequence

import msgspec
import numpy as np

from embodied.geometry import intrinsics_from_fov, transform
from embodied.messages import CameraFrame, Observation, SessionEnd, SessionStart, StreamMessage
from recordings import START_NS, write_session

ACTION_NAMES = ("tool_forward", "tool_left", "tool_up", "gripper")
PROPRIOCEPTION_NAMES = ("tool_x_m", "tool_y_m", "tool_z_m")
PERIOD_S = 0.05
SIZE_PX = 16
FOV_RAD = 1.4
INSTRUCTION = "touch the cube"


def shade(episode: int, seq: int) -> int:
    """Return the grey of an observation's picture: each has its own, and JPEG keeps an even grey as it is."""
    return (20 * episode + 3 * seq) % 250


def position(episode: int, seq: int) -> np.ndarray:
    """Return the tool's position, metres."""
    return np.array([0.01 * seq, 0.1 * episode, 0.5], dtype=np.float32)


def action(seq: int) -> np.ndarray:
    """Return the action that leads to an observation."""
    return np.array([0.01 * seq, 0.0, -0.01 * seq, 1.0], dtype=np.float32)


def T_base_camera(camera: int, seq: int) -> np.ndarray:
    """Return where a camera is: the first stands still and looks up, the others move with the tool, less far."""
    return transform(np.eye(3), np.array([0.005 * camera * seq, 0.0, 0.0]))


def demonstration(
    episode: int = 0,
    n: int = 6,
    *,
    cameras: Sequence[str] = ("front",),
    size_px: int = SIZE_PX,
    intended: Optional[Callable[[int], np.ndarray]] = None,
    **start: Any,
) -> List[StreamMessage]:
    """Return the messages of a demonstration of ``n`` observations; ``start`` are fields of its beginning."""
    session = f"episode-{episode}"
    opening = {
        "instruction": INSTRUCTION,
        "action_names": ACTION_NAMES,
        "proprioception_names": PROPRIOCEPTION_NAMES,
        "control_period_s": PERIOD_S,
        **start,
    }
    messages: List[StreamMessage] = [SessionStart(session=session, robot="arm", stamp_ns=START_NS, **opening)]
    messages += [
        Observation(
            session=session,
            seq=seq,
            stamp_ns=START_NS + seq * round(1e9 * PERIOD_S),
            T_world_base=np.eye(4),
            cameras=tuple(
                _camera(name, shade(episode, seq) + index, size_px, T_base_camera(index, seq))
                for index, name in enumerate(cameras)
            ),
            proprioception=position(episode, seq),
            action=None if seq == 0 else action(seq),
            intended_action=None if seq == 0 or intended is None else intended(seq),
        )
        for seq in range(n)
    ]
    return [*messages, SessionEnd(session=session, stamp_ns=START_NS + 10**9, n_observations=n)]


def write_demonstrations(folder: Path, *demonstrations: Sequence[StreamMessage]) -> Path:
    """Write each as a log of the folder."""
    for messages in demonstrations:
        write_session(folder / f"{messages[1].session}.mcap", messages)  # type: ignore[union-attr]
    return folder


def change(messages: Sequence[StreamMessage], seq: int, **fields: Any) -> List[StreamMessage]:
    """Return the messages with other fields in one observation."""
    return [
        msgspec.structs.replace(each, **fields) if isinstance(each, Observation) and each.seq == seq else each
        for each in messages
    ]


def few_words(instructions: Sequence[str]) -> np.ndarray:
    """Stand in for MiniLM."""
    vectors = np.zeros((len(instructions), 384), dtype=np.float32)
    vectors[np.arange(len(instructions)), [len(text) for text in instructions]] = 1.0
    return vectors


def _camera(name: str, grey: int, size_px: int, pose: np.ndarray) -> CameraFrame:
    return CameraFrame(
        name=name,
        intrinsics=intrinsics_from_fov(size_px, size_px, FOV_RAD),
        T_base_camera=pose,
        rgb=np.full((size_px, size_px, 3), grey, dtype=np.uint8),
    )
