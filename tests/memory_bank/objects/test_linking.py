from __future__ import annotations

import msgspec
import numpy as np
import pytest

from box_world import INTRINSICS, T_BASE_CAMERA, TABLE, Thing, render
from embodied.geometry import planar_pose
from memory_bank.episodes.keyframes import Keyframe, coarse_depth
from memory_bank.objects.appearance import COLOURS
from memory_bank.objects.lifecycle import LifecycleConfig, declare_gone, new_track, observe
from memory_bank.objects.linking import LinkingConfig, find_moves, last_seen_empty, last_seen_occupied, likeness
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track
from memory_bank.objects.visibility import VisibilityConfig
from memory_bank.perception.detections import Measured

CONFIG = LinkingConfig()


def thing(label: str, colour: str, at: tuple[float, float, float], size_m: tuple[float, float, float]) -> Measured:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (300, 3))
    points = (points * size_m + at).astype(np.float32)
    return Measured(
        label=label,
        score=0.9,
        points=points,
        low_m=points.min(axis=0),
        high_m=points.max(axis=0),
        distance_m=1.0,
        n_pixels=400,
        partial=False,
        bounds_px=(0, 20, 0, 20),
        colour_shares=np.eye(len(COLOURS))[COLOURS.index(colour)],
    )


def add(
    graph: SceneGraph,
    label: str,
    at: tuple[float, float, float],
    colour: str = "red",
    size_m: tuple[float, float, float] = (0.1, 0.1, 0.12),
    session: str = "a",
    gone: bool = False,
) -> Track:
    what, stamp_ns = thing(label, colour, at, size_m), 10 if session == "a" else 1000
    track = new_track(graph.new_id(), what, stamp_ns, session, LifecycleConfig())
    for i in range(4):
        observe(track, what, stamp_ns + i + 1, session, LifecycleConfig())
    if gone:
        declare_gone(track, 1100, "b")
    graph.insert(track)
    return track


def moves(graph: SceneGraph, final: bool = True) -> list[tuple[str, str]]:
    return [(old.id, new.id) for old, new in find_moves(graph, "b", 900, final, CONFIG)]


def test_what_vanished_here_and_appeared_there_is_one() -> None:
    graph = SceneGraph()
    add(graph, "mug", (0.0, 0.0, 0.8), gone=True)
    add(graph, "mug", (3.0, 0.0, 0.8), session="b")
    assert moves(graph) == moves(graph, final=False) == [("o0", "o1")]


@pytest.mark.parametrize(
    ("label", "colour", "size_m"),
    [("vase", "red", (0.1, 0.1, 0.12)), ("mug", "blue", (0.1, 0.1, 0.12)), ("mug", "red", (0.5, 0.5, 0.9))],
)
def test_another_label_colour_or_size_is_another_thing(
    label: str, colour: str, size_m: tuple[float, float, float]
) -> None:
    graph = SceneGraph()
    add(graph, "mug", (0.0, 0.0, 0.8), gone=True)
    add(graph, label, (3.0, 0.0, 0.8), colour=colour, size_m=size_m, session="b")
    assert moves(graph) == []


def test_two_like_things_are_assigned_by_colour() -> None:
    graph = SceneGraph()
    add(graph, "mug", (0.0, 0.0, 0.8), colour="red", gone=True)
    add(graph, "mug", (0.0, 1.0, 0.8), colour="pink", gone=True)
    add(graph, "mug", (3.0, 0.0, 0.8), colour="pink", session="b")
    add(graph, "mug", (3.0, 1.0, 0.8), colour="red", session="b")
    assert moves(graph) == [("o0", "o3"), ("o1", "o2")]


def test_a_rival_that_was_not_looked_for_yet_delays_the_link_until_the_session_ends() -> None:
    graph = SceneGraph()
    add(graph, "mug", (0.0, 0.0, 0.8), gone=True)
    add(graph, "mug", (9.0, 9.0, 0.8))
    add(graph, "mug", (3.0, 0.0, 0.8), session="b")
    assert moves(graph, final=False) == []
    assert moves(graph) == [("o0", "o2")]


def test_what_was_missed_once_is_linked_with_its_exact_like_when_the_session_is_over() -> None:
    graph = SceneGraph()
    shoe = add(graph, "shoe", (0.0, 0.0, 0.1), "blue")
    other = add(graph, "shoe", (3.0, 0.0, 0.1), "blue", session="b")
    assert moves(graph) == []
    shoe.n_missed, shoe.state = 1, "unknown"
    assert moves(graph, final=False) == []
    assert moves(graph) == [(shoe.id, other.id)]
    shoe.label_weights["slipper"] = shoe.label_weights["shoe"]
    assert moves(graph) == []


def test_what_was_there_all_along_is_no_newcomer() -> None:
    graph = SceneGraph()
    add(graph, "mug", (0.0, 0.0, 0.8), gone=True)
    add(graph, "mug", (3.0, 0.0, 0.8))
    assert moves(graph) == []


def test_a_turned_box_is_still_alike() -> None:
    graph = SceneGraph()
    a = add(graph, "book", (0.0, 0.0, 0.8), size_m=(0.15, 0.22, 0.03))
    b = add(graph, "book", (3.0, 0.0, 0.8), size_m=(0.24, 0.24, 0.03))
    assert likeness(a, b) > 0.9


def keyframe(index: int, things: tuple[Thing, ...], x_m: float) -> Keyframe:
    T = planar_pose(x_m, 0.0, 0.0) @ T_BASE_CAMERA
    depth_mm, shape = coarse_depth(render(things, T)[1].astype(np.float32))
    return Keyframe(
        index=index,
        session="a",
        seq=index,
        stamp_ns=index,
        camera="head",
        T_world_camera=tuple(T.ravel().tolist()),
        intrinsics=INTRINSICS,
        thumbnail_jpeg=b"",
        depth_mm=depth_mm,
        depth_shape=shape,
        track_ids=(),
    )


def test_earlier_keyframes_tell_whether_a_place_was_empty() -> None:
    vase = Thing("vase", (1.8, 0.0, 0.87), (0.2, 0.2, 0.3))
    graph = SceneGraph()
    track = add(graph, "vase", vase.center_m, size_m=vase.size_m, session="b")
    config, margins = msgspec.structs.replace(CONFIG, view_px=4.0), VisibilityConfig()
    empty = [keyframe(i, (TABLE,), 0.1 * i) for i in range(3)]
    there = [keyframe(i, (TABLE, vase), 0.1 * i) for i in range(3)]
    away = [keyframe(i, (TABLE,), -3.0) for i in range(3)]
    assert last_seen_empty(track, empty, margins, config) == 2
    assert last_seen_empty(track, there, margins, config) is None
    assert last_seen_empty(track, away, margins, config) is None
    assert last_seen_empty(track, empty[:1], margins, config) is None
    assert last_seen_empty(track, [], margins, config) is None


def test_small_pictures_of_an_empty_place_count_in_proportion() -> None:
    vase = Thing("vase", (1.8, 0.0, 0.87), (0.2, 0.2, 0.3))
    track = add(SceneGraph(), "vase", vase.center_m, size_m=vase.size_m, session="b")
    empty = [keyframe(i, (TABLE,), 0.1 * i) for i in range(3)]
    # Each shows it about as large as is asked for: three are enough for two, and for four they are not.
    plain = msgspec.structs.replace(CONFIG, view_px=4.0, clear_share=1.1)
    few, many = (msgspec.structs.replace(plain, n_views=n) for n in (2.0, 4.0))
    assert last_seen_empty(track, empty, VisibilityConfig(), few) is not None
    assert last_seen_empty(track, empty, VisibilityConfig(), many) is None
    tiny = msgspec.structs.replace(few, least_view_px=1000.0)
    assert last_seen_empty(track, empty, VisibilityConfig(), tiny) is None


def test_one_large_and_clear_picture_of_an_empty_place_is_enough() -> None:
    vase = Thing("vase", (1.8, 0.0, 0.87), (0.2, 0.2, 0.3))
    track = add(SceneGraph(), "vase", vase.center_m, size_m=vase.size_m, session="b")
    (clear,) = [keyframe(0, (TABLE,), 0.8)]
    settings = msgspec.structs.replace(CONFIG, view_px=4.0)
    assert last_seen_empty(track, [clear], VisibilityConfig(), settings) == clear.stamp_ns
    small = msgspec.structs.replace(settings, view_px=10.0)
    assert last_seen_empty(track, [clear], VisibilityConfig(), small) is None


def test_what_stands_where_something_else_stood_was_not_there_then() -> None:
    graph = SceneGraph()
    pillow = add(graph, "pillow", (0.0, 0.0, 0.5), size_m=(0.4, 0.4, 0.15), gone=True)
    hat = add(graph, "hat", (0.05, 0.0, 0.48), size_m=(0.3, 0.3, 0.12), session="b")
    beside = add(graph, "hat", (0.6, 0.0, 0.48), size_m=(0.3, 0.3, 0.12), session="b")
    bed = add(graph, "bed", (0.0, 0.0, 0.3), size_m=(2.0, 1.5, 0.6), session="b")
    assert last_seen_occupied(hat, graph, "b", CONFIG) == pillow.last_seen_ns
    assert last_seen_occupied(bed, graph, "b", CONFIG) is None
    assert last_seen_occupied(beside, graph, "b", CONFIG) is None


def test_what_still_stands_there_or_came_in_the_same_session_says_nothing() -> None:
    graph = SceneGraph()
    add(graph, "bowl", (0.0, 0.0, 0.8), size_m=(0.3, 0.3, 0.12))
    add(graph, "box", (5.0, 0.0, 0.8), size_m=(0.3, 0.3, 0.12), session="b", gone=True)
    apple = add(graph, "apple", (0.0, 0.0, 0.8), session="b")
    other = add(graph, "apple", (5.0, 0.0, 0.8), session="b")
    assert last_seen_occupied(apple, graph, "b", CONFIG) is None
    assert last_seen_occupied(other, graph, "b", CONFIG) is None
