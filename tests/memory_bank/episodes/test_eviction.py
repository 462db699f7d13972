from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied.errors import ConfigurationError
from embodied.geometry import intrinsics_from_fov
from memory_bank.bank import MemoryBank
from memory_bank.episodes.archive import KeyframeArchive
from memory_bank.episodes.eviction import KeyframeEviction
from memory_bank.episodes.keyframes import Keyframe, KeyframeConfig
from memory_bank.mapper import MapperConfig
from memory_bank.stores.sqlite_store import SqliteStore
from memory_bank.strategies import registry


def live(config: KeyframeConfig, xs_m: list[float], looks: list[bytes] | None = None) -> tuple[list[int], list[int]]:
    """Return the indices that are left and those that went, after keyframes taken at these places."""
    archive, eviction, gone = KeyframeArchive(), KeyframeEviction(config, has_vectors=looks is not None), []
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
                embedding=b"" if looks is None else looks[index],
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
    ("config", "told"),
    [
        (KeyframeConfig(capacity=-1), "capacity"),
        (KeyframeConfig(eviction="magic"), "store strategy: .*magic"),
        (KeyframeConfig(strategy="magic"), "encode strategy: .*magic"),
        (KeyframeConfig(strategy="novelty"), "strategy: 'novelty' needs an image encoder"),
        (KeyframeConfig(capacity=3, eviction="merge_similar"), "eviction: 'merge_similar' needs an image encoder"),
    ],
)
def test_bad_settings_are_refused_before_the_first_frame(tmp_path: Path, config: KeyframeConfig, told: str) -> None:
    store = SqliteStore(tmp_path / "memory.db")
    with pytest.raises(ConfigurationError, match=told):
        MemoryBank(MapperConfig(keyframes=config), None, store)
    store.close()


@pytest.mark.parametrize("eviction", registry.names("store"))
def test_each_strategy_keeps_to_the_capacity(eviction: str) -> None:
    config, rng = KeyframeConfig(capacity=3, eviction=eviction), np.random.default_rng(0)
    looks = [rng.standard_normal(8).astype("<f2").tobytes() for _ in range(3)] * 4
    left, gone = live(config, [float(x) for x in range(0, 24, 2)], looks)
    assert len(left) == 3
    assert sorted(left + gone) == list(range(12))


def test_of_two_that_look_alike_the_later_one_leaves() -> None:
    a, b, c = (np.eye(3)[i].astype("<f2").tobytes() for i in range(3))
    config = KeyframeConfig(capacity=3, eviction="merge_similar")
    assert live(config, [0.0] * 5, [a, b, b, c, c]) == ([0, 1, 3], [2, 4])
