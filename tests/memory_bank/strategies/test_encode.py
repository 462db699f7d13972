"""Which moments are kept, on streams small enough to decide by hand."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from embodied.geometry import camera_mount, planar_pose
from memory_bank.strategies.encode.by_novelty import ByNovelty
from memory_bank.strategies.encode.by_pose import ByPose
from memory_bank.strategies.encode.by_time import ByTime
from memory_bank.strategies.protocol import Encode, FrameFacts

MOUNT = camera_mount(0.0, 0.0, 1.25, 0.35)


def moment(
    stamp_s: float, x_m: float = 0.0, yaw_rad: float = 0.0, *, new: int = 0, looks_rad: float = 0.0, session: str = "a"
) -> FrameFacts:
    return FrameFacts(
        session=session,
        stamp_ns=round(stamp_s * 1e9),
        T_world_camera=planar_pose(x_m, 0.0, yaw_rad) @ MOUNT,
        n_new_tracks=new,
        vector=np.array([np.cos(looks_rad), np.sin(looks_rad)], dtype=np.float32),
    )


def kept(strategy: Encode, stream: list[FrameFacts]) -> list[int]:
    found: list[int] = []
    for index, now in enumerate(stream):
        if strategy(now, [stream[i] for i in found]):
            found.append(index)
    return found


def test_by_time_keeps_the_first_of_each_interval_and_session() -> None:
    # From 0 s: 4 s is too early, 5 s is kept; from there 10 s; the new session begins at once.
    stream = [moment(0.0), moment(4.0), moment(5.0), moment(9.9), moment(10.0), moment(10.5, session="b")]
    assert kept(ByTime(interval_s=5.0), stream) == [0, 2, 4, 5]


def test_by_pose_keeps_a_view_that_has_moved_turned_waited_or_shows_something_new() -> None:
    stream = [
        moment(0.0),
        moment(1.0, x_m=0.5),  # 0.5 m and no turn: too near
        moment(2.0, x_m=0.7),  # 0.7 m from the first
        moment(3.0, x_m=0.7, yaw_rad=0.3),
        moment(4.0, x_m=0.7, yaw_rad=1.0),  # turned by about 0.9 rad, for the camera looks down
        moment(5.0, x_m=0.7, yaw_rad=1.0, new=1),
        moment(24.0, x_m=0.7, yaw_rad=1.0),
        moment(25.0, x_m=0.7, yaw_rad=1.0),  # 20 s after the last one kept
    ]
    assert kept(ByPose(), stream) == [0, 2, 4, 5, 7]
    assert kept(ByPose(on_new_objects=False), stream) == [0, 2, 4, 6]


def test_by_novelty_keeps_what_looks_unlike_everything_kept_before() -> None:
    # 1 - cos(0.4) = 0.079, 1 - cos(0.5) = 0.122. The fourth is far from the second, but near to the first.
    stream = [moment(0.0), moment(1.0, looks_rad=0.4), moment(2.0, looks_rad=0.5), moment(3.0, looks_rad=-0.1)]
    assert kept(ByNovelty(), stream) == [0, 2]
    assert kept(ByNovelty(), [*stream, moment(62.0)]) == [0, 2, 4]  # after a minute in any case
    assert kept(ByNovelty(), [*stream, moment(4.0, session="b")]) == [0, 2, 4]
    assert kept(ByNovelty(), [moment(0.0, session="b"), *stream]) == [0, 1, 3]  # each session has its own


def test_novelty_without_a_vector_is_refused() -> None:
    with pytest.raises(ValueError, match="image encoder"):
        ByNovelty()(msgspec.structs.replace(moment(0.0), vector=None), [])
