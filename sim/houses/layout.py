"""Floor plans: rectangular rooms from repeated splits, in one wing or in two along a hall, and the doors between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

import numpy as np

from sim.scene import Door, Rectangle, Region

WALL_M = 0.12
CEILING_M = 2.5
DOOR_M = 2.05
"""Height of a door's opening."""
AREA_PER_ROOM_M2 = 13.4
MIN_SIDE_M = 2.35
MAX_ASPECT = 2.1
ROOM_NAMES = (
    "living room", "bathroom", "kitchen", "bedroom", "office", "dining room", "hallway", "guest room",
    "nursery", "laundry room", "library", "workshop",
)  # fmt: skip
MIN_ROOMS, MAX_ROOMS = 3, len(ROOM_NAMES)
ONE_WING_ROOMS = 8
"""Houses with more rooms have two wings along a hall."""
HALL_M = 2.0
"""Width of the hall, between the middles of its walls."""
_DOOR_FROM_CORNER_M = 0.78
_N_DRAWS = 400

Point2 = Tuple[float, float]


@dataclass(frozen=True)
class FloorPlan:
    """Rooms without contents. Regions end at the walls' inner faces."""

    outline_m: Rectangle
    """Outer faces of the outer walls."""
    regions: Tuple[Region, ...]
    doors: Tuple[Door, ...]


def draw_plan(rng: np.random.Generator, n_rooms: int) -> FloorPlan:
    """Draw a floor plan.

    Raises:
        ValueError: ``n_rooms`` is outside ``MIN_ROOMS`` to ``MAX_ROOMS``.
    """
    if not MIN_ROOMS <= n_rooms <= MAX_ROOMS:
        raise ValueError(f"n_rooms: expected {MIN_ROOMS} to {MAX_ROOMS}, got {n_rooms}")
    for _ in range(_N_DRAWS):
        if n_rooms <= ONE_WING_ROOMS:
            cells = _split(rng, n_rooms)
            names = _name(rng, cells, list(ROOM_NAMES[2:n_rooms])) if cells else None
        else:
            cells, names = _two_wings(rng, n_rooms)
        doors = _doors(rng, cells, names, "living room" if n_rooms <= ONE_WING_ROOMS else "hallway") if names else None
        if names and doors:
            half = WALL_M / 2
            regions = tuple(
                Region(name, (x0 + half, y0 + half, x1 - half, y1 - half))
                for name, (x0, y0, x1, y1) in sorted(zip(names, cells), key=lambda pair: ROOM_NAMES.index(pair[0]))
            )
            x1, y1 = max(cell[2] for cell in cells), max(cell[3] for cell in cells)
            return FloorPlan((-half, -half, x1 + half, y1 + half), regions, doors)
    raise AssertionError(f"no floor plan with {n_rooms} rooms in {_N_DRAWS} draws")


def plan_of(regions: Tuple[Region, ...], doors: Tuple[Door, ...]) -> FloorPlan:
    """Return the floor plan that has these rooms and doors."""
    corners = np.array([region.rectangle_m for region in regions])
    (x0, y0), (x1, y1) = corners[:, :2].min(axis=0).tolist(), corners[:, 2:].max(axis=0).tolist()
    return FloorPlan((x0 - WALL_M, y0 - WALL_M, x1 + WALL_M, y1 + WALL_M), regions, doors)


def sides(rectangle: Rectangle) -> Tuple[Tuple[Point2, Point2], ...]:
    """Return the four sides, each from its left to its right end as seen from inside."""
    x0, y0, x1, y1 = rectangle
    return (((x0, y0), (x0, y1)), ((x0, y1), (x1, y1)), ((x1, y1), (x1, y0)), ((x1, y0), (x0, y0)))


def openings(side: Tuple[Point2, Point2], doors: Tuple[Door, ...]) -> List[Tuple[float, float]]:
    """Return the stretches of a side that are doors, as distances in metres from its left end, sorted."""
    a, b = np.array(side[0]), np.array(side[1])
    length = float(np.linalg.norm(b - a))
    along = (b - a) / length
    found = []
    for door in doors:
        offset = np.array(door.center_m) - a
        t, distance = float(offset @ along), abs(float(offset[0] * along[1] - offset[1] * along[0]))
        if distance < WALL_M and 0.0 < t < length:
            found.append((t - door.width_m / 2, t + door.width_m / 2))
    return sorted(found)


def shared_wall(a: Rectangle, b: Rectangle) -> Optional[Tuple[Point2, Point2]]:
    """Return the stretch that two cells share, from its lower to its upper end."""
    for axis in (0, 1):
        other = 1 - axis
        for line in (a[axis + 2], a[axis]):
            if abs(line - (b[axis] if line == a[axis + 2] else b[axis + 2])) > 1e-6:
                continue
            low, high = max(a[other], b[other]), min(a[other + 2], b[other + 2])
            if high - low > 1e-6:
                return ((line, low), (line, high)) if axis == 0 else ((low, line), (high, line))
    return None


def _split(rng: np.random.Generator, n_rooms: int) -> List[Rectangle]:
    """Cut a rectangle of a drawn shape into cells; empty if one is too narrow."""
    area, aspect = n_rooms * AREA_PER_ROOM_M2 * rng.uniform(0.97, 1.05), rng.uniform(1.15, 1.5)
    width = float(np.round(np.sqrt(area * aspect), 2))
    return _cut(rng, (0.0, 0.0, width, float(np.round(area / width, 2))), n_rooms)


def _cut(rng: np.random.Generator, whole: Rectangle, n_rooms: int) -> List[Rectangle]:
    """Cut a rectangle until there are enough cells; empty if one is too narrow."""
    cells = [whole]
    while len(cells) < n_rooms:
        cells.sort(key=lambda cell: (cell[2] - cell[0]) * (cell[3] - cell[1]))
        x0, y0, x1, y1 = cells.pop()
        share = rng.uniform(0.4, 0.6)
        if x1 - x0 > y1 - y0:
            x = round(x0 + share * (x1 - x0), 2)
            cells += [(x0, y0, x, y1), (x, y0, x1, y1)]
        else:
            y = round(y0 + share * (y1 - y0), 2)
            cells += [(x0, y0, x1, y), (x0, y, x1, y1)]
    for x0, y0, x1, y1 in cells:
        short, long = sorted((x1 - x0, y1 - y0))
        if short < MIN_SIDE_M or long / short > MAX_ASPECT:
            return []
    return sorted(cells)


def _two_wings(rng: np.random.Generator, n_rooms: int) -> Tuple[List[Rectangle], Optional[List[str]]]:
    """Draw two wings on either side of a hall along x, and the names of all rooms; no names if a cell is too narrow."""
    shares = ((n_rooms - 1) // 2, n_rooms - 1 - (n_rooms - 1) // 2)
    length = float(np.round(np.sqrt(shares[1] * AREA_PER_ROOM_M2 * rng.uniform(1.6, 2.4)), 2))
    depths = [float(np.round(n * AREA_PER_ROOM_M2 * rng.uniform(0.97, 1.05) / length, 2)) for n in shares]
    low, high = depths[0], round(depths[0] + HALL_M, 2)
    south = _cut(rng, (0.0, 0.0, length, low), shares[0])
    north = _cut(rng, (0.0, high, length, round(high + depths[1], 2)), shares[1])
    if not south or not north:
        return [], None
    rest = [name for name in ROOM_NAMES[2:n_rooms] if name != "hallway"]
    names = _name(rng, south + north, rest)
    return [*south, *north, (0.0, low, length, high)], [*names, "hallway"]


def _name(rng: np.random.Generator, cells: List[Rectangle], rest: List[str]) -> List[str]:
    """Name the largest cell living room, the smallest bathroom, the others by chance."""
    order = sorted(range(len(cells)), key=lambda i: -(cells[i][2] - cells[i][0]) * (cells[i][3] - cells[i][1]))
    names = ["living room", *[rest[i] for i in rng.permutation(len(rest))], "bathroom"]
    by_cell = dict(zip(order, names))
    return [by_cell[i] for i in range(len(cells))]


def _doors(
    rng: np.random.Generator, cells: List[Rectangle], names: List[str], first: str
) -> Optional[Tuple[Door, ...]]:
    """Join all rooms by a tree that starts in the first, plus one loop; None if one cannot be reached."""
    walls: Dict[Tuple[int, int], Tuple[Point2, Point2]] = {}
    for i in range(len(cells)):
        for j in range(i + 1, len(cells)):
            wall = shared_wall(cells[i], cells[j])
            if wall and np.hypot(wall[1][0] - wall[0][0], wall[1][1] - wall[0][1]) >= 2 * _DOOR_FROM_CORNER_M:
                walls[i, j] = wall
    queue, reached, edges = [names.index(first)], {names.index(first)}, []
    while queue:
        room = queue.pop(0)
        for edge in walls:
            other = edge[0] + edge[1] - room
            if room in edge and other not in reached:
                # A bathroom is no passage: nothing hangs on it.
                reached.add(other)
                edges.append(edge)
                if names[other] != "bathroom":
                    queue.append(other)
    if len(reached) < len(cells):
        return None
    spare = [edge for edge in walls if edge not in edges and "bathroom" not in (names[edge[0]], names[edge[1]])]
    if spare:
        edges.append(spare[int(rng.integers(len(spare)))])
    doors = []
    for i, j in edges:
        (ax, ay), (bx, by) = walls[i, j]
        length = float(np.hypot(bx - ax, by - ay))
        at = float(rng.choice([_DOOR_FROM_CORNER_M, length - _DOOR_FROM_CORNER_M])) / length
        width = float(np.round(rng.uniform(0.92, 1.0), 2))
        doors.append(Door(names[i], names[j], (ax + at * (bx - ax), ay + at * (by - ay)), width))
    return tuple(doors)
