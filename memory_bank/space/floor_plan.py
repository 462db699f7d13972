"""What in an occupancy map is wall, door, or space to be in. Pure functions of arrays.

A wall is told from furniture by its shape: a long straight run of occupied cells that is thin along a good part of its
length. A door is a gap in line with a wall.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from embodied.arrays import Bool, Int, UInt8
from embodied.config import Config

UNKNOWN, FREE, OCCUPIED = 0, 1, 2

ALONG_ROW = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]])
MIN_PIECE_CELLS = 6
"""Fewer occupied cells in one piece are noise."""

Occupancy = UInt8[np.ndarray, "rows columns"]
CellMask = Bool[np.ndarray, "rows columns"]
CellLabels = Int[np.ndarray, "rows columns"]


class RoomsConfig(Config):
    """How rooms are told apart."""

    max_door_m: float = 1.3
    """Openings wider than this join two parts to one room."""
    min_contrast: float = 1.15
    """A room is at least so many times as wide as its door."""
    min_area_m2: float = 1.5
    """Smaller parts belong to their neighbour."""
    min_wall_m: float = 1.0
    """Shortest straight run of occupied cells that may be a wall."""
    max_wall_thickness_m: float = 0.32
    """A run thicker than this all along is furniture."""
    min_passage_m: float = 0.45
    """Two rooms connect if they touch in free cells over at least this width."""
    min_upper_share: float = 0.5
    """If so much of the walls was seen above the height of doors, rooms are told apart there, where they are closed."""
    max_hole_m2: float = 3.0
    """Unseen patches up to this size within the house, behind furniture, count as space."""


def _run_lengths(mask: CellMask) -> Int[np.ndarray, "rows columns"]:
    """Return for each set cell how many set cells in a row (axis 1) it is part of; 0 for the others."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    starts, ends = np.nonzero(steps == 1), np.nonzero(steps == -1)
    lengths = np.zeros(mask.shape, dtype=np.int32)
    lengths[mask] = np.repeat(ends[1] - starts[1], ends[1] - starts[1])
    return lengths


def _walls_along_rows(occupied: CellMask, thin: CellMask, min_length: int) -> CellMask:
    """Return the runs along axis 1 that are long, and thin along at least ``min_length`` / 2 cells."""
    long_run = occupied & (_run_lengths(occupied) >= min_length)
    runs, n_runs = ndimage.label(long_run, structure=ALONG_ROW)
    if n_runs == 0:
        return long_run
    n_thin = np.bincount(runs.ravel(), weights=(thin & long_run).ravel(), minlength=n_runs + 1)
    is_wall = n_thin >= min_length / 2
    is_wall[0] = False
    return is_wall[runs]


def find_walls(occupied: CellMask, resolution_m: float, config: RoomsConfig) -> tuple[CellMask, CellMask]:
    """Tell walls from furniture by shape: long straight runs, thin somewhere.

    A wall behind a sofa is as thick as both there, but the same run is thin to the left and right of it.

    Returns:
        Walls along x, walls along y.
    """
    closed = ndimage.binary_closing(occupied, structure=np.ones((3, 3), dtype=bool)) | occupied
    min_length = round(config.min_wall_m / resolution_m)
    max_thickness = config.max_wall_thickness_m / resolution_m
    found = []
    for image in (closed, closed.T):
        thin = image & (_run_lengths(image.T).T <= max_thickness)
        found.append(_walls_along_rows(image, thin, min_length))
    return found[0], found[1].T


def find_doors(
    occupied: CellMask,
    along_x: CellMask,
    along_y: CellMask,
    space: CellMask,
    resolution_m: float,
    config: RoomsConfig,
) -> CellMask:
    """Return the cells of space that close gaps up to a door wide, between a wall and what stands in line with it.

    The other side may be anything occupied: the piece of wall beyond a door is often too short to be told for a wall.
    """
    longest = config.max_door_m / resolution_m
    pieces, n_pieces = ndimage.label(occupied, structure=np.ones((3, 3)))
    solid = (np.bincount(pieces.ravel(), minlength=n_pieces + 1) >= MIN_PIECE_CELLS)[pieces] & occupied
    doors = np.zeros_like(occupied)
    for image, way, open_, result in (
        (solid | along_x, along_x, space, doors),
        ((solid | along_y).T, along_y.T, space.T, doors.T),
    ):
        gap = ~image
        gap &= _run_lengths(gap) <= longest
        runs, n_runs = ndimage.label(gap, structure=ALONG_ROW)
        in_line = np.zeros(n_runs + 1, dtype=bool)
        in_line[runs[:, 1:][way[:, :-1]]] = True
        in_line[runs[:, :-1][way[:, 1:]]] = True
        in_line[0] = False
        result |= in_line[runs] & open_
    return doors


def find_space(occupancy: Occupancy, walls: CellMask, resolution_m: float, config: RoomsConfig) -> CellMask:
    """Return all that is neither wall nor outside: free cells, furniture, and unseen patches enclosed by them."""
    space = (occupancy != UNKNOWN) & ~walls
    unseen, n_unseen = ndimage.label((occupancy == UNKNOWN) & ~walls)
    sizes = np.bincount(unseen.ravel(), minlength=n_unseen + 1)
    edge = np.unique(np.concatenate([unseen[0], unseen[-1], unseen[:, 0], unseen[:, -1]]))
    small = sizes * resolution_m**2 <= config.max_hole_m2
    small[0] = False
    small[edge] = False
    space |= small[unseen]
    # Furniture that is seen through a window, or noise behind a wall, is not joined to any free cell.
    parts, n_parts = ndimage.label(space)
    keep = np.bincount(parts.ravel(), weights=(occupancy == FREE).ravel(), minlength=n_parts + 1) > 0
    keep[0] = False
    return keep[parts]
