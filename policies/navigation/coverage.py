"""What is left to see in a house, and where to look next: the next best view by gain for its cost in steps.

A cell is left to see while it is unknown and borders on what the camera can look into, or while it was not yet seen
from near in this session: small things on tables show only from near. Cells that stay unseen although the robot looked
at them from one side several times are given up from that side, for the floor plan does not know what hides them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from embodied.arrays import Bool, Float, Int, Points2, UInt8
from embodied.config import Config
from policies.navigation.grid import FREE, OCCUPIED, UNKNOWN, DistanceField, Grid, Terrain, Vector2
from policies.navigation.view import CameraView, FloorPlan, Sight, SightRules, coarsen, sum_blocks

_COARSE = 2
"""Rays are cast over blocks of as many cells a side: four times faster, and fine enough for counting gains."""
_BETWEEN = 4
"""Rays of a look for each that counts gains."""
_SIDES = 8
"""Looks are counted by the direction they come from."""


class CoverageConfig(Config):
    """What counts as seen, and what a look is worth."""

    near_m: float = 2.0
    """Occupied cells, and the floor by them, must have been seen from as near as this."""
    view_range_m: float = 1.8
    """A look is expected to see cells from near as far along the floor as this."""
    unknown_range_m: float = 2.6
    """And to uncover unknown cells as far as this."""
    over_occupied_m: float = 0.8
    """How far the camera looks over furniture."""
    into_unknown_m: float = 0.4
    """How far a look into the unknown counts."""
    beside_occupied_m: float = 0.15
    """Floor as near to something occupied as this must be seen from near."""
    floor_weight: float = 0.25
    """Worth of such a floor cell; an occupied one is worth 1."""
    unknown_weight: float = 0.4
    """Worth of an unknown cell …"""
    frontier_weight: float = 6.0
    """… and of one that borders on floor where the robot gets to: behind it there may be a room."""
    opening_m: float = 0.8
    """Openings to the unknown as wide as this are looked into however far the way."""
    candidate_spacing_m: float = 0.3
    """Places to look from are tried on a lattice this wide."""
    n_angles: int = 60
    """Rays cast from each place."""
    overhead_steps: float = 4.0
    """Added to every look's cost: keeps the robot from chasing crumbs by its feet."""
    gain_power: float = 0.5
    """Below 1 the robot finishes what is near before it goes to where there is more to see."""
    stop_gain: float = 80.0
    """A look that is worth less than this many cells is not made."""
    stop_rate: float = 4.0
    """Nor one that is worth less than this many cells a step."""
    keep_factor: float = 0.75
    """The last goal is kept while its score is at least this share of the best."""
    n_tries: int = 1
    """Looks at a cell from one side after which that side is given up."""


class StepCost(Config):
    """What one control period is good for."""

    forward_m: float = 0.16
    turn_rad: float = 0.32


@dataclass(frozen=True)
class Viewpoint:
    """A place to stand and a heading to look along."""

    x_m: float
    y_m: float
    yaw_rad: float
    gain: float
    """Cells expected to be newly seen, weighted."""
    n_steps: float
    """Control periods to get there and turn."""


class Coverage:
    """Keeps account of what the robot has looked at in one session."""

    def __init__(self, config: CoverageConfig, camera: CameraView, steps: StepCost) -> None:
        self.config = config
        self.camera = camera
        self.steps = steps
        self.progress = 0.0
        self._spacing_rad = 2 * np.pi / config.n_angles
        self._all_angles = np.arange(config.n_angles * _BETWEEN) * (self._spacing_rad / _BETWEEN) - np.pi
        self._angles = self._all_angles[::_BETWEEN]
        # The picture's edges do not count: a thing cut off there is not recognised.
        self._half = int(0.45 * camera.horizontal_fov_rad / self._spacing_rad)
        self._n_looks: UInt8[np.ndarray, "sides rows columns"] | None = None
        self._grid: Grid | None = None
        self._goal: Viewpoint | None = None

    def needs(self, terrain: Terrain, field: DistanceField) -> Float[np.ndarray, "sides rows columns"]:
        """Return what each cell is worth seeing from each side, 0 for what has been seen."""
        occupancy, config = terrain.occupancy, self.config
        near = terrain.grid.closest_view_m <= config.near_m
        occupied = occupancy == OCCUPIED
        reach = max(1, round(config.beside_occupied_m / terrain.grid.resolution_m))
        beside = _grown(occupied, reach)
        weight = (occupied & ~near).astype(np.float32)
        weight[(occupancy == FREE) & beside & ~near] = config.floor_weight
        # Specks of floor seen between the legs of furniture are no frontier.
        room = round(terrain.config.preferred_clearance_m / terrain.grid.resolution_m)
        floor = (occupancy == FREE) & _grown(np.isfinite(field.cost_m), room)
        unknown = occupancy == UNKNOWN
        weight[unknown] = config.unknown_weight
        weight[unknown & _grown(floor, 1)] = config.frontier_weight
        return np.broadcast_to(weight, (_SIDES, *weight.shape)).copy()

    def look(self, terrain: Terrain, x_m: float, y_m: float, yaw_rad: float) -> None:
        """Count one look from a place along a heading at all that should be in view."""
        looks = self._looks_on(terrain.grid)
        # Between the rays that count gains lie others, for these thin out with distance. All are taken from one list,
        # so that a ray that counted a gain is the same to the last bit: what it counted will not be counted again.
        fan = np.arange(-self._half * _BETWEEN, self._half * _BETWEEN + 1)
        middle = round((yaw_rad + np.pi) / self._spacing_rad * _BETWEEN)
        angles = self._all_angles[(middle + fan) % len(self._all_angles)]
        plan = self._plan(terrain)
        sight = self._sight(plan, np.array([terrain.grid.cell_of(x_m, y_m)]), angles)
        seen = np.zeros((_SIDES, *plan.padded_shape), dtype=bool)
        side = np.broadcast_to(_side_of(angles)[None, :, None], sight.index.shape)
        seen.reshape(_SIDES, -1)[side[sight.visible], sight.index[sight.visible]] = True
        fine = plan.unpad(seen).repeat(_COARSE, axis=1).repeat(_COARSE, axis=2)
        # Counting ends where one more does not matter, long before a byte is full.
        looks += fine[:, : looks.shape[1], : looks.shape[2]] & (looks < self.config.n_tries)

    def choose(self, terrain: Terrain, field: DistanceField, yaw_rad: float) -> Viewpoint | None:
        """Return the next look, None when none is worth its while; brings ``progress`` up to date.

        When nothing is worth its steps any more, openings to what may be further rooms are gone to whatever it takes.
        """
        weight = self.needs(terrain, field)
        weight *= self._looks_on(terrain.grid) < self.config.n_tries
        goal, best_gain = self._best(terrain, field, weight, yaw_rad, self.config.stop_gain, self.config.stop_rate)
        self._update_progress(terrain, best_gain)
        if goal is None:
            openings = np.where(weight == self.config.frontier_weight, weight, np.float32(0.0))
            stop_gain = self.config.opening_m / terrain.grid.resolution_m * self.config.frontier_weight
            goal, _ = self._best(terrain, field, openings, yaw_rad, stop_gain, 0.0)
        self._goal = goal
        return goal

    def _best(
        self,
        terrain: Terrain,
        field: DistanceField,
        weight: Float[np.ndarray, "sides rows columns"],
        yaw_rad: float,
        stop_gain: float,
        stop_rate: float,
    ) -> tuple[Viewpoint | None, float]:
        """Return the best look at weighted cells, None if there is none worth it, and the most that any look gains."""
        worth = sum_blocks(weight, _COARSE)
        cells = self._candidates(terrain, field, worth, stop_gain)
        views = terrain.grid.centers_of(cells)
        gain = self._gains(terrain, worth, cells)
        n_steps, yaw = self._costs(terrain, field, cells, views, gain, yaw_rad)
        best_gain = np.take_along_axis(gain, yaw[:, None], axis=1)[:, 0]
        n_steps_all = n_steps + self.config.overhead_steps
        worthwhile = (best_gain >= stop_gain) & (best_gain >= stop_rate * n_steps_all)
        score = worthwhile * best_gain**self.config.gain_power / n_steps_all
        if not score.any():
            return None, float(gain.max())
        best = int(np.argmax(score))
        kept = self._kept(views, score)
        if kept is not None and score[kept] >= self.config.keep_factor * score[best]:
            best = kept
        x_m, y_m = views[best].tolist()
        goal = Viewpoint(x_m, y_m, float(self._angles[yaw[best]]), float(best_gain[best]), float(n_steps[best]))
        return goal, float(gain.max())

    def _candidates(
        self,
        terrain: Terrain,
        field: DistanceField,
        worth: Float[np.ndarray, "sides coarse_rows coarse_columns"],
        stop_gain: float,
    ) -> Int[np.ndarray, "n 2"]:
        """Return where to look from: the robot's place, the last goal, and reachable cells of a lattice.

        The lattice is fixed in the world. Of its cells those are left out that have too little to see around them.
        """
        grid, config = terrain.grid, self.config
        stride = max(1, round(config.candidate_spacing_m / grid.resolution_m))
        first = [-round(origin / grid.resolution_m) % stride for origin in grid.origin_m[::-1]]
        cells = np.argwhere(np.isfinite(field.cost_m[first[0] :: stride, first[1] :: stride])) * stride + first
        width = 2 * int(config.unknown_range_m / (grid.resolution_m * _COARSE)) + 1
        around = ndimage.uniform_filter(worth.max(axis=0).astype(np.float64), width, mode="constant") * width**2
        cells = cells[around[cells[:, 0] // _COARSE, cells[:, 1] // _COARSE] >= stop_gain]
        extra = [field.source]
        if self._goal is not None:
            goal = grid.cell_of(self._goal.x_m, self._goal.y_m)
            if grid.contains(goal) and np.isfinite(field.cost_m[goal]):
                extra.append(goal)
        return np.concatenate([np.array(extra), cells])

    def _plan(self, terrain: Terrain) -> FloorPlan:
        config = self.config
        rules = SightRules(config.unknown_range_m, config.over_occupied_m, config.into_unknown_m)
        occupancy = np.where(_pockets(terrain.occupancy == UNKNOWN), np.uint8(OCCUPIED), terrain.occupancy)
        return FloorPlan(coarsen(occupancy, _COARSE), terrain.grid.resolution_m * _COARSE, rules)

    def _sight(self, plan: FloorPlan, cells: Int[np.ndarray, "n 2"], angles: Float[np.ndarray, " n_angles"]) -> Sight:
        """Look from the map's cells: at known ones from near only, at unknown ones from further off too."""
        sight = plan.look(cells // _COARSE, angles)
        near = sight.distances_m <= self.config.view_range_m
        return replace(sight, visible=sight.visible & (near | (sight.kind == UNKNOWN)))

    def _gains(
        self,
        terrain: Terrain,
        worth: Float[np.ndarray, "sides coarse_rows coarse_columns"],
        cells: Int[np.ndarray, "n_places 2"],
    ) -> Float[np.ndarray, "n_places n_angles"]:
        """Return the worth of looking from each place along each angle, with the camera's whole field.

        Rays thin out with distance: each sample stands for the area between its neighbours, so that the sum over a
        sector is the worth of its cells.
        """
        plan = self._plan(terrain)
        sight = self._sight(plan, cells, self._angles)
        area = (sight.distances_m * (self._spacing_rad / plan.resolution_m)).astype(np.float32)
        padded = plan.pad(worth.astype(np.float32)).reshape(_SIDES, -1)
        index = sight.index + (_side_of(self._angles) * padded.shape[1]).astype(np.int32)[None, :, None]
        per_ray = (padded.ravel()[index] * sight.visible) @ area
        wrapped = np.concatenate([per_ray[:, -self._half :], per_ray, per_ray[:, : self._half]], axis=1)
        sums = np.concatenate([np.zeros((len(cells), 1)), np.cumsum(wrapped, axis=1, dtype=np.float64)], axis=1)
        return sums[:, 2 * self._half + 1 :] - sums[:, : -2 * self._half - 1]

    def _costs(
        self,
        terrain: Terrain,
        field: DistanceField,
        cells: Int[np.ndarray, "n 2"],
        places_m: Points2,
        gain: Float[np.ndarray, "n_places n_angles"],
        yaw_rad: float,
    ) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Return the control periods to each place and the best look there, and the index of that look's angle."""
        columns = terrain.grid.shape[1]
        flat = cells[:, 0] * columns + cells[:, 1]
        cost_m = field.cost_m.ravel()[flat]
        here = terrain.grid.centers_of(np.array([field.source]))[0]
        departure = self._direction(terrain, here, field.ancestors(flat, 0.6), yaw_rad)
        # The heading on arrival: from a few cells before.
        before = flat
        for _ in range(6):
            before = field.predecessor.ravel()[before]
        delta = places_m - terrain.grid.centers_of(np.stack(np.divmod(before, columns), axis=1))
        arrival = np.where(np.hypot(*delta.T) > 1e-6, np.arctan2(delta[:, 1], delta[:, 0]), yaw_rad)
        turn = np.abs((self._angles[None, :] - arrival[:, None] + np.pi) % (2 * np.pi) - np.pi)
        start_turn = np.abs((departure - yaw_rad + np.pi) % (2 * np.pi) - np.pi)
        steps = (cost_m / self.steps.forward_m + start_turn / self.steps.turn_rad)[:, None] + turn / self.steps.turn_rad
        yaw = np.argmax(gain / (steps + self.config.overhead_steps), axis=1)
        return np.take_along_axis(steps, yaw[:, None], axis=1)[:, 0], yaw

    @staticmethod
    def _direction(
        terrain: Terrain, here: Vector2, flat: Int[np.ndarray, " n"], otherwise_rad: float
    ) -> Float[np.ndarray, " n"]:
        delta = terrain.grid.centers_of(np.stack(np.divmod(flat, terrain.grid.shape[1]), axis=1)) - here
        return np.where(np.hypot(*delta.T) > 1e-6, np.arctan2(delta[:, 1], delta[:, 0]), otherwise_rad)

    def _kept(self, views: Points2, score: Float[np.ndarray, " n"]) -> int | None:
        """Return which candidate is the goal chosen last time, if its score is not nothing."""
        if self._goal is None:
            return None
        distance = np.hypot(views[:, 0] - self._goal.x_m, views[:, 1] - self._goal.y_m)
        nearest = int(np.argmin(distance))
        return nearest if distance[nearest] < 0.1 and score[nearest] > 0.0 else None

    def _update_progress(self, terrain: Terrain, best_gain: float) -> None:
        """Estimate the covered share: of the known occupied cells those seen from near."""
        occupied = terrain.occupancy == OCCUPIED
        total = float(occupied.sum())
        n_near = float((occupied & (terrain.grid.closest_view_m <= self.config.near_m)).sum())
        # The best look stands for the unknown, the extent of which nobody knows.
        self.progress = n_near / (total + best_gain) if total else 0.0

    def _looks_on(self, grid: Grid) -> UInt8[np.ndarray, "sides rows columns"]:
        """Return the counts of looks on this grid, carried over when the map has grown."""
        old, looks = self._grid, self._n_looks
        if looks is None or old is None or old.resolution_m != grid.resolution_m:
            looks = np.zeros((_SIDES, *grid.shape), dtype=np.uint8)
        elif old.shape != grid.shape or old.origin_m != grid.origin_m:
            looks = carry_over(looks, old, grid)
        self._n_looks, self._grid = looks, grid
        return looks


def carry_over(
    values: UInt8[np.ndarray, "layers old_rows old_columns"], old: Grid, new: Grid
) -> UInt8[np.ndarray, "layers rows columns"]:
    """Return values of one grid's cells on another of the same resolution, 0 where the first has none."""
    moved = np.zeros((len(values), *new.shape), dtype=values.dtype)
    windows = []
    for axis in (0, 1):
        # Rows count along y, columns along x.
        shift = round((old.origin_m[1 - axis] - new.origin_m[1 - axis]) / new.resolution_m)
        first, last = max(shift, 0), min(shift + old.shape[axis], new.shape[axis])
        windows.append((slice(first, max(first, last)), slice(first - shift, max(first, last) - shift)))
    (new_rows, old_rows), (new_columns, old_columns) = windows
    moved[:, new_rows, new_columns] = values[:, old_rows, old_columns]
    return moved


def _grown(mask: Bool[np.ndarray, "rows columns"], reach: int) -> Bool[np.ndarray, "rows columns"]:
    """Return the cells within ``reach`` rows and columns of a masked one."""
    grown: Bool[np.ndarray, "rows columns"] = ndimage.maximum_filter(mask.view(np.uint8), 2 * reach + 1).view(bool)
    return grown


def _pockets(unknown: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "rows columns"]:
    """Return the unknown cells from which no way over unknown cells leads to the map's edge.

    They are tops of tables between chairs as often as insides of wardrobes, and to be looked at like furniture.
    """
    labels, _ = ndimage.label(unknown)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return unknown & ~np.isin(labels, np.unique(edge))


def _side_of(angles_rad: Float[np.ndarray, " n_angles"]) -> Int[np.ndarray, " n_angles"]:
    """Return from which of the sides a ray along each angle comes."""
    # Half a sector off the axes, along which most walls stand and most looks go.
    share = (angles_rad + np.pi) / (2 * np.pi) + 0.5 / _SIDES
    return np.floor(share * _SIDES).astype(np.int64) % _SIDES
