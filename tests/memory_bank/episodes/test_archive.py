from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from embodied.geometry import intrinsics_from_fov
from memory_bank.episodes.archive import CACHED, KeyframeArchive
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.stores.protocol import KEYFRAMES_PER_BLOCK

DIM = 16


def vector_of(index: int, dim: int = DIM) -> np.ndarray:
    vector = np.random.default_rng(index).standard_normal(dim)
    return vector / np.linalg.norm(vector)


def keyframe(
    index: int, x_m: float = 0.0, session: str = "a", tracks: tuple[str, ...] = (), dim: int = DIM
) -> Keyframe:
    T = np.eye(4)
    T[0, 3] = x_m
    return Keyframe(
        index=index,
        session=session,
        seq=index,
        stamp_ns=index * 10,
        camera="head",
        T_world_camera=tuple(T.ravel().tolist()),
        intrinsics=intrinsics_from_fov(64, 48, 1.5),
        thumbnail_jpeg=str(index).encode(),
        depth_mm=b"",
        depth_shape=(0, 0),
        track_ids=tracks,
        embedding=vector_of(index, dim).astype("<f2").tobytes() if dim else b"",
    )


class Shelf:
    """Stands for a store: keyframes by index, and which were read."""

    def __init__(self) -> None:
        self.keyframes: dict[int, Keyframe] = {}
        self.blocks: dict[int, bytes] = {}
        self.read: list[int] = []

    def fetch(self, indices: Iterable[int]) -> tuple[Keyframe, ...]:
        wanted = list(indices)
        self.read += wanted
        return tuple(self.keyframes[index] for index in wanted)

    def commit(self, archive: KeyframeArchive, new: Iterable[Keyframe] = ()) -> None:
        self.keyframes.update({each.index: each for each in new})
        self.blocks.update(archive.sealed(len(self.blocks)))
        archive.stored()

    def reopened(self) -> KeyframeArchive:
        archive = KeyframeArchive(self.fetch)
        tail = [each for index, each in self.keyframes.items() if index >= len(self.blocks) * KEYFRAMES_PER_BLOCK]
        archive.restore(self.blocks, tail)
        return archive


def filled(n: int, **fields: int) -> tuple[KeyframeArchive, Shelf]:
    shelf = Shelf()
    archive = KeyframeArchive(shelf.fetch)
    frames = [keyframe(i, x_m=i % 100, session="ab"[i % 2], tracks=(f"o{i % 7}",), **fields) for i in range(n)]
    archive.extend(frames)
    shelf.commit(archive, frames)
    return archive, shelf


def asked(archive: KeyframeArchive) -> list[list[int]]:
    """Answers to questions of every kind."""
    found, _ = archive.search(vector_of(5), 6, since_ns=20)
    return [
        archive.indices().tolist(),
        archive.indices(since_ns=50, until_ns=120).tolist(),
        archive.indices(near_m=(3.0, 0.0, 0.0), radius_m=1.0, sessions=("a",)).tolist(),
        archive.indices(track_ids=("o3", "o5"), since_index=7).tolist(),
        found.tolist(),
    ]


def test_questions_are_answered_without_reading_a_keyframe() -> None:
    archive, shelf = filled(20)
    assert asked(archive) == [
        list(range(20)),
        list(range(5, 13)),
        [2, 4],
        [10, 12, 17, 19],
        asked(archive)[-1],
    ]
    assert asked(archive)[-1][0] == 5
    assert shelf.read == []


def test_an_archive_opens_again_from_blocks_and_tail() -> None:
    archive, shelf = filled(KEYFRAMES_PER_BLOCK + 30)
    assert sorted(shelf.blocks) == [0]
    again = shelf.reopened()
    assert asked(again) == asked(archive)
    assert again.next_index == archive.next_index
    assert shelf.read == []
    assert again.get(3) == shelf.keyframes[3]
    assert shelf.read == [3]


def test_blocks_of_an_archive_without_vectors_open_too() -> None:
    archive, shelf = filled(KEYFRAMES_PER_BLOCK + 3, dim=0)
    again = shelf.reopened()
    assert (again.dim, len(again)) == (0, KEYFRAMES_PER_BLOCK + 3)
    # An encoder is set later: the new ones are found by meaning, all by time.
    again.append(keyframe(again.next_index))
    assert again.search(vector_of(archive.next_index), 3)[0].tolist() == [archive.next_index]
    assert len(again.indices(since_ns=0)) == KEYFRAMES_PER_BLOCK + 4


def test_only_what_is_stored_leaves_memory() -> None:
    shelf = Shelf()
    archive = KeyframeArchive(shelf.fetch)
    archive.extend([keyframe(i) for i in range(CACHED + 50)])
    assert [each.index for each in archive] == list(range(CACHED + 50))
    shelf.commit(archive, list(archive))
    assert archive[-1].index == CACHED + 49
    assert shelf.read == []
    assert archive.get(0).index == 0
    assert archive.get(0).index == 0
    assert shelf.read == [0]


def test_a_block_stays_due_until_it_is_stored() -> None:
    archive, _ = filled(KEYFRAMES_PER_BLOCK)
    archive.remove([7])
    assert sorted(archive.sealed(1)) == [0]
    assert sorted(archive.sealed(1)) == [0]
    archive.stored()
    assert archive.sealed(1) == {}


def test_what_is_removed_is_gone_from_columns_blocks_and_reading() -> None:
    archive, shelf = filled(KEYFRAMES_PER_BLOCK + 10)
    marker = archive.columns(np.array([5])).vectors()[0]
    archive.remove([5, 6, 1030, 5, 99999])
    shelf.commit(archive)
    for index in (5, 6, 1030):
        shelf.keyframes.pop(index)
    for each in (archive, shelf.reopened()):
        assert len(each) == KEYFRAMES_PER_BLOCK + 7
        assert not {5, 6, 1030} & set(each.indices().tolist())
        assert not {5, 6, 1030} & set(each.search(marker, 20)[0].tolist())
        with pytest.raises(KeyError, match="no keyframe 5"):
            each.get(5)
        assert [frame.index for frame in each[4:7]] == [4, 7, 8]
    assert archive.next_index == KEYFRAMES_PER_BLOCK + 10


def test_many_removed_ones_are_dropped_from_the_columns() -> None:
    archive, shelf = filled(KEYFRAMES_PER_BLOCK + 100)
    size = archive.n_bytes
    kept = list(range(0, KEYFRAMES_PER_BLOCK + 100, 5))
    archive.remove(set(range(KEYFRAMES_PER_BLOCK + 100)) - set(kept))
    shelf.commit(archive)
    shelf.keyframes = {index: shelf.keyframes[index] for index in kept}
    assert archive.n_bytes < size / 2
    assert archive.indices().tolist() == kept
    assert archive.indices(track_ids=("o3",)).tolist() == [i for i in kept if i % 7 == 3]
    assert asked(archive) == asked(shelf.reopened())


def test_a_keyframe_in_another_frame_replaces_the_old_one() -> None:
    archive, shelf = filled(KEYFRAMES_PER_BLOCK)
    moved = keyframe(3, x_m=500.0)
    archive.replace(moved)
    assert archive.get(3) is moved
    shelf.commit(archive, [moved])
    assert shelf.reopened().indices(near_m=(500.0, 0.0, 0.0), radius_m=1.0).tolist() == [3]
    with pytest.raises(KeyError):
        archive.replace(keyframe(KEYFRAMES_PER_BLOCK))


def test_near_ones_come_nearest_first() -> None:
    archive, _ = filled(20)
    assert [each.index for each in archive.near((6.2, 0.0, 0.0), 1.5, limit=2)] == [6, 7]
    assert [each.index for each in archive.near((6.2, 0.0, 0.0), 1.5, limit=9, sessions={"b"})] == [7, 5]


def test_an_index_is_never_used_twice() -> None:
    archive, _ = filled(3)
    archive.remove([2])
    with pytest.raises(ValueError, match="index: expected 3 or more, got 2"):
        archive.append(keyframe(2))
    opened = KeyframeArchive()
    opened.restore({}, (), next_index=3)
    assert opened.next_index == 3


def test_a_vector_of_another_encoder_is_refused_and_nothing_is_taken() -> None:
    archive, _ = filled(3)
    with pytest.raises(ValueError, match="embedding: expected 16 numbers, got 24"):
        archive.extend([keyframe(3), keyframe(4, dim=24)])
    assert len(archive) == archive.next_index == 3
