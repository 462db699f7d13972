from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_bank.geometry.boxes import box_bounds, fitted_box
from memory_bank.geometry.voxels import LARGEST_CELLS, VoxelCloud, pack, unpack

cells = st.integers(-(1 << 20), (1 << 20) - 1)


@given(st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=20))
def test_packing_is_undone_and_keeps_the_order(rows: list[tuple[int, int, int]]) -> None:
    array = np.array(rows)
    keys = pack(array)
    assert np.array_equal(unpack(keys), array)
    assert [rows[i] for i in np.argsort(keys, kind="stable")] == sorted(rows)


def faces(rng: np.random.Generator, size_m: tuple[float, float, float], n: int = 300) -> np.ndarray:
    """Points on the sides of a box around (1, 2, 0.5)."""
    points = rng.uniform(-0.5, 0.5, (n, 3))
    axis = rng.integers(0, 3, n)
    points[np.arange(n), axis] = rng.choice([-0.5, 0.5], n)
    return (points * size_m + [1.0, 2.0, 0.5]).astype(np.float32)


def test_a_large_thing_has_coarse_voxels_and_no_more_cells_than_the_limit() -> None:
    cloud = VoxelCloud()
    cloud.insert(faces(np.random.default_rng(1), (3.0, 2.0, 1.0)), 1.0)
    spans = np.ptp(unpack(cloud.keys), axis=0)
    assert cloud.level > 0
    assert spans.max() < LARGEST_CELLS


def test_voxels_that_are_seen_through_stop_counting() -> None:
    cloud = VoxelCloud()
    body = faces(np.random.default_rng(2), (0.3, 0.3, 0.3))
    stray = np.array([[2.0, 2.0, 0.5]], dtype=np.float32)
    for _ in range(5):
        cloud.insert(np.concatenate([body, stray]), 1.0)
    assert box_bounds(fitted_box(cloud))[1][0] > 1.9
    stray_key = pack(np.floor(stray / cloud.size_m).astype(np.int64))
    for _ in range(20):
        cloud.carve(stray_key, 1.0)
    assert box_bounds(fitted_box(cloud))[1][0] < 1.25


def test_two_clouds_of_different_coarseness_join() -> None:
    rng = np.random.default_rng(3)
    fine, coarse = VoxelCloud(), VoxelCloud()
    fine.insert(faces(rng, (0.2, 0.2, 0.2)), 1.0)
    coarse.insert(faces(rng, (2.0, 0.2, 0.2)), 1.0)
    assert coarse.level > fine.level
    fine.absorb(coarse)
    assert fine.level == coarse.level
    assert np.all(np.diff(fine.keys) > 0)


def test_a_stored_cloud_comes_back_the_same_and_a_damaged_one_is_refused() -> None:
    cloud = VoxelCloud()
    cloud.insert(faces(np.random.default_rng(4), (0.5, 0.5, 0.5)), 0.7)
    state = cloud.state()
    back = VoxelCloud.from_state(state)
    assert np.array_equal(back.keys, cloud.keys)
    assert np.array_equal(back.solid_points(), cloud.solid_points())
    state.hits = state.hits[:-4]
    with pytest.raises(ValueError, match="as many counts"):
        VoxelCloud.from_state(state)


def test_near_share_counts_points_on_the_surface() -> None:
    cloud = VoxelCloud()
    points = faces(np.random.default_rng(5), (0.3, 0.3, 0.3))
    cloud.insert(points, 1.0)
    assert cloud.near_share(points, 0.03) == 1.0
    assert cloud.near_share(points + np.float32(1.0), 0.03) == 0.0
