from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from embodied.messages import MapReply
from policies.navigation.grid import (
    FREE,
    OCCUPIED,
    UNKNOWN,
    Disc,
    Grid,
    TerrainConfig,
    build_terrain,
    distance_field,
    geodesic_distance_m,
    path_length_m,
    shorten_path,
)

CONFIG = TerrainConfig()


def room(rows: int = 60, columns: int = 80, origin_m: tuple[float, float] = (-1.0, 2.0)) -> Grid:
    occupancy = np.full((rows, columns), FREE, np.uint8)
    occupancy[[0, -1]] = OCCUPIED
    occupancy[:, [0, -1]] = OCCUPIED
    return Grid(0.05, origin_m, occupancy, np.full(occupancy.shape, np.inf, np.float32))


def reply_of(occupancy: np.ndarray, closest_shape: tuple[int, ...] | None = None) -> MapReply:
    closest = np.full(closest_shape or occupancy.shape, np.inf, np.float32)
    return MapReply(
        session="s", seq=0, resolution_m=0.05, origin_m=(0.0, 0.0), occupancy=occupancy, closest_view_m=closest
    )


def cluttered(seed: int) -> Grid:
    grid = room()
    rng = np.random.default_rng(seed)
    for _ in range(12):
        row, column = rng.integers(2, 50), rng.integers(2, 70)
        grid.occupancy[row : row + rng.integers(1, 9), column : column + rng.integers(1, 9)] = rng.choice(
            [UNKNOWN, OCCUPIED]
        )
    return grid


@given(st.floats(-0.99, 2.99), st.floats(2.01, 4.99))
def test_a_place_lies_in_its_cell(x_m: float, y_m: float) -> None:
    grid = room()
    center = grid.centers_of(np.array([grid.cell_of(x_m, y_m)]))[0]
    assert np.abs(center - (x_m, y_m)).max() <= 0.025 + 1e-9


def test_a_map_is_cut_to_what_is_known_and_stays_in_place() -> None:
    occupancy = np.zeros((200, 300), np.uint8)
    occupancy[50:60, 70:90] = FREE
    grid = Grid.of(reply_of(occupancy))
    assert grid.shape == (10 + 2 * 20, 20 + 2 * 20)  # a metre around
    row, column = grid.cell_of(70.5 * 0.05, 50.5 * 0.05)
    assert grid.occupancy[row, column] == FREE
    assert grid.occupancy[row - 1, column] == UNKNOWN
    assert grid.cell_of(0.0, 0.0) == (-30, -50)


def test_layers_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="closest_view_m"):
        Grid.of(reply_of(np.ones((5, 6), np.uint8), (6, 5)))
    with pytest.raises(ValueError, match="occupancy"):
        Grid.of(reply_of(np.ones((0, 6), np.uint8)))


def test_clearance_is_the_gap_to_the_border_of_the_nearest_cell_that_is_not_free() -> None:
    terrain = build_terrain(room(), CONFIG)
    # Ten cells from the wall's own cell: nine and a half cells of floor from the middle.
    assert terrain.clearance_m[30, 10] == pytest.approx(9.5 * 0.05)
    assert terrain.clearance_m[0, 0] == 0.0


def test_interpolated_clearance_agrees_with_cells_and_is_nothing_outside() -> None:
    terrain = build_terrain(cluttered(3), CONFIG)
    cells = np.argwhere(terrain.traversable)
    centers = terrain.grid.centers_of(cells)
    np.testing.assert_allclose(terrain.clearance_at(centers), terrain.clearance_m[tuple(cells.T)], atol=1e-9)
    assert terrain.clearance_at(np.array([[50.0, 50.0]])) == 0.0


def test_unknown_cells_are_obstacles_but_for_specks_inside_known_floor() -> None:
    grid = room()
    grid.occupancy[20, 20] = UNKNOWN
    grid.occupancy[40:44, 40:44] = UNKNOWN
    terrain = build_terrain(grid, CONFIG)
    assert terrain.occupancy[20, 20] == FREE
    assert not terrain.traversable[38:46, 38:46].any()


def test_known_places_free_the_unknown_only_and_bumps_occupy() -> None:
    grid = room()
    grid.occupancy[20:40, 20:40] = UNKNOWN
    grid.occupancy[30, 30] = OCCUPIED
    x_m, y_m = grid.centers_of(np.array([[30, 30]]))[0].tolist()
    disc = Disc((x_m, y_m), 0.3)
    terrain = build_terrain(grid, CONFIG, known_free=(disc,))
    assert terrain.occupancy[30, 33] == FREE
    assert terrain.occupancy[30, 30] == OCCUPIED
    bumped = build_terrain(grid, CONFIG, known_free=(disc,), obstacles=(Disc((x_m + 0.15, y_m), 0.06),))
    assert bumped.occupancy[30, 33] == OCCUPIED
    far_away = Disc((100.0, 100.0), 1.0)
    np.testing.assert_array_equal(build_terrain(grid, CONFIG, obstacles=(far_away,)).occupancy, grid.occupancy)


def test_distances_in_the_open_are_straight() -> None:
    terrain = build_terrain(room(100, 100), CONFIG)
    field = distance_field(terrain, (50, 20))
    assert field.cost_m[50, 80] == pytest.approx(60 * 0.05)
    path = shorten_path(terrain, field.path_to((70, 75)))
    straight = np.hypot(20, 55) * 0.05
    assert path_length_m(path) == pytest.approx(straight, rel=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_the_field_reaches_just_what_is_connected(seed: int) -> None:
    terrain = build_terrain(cluttered(seed), CONFIG)
    source = terrain.nearest_traversable(0.5, 3.0)
    assert source is not None
    labels, _ = ndimage.label(terrain.traversable, np.ones((3, 3)))
    np.testing.assert_array_equal(
        np.isfinite(distance_field(terrain, source).cost_m), terrain.traversable & (labels == labels[source])
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_shortened_path_is_no_longer_and_keeps_its_distance(seed: int) -> None:
    terrain = build_terrain(cluttered(seed), CONFIG)
    source = terrain.nearest_traversable(0.5, 3.0)
    assert source is not None
    field = distance_field(terrain, source)
    goal = np.unravel_index(np.argmax(np.where(np.isfinite(field.cost_m), field.cost_m, -1.0)), field.cost_m.shape)
    path = field.path_to((int(goal[0]), int(goal[1])))
    short = shorten_path(terrain, path)
    assert path_length_m(short) <= path_length_m(path) + 1e-9
    assert len(short) <= len(path)
    np.testing.assert_array_equal(short[[0, -1]], path[[0, -1]])
    for a, b in zip(short[:-1], short[1:], strict=True):
        assert terrain.line_clearance_m(a, b) >= CONFIG.minimum_clearance_m - 1e-9 or np.hypot(*(b - a)) < 0.08


def test_paths_keep_to_the_middle_of_a_passage_where_they_can() -> None:
    grid = room()
    grid.occupancy[:, 40] = OCCUPIED
    grid.occupancy[20:40, 40] = FREE
    field = distance_field(build_terrain(grid, CONFIG), (12, 20))
    path = field.path_to((12, 60))
    crossing = path[np.argmin(np.abs(path[:, 0] - (40.5 * 0.05 - 1.0)))]
    assert field.terrain.clearance_at(crossing[None])[0] >= CONFIG.preferred_clearance_m - 0.05


def test_what_cannot_be_reached_is_infinitely_far() -> None:
    grid = room()
    grid.occupancy[:, 40] = OCCUPIED
    terrain = build_terrain(grid, CONFIG)
    assert geodesic_distance_m(terrain, (0.0, 3.5), (2.5, 3.5)) == float("inf")
    assert geodesic_distance_m(terrain, (0.0, 3.5), (0.5, 3.5)) == pytest.approx(0.5, abs=0.08)
    with pytest.raises(ValueError, match="reached"):
        distance_field(terrain, (30, 20)).path_to((30, 60))
    with pytest.raises(ValueError, match="traversable"):
        distance_field(terrain, (30, 40))


def test_a_robot_in_a_tight_spot_is_led_to_floor_that_leads_somewhere() -> None:
    grid = room()
    grid.occupancy[5:25, 5:25] = OCCUPIED
    grid.occupancy[10:20, 10:20] = FREE
    terrain = build_terrain(grid, CONFIG)
    inside = grid.centers_of(np.array([[15, 15]]))[0]
    assert terrain.traversable[15, 15]
    cell = terrain.nearest_traversable(float(inside[0]), float(inside[1]))
    assert cell is not None
    assert terrain.share_around(cell) > 0.9
    nowhere = Grid(0.05, (0.0, 0.0), np.zeros((9, 9), np.uint8), np.full((9, 9), np.inf, np.float32))
    assert build_terrain(nowhere, CONFIG).nearest_traversable(0.2, 0.2) is None
