"""Long-term questions: how they are scored, what a picture shows, and one whole house."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "launch"))

from evaluate_laeqa import Settings, run, spl
from evaluation_rows import Episode
from laeqa_palace import MemoryPalace
from laeqa_sight import Sight

from box_world import CHAIR, MUG, TABLE, World, tour
from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from embodied.messages import Box, CameraFrame, Observation
from memory_bank.bank import MemoryBank
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.stores.sqlite_store import SqliteStore


@pytest.mark.parametrize(
    ("right", "best_m", "way_m", "expected"),
    [
        (True, 4.0, 5.0, 0.8),
        (True, 4.0, 3.0, 1.0),
        (False, 4.0, 4.0, 0.0),
        (True, 0.0, 0.005, 1.0),
        (True, 0.0, 0.5, 0.0),
    ],
)
def test_ways_count_only_with_a_right_answer(right: bool, best_m: float, way_m: float, expected: float) -> None:
    assert spl(right, best_m, way_m) == pytest.approx(expected)


WALL_M = 3.0
"""Depth of everything that the picture shows."""


@pytest.fixture(scope="module")
def picture() -> Sight:
    """A camera at the origin, 1.25 m up, that looks along x and sees a wall."""
    intrinsics = intrinsics_from_fov(256, 256, np.pi / 2)
    frame = CameraFrame(
        name="head",
        intrinsics=intrinsics,
        T_base_camera=camera_mount(0.0, 0.0, 1.25, 0.0),
        rgb=np.zeros((256, 256, 3), np.uint8),
        depth=np.full((256, 256), round(1000 * WALL_M), np.uint16),
    )
    observation = Observation(
        session="s", seq=0, stamp_ns=0, T_world_base=planar_pose(0.0, 0.0, 0.0), cameras=(frame,),
        proprioception=np.zeros(3, np.float32),
    )  # fmt: skip
    return Sight.of(observation)


@pytest.mark.parametrize(
    ("spot", "size_m", "shown"),
    [
        ((2.0, 0.3, 1.0), 0.3, True),
        ((3.5, 0.0, 1.2), 0.9, False),
        ((-2.0, 0.0, 1.2), 0.3, False),
        ((2.0, 2.1, 1.2), 0.3, False),
        ((2.9, 0.0, 1.2), 0.05, False),
    ],
    ids=["before the wall", "behind the wall", "behind the camera", "beside the picture", "too small so far away"],
)
def test_a_place_is_seen_where_a_thing_on_it_would_be(
    picture: Sight, spot: tuple[float, float, float], size_m: float, shown: bool
) -> None:
    assert picture.shows(spot, (size_m,) * 3, 30.0) is shown


def test_the_share_of_an_upper_side_is_that_of_its_points_in_the_picture(picture: Sight) -> None:
    before = Box(center_m=(2.0, 0.0, 0.5), size_m=(0.6, 0.6, 0.5))
    half_beside = Box(center_m=(2.0, 1.9, 0.5), size_m=(0.2, 1.0, 0.5))
    assert picture.share_of_top(before, 3.0) == 1.0
    assert 0.0 < picture.share_of_top(half_beside, 3.0) < 1.0
    assert picture.share_of_top(before, 1.5) == 0.0


@pytest.fixture(scope="module")
def palace() -> Iterator[MemoryPalace]:
    """Two visits on Thursday, 1970-01-01: the mug is on the table at 01:16, and gone at 02:16."""
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "memory.db")
        memory = MemoryBank(MapperConfig(), SimulatorPerception(), store)
        world = World((TABLE, MUG, CHAIR))
        for session in ("thursday-morning", "later"):
            memory.take(world.start(session))
            for seq, pose in enumerate(tour(30)):
                memory.take(world.observe(session, seq, pose))
            memory.take(world.end(session, 30))
            memory.commit()
            world.things = (TABLE, CHAIR)
        yield MemoryPalace(memory)
        store.close()


def test_a_memory_tells_its_visits_and_the_furniture(palace: MemoryPalace) -> None:
    assert [(visit.name, visit.day, visit.when.part) for visit in palace.visits] == [
        ("thursday-morning", "Thursday", "morning"), ("later", "Thursday", "morning"),
    ]  # fmt: skip
    assert "table" in palace.areas
    assert "mug" not in palace.areas


def test_a_visit_recalls_a_thing_with_its_furniture_and_every_picture_counts(palace: MemoryPalace) -> None:
    then = palace.recall(palace.visits[0], "mug")
    assert then.place is not None
    assert then.place.area == palace.areas.index("table")
    assert np.allclose(then.place.position_m, MUG.center_m, atol=0.1)
    assert then.n_images > 0
    assert palace.recall(palace.visits[1], "mug").place is None


def test_what_was_never_there_is_recalled_nowhere_without_a_picture(palace: MemoryPalace) -> None:
    nothing = palace.recall(palace.visits[0], "teapot")
    assert (nothing.place, nothing.n_images) == (None, 0)


def test_an_area_is_reached_and_nearer_from_nearer(palace: MemoryPalace) -> None:
    table = palace.areas.index("table")
    near_m, far_m = (palace.ways.from_m(x_m, 0.0)[table] for x_m in (0.8, -0.5))
    assert 0.0 <= near_m < far_m < 3.0
    assert palace.ways.between_m[table, table] == pytest.approx(0.0, abs=0.1)


@pytest.mark.slow
def test_a_house_is_answered_better_with_memory_than_without() -> None:
    result = run(Settings(out="unused.json", n_each=2), Episode(key="house 700", seed=700))
    by_method = {
        method: [row.values for row in result.rows if row.method == method] for method in ("ours", "no memory")
    }
    right = {method: np.mean([values["correct"] for values in rows]) for method, rows in by_method.items()}
    assert right["ours"] >= 0.9
    assert right["ours"] > right["no memory"]
    assert np.mean([values["spl"] for values in by_method["ours"]]) >= 0.7
    assert max(values["images"] for values in by_method["no memory"]) == 0
