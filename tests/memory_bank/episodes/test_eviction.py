from __future__ import annotations

import numpy as np
import pytest

from embodied.geometry import intrinsics_from_fov
from memory_bank.episodes.archive import KeyframeArchive
from memory_bank.episodes.eviction import KeyframeEviction
from memory_bank.episodes.keyframes import Keyframe, KeyframeConfig


def live(config: KeyframeConfig, xs_m: list[float]) -> tuple[list[int], list[int]]:
    """Return the indices that are left and those that went, after keyframes taken at these places."""
    archive, eviction, gone = KeyframeArchive(), KeyframeEviction(config), []
    for index, x_m in enumerate(xs_m):
        T = np.eye(4)
        T[0, 3] = x_m
        archive.append(
            Keyframe(
                index=index,
                session="a",
                seq=index,
                stamp_ns=index,
                camera="head",
                T_world_camera=tuple(T.ravel().tolist()),
                intrinsics=intrinsics_from_fov(64, 48, 1.5),
                thumbnail_jpeg=b"",
                depth_mm=b"",
                depth_shape=(0, 0),
                track_ids=(),
            )
        )
        gone += eviction.apply(archive)
        assert not config.capacity or len(archive) <= config.capacity
    return archive.indices().tolist(), gone


def test_without_a_capacity_all_stay() -> None:
    assert live(KeyframeConfig(), [0.0] * 5) == ([0, 1, 2, 3, 4], [])


def test_the_oldest_leaves_by_default() -> None:
    assert live(KeyframeConfig(capacity=3), [0.0] * 5) == ([2, 3, 4], [0, 1])


def test_the_place_with_the_most_keyframes_can_give_way() -> None:
    config = KeyframeConfig(capacity=4, eviction="mvfo")
    assert live(config, [9.0, 0.1, 0.2, 0.3, 9.1, 0.4]) == ([0, 3, 4, 5], [1, 2])


@pytest.mark.parametrize(
    ("config", "told"), [(KeyframeConfig(capacity=-1), "capacity"), (KeyframeConfig(eviction="magic"), "magic")]
)
def test_bad_settings_are_refused(config: KeyframeConfig, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        KeyframeEviction(config)
