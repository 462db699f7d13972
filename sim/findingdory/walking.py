"""Driving by the benchmark's steps: forward by 0.25 m, or a turn by 10 degrees on the spot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Literal, Sequence, Tuple

import numpy as np
from scipy import ndimage

from embodied.arrays import Bool, Float
from embodied.geometry import wrap_angle
from sim.collision import Grid, nearest_cell
from sim.scene import Rectangle, Region
from sim.ways import Ways

MOVE_M = 0.25
TURN_RAD = float(np.pi / 18)
MAX_STEPS = 5000
"""Of one drive, as published."""
Move = Literal["forward", "left", "right"]
Pose = Tuple[float, float, float]
"""x, y in metres and yaw in radians."""

_N_HEADINGS = 36
_TURN_COST_M = 0.02
"""A turn by one step is worth so long a detour."""
_LEAST_GAIN_M = 0.03
"""A move that brings the robot less far is not made: it has arrived, as near as its steps allow."""
_SHY_M = 0.25
"""Cells nearer than this to where nobody can stand are dear, up to twice the length."""
_SAMPLES = np.linspace(0.04, 1.0, 7)
_MAX_FIELDS = 64


class Floor:
    """Where the robot can go in a house, and how far it is."""

    def __init__(self, grid: Grid, regions: Sequence[Region]) -> None:
        """Prepare the ways.

        Args:
            grid: Cells where the robot can stand.
            regions: The rooms.
        """
        self.grid = grid
        self.regions = tuple(regions)
        self.ways = Ways(self.grid)
        edge_m = ndimage.distance_transform_edt(np.pad(self.grid.cells, 1))[1:-1, 1:-1] * self.grid.resolution_m
        self._planning = Ways(self.grid, 1.0 + np.maximum(0.0, 1.0 - edge_m / _SHY_M))
        self._fields: Dict[Tuple[int, int], Float[np.ndarray, "rows columns"]] = {}

    def room_at(self, x_m: float, y_m: float) -> str:
        """Return the room that holds a point, "" in a doorway."""
        for region in self.regions:
            x0, y0, x1, y1 = region.rectangle_m
            if x0 <= x_m <= x1 and y0 <= y_m <= y1:
                return region.name
        return ""

    def cells_in(self, room: str) -> Bool[np.ndarray, "rows columns"]:
        """Return a room's cells where the robot can stand; all of the house for ""."""
        if not room:
            return self.grid.cells
        cells = np.zeros(self.grid.cells.shape, dtype=bool)
        x0, y0, x1, y1 = next(region.rectangle_m for region in self.regions if region.name == room)
        rows, columns = self.grid.cells.shape
        x_m = self.grid.origin_m[0] + (np.arange(columns) + 0.5) * self.grid.resolution_m
        y_m = self.grid.origin_m[1] + (np.arange(rows) + 0.5) * self.grid.resolution_m
        cells[np.ix_((y_m >= y0) & (y_m <= y1), (x_m >= x0) & (x_m <= x1))] = True
        return cells & self.grid.cells

    def centers_in(self, room: str) -> Float[np.ndarray, "n 2"]:
        """Return the middles of a room's cells where the robot can stand, x, y in metres."""
        cells = np.argwhere(self.cells_in(room))
        return np.array(self.grid.origin_m) + (cells[:, ::-1] + 0.5) * self.grid.resolution_m

    def way_m(self, a_xy: Tuple[float, float], b_xy: Tuple[float, float]) -> float:
        """Return the length of the shortest way to a point, on its own side of the wall; inf if there is none.

        Args:
            a_xy: Where the robot can stand.
            b_xy: Any point: it is reached from the nearest place of its own room, and on from there straight.
        """
        return float(self.field_to_point(b_xy)[self.cells_of(np.array(a_xy))])

    def field_to_point(self, xy: Tuple[float, float]) -> Float[np.ndarray, "rows columns"]:
        """Return ``way_m`` to a point from every cell."""
        distance_m = self.distance_from((*xy, *xy), self.cells_in(self.room_at(*xy)))
        nearest = np.unravel_index(int(distance_m.argmin()), distance_m.shape)
        place = np.zeros(distance_m.shape, dtype=bool)
        place[nearest] = True
        return self.ways.field_of(place) + distance_m[nearest]

    def distance_from(
        self, rectangle_m: Rectangle, cells: Bool[np.ndarray, "rows columns"]
    ) -> Float[np.ndarray, "rows columns"]:
        """Return the straight distance of some cells' middles to a rectangle, inf for the other cells."""
        x0, y0, x1, y1 = rectangle_m
        places = np.argwhere(cells)
        x_m, y_m = (np.array(self.grid.origin_m) + (places[:, ::-1] + 0.5) * self.grid.resolution_m).T
        across_m = np.maximum(np.maximum(x0 - x_m, x_m - x1), 0.0)
        along_m = np.maximum(np.maximum(y0 - y_m, y_m - y1), 0.0)
        distance_m = np.full(cells.shape, np.inf)
        distance_m[cells] = np.hypot(across_m, along_m)
        return distance_m

    def to_go(self, goal_xy: Tuple[float, float]) -> Float[np.ndarray, "rows columns"]:
        """Return the way from every cell to a goal, on which walls are kept away from; inf where there is none."""
        cell = nearest_cell(self.grid, goal_xy)
        if cell not in self._fields:
            if len(self._fields) >= _MAX_FIELDS:
                del self._fields[next(iter(self._fields))]
            self._fields[cell] = self._planning.field(self.grid.center(*cell))
        return self._fields[cell]

    def cells_of(self, points: Float[np.ndarray, "*shape 2"]) -> Tuple[np.ndarray, np.ndarray]:
        """Return rows and columns of points, clipped to the grid's rim, where nobody can stand."""
        index = np.floor((points - np.array(self.grid.origin_m)) / self.grid.resolution_m).astype(int)
        rows, columns = self.grid.cells.shape
        return np.asarray(np.clip(index[..., 1], 0, rows - 1)), np.asarray(np.clip(index[..., 0], 0, columns - 1))

    def passable(self, x_m: float, y_m: float, yaws_rad: Float[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Tell for each heading whether a move forward stays clear of everything."""
        ahead = MOVE_M * np.stack([np.cos(yaws_rad), np.sin(yaws_rad)], axis=-1)
        points = np.array([x_m, y_m]) + _SAMPLES[:, None, None] * ahead
        free: Bool[np.ndarray, " n"] = self.grid.cells[self.cells_of(points)].all(axis=0)
        return free


@dataclass
class Walker:
    """A robot that makes one step at a time. What is in the way stops it: such a step is not made."""

    floor: Floor
    pose: Pose
    path_m: float = 0.0
    """Driven so far."""
    n_steps: int = 0

    def make(self, move: Move) -> None:
        """Make one step."""
        x_m, y_m, yaw_rad = self.pose
        self.n_steps += 1
        if move == "forward":
            if self.floor.passable(x_m, y_m, np.array([yaw_rad]))[0]:
                self.pose = (x_m + MOVE_M * float(np.cos(yaw_rad)), y_m + MOVE_M * float(np.sin(yaw_rad)), yaw_rad)
                self.path_m += MOVE_M
        else:
            turn = TURN_RAD if move == "left" else -TURN_RAD
            self.pose = (x_m, y_m, float(wrap_angle(yaw_rad + turn)))

    def turn_to(self, yaw_rad: float) -> Iterator[Move]:
        """Make and yield the turns that bring the heading nearest to one."""
        n_turns = round(float(wrap_angle(yaw_rad - self.pose[2])) / TURN_RAD)
        for move in _turns(n_turns):
            self.make(move)
            yield move

    def drive_to(self, xy: Tuple[float, float]) -> Iterator[Move]:
        """Make and yield the steps that bring the robot as near to a place as it gets."""
        to_go_m = self.floor.to_go(xy)
        while True:
            moves = self._next(to_go_m)
            if not moves:
                return
            for move in moves:
                self.make(move)
                yield move

    def _next(self, to_go_m: Float[np.ndarray, "rows columns"]) -> Sequence[Move]:
        """Return the turns to the best heading and the move along it, nothing where no move brings gain."""
        x_m, y_m, yaw_rad = self.pose
        n_turns = np.arange(-_N_HEADINGS // 2, _N_HEADINGS // 2)
        yaws = yaw_rad + n_turns * TURN_RAD
        ends = np.array([x_m, y_m]) + MOVE_M * np.stack([np.cos(yaws), np.sin(yaws)], axis=-1)
        left_m = np.where(self.floor.passable(x_m, y_m, yaws), to_go_m[self.floor.cells_of(ends)], np.inf)
        here_m = to_go_m[self.floor.cells_of(np.array([x_m, y_m]))]
        left_m[left_m > here_m - _LEAST_GAIN_M] = np.inf
        best = int((left_m + _TURN_COST_M * np.abs(n_turns)).argmin())
        if not np.isfinite(left_m[best]):
            return ()
        return [*_turns(int(n_turns[best])), "forward"]


def _turns(n: int) -> List[Move]:
    """Return so many turns, to the left if positive."""
    turn: Move = "left" if n > 0 else "right"
    return [turn] * abs(n)
