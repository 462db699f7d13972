"""What is evidence that a thing is not at its place, and what is none."""

from __future__ import annotations

from typing import Dict

import numpy as np
import pytest

from box_world import TABLE, Thing, World, tour
from embodied.geometry import camera_mount, intrinsics_from_fov
from embodied.messages import Box
from memory_bank.geometry.voxels import VoxelCloud
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.objects.absence import AbsenceConfig, Looks, is_absent, may_be, telling_points
from memory_bank.objects.appearance import COLOURS, Appearance
from memory_bank.objects.track import Track
from memory_bank.objects.visibility import Sighting, VisibilityConfig
from memory_bank.perception.detections import Measured
from memory_bank.perception.simulator import SimulatorPerception

CONFIG = AbsenceConfig()
INTRINSICS = intrinsics_from_fov(256, 256, np.pi / 2)
SHOE = Thing("shoe", (0.9, -0.9, 0.06), (0.28, 0.1, 0.12), (200, 30, 30))


def track_of(name: str, box: Box, first_ns: int = 0, last_ns: int = 10) -> Track:
    cloud = VoxelCloud()
    grid = np.linspace(-0.45, 0.45, 8)
    corners = np.stack(np.meshgrid(grid, grid, grid), axis=-1).reshape(-1, 3)
    cloud.insert((corners * box.size_m + box.center_m).astype(np.float32), 1.0)
    return Track(
        id=name, label_weights={"mug": 5.0}, voxels=cloud, box=box, appearance=Appearance(), first_seen_ns=first_ns,
        last_seen_ns=last_ns, first_session="a", last_session="a", confirmed=True,
    )  # fmt: skip


def detection(label: str, x_m: float) -> Measured:
    points = np.array([[x_m - 0.05, -0.05, 0.8], [x_m + 0.05, 0.05, 0.9]], dtype=np.float32)
    return Measured(
        label=label, score=0.9, points=points, low_m=points[0], high_m=points[1], distance_m=1.5, n_pixels=300,
        partial=False, bounds_px=(0, 9, 0, 9), colour_shares=np.zeros(len(COLOURS)),
    )  # fmt: skip


def looks(
    n_through: int,
    n_surface: int,
    masked: tuple[int, ...],
    distance_m: float = 1.5,
    telling: int = 0,
    owners: Dict[int, Track] | None = None,
    loose: Dict[int, Measured] | None = None,
) -> Looks:
    """Return a view of one track of 32 points; of those that tell, the ones that are seen through come first."""
    n = n_through + n_surface
    spread = np.stack(np.meshgrid(np.linspace(100, 120, 8), np.linspace(100, 120, 4)), axis=-1).reshape(-1, 2)
    sighting = Sighting(
        n_through=np.array([n_through]),
        n_surface=np.array([[n_surface] + [0] * (len(masked) - 1)]),
        n_masked=np.array([masked]),
        distance_m=np.array([distance_m]),
        point_track=np.zeros(n, dtype=np.int64),
        point_through=np.arange(n) < n_through,
        point_px=spread[:n],
        point_exposed=np.ones(n, dtype=bool),
    )
    return Looks(
        sighting=sighting,
        telling=np.arange(n) < telling,
        owners=owners or {},
        loose=loose or {},
        intrinsics=INTRINSICS,
        n_samples=32,
    )


TALL = Box(center_m=(0.0, 0.0, 0.85), size_m=(0.2, 0.2, 0.3))
FLAT = Box(center_m=(0.0, 0.0, 0.76), size_m=(0.25, 0.25, 0.02))


@pytest.mark.parametrize(
    ("box", "view", "absent"),
    [
        (TALL, looks(20, 12, (32,)), True),
        (TALL, looks(4, 28, (32,)), False),  # Its surface is there; that no detector saw it says nothing.
        (TALL, looks(14, 18, (32,), distance_m=3.5), False),  # From afar half of the points are not enough …
        (TALL, looks(14, 18, (32,), distance_m=3.5, telling=14), True),  # … unless it is all that could tell.
        (TALL, looks(6, 26, (32,), telling=6), False),
        (TALL, looks(3, 0, (3,)), False),  # Too little of it is in view.
        (FLAT, looks(0, 32, (0, 32)), False),  # A mask that nobody knows.
    ],
)
def test_only_what_is_seen_through_is_absent(box: Box, view: Looks, absent: bool) -> None:
    assert is_absent(track_of("o0", box), 0, view, CONFIG) == absent


def test_a_flat_thing_is_gone_where_what_it_lay_on_shows() -> None:
    plate, table = track_of("o0", FLAT), track_of("o1", TALL)
    view = looks(0, 32, (2, 30), owners={0: table})
    assert not is_absent(plate, 0, view, CONFIG)
    plate.seen_with.add("o1")
    assert is_absent(plate, 0, view, CONFIG)
    assert not is_absent(plate, 0, looks(0, 32, (12, 20), owners={0: table}), CONFIG)
    mug = track_of("o2", TALL)
    mug.seen_with.add("o1")
    assert not is_absent(mug, 0, view, CONFIG)


def test_a_place_is_taken_by_what_came_later_or_is_something_else() -> None:
    mug, later = track_of("o0", TALL), track_of("o1", TALL, first_ns=20)
    assert is_absent(mug, 0, looks(0, 32, (0, 32), owners={0: later}), CONFIG)
    assert not is_absent(mug, 0, looks(0, 32, (0, 32), owners={0: track_of("o1", TALL, first_ns=5)}), CONFIG)
    assert is_absent(mug, 0, looks(0, 32, (0, 32), loose={0: detection("clock", 0.0)}), CONFIG)
    assert not is_absent(mug, 0, looks(0, 32, (0, 32), loose={0: detection("mug", 0.0)}), CONFIG)
    assert not is_absent(mug, 0, looks(0, 32, (20, 12), loose={0: detection("clock", 0.0)}), CONFIG)


def test_a_loose_detection_of_its_kind_nearby_may_be_it() -> None:
    mug = track_of("o0", TALL)
    assert may_be(mug, [detection("mug", 0.2)], CONFIG)
    assert not may_be(mug, [detection("mug", 0.6)], CONFIG)
    assert not may_be(mug, [detection("clock", 0.0)], CONFIG)
    assert not may_be(mug, [], CONFIG)


def test_points_tell_if_what_lies_behind_them_is_clearly_farther() -> None:
    T = camera_mount(0.0, 0.0, 1.25, np.deg2rad(20.0))
    heights = np.array([0.01, 0.03, 0.1, 0.3, 1.24, 1.3])
    points = np.stack([np.full(6, 1.5), np.zeros(6), heights], axis=1).astype(np.float32)
    box = Box(center_m=(1.5, 0.0, 0.65), size_m=(0.2, 0.2, 1.3))
    coarse = np.array([0.012], dtype=np.float32)
    told = telling_points([points], [box], coarse, T, VisibilityConfig())
    assert told.tolist() == [False, False, True, True, True, True]
    raised = Box(center_m=(1.5, 0.0, 0.3), size_m=(0.2, 0.2, 0.1))
    assert telling_points([points[3:4]], [raised], coarse, T, VisibilityConfig()).tolist() == [False]
    assert len(telling_points([], [], np.zeros(0, dtype=np.float32), T, VisibilityConfig())) == 0


def test_a_low_thing_gone_from_the_floor_is_noticed_and_one_that_is_hidden_is_not_missed() -> None:
    screen = Thing("box", (0.4, -0.6, 0.7), (0.1, 1.0, 1.4), (40, 60, 200))
    mapper, world = Mapper(MapperConfig(), SimulatorPerception(), timer=lambda: 0.0), World((TABLE, SHOE))

    def live(session: str) -> str:
        mapper.start_session(world.start(session))
        for seq, (x, y, yaw) in enumerate(tour(40)):
            mapper.integrate(world.observe(session, seq, (0.5 * x - 0.3, 0.5 * y, yaw)))
        mapper.end_session(world.end(session, 40))
        return next(t.state for t in mapper.graph.confirmed(include_gone=True) if t.label == "shoe")

    assert live("a") == "present"
    world.things = (TABLE, screen)
    assert live("b") == "present"
    world.things = (TABLE,)
    assert live("c") == "gone"
