from __future__ import annotations

import msgspec
import numpy as np
import pytest
import simplejpeg

from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from memory_bank.episodes.keyframes import (
    FrameFacts,
    Keyframe,
    KeyframeConfig,
    KeyframeSelector,
    coarse_depth,
    make_thumbnail,
)

MOUNT = camera_mount(0.0, 0.0, 1.25, 0.35)


def facts(x_m: float = 0.0, yaw_rad: float = 0.0, stamp_s: float = 0.0, new: int = 0, session: str = "a") -> FrameFacts:
    return FrameFacts(
        session=session,
        stamp_ns=round(stamp_s * 1e9),
        T_world_camera=planar_pose(x_m, 0.0, yaw_rad) @ MOUNT,
        n_new_tracks=new,
    )


def wants(now: FrameFacts) -> bool:
    selector = KeyframeSelector(KeyframeConfig())
    assert selector.wants("head", facts())
    return selector.wants("head", now)


def test_a_frame_is_kept_when_the_view_has_changed_or_something_is_new() -> None:
    assert not wants(facts(x_m=0.1, yaw_rad=0.05, stamp_s=1.0))
    assert wants(facts(x_m=0.7))
    assert wants(facts(yaw_rad=0.9))
    assert wants(facts(stamp_s=30.0))
    assert wants(facts(new=1))
    assert wants(facts(session="b"))


def test_each_camera_has_keyframes_of_its_own() -> None:
    selector = KeyframeSelector(KeyframeConfig())
    assert selector.wants("left", facts())
    assert selector.wants("right", facts())
    assert not selector.wants("left", facts())


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ValueError, match="strategy"):
        KeyframeSelector(KeyframeConfig(strategy="magic"))


def test_thumbnails_fit_the_longest_side() -> None:
    jpeg = make_thumbnail(np.zeros((480, 640, 3), dtype=np.uint8), 256, 80)
    height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    assert (height, width) == (160, 214)


def test_a_keyframe_survives_its_encoding_with_depth_and_pose() -> None:
    depth = np.linspace(0.0, 9.0, 64 * 48, dtype=np.float32).reshape(48, 64)
    depth_mm, shape = coarse_depth(depth)
    T = planar_pose(1.0, 2.0, 0.5) @ MOUNT
    keyframe = Keyframe(
        index=3,
        session="a",
        seq=7,
        stamp_ns=5,
        camera="head",
        T_world_camera=tuple(T.ravel().tolist()),
        intrinsics=intrinsics_from_fov(64, 48, 1.5),
        thumbnail_jpeg=b"",
        depth_mm=depth_mm,
        depth_shape=shape,
        track_ids=("o1",),
    )
    back = msgspec.msgpack.decode(msgspec.msgpack.encode(keyframe), type=Keyframe)
    assert np.array_equal(back.T, T)
    assert back.position_m == tuple(T[:3, 3])
    assert back.depth_m() == pytest.approx(depth[::4, ::4], abs=1e-3)
