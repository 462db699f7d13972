"""Places: spots of free floor where a robot can stand, as a graph that covers the map. Pure functions of arrays.

The spots that are farthest from all obstacles come first, and no two are nearer than ``spacing_m``; two are neighbours
where the straight line between them is free. Such sparse graphs of free space are the place layer of Hydra (Hughes et
al., 2022), there taken from a Voronoi diagram. A spot that is still free keeps its id in the next version of the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from embodied.arrays import Float, Int
from embodied.config import Config
from embodied.messages import PlaceRecord, Point
from memory_bank.space.floor_plan import FREE, UNKNOWN, CellMask, Occupancy
from memory_bank.space.rooms import RoomMap


class PlacesConfig(Config):
    """How densely the floor is covered."""

    spacing_m: float = 0.8
    """No two places are nearer than this; everywhere that a robot can stand one is."""
    clearance_m: float = 0.2
    """A place is at least so far from all that is not free: a robot of that radius can stand there …"""
    way_clearance_m: float = 0.15
    """… and pass along a line that is so far from it."""
    neighbour_m: float = 1.8
    """Neighbours are no farther apart."""
    keep_m: float = 0.4
    """A place that is no longer free keeps its id if another spot so near is."""


@dataclass(frozen=True)
class PlaceMap:
    """The places of one world frame."""

    places: tuple[PlaceRecord, ...] = ()
    """By the number in their ids."""
    next_id: int = 1
    """Number of the next new place; ids are never used again."""

    def place_at(self, position_m: Point, within_m: float = 2.0) -> str:
        """Return the id of the place nearest to a point on the floor plan, empty if none is within ``within_m``."""
        if not self.places:
            return ""
        spots = np.array([place.position_m[:2] for place in self.places])
        distances = np.hypot(spots[:, 0] - position_m[0], spots[:, 1] - position_m[1])
        best = int(np.argmin(distances))
        return self.places[best].id if distances[best] <= within_m else ""


NO_PLACES = PlaceMap()


def find_places(
    occupancy: Occupancy,
    resolution_m: float,
    origin_m: tuple[float, float],
    rooms: RoomMap,
    previous: PlaceMap = NO_PLACES,
    *,
    world_frame: str = "",
    config: PlacesConfig = PlacesConfig(),
) -> PlaceMap:
    """Cover the free floor of a map with places.

    Args:
        occupancy: uint8, 0 unknown, 1 free, 2 occupied; row is y, column is x, from the origin upwards.
        resolution_m: Side of a cell.
        origin_m: World x, y of the corner of cell (0, 0).
        rooms: Of the same map frame; gives each place its room.
        previous: The places found before; those that still hold keep spot and id.
        world_frame: Written into the records.
        config: See ``PlacesConfig``.
    """
    free = occupancy == FREE
    if not free.any():
        return PlaceMap(next_id=previous.next_id)
    # Single cells that no ray happened to pass are no obstacles.
    free |= ndimage.binary_closing(free, structure=np.ones((3, 3), dtype=bool)) & (occupancy == UNKNOWN)
    clearance = ndimage.distance_transform_edt(np.pad(free, 1))[1:-1, 1:-1] * resolution_m
    cells, ids, next_id = _choose(clearance, resolution_m, origin_m, previous, config)
    if not ids:
        return PlaceMap(next_id=next_id)
    xy_m = (cells[:, ::-1] + 0.5) * resolution_m + np.array(origin_m)
    neighbours = _neighbours(cells, clearance >= config.way_clearance_m, resolution_m, config)
    places = tuple(
        PlaceRecord(
            id=ids[i],
            room_id=room.id if room else "",
            position_m=(round(float(xy_m[i, 0]), 3), round(float(xy_m[i, 1]), 3), 0.0),
            clearance_m=round(float(clearance[tuple(cells[i])]), 3),
            neighbours=tuple(ids[j] for j in neighbours[i]),
            world_frame=world_frame,
        )
        for i, room in enumerate(rooms.rooms_at(xy_m))
    )
    return PlaceMap(places=places, next_id=next_id)


def _choose(
    clearance: Float[np.ndarray, "rows columns"],
    resolution_m: float,
    origin_m: tuple[float, float],
    previous: PlaceMap,
    config: PlacesConfig,
) -> tuple[Int[np.ndarray, "n 2"], list[str], int]:
    """Return the cells (row, column) and ids of the places, by number, and the number of the next one."""
    open_m = np.where(clearance >= config.clearance_m, clearance, 0.0)
    """Clearance of the cells where a place may still be put."""
    chosen: list[tuple[int, int]] = []
    ids: list[str] = []

    def take(row: int, column: int, name: str) -> None:
        chosen.append((row, column))
        ids.append(name)
        part, distance_m = _around(open_m, row, column, config.spacing_m, resolution_m)
        part[distance_m < config.spacing_m] = 0.0

    lost: list[tuple[int, int, str]] = []
    for place in previous.places:
        column, row = np.floor((np.array(place.position_m[:2]) - origin_m) / resolution_m).astype(int).tolist()
        if 0 <= row < open_m.shape[0] and 0 <= column < open_m.shape[1] and open_m[row, column] > 0:
            take(row, column, place.id)
        else:
            lost.append((row, column, place.id))
    for row, column, name in lost:
        spot = _roomiest_near(open_m, row, column, resolution_m, config.keep_m)
        if spot is not None:
            take(*spot, name)
    next_id = previous.next_id
    for flat in np.argsort(-open_m, axis=None, kind="stable")[: np.count_nonzero(open_m)].tolist():
        row, column = divmod(flat, open_m.shape[1])
        if open_m[row, column] > 0:
            take(row, column, f"p{next_id}")
            next_id += 1
    order = sorted(range(len(ids)), key=lambda i: int(ids[i][1:]))
    cells = np.array([chosen[i] for i in order], dtype=np.int64).reshape(-1, 2)
    return cells, [ids[i] for i in order], next_id


def _around(
    grid: Float[np.ndarray, "rows columns"], row: int, column: int, reach_m: float, resolution_m: float
) -> tuple[Float[np.ndarray, "some others"], Float[np.ndarray, "some others"]]:
    """Return the part of a grid within reach of a cell, as a view, and the distance of its cells in metres."""
    reach = int(np.ceil(reach_m / resolution_m))
    top, left = max(0, row - reach), max(0, column - reach)
    part = grid[top : max(0, row + reach + 1), left : max(0, column + reach + 1)]
    rows = np.arange(top, top + part.shape[0])[:, None] - row
    columns = np.arange(left, left + part.shape[1])[None] - column
    return part, np.hypot(rows, columns) * resolution_m


def _roomiest_near(
    open_m: Float[np.ndarray, "rows columns"], row: int, column: int, resolution_m: float, reach_m: float
) -> tuple[int, int] | None:
    """Return the open cell with the most clearance within reach of a cell, which may lie outside; None if none is."""
    part, distance_m = _around(open_m, row, column, reach_m, resolution_m)
    near_m = np.where(distance_m <= reach_m, part, 0.0)
    if not near_m.any():
        return None
    reach = int(np.ceil(reach_m / resolution_m))
    best_row, best_column = np.unravel_index(int(np.argmax(near_m)), near_m.shape)
    return max(0, row - reach) + int(best_row), max(0, column - reach) + int(best_column)


def _neighbours(
    cells: Int[np.ndarray, "n 2"], passable: CellMask, resolution_m: float, config: PlacesConfig
) -> list[list[int]]:
    """Return of each place those that a free straight line leads to, by index."""
    found: list[list[int]] = [[] for _ in range(len(cells))]
    pairs = cKDTree(cells).query_pairs(config.neighbour_m / resolution_m, output_type="ndarray")
    if len(pairs) == 0:
        return found
    # Two samples a cell: no cell that a line crosses for more than half its length is left out.
    steps = np.linspace(0.0, 1.0, int(np.ceil(2.0 * config.neighbour_m / resolution_m)) + 1)
    starts, ends = cells[pairs[:, 0]].astype(float), cells[pairs[:, 1]].astype(float)
    line = np.rint(starts[:, None] + steps[None, :, None] * (ends - starts)[:, None]).astype(np.int64)
    is_free = passable[line[..., 0], line[..., 1]].all(axis=1)
    for i, j in pairs[is_free].tolist():
        found[i].append(j)
        found[j].append(i)
    return [sorted(each) for each in found]
