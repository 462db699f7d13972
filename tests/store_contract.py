"""What every store has to do, as tests that a store's own test class inherits."""

from __future__ import annotations

from typing import Callable

import msgspec
import numpy as np
import pytest

from embodied.errors import StoreError
from memory_bank.space.rooms import segment_rooms
from memory_bank.stores.protocol import KEYFRAMES_PER_BLOCK, META_UNFINISHED, Batch, Contents, Store
from memory_world import SESSIONS, make_batch, make_keyframe, make_track

OpenStore = Callable[..., Store]
"""``open_store(read_only=False)`` opens the same memory each time; it is closed after the test."""


def comparable(contents: Contents) -> dict[str, object]:
    """Return contents such that equal ones are equal."""
    return {
        "sessions": contents.sessions,
        "tracks": [track.to_bytes() for track in contents.tracks],
        "tail": contents.keyframe_tail,
        "blocks": contents.keyframe_blocks,
        "maps": contents.maps,
        "rooms": [(frame, rooms.rooms, rooms.cells.tobytes()) for frame, rooms in contents.rooms.items()],
        "meta": contents.meta,
    }


def sealed_batch(rng: np.random.Generator, n_keyframes: int = KEYFRAMES_PER_BLOCK + 3) -> Batch:
    """Return more small keyframes than fit into a block, and the block."""
    small = [
        msgspec.structs.replace(make_keyframe(i, rng), thumbnail_jpeg=rng.bytes(30), depth_mm=rng.bytes(8))
        for i in range(n_keyframes)
    ]
    return Batch(keyframes=small, keyframe_blocks={0: rng.bytes(5000)})


class StoreContract:
    """Inherit this and provide the fixture ``open_store``."""

    @pytest.fixture
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(0)

    def test_it_is_a_store(self, open_store: OpenStore) -> None:
        assert isinstance(open_store(), Store)

    def test_a_new_store_is_empty(self, open_store: OpenStore) -> None:
        store = open_store()
        assert comparable(store.load()) == comparable(Contents((), (), {}, (), {}, {}, {}))
        assert list(store.keyframe_indices()) == []

    def test_everything_written_is_loaded_as_it_was(self, open_store: OpenStore, rng: np.random.Generator) -> None:
        batch = make_batch(0, rng)
        occupancy = np.zeros((80, 90), dtype=np.uint8)
        occupancy[5:75, 5:85] = 1
        batch.rooms["map"] = segment_rooms(occupancy, 0.05, (-1.0, 2.0))
        open_store().write(batch)
        contents = open_store(read_only=True).load()
        assert contents.sessions == (SESSIONS[0],)
        assert [t.to_bytes() for t in contents.tracks] == [t.to_bytes() for t in batch.tracks.values()]
        assert list(contents.keyframe_tail) == batch.keyframes
        assert (contents.maps, contents.meta) == (batch.maps, batch.meta)
        assert contents.rooms["map"].rooms == batch.rooms["map"].rooms
        np.testing.assert_array_equal(contents.rooms["map"].cells, batch.rooms["map"].cells)

    def test_a_later_batch_replaces_and_removes(self, open_store: OpenStore, rng: np.random.Generator) -> None:
        store = open_store()
        first = make_batch(0, rng)
        first.maps["kitchen"] = b"x"
        first.meta["old"] = b"x"
        store.write(first)
        later = Batch(removed_meta={"old", "batch"}, meta={"batch": b"7"}, removed_frames={"kitchen", "nowhere"})
        later.put_track(make_track(1, rng, label="bowl"))
        later.remove_track("o2")
        store.write(later)
        contents = open_store(read_only=True).load()
        assert [(t.id, t.label) for t in contents.tracks] == [("o0", "mug"), ("o1", "bowl")]
        assert contents.meta == {"batch": b"7"}
        assert list(contents.maps) == ["map"]

    def test_a_place_at_minus_zero_is_a_place(self, open_store: OpenStore, rng: np.random.Generator) -> None:
        track = make_track(0, rng)
        track.box = msgspec.structs.replace(track.box, center_m=(-0.0, 1.0, -0.0))
        track.existence = -0.0
        open_store().write(Batch(tracks={track.id: track}))
        assert open_store(read_only=True).load().tracks[0].box == track.box

    def test_keyframes_come_back_by_index(self, open_store: OpenStore, rng: np.random.Generator) -> None:
        store = open_store()
        keyframes = [make_keyframe(i, rng) for i in (10, 2, 9)]
        store.write(Batch(keyframes=keyframes))
        assert [k.index for k in store.load().keyframe_tail] == [2, 9, 10]
        assert store.keyframes([10, 2, 10]) == (keyframes[0], keyframes[1], keyframes[0])
        with pytest.raises(StoreError, match="has no keyframe 3"):
            store.keyframes([2, 3])

    def test_keyframes_in_a_block_are_read_one_by_one(self, open_store: OpenStore, rng: np.random.Generator) -> None:
        batch = sealed_batch(rng)
        open_store().write(batch)
        reader = open_store(read_only=True)
        contents = reader.load()
        assert contents.keyframe_blocks == batch.keyframe_blocks
        assert list(contents.keyframe_tail) == batch.keyframes[KEYFRAMES_PER_BLOCK:]
        assert reader.keyframes([1025, 0, 1023]) == tuple(batch.keyframes[i] for i in (1025, 0, 1023))
        assert list(reader.keyframe_indices()) == list(range(1027))

    def test_a_block_can_be_sealed_later(self, open_store: OpenStore, rng: np.random.Generator) -> None:
        batch = sealed_batch(rng)
        store = open_store()
        store.write(Batch(keyframes=batch.keyframes[:700]))
        store.write(Batch(keyframes=batch.keyframes[700:]))
        store.write(Batch(removed_keyframes={4}))
        store.write(Batch(keyframe_blocks=batch.keyframe_blocks))
        reader = open_store(read_only=True)
        assert [k.index for k in reader.load().keyframe_tail] == [1024, 1025, 1026]
        assert list(reader.keyframe_indices()) == [i for i in range(1027) if i != 4]

    def test_keyframes_can_be_removed(self, open_store: OpenStore, rng: np.random.Generator) -> None:
        batch = sealed_batch(rng)
        store = open_store()
        store.write(batch)
        store.write(Batch(removed_keyframes={5, 1025}, keyframe_blocks={0: b"anew"}))
        for each in (store, open_store(read_only=True)):
            assert [k.index for k in each.load().keyframe_tail] == [1024, 1026]
            assert each.load().keyframe_blocks == {0: b"anew"}
            assert each.keyframes([4])[0] == batch.keyframes[4]
            for index in (5, 1025):
                with pytest.raises(StoreError, match=f"has no keyframe {index}, or no more"):
                    each.keyframes([index])

    def test_a_keyframe_removed_before_it_was_written_is_not_written(
        self, open_store: OpenStore, rng: np.random.Generator
    ) -> None:
        store = open_store()
        store.write(Batch(keyframes=[make_keyframe(i, rng) for i in range(2)], removed_keyframes={0}))
        assert [k.index for k in store.load().keyframe_tail] == [1]

    def test_keyframes_of_a_block_do_not_change_without_it(
        self, open_store: OpenStore, rng: np.random.Generator
    ) -> None:
        store = open_store()
        store.write(sealed_batch(rng))
        before = comparable(store.load())
        for batch in (Batch(removed_keyframes={5}), Batch(keyframes=[make_keyframe(7, rng)])):
            with pytest.raises(ValueError, match=r"expected blocks \[0\] anew"):
                store.write(batch)
        assert comparable(store.load()) == before
        assert len(store.keyframes([5, 7])) == 2

    @pytest.mark.parametrize("first", [1, 2048, -1024])
    def test_blocks_come_in_order(self, open_store: OpenStore, rng: np.random.Generator, first: int) -> None:
        store = open_store()
        store.write(sealed_batch(rng))
        with pytest.raises(ValueError, match="keyframe_blocks: expected multiples of 1024, at most 1024 next"):
            store.write(Batch(keyframe_blocks={first: b"x"}))

    def test_a_batch_that_fails_leaves_nothing_behind(self, open_store: OpenStore, rng: np.random.Generator) -> None:
        store = open_store()
        store.write(make_batch(0, rng))
        bad = make_batch(1, rng)
        bad.meta["commit"] = b"x"
        with pytest.raises(ValueError, match="uses itself"):
            store.write(bad)
        store.write(make_batch(2, rng))
        assert [t.id for t in open_store(read_only=True).load().tracks] == ["o0", "o1", "o2", "o6", "o7", "o8"]

    def test_a_row_that_the_database_refuses_drops_its_batch_and_no_other(
        self, open_store: OpenStore, rng: np.random.Generator
    ) -> None:
        store = open_store()
        store.write(make_batch(0, rng))
        bad = make_batch(1, rng)
        bad.sessions["day-1"] = msgspec.structs.replace(SESSIONS[0], start_ns=1 << 63)
        with pytest.raises(StoreError, match="out of range|too large"):
            store.write(bad)
        store.write(make_batch(2, rng))
        assert len(open_store(read_only=True).load().tracks) == 6

    def test_a_reader_sees_each_commit_of_a_running_writer(
        self, open_store: OpenStore, rng: np.random.Generator
    ) -> None:
        store = open_store()
        store.write(make_batch(0, rng))
        reader = open_store(read_only=True)
        seen = reader.version
        assert len(reader.load().tracks) == 3
        assert reader.version == seen
        later = make_batch(1, rng)
        store.write(later)
        assert reader.version != seen
        assert reader.keyframes([1]) == tuple(later.keyframes)
        assert len(reader.load().tracks) == 6

    def test_a_reader_outlives_the_writer(self, open_store: OpenStore, rng: np.random.Generator) -> None:
        store = open_store()
        store.write(make_batch(0, rng))
        reader = open_store(read_only=True)
        store.close()
        store.close()
        assert len(reader.load().tracks) == 3
        assert len(open_store().load().tracks) == 3

    def test_two_writers_are_one_too_many(self, open_store: OpenStore) -> None:
        store = open_store()
        with pytest.raises(StoreError, match="another process is writing"):
            open_store()
        store.close()
        open_store()

    def test_reading_does_not_write(self, open_store: OpenStore, rng: np.random.Generator) -> None:
        open_store().write(make_batch(0, rng))
        reader = open_store(read_only=True)
        with pytest.raises(StoreError, match="reading only"):
            reader.write(make_batch(1, rng))
        with pytest.raises(StoreError, match="reading only"):
            reader.purge()

    def test_there_is_nothing_to_read_where_nobody_wrote(self, open_store: OpenStore) -> None:
        with pytest.raises(StoreError, match="cannot be read|no such memory"):
            open_store(read_only=True)

    def test_purging_keeps_what_was_not_removed(self, open_store: OpenStore, rng: np.random.Generator) -> None:
        store = open_store()
        store.write(sealed_batch(rng))
        store.write(make_batch(3000, rng))
        store.write(Batch(removed_keyframes={5}, keyframe_blocks={0: b"anew"}, removed_tracks={"o9000"}))
        before = comparable(store.load())
        store.purge()
        assert comparable(store.load()) == before
        store.check()
        store.write(make_batch(3001, rng))
        open_store(read_only=True).check()

    def test_half_a_copy_is_no_memory(self, open_store: OpenStore) -> None:
        store = open_store()
        store.write(Batch(meta={META_UNFINISHED: b""}))
        with pytest.raises(StoreError, match="was not finished"):
            store.load()
        store.write(Batch(removed_meta={META_UNFINISHED}))
        assert store.load().meta == {}
