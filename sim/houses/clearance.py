"""Where a round robot can go in a house, and what it can see from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence, Tuple

import numpy as np
from scipy import ndimage

from embodied.arrays import Bool, Float
from sim.houses.layout import WALL_M, FloorPlan
from sim.scene import Rectangle

CELL_M = 0.05
MARGIN_RADIUS_M = 0.27
"""The robot's radius of 0.20 m and some margin for planning."""
FREE_PER_ROOM_M2 = 0.8
"""Floor that the robot's centre must be able to reach in every room."""


@dataclass(frozen=True)
class FreeFloor:
    """Distance from each cell's centre to the nearest wall or furniture."""

    origin_m: Tuple[float, float]
    distance_m: Float[np.ndarray, "n_x n_y"]
    reachable: Bool[np.ndarray, "n_x n_y"]
    """Cells that a disc of ``MARGIN_RADIUS_M`` can reach from the largest free space."""

    def centers(self, mask: Bool[np.ndarray, "n_x n_y"]) -> Float[np.ndarray, "n 2"]:
        """Return the centres of chosen cells in metres."""
        return (np.argwhere(mask) + 0.5) * CELL_M + np.array(self.origin_m)

    def window(self, rectangle: Rectangle) -> Bool[np.ndarray, "n_x n_y"]:
        """Return which cells have their centre in a rectangle."""
        mask = np.zeros(self.distance_m.shape, dtype=bool)
        mask[_span(rectangle, self.origin_m)] = True
        return mask


def clearance(plan: FloorPlan, footprints: Sequence[Rectangle]) -> FreeFloor:
    """Map the free floor of a plan with these footprints on it."""
    x0, y0, x1, y1 = plan.outline_m
    origin = (x0, y0)
    free = np.zeros((int(np.ceil((x1 - x0) / CELL_M)), int(np.ceil((y1 - y0) / CELL_M))), dtype=bool)
    for region in plan.regions:
        free[_span(region.rectangle_m, origin)] = True
    for rectangle in door_passages(plan, WALL_M):
        free[_span(rectangle, origin)] = True
    for rectangle in footprints:
        free[_span(rectangle, origin)] = False
    distance = np.asarray(ndimage.distance_transform_edt(np.pad(free, 1))[1:-1, 1:-1]) * CELL_M - CELL_M / 2
    labels, n = ndimage.label(distance >= MARGIN_RADIUS_M)
    largest = int(np.argmax(np.bincount(labels.ravel(), minlength=n + 1)[1:])) + 1 if n else -1
    return FreeFloor(origin, distance, labels == largest)


def rooms_reachable(plan: FloorPlan, floor: FreeFloor) -> bool:
    """Tell whether the robot can get into every room and has some floor there."""
    areas = [(floor.window(room.rectangle_m) & floor.reachable).sum() * CELL_M**2 for room in plan.regions]
    return bool(min(areas) >= FREE_PER_ROOM_M2)


def door_passages(plan: FloorPlan, depth_m: float) -> List[Rectangle]:
    """Return for each door the rectangle of its width that reaches ``depth_m`` to either side of the wall's middle."""
    rooms = {region.name: region.rectangle_m for region in plan.regions}
    passages = []
    for door in plan.doors:
        x, y = door.center_m
        a = rooms[door.region_a]
        across_x = min(abs(x - a[0]), abs(x - a[2])) < WALL_M
        hx, hy = (depth_m, door.width_m / 2) if across_x else (door.width_m / 2, depth_m)
        passages.append((x - hx, y - hy, x + hx, y + hy))
    return passages


def _span(rectangle: Rectangle, origin: Tuple[float, float]) -> Tuple[slice, slice]:
    """Return the cells whose centres lie in a rectangle."""
    x0, y0, x1, y1 = rectangle
    low_x, high_x = (max(0, int(np.ceil((x - origin[0]) / CELL_M - 0.5))) for x in (x0, x1))
    low_y, high_y = (max(0, int(np.ceil((y - origin[1]) / CELL_M - 0.5))) for y in (y0, y1))
    return slice(low_x, high_x), slice(low_y, high_y)
