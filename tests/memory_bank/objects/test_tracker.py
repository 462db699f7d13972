"""Which tracks of one place are one thing when a session is over, and which are not."""

from __future__ import annotations

import numpy as np
import pytest

from box_world import BLUE, CHAIR, TABLE, Thing, World, tour
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.objects.appearance import COLOURS
from memory_bank.objects.association import AssociationConfig
from memory_bank.objects.lifecycle import LifecycleConfig, new_track, observe
from memory_bank.objects.pairing import Pairing
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track
from memory_bank.objects.tracker import Tracker, TrackerConfig, ViewResult
from memory_bank.objects.visibility import Sighting
from memory_bank.perception.detections import Measured
from memory_bank.perception.protocol import Detection, View
from memory_bank.perception.simulator import SimulatorPerception

SIZE_M = (0.3, 0.3, 0.3)


def add(
    graph: SceneGraph,
    label: str,
    x_m: float = 0.0,
    session: str = "a",
    n: int = 5,
    size_m: tuple[float, float, float] = SIZE_M,
) -> Track:
    points = (np.random.default_rng(0).uniform(-0.5, 0.5, (600, 3)) * size_m + (x_m, 0.0, 0.5)).astype(np.float32)
    look = Measured(
        label=label, score=0.9, points=points, low_m=points.min(axis=0), high_m=points.max(axis=0), distance_m=1.0,
        n_pixels=400, partial=False, bounds_px=(0, 9, 0, 9), colour_shares=np.eye(len(COLOURS))[0],
    )  # fmt: skip
    start_ns = {"a": 0, "b": 1000}[session]
    track = new_track(graph.new_id(), look, start_ns, session, LifecycleConfig())
    for i in range(1, n):
        observe(track, look, start_ns + i, session, LifecycleConfig())
    graph.insert(track)
    return track


def left(graph: SceneGraph) -> list[str]:
    result = ViewResult()
    Tracker(TrackerConfig(), graph).merge_twins(result)
    graph.check()
    return [track.id for track in graph]


@pytest.mark.parametrize(
    ("x_m", "session", "ids"),
    [
        (0.05, "a", ["o0"]),
        (0.14, "a", ["o0"]),  # Half in each other: of two solid things that stand still that is impossible …
        (0.14, "b", ["o0", "o1"]),  # … and of one that was pushed since the day before it is not.
        (0.05, "b", ["o0"]),
        (0.25, "a", ["o0", "o1"]),  # Side by side, with the noise of both.
    ],
)
def test_like_tracks_in_one_place_are_one_thing(x_m: float, session: str, ids: list[str]) -> None:
    graph = SceneGraph()
    add(graph, "box")
    add(graph, "box", x_m, session)
    assert left(graph) == ids


def test_like_tracks_that_were_seen_at_once_stay_two() -> None:
    graph = SceneGraph()
    one, other = add(graph, "bowl"), add(graph, "bowl", 0.03)
    one.seen_with.add(other.id)
    other.seen_with.add(one.id)
    assert left(graph) == ["o0", "o1"]


def shadowed(n: int = 3, size_m: tuple[float, float, float] = SIZE_M, session: str = "b") -> tuple[SceneGraph, Track]:
    """Return a basket of the day before, seen again, and something of another name in its place."""
    graph = SceneGraph()
    basket = add(graph, "basket", n=12)
    shadow = add(graph, "book", 0.02, session, n, size_m)
    basket.last_seen_ns, basket.last_session = 1010, "b"
    return graph, shadow


def test_what_wrong_labels_made_of_a_thing_seen_in_turns_with_it_is_that_thing() -> None:
    graph, _ = shadowed()
    assert left(graph) == ["o0"]
    assert [track.label for track in graph] == ["basket"]


def test_what_is_in_a_thing_was_seen_beside_it_or_came_instead_of_it_is_no_shadow() -> None:
    graph, _ = shadowed(size_m=(0.12, 0.12, 0.12))  # An apple.
    assert left(graph) == ["o0", "o1"]
    graph, shadow = shadowed()
    shadow.seen_with.add("o0")
    graph.get("o0").seen_with.add("o1")  # type: ignore[union-attr]
    assert left(graph) == ["o0", "o1"]
    graph, _ = shadowed(n=20)
    assert left(graph) == ["o0", "o1"]
    graph, shadow = shadowed()
    basket = graph.get("o0")
    assert basket is not None
    basket.last_seen_ns, basket.last_session = 20, "a"
    assert left(graph) == ["o0", "o1"]


class Overlooking:
    """A detector that never sees tables from the second session on."""

    name = "overlooking"

    def __init__(self) -> None:
        self._inner = SimulatorPerception()

    def detect(self, view: View) -> list[Detection]:
        return [each for each in self._inner.detect(view) if view.session == "a" or each.label != "table"]


def test_what_lies_on_a_thing_that_is_overlooked_is_in_doubt_for_a_while_and_then_new() -> None:
    book = Thing("book", (1.7, 0.0, 0.73), (0.24, 0.3, 0.02), BLUE)

    def labels(doubt_frames: int) -> list[str]:
        config = MapperConfig(tracker=TrackerConfig(doubt_frames=doubt_frames))
        mapper, world = Mapper(config, Overlooking(), timer=lambda: 0.0), World((TABLE, CHAIR))
        for session, things in (("a", (TABLE, CHAIR)), ("b", (TABLE, CHAIR, book))):
            world.things = things
            mapper.start_session(world.start(session))
            for seq, pose in enumerate(tour(40)):
                mapper.integrate(world.observe(session, seq, pose))
            mapper.end_session(world.end(session, 40))
        return sorted(track.label for track in mapper.graph if track.is_there)

    assert labels(doubt_frames=1) == ["book", "chair", "table"]
    assert labels(doubt_frames=1000) == ["chair", "table"]


def test_the_first_labels_of_a_thing_lean_less_than_those_of_a_known_one() -> None:
    graph = SceneGraph()
    known, tentative = add(graph, "book"), add(graph, "book", n=2)
    assert (known.confirmed, tentative.confirmed) == (True, False)
    points = known.voxels.solid_points()
    candle = Measured(
        label="candle", score=0.9, points=points, low_m=points.min(axis=0), high_m=points.max(axis=0), distance_m=1.0,
        n_pixels=400, partial=False, bounds_px=(0, 9, 0, 9), colour_shares=np.eye(len(COLOURS))[0],
    )  # fmt: skip
    nothing = np.zeros(0, dtype=np.int64)
    sighting = Sighting(
        n_through=np.array([0, 0]), n_surface=np.array([[0, 32], [0, 32]]), n_masked=np.array([[0, 32], [0, 32]]),
        distance_m=np.array([1.0, 1.0]), point_track=nothing, point_through=nothing.astype(bool),
        point_px=np.zeros((0, 2)), point_exposed=nothing.astype(bool),
    )  # fmt: skip
    config = AssociationConfig()
    pairing = Pairing((candle,), (known, tentative), graph.bounds_of([known, tentative]), sighting, config)
    assert pairing.scores[0, 1] / pairing.scores[0, 0] == pytest.approx(0.7 / 0.45, rel=0.05)
