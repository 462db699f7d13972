"""Where to stand to see a thing from near: on furniture, in a shelf, on the floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from embodied.arrays import Bool, Float, Int, Points2
from embodied.config import Config
from embodied.geometry import invert
from embodied.messages import Observation, Point
from policies.navigation.grid import FREE, Cell, Disc, DistanceField, Terrain, Vector2, distance_field
from policies.navigation.view import CameraView

_BLIND_M = 0.5
"""Depth cameras measure nothing nearer than some tenths of a metre."""


class GoToConfig(Config):
    """What counts as being there."""

    reach_m: float = 1.6
    """The reachable place nearest to the target lies within this, or the target cannot be reached."""
    around_m: float = 0.9
    """As far from that place, along the floor, the robot may stand for a better view."""
    hidden_cost: float = 4.0
    """Worth in metres of a view with something else standing between."""
    edge_cost: float = 10.0
    """Worth in metres of each radian by which the target is nearer than this to the upper or lower edge …"""
    edge_margin_rad: float = 0.12
    """… of the picture."""
    beyond_cost: float = 10.0
    """Worth of each metre by which the way to the target, over the place nearest to it, exceeds ``wanted_m``."""
    wanted_m: float = 0.82
    other_room_cost: float = 4.0
    """Worth in metres of standing outside of the target's room."""
    own_front_m: float = 0.38
    """What the camera sees in the target's direction may lie as far from it along the floor: the thing's own front."""
    front_margin_m: float = 0.10
    """Added to what is known of the thing's size, for what is remembered is not exact."""
    same_side_cost: float = 1.0
    """Worth in metres of standing on a side of the target from which it was found hidden, for each time."""
    n_places: int = 5
    """Places tried before giving up."""
    apart_m: float = 0.3
    """Between places that are tried."""


@dataclass(frozen=True)
class StandingPlace:
    """A place to stand and the heading that faces the target."""

    x_m: float
    y_m: float
    yaw_rad: float
    cell: Cell
    cost: float

    def on(self, cell: Cell) -> StandingPlace:
        """Return the same place on a map whose cells are numbered otherwise."""
        return replace(self, cell=cell)


@dataclass(frozen=True)
class Target:
    """What to stand before, and what the memory knows of it beside the place."""

    position_m: Point
    radius_m: float | None = None
    """Half of its largest extent along the floor, None where that is not known."""
    room_m: Sequence[tuple[float, float]] = ()
    """Outline of its room, empty where that is not known."""

    def own_front_m(self, config: GoToConfig) -> float:
        """Return how far from its middle, along the floor, its own front may be met."""
        return config.own_front_m if self.radius_m is None else self.radius_m + config.front_margin_m


def find_standing_places(
    config: GoToConfig,
    terrain: Terrain,
    distances: DistanceField,
    camera: CameraView,
    target: Target,
    tried: Sequence[StandingPlace] = (),
) -> list[StandingPlace]:
    """Return places from which the target should be in view, best first; empty if none near it can be reached.

    A good place is near the reachable place that is nearest to the target, has only the carrying furniture between
    itself and the target, and little of that, and shows the target well inside the picture. A table by a wall has
    places on both sides of the wall: which side is the right one shows when the robot looks, so no side is left out.
    """
    sides = _sides_of(config, terrain, distances, target.position_m)
    found = [place for side in sides for place in _on_side(config, terrain, distances, camera, target, tried, side)]
    return sorted(found, key=lambda place: place.cost)


def _on_side(
    config: GoToConfig,
    terrain: Terrain,
    distances: DistanceField,
    camera: CameraView,
    target: Target,
    tried: Sequence[StandingPlace],
    side: Bool[np.ndarray, "rows columns"],
) -> list[StandingPlace]:
    """Return the places on one side of the target, best first."""
    target_m = target.position_m
    cells, way_m = _cells_around(config, terrain, target_m, side)
    centers = terrain.grid.centers_of(cells)
    keep = np.ones(len(cells), dtype=bool)
    n_tried_here = 0
    for place in tried:
        keep &= np.hypot(centers[:, 0] - place.x_m, centers[:, 1] - place.y_m) > config.apart_m
        cell = terrain.grid.cell_of(place.x_m, place.y_m)
        n_tried_here += terrain.grid.contains(cell) and bool(side[cell])
    cells, centers, way_m = cells[keep], centers[keep], way_m[keep]
    if len(cells) == 0:
        return []
    offset = np.array(target_m[:2]) - centers
    distance = np.hypot(offset[:, 0], offset[:, 1])
    over_m, hidden = _between(terrain, centers, np.array(target_m[:2]))
    cut_rad = config.edge_margin_rad - camera.inside_rad(target_m[2], distance - camera.forward_m)
    crowded = np.clip(terrain.config.preferred_clearance_m - terrain.clearance_m[cells[:, 0], cells[:, 1]], 0.0, None)
    cost = distance + over_m + 2.0 * crowded + config.hidden_cost * hidden
    cost += config.edge_cost * np.maximum(cut_rad, 0.0)
    cost += config.beyond_cost * np.maximum(way_m - config.wanted_m, 0.0)
    if len(target.room_m) >= 3:
        cost += config.other_room_cost * ~inside_outline(centers, np.asarray(target.room_m, dtype=float))
    cost += config.same_side_cost * n_tried_here
    cost += 0.02 * distances.cost_m[cells[:, 0], cells[:, 1]]
    order = np.argsort(cost, kind="stable")
    yaw = np.arctan2(offset[:, 1], offset[:, 0])
    return [
        StandingPlace(
            float(centers[i, 0]),
            float(centers[i, 1]),
            float(yaw[i]),
            (int(cells[i, 0]), int(cells[i, 1])),
            float(cost[i]),
        )
        for i in order.tolist()
    ]


def _sides_of(
    config: GoToConfig, terrain: Terrain, distances: DistanceField, target_m: Point
) -> list[Bool[np.ndarray, "rows columns"]]:
    """Return the reachable cells near the target, apart by whether one gets from one to the other without detour."""
    near = np.zeros(terrain.grid.shape, dtype=bool)
    window, inside = terrain.grid.within(Disc((target_m[0], target_m[1]), config.reach_m))
    near[window] = inside & np.isfinite(distances.cost_m[window])
    labels, n_labels = ndimage.label(near, np.ones((3, 3), dtype=bool))
    return [labels == label for label in range(1, n_labels + 1)]


def _cells_around(
    config: GoToConfig, terrain: Terrain, target_m: Point, side: Bool[np.ndarray, "rows columns"]
) -> tuple[Int[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
    """Return a side's cells a short way from the one nearest to the target, and the way to the target over that."""
    cells = np.argwhere(side)
    offsets = terrain.grid.centers_of(cells) - target_m[:2]
    distance = np.hypot(offsets[:, 0], offsets[:, 1])
    nearest = int(np.argmin(distance))
    row, column = cells[nearest].tolist()
    around = distance_field(terrain, (row, column), limit_m=config.around_m, shy=False)
    cells = np.argwhere(side & np.isfinite(around.cost_m))
    return cells, around.cost_m[cells[:, 0], cells[:, 1]] + distance[nearest]


def _between(
    terrain: Terrain, places_m: Points2, target_m: Vector2
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Return how much of each line of sight lies over what carries the target, and whether something else is on it."""
    n_samples = 40
    share = (np.arange(n_samples) + 0.5) / n_samples
    points = places_m[:, None, :] + share[None, :, None] * (target_m - places_m)[:, None, :]
    cells = terrain.grid.cells_of(points)
    rows, columns = terrain.grid.shape
    row, column = np.clip(cells[..., 0], 0, rows - 1), np.clip(cells[..., 1], 0, columns - 1)
    free = terrain.occupancy[row, column] == FREE
    # From the target backwards: the first run of what is not free is its carrier.
    backwards = free[:, ::-1]
    carrier_begun = np.maximum.accumulate(~backwards, axis=1)
    free_again = np.maximum.accumulate(backwards & carrier_begun, axis=1)
    hidden = (~backwards & free_again).any(axis=1)
    length = np.hypot(*(target_m - places_m).T) / n_samples
    return (~free).sum(axis=1) * length, hidden.astype(np.int64)


def inside_outline(points_m: Points2, outline_m: Float[np.ndarray, "n_corners 2"]) -> Bool[np.ndarray, " n_points"]:
    """Tell which points lie inside a polygon: a ray to the right crosses its sides an odd number of times."""
    x, y = points_m[:, 0, None], points_m[:, 1, None]
    (x0, y0), (x1, y1) = outline_m.T, np.roll(outline_m, -1, axis=0).T
    crosses = (y0 > y) != (y1 > y)
    slope = (x1 - x0) / np.where(y1 == y0, 1.0, y1 - y0)
    inside: Bool[np.ndarray, " n_points"] = (crosses & (x < x0 + (y - y0) * slope)).sum(axis=1) % 2 == 1
    return inside


def target_in_view(observation: Observation, target_m: Point, own_front_m: float) -> bool:
    """Tell whether the first camera's depth shows the target itself there; True where it has no depth.

    What is met in the target's direction must not be nearer than the target, or stand within ``own_front_m`` of it
    along the floor. Two fifths of the pixels around are enough, for parts of a thing may be hidden.
    """
    if not observation.cameras or observation.cameras[0].depth is None:
        return True
    camera = observation.cameras[0]
    depth = observation.cameras[0].depth
    T_world_camera = observation.T_world_base @ camera.T_base_camera
    target = invert(T_world_camera) @ np.array([*target_m, 1.0])
    x, y, z = target[:3]
    if z <= 0.05:
        return False
    k = camera.intrinsics
    u, v = round(k.fx_px * x / z + k.cx_px), round(k.fy_px * y / z + k.cy_px)
    if not (0 <= u < k.width_px and 0 <= v < k.height_px):
        return False
    half = max(1, round(0.05 * k.fx_px / z))
    window = depth[max(v - half, 0) : v + half + 1, max(u - half, 0) : u + half + 1]
    met_m = window[window > 0] / 1000.0
    if met_m.size == 0:
        # Depth cameras are blind close by: a far target has something just before the camera, a near one may be it.
        return bool(z < _BLIND_M)
    # All pixels of the small window are taken along the ray through the target.
    short = T_world_camera[:3, :3] @ (target[:3] * (1.0 - np.minimum(met_m, z)[:, None] / z)).T
    return bool((np.hypot(short[0], short[1]) <= own_front_m).mean() >= 0.4)
