"""Keyframes from the stream to the file and back: their vectors, their bound, and what opening a file reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from box_world import MUG, TABLE, World, tour
from embodied.errors import ConfigurationError
from embodied.messages import Answer, ListRooms, Query, Recall
from memory_bank.bank import MemoryBank
from memory_bank.episodes.keyframes import KeyframeConfig
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.restoring import state_of
from memory_bank.service import MemoryService
from memory_bank.stores.sqlite_store import SqliteStore


class SmallPicture:
    """Pictures as very small ones, without their mean."""

    text_encoder = None
    dim = 192

    def __init__(self, name: str = "small") -> None:
        self.name = name

    def encode(self, images: Sequence[np.ndarray]) -> np.ndarray:
        vectors = np.zeros((len(images), self.dim), dtype=np.float32)
        for row, image in enumerate(images):
            side = image.shape[0] // 8
            small = image[: 8 * side, : 8 * side].reshape(8, side, 8, side, 3).mean(axis=(1, 3))
            vectors[row] = (small - small.mean(axis=(0, 1))).ravel()
        unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return unit


def live(path: Path, config: KeyframeConfig = KeyframeConfig(), encoder: SmallPicture | None = None) -> None:
    """Fill a memory file by one session."""
    store, world = SqliteStore(path), World((TABLE, MUG))
    bank = MemoryBank(MapperConfig(keyframes=config), SimulatorPerception(), store, image_encoder=encoder)
    bank.take(world.start("day"))
    for seq, pose in enumerate(tour(24)):
        bank.take(world.observe("day", seq, pose))
        if seq % 5 == 0:
            bank.commit()
    bank.take(world.end("day", 24))
    bank.commit()
    store.close()


def test_a_picture_finds_the_keyframe_that_it_is_of(tmp_path: Path) -> None:
    live(tmp_path / "memory.db", encoder=SmallPicture())
    store = SqliteStore(tmp_path / "memory.db", read_only=True)
    state = state_of(store.load(), store.keyframes)
    assert len(state.keyframes) >= 5
    service = MemoryService(state, image_encoder=SmallPicture())
    # A picture of nothing but wall has no vector.
    sought = next(keyframe for keyframe in state.keyframes if keyframe.vector.any())
    answer = service.handle(Recall(question=Query(kind="views", image_jpeg=sought.thumbnail_jpeg, limit=3)))
    assert isinstance(answer, Answer)
    best = answer.views[0]
    assert (best.keyframe, best.thumbnail_jpeg) == (sought.index, sought.thumbnail_jpeg)
    assert best.score > 0.98
    assert [hit.score for hit in answer.views] == sorted((hit.score for hit in answer.views), reverse=True)
    assert simplejpeg.is_jpeg(best.thumbnail_jpeg)
    store.close()


def test_vectors_of_another_encoder_are_not_mixed_in(tmp_path: Path) -> None:
    live(tmp_path / "memory.db", encoder=SmallPicture())
    store = SqliteStore(tmp_path / "memory.db")
    with pytest.raises(ConfigurationError, match=r"features\.image: .*'small' .*'other'"):
        MemoryBank(MapperConfig(), SimulatorPerception(), store, image_encoder=SmallPicture("other"))
    # Without one the memory goes on, and what is there is kept.
    bank = MemoryBank(MapperConfig(), SimulatorPerception(), store)
    assert bank.state.keyframes.dim == 192
    store.close()


def test_a_bound_memory_keeps_the_last_keyframes_in_its_file_too(tmp_path: Path) -> None:
    live(tmp_path / "all.db")
    live(tmp_path / "bound.db", KeyframeConfig(capacity=4))
    with_all, bound = (SqliteStore(tmp_path / name, read_only=True) for name in ("all.db", "bound.db"))
    indices = list(with_all.keyframe_indices())
    assert len(indices) > 4
    assert list(bound.keyframe_indices()) == indices[-4:]
    assert state_of(bound.load(), bound.keyframes).keyframes.next_index == indices[-1] + 1
    with_all.close()
    bound.close()


def test_rooms_of_a_file_are_told_without_reading_its_keyframes(tmp_path: Path) -> None:
    live(tmp_path / "memory.db")
    store = SqliteStore(tmp_path / "memory.db", read_only=True)
    read: list[int] = []

    def fetch(indices: Sequence[int]) -> tuple[object, ...]:
        read.extend(indices)
        return store.keyframes(indices)

    state = state_of(store.load(), fetch)  # type: ignore[arg-type]
    state.keyframes._read.clear()
    MemoryService(state).handle(ListRooms())
    assert read == []
    store.close()
