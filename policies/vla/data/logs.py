"""Reads this project's logs as demonstrations.

A log holds with each observation the action that led to it; here each frame has the action that followed it, or what a
demonstrator meant to do instead where it was disturbed on purpose. The last observation, after which nothing was done,
is left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from embodied.errors import LogError
from embodied.messages import CameraFrame, Observation, SessionStart
from embodied.recording.lerobot_features import intrinsics_vector
from embodied.recording.reader import episode_observations, read_session
from policies.vla.data.recorded import (
    Frame,
    Layout,
    RecordedEpisode,
    check_finite,
    choose_cameras,
    names_or_numbers,
)


def read_log(path: Path, cameras: tuple[str, ...]) -> RecordedEpisode:
    """Begin to read a log.

    Args:
        path: An MCAP of this stack.
        cameras: Whose images are wanted, all where none is named.

    Raises:
        LogError: It cannot be read, or lacks what is needed; reading its frames raises the same for what comes later.
    """
    messages = read_session(path)
    start = next(messages, None)
    if not isinstance(start, SessionStart):
        raise LogError("expected a session, got none")
    if start.control_period_s <= 0.0:
        raise LogError("control_period_s: expected the log to tell it, got none")
    observations = episode_observations(path, messages)
    first = next(observations, None)
    second = next(observations, None)
    if first is None or second is None:
        raise LogError("expected two observations or more, got fewer")
    if second.action is None:
        raise LogError("expected the action that led to each observation, got none")
    chosen = choose_cameras(tuple(camera.name for camera in first.cameras), cameras)
    sizes = {
        (camera.intrinsics.height_px, camera.intrinsics.width_px) for camera in first.cameras if camera.name in chosen
    }
    if len(sizes) > 1:
        raise LogError(f"expected cameras of one size, got {sorted(sizes)}")
    ((height, width),) = sizes
    layout = Layout(
        cameras=chosen,
        height_px=height,
        width_px=width,
        action_names=names_or_numbers(start.action_names, second.action.size, "action"),
        proprioception_names=names_or_numbers(start.proprioception_names, first.proprioception.size, "state"),
        control_period_s=start.control_period_s,
    )
    frames = _frames(itertools.chain([first, second], observations), layout)
    return RecordedEpisode(str(path), start.instruction, layout, frames)


def _frames(observations: Iterator[Observation], layout: Layout) -> Iterator[Frame]:
    before = next(observations)
    for after in observations:
        if after.seq != before.seq + 1:
            # Its action was taken after an observation that is lost.
            raise LogError(f"expected observation {before.seq + 1} after {before.seq}, got {after.seq}")
        if after.action is None:
            raise LogError(f"observation {after.seq}: expected the action that led to it, got none")
        action = after.action if after.intended_action is None else after.intended_action
        check_finite("action", after.seq, action)
        check_finite("proprioception", before.seq, before.proprioception)
        for name, numbers, names in (
            ("action", action, layout.action_names),
            ("proprioception", before.proprioception, layout.proprioception_names),
        ):
            if numbers.size != len(names):
                raise LogError(f"{name} of observation {before.seq}: expected {len(names)} numbers, got {numbers.size}")
        cameras = _cameras(before, layout)
        yield Frame(
            encoded=tuple(camera.rgb.tobytes() for camera in cameras),
            action=action,
            proprioception=before.proprioception,
            T_base_camera=np.stack([camera.T_base_camera for camera in cameras]),
            intrinsics_px=np.stack([intrinsics_vector(camera.intrinsics) for camera in cameras]),
        )
        before = after


def _cameras(observation: Observation, layout: Layout) -> list[CameraFrame]:
    found = {camera.name: camera for camera in observation.cameras}
    missing = [name for name in layout.cameras if name not in found]
    if missing:
        raise LogError(f"observation {observation.seq}: expected camera {', '.join(missing)}, got {', '.join(found)}")
    return [found[name] for name in layout.cameras]
