from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.messages import Box
from memory_bank.geometry.boxes import box_bounds
from memory_bank.geometry.voxels import VoxelCloud
from memory_bank.objects.appearance import Appearance
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track


def track(name: str, x_m: float = 0.0) -> Track:
    voxels = VoxelCloud()
    voxels.insert(np.array([[x_m, 0.0, 0.0]], dtype=np.float32), 1.0)
    return Track(
        id=name,
        label_weights={"box": 1.0},
        voxels=voxels,
        box=Box(center_m=(x_m, 0.0, 0.0), size_m=(0.2, 0.2, 0.2)),
        appearance=Appearance(),
        first_seen_ns=0,
        last_seen_ns=0,
        first_session="a",
        last_session="a",
    )


operations = st.lists(
    st.tuples(st.sampled_from(["insert", "merge", "remove", "move"]), st.integers(0, 99), st.integers(0, 99)),
    max_size=60,
)


@given(operations)
def test_any_sequence_of_edits_keeps_the_invariants(steps: list[tuple[str, int, int]]) -> None:
    graph = SceneGraph()
    merged: dict[str, str] = {}
    for kind, a, b in steps:
        ids = [t.id for t in graph]
        if kind == "insert" or len(ids) < 2:
            new = track(graph.new_id(), float(a))
            graph.insert(new)
            for other in ids[: b % 4]:
                new.seen_with.add(other)
                graph.get(other).seen_with.add(new.id)  # type: ignore[union-attr]
        elif kind == "merge" and ids[a % len(ids)] != ids[b % len(ids)]:
            graph.merge(ids[a % len(ids)], ids[b % len(ids)])
            merged[ids[b % len(ids)]] = ids[a % len(ids)]
        elif kind == "remove":
            graph.remove(ids[a % len(ids)])
        elif kind == "move":
            moved = graph.get(ids[a % len(ids)])
            assert moved is not None
            moved.box = Box(center_m=(float(b), 1.0, 0.0), size_m=(0.5, 0.5, 0.5))
            graph.touch(moved)
        graph.check()
    for lost, kept in merged.items():
        assert graph.resolve(lost) == graph.resolve(kept)


def test_tracks_are_found_by_where_their_boxes_are() -> None:
    graph = SceneGraph()
    for x_m in range(100):
        graph.insert(track(graph.new_id(), float(x_m)))
    assert [t.id for t in graph.within((50.4, 0.0, 0.0), 0.75)] == ["o50", "o51"]
    assert graph.within((50.5, 9.0, 0.0), 1.0) == []


def test_a_merged_track_is_found_under_its_new_id() -> None:
    graph = SceneGraph()
    for _ in range(3):
        graph.insert(track(graph.new_id()))
    graph.merge("o1", "o2")
    graph.merge("o0", "o1")
    assert graph.resolve("o2") == "o0"
    assert "o2" in graph
    assert graph.get("o2") is graph.get("o0")
    assert len(graph) == 1
    assert graph.new_id() == "o3"


def test_a_restored_graph_knows_the_merges_and_gives_no_id_twice() -> None:
    graph = SceneGraph()
    for _ in range(4):
        graph.insert(track(graph.new_id()))
    graph.merge("o0", "o3")
    stored = [Track.from_bytes(t.to_bytes()) for t in graph]
    back = SceneGraph()
    back.restore(reversed(stored), next_number=graph.next_number)
    back.check()
    assert [t.id for t in back] == ["o0", "o1", "o2"]
    assert back.resolve("o3") == "o0"
    assert back.new_id() == "o4"


def test_neighbours_know_each_other_after_a_restore_even_if_only_one_side_was_stored() -> None:
    graph = SceneGraph()
    for _ in range(4):
        graph.insert(track(graph.new_id()))
    graph.merge("o1", "o3")
    stored = {t.id: Track.from_bytes(t.to_bytes()) for t in graph}
    # Stored before the merge, and before its neighbour was.
    stored["o0"].seen_with = {"o3", "o7"}
    back = SceneGraph()
    back.restore(stored.values())
    back.check()
    assert {t.id: t.seen_with for t in back} == {"o0": {"o1"}, "o1": {"o0"}, "o2": set()}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_tracks_are_found_by_the_bounds_of_their_boxes_turned_or_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = SceneGraph()
    for _ in range(30):
        new = track(graph.new_id())
        center, size = rng.uniform(-6.0, 6.0, 3), rng.uniform(0.1, 3.0, 3)
        new.box = Box(center_m=tuple(center), size_m=tuple(size), yaw_rad=float(rng.choice([0.0, 0.5])))
        graph.insert(new)
    graph.check()
    low = rng.uniform(-6.0, 6.0, 3)
    high = low + rng.uniform(0.0, 5.0, 3)
    expected = []
    for each in graph:
        a, b = box_bounds(each.box)
        if (a <= high).all() and (low <= b).all():
            expected.append(each.id)
    assert [t.id for t in graph.touching(low, high)] == expected


def test_misuse_is_refused() -> None:
    graph = SceneGraph()
    graph.insert(track("o5"))
    with pytest.raises(ValueError, match="unused id"):
        graph.insert(track("o5"))
    with pytest.raises(ValueError, match="rising order"):
        graph.insert(track("o2"))
    with pytest.raises(ValueError, match="another track"):
        graph.merge("o5", "o5")
    with pytest.raises(ValueError, match="empty graph"):
        graph.restore([])


def test_an_unknown_id_is_nobody() -> None:
    graph = SceneGraph()
    assert graph.get("o1") is None
    assert "o1" not in graph
