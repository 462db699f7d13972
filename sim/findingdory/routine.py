"""What the robot does in a day: a round through the house, then one errand after the other, with rests between them.

Everything is drawn before the day begins, with knowledge of the truth; nothing here renders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, List, Optional, Tuple

import numpy as np

from embodied.arrays import Float
from embodied.errors import SceneError
from sim.findingdory.standing import Stands
from sim.findingdory.walking import MOVE_M, TURN_RAD, Floor, Move, Pose, Walker
from sim.houses.catalogue import CATALOGUE
from sim.houses.placing import Contents, bounds_of, middle
from sim.physics import settle
from sim.scene import Instance, Scene

MIN_INTERACTIONS, MAX_INTERACTIONS = 2, 11
"""As published."""
MOVE_S, TURN_S, GRASP_S, LOOK_S = 0.5, 0.35, 4.0, 1.0
LARGEST_M = 0.5
"""A thing that is longer does not fit into the hand."""
MIN_CARRY_M = 0.8
"""From the old place to the new one, along the floor."""
SKIPPED_CHANCE, WANDER_CHANCE, STOPOVER_CHANCE, HOLD_CHANCE = 0.5, 0.25, 0.25, 0.7
REST_S = (240.0, 3600.0)
"""Least and greatest rest before an errand."""
HOLD_S = (15.0, 300.0)
"""Least and greatest rest with the thing in hand."""
LET_GO_M = 0.01
"""Above the place where a thing is put down."""
LOOKS_AROUND = 27
"""Turns in the middle of a room; with a right angle of view they show all of it."""
SIDE_LOOKS = (3, 10)
"""Least and one more than the most turns after going somewhere for no purpose."""
_N_TRIES = 6


@dataclass(frozen=True)
class Rearrangement:
    """One errand."""

    instance_id: int
    picked_from: int
    pick_stand_m: Tuple[float, float]
    picked_position_m: Tuple[float, float, float]
    placed: Instance
    place_stand_m: Tuple[float, float]
    placed_position_m: Tuple[float, float, float]
    without: Scene
    """The house while the thing is in hand."""
    afterwards: Scene


@dataclass(frozen=True)
class Moment:
    """One frame to be."""

    pose: Pose
    elapsed_s: float
    """Since the moment before."""
    scene: Scene
    held: int
    """Instance in hand, 0 for none."""
    action: Tuple[float, float, float, float]
    """Commanded since the moment before: forward m/s, left m/s, turn rad/s, gripper closed."""


def plan_errands(scene: Scene, floor: Floor, rng: np.random.Generator, n: int) -> Tuple[Rearrangement, ...]:
    """Draw errands: each takes another thing from one piece of furniture to another, where it can be seen.

    There are fewer than ``n`` if the house has no more things to move or places for them.
    """
    errands: List[Rearrangement] = []
    stands = Stands(floor)
    order = [scene.instances[int(k)].instance_id for k in rng.permutation(len(scene.instances))]
    for instance_id in order:
        if len(errands) == n:
            break
        errand = _errand(scene, stands, rng, instance_id)
        if errand is not None:
            errands.append(errand)
            scene = errand.afterwards
    return tuple(errands)


def _errand(scene: Scene, stands: Stands, rng: np.random.Generator, instance_id: int) -> Optional[Rearrangement]:
    """Return an errand with one thing, None if it cannot be moved or there is no good place for it."""
    contents = Contents(0, scene)
    thing = contents.instances[instance_id]
    template = scene.templates[thing.template]
    category = CATALOGUE[template.category]
    if not category.movable or max(template.size_m) > LARGEST_M or contents.carried_by(instance_id):
        return None
    if not _is_furniture(contents, thing.support):
        return None
    pick_stand = stands.best(scene, instance_id)
    if pick_stand is None:
        return None
    picked_m = middle(contents.bounds[instance_id])
    contents.remove(instance_id)
    others = [
        i
        for i in sorted(contents.instances)
        if i != thing.support and contents.category(i) in category.places and _is_furniture(contents, i)
    ]
    for index in rng.permutation(len(others))[:_N_TRIES]:
        new = contents.rest(rng, template, others[int(index)])
        if new is None:
            continue
        let_go = new.T_world_object.copy()
        let_go[2, 3] += LET_GO_M
        afterwards = settle(scene, instance_id, let_go)
        placed = afterwards.by_id()[instance_id]
        if placed.support != others[int(index)]:
            continue
        place_stand = stands.best(afterwards, instance_id)
        placed_m = middle(bounds_of(template, placed.T_world_object))
        if place_stand is None or np.linalg.norm(placed_m[:2] - picked_m[:2]) < MIN_CARRY_M:
            continue
        without = scene.with_instances(tuple(i for i in scene.instances if i.instance_id != instance_id))
        return Rearrangement(
            instance_id=instance_id,
            picked_from=thing.support,
            pick_stand_m=pick_stand,
            picked_position_m=_point(picked_m),
            placed=placed,
            place_stand_m=place_stand,
            placed_position_m=_point(placed_m),
            without=without,
            afterwards=afterwards,
        )
    return None


def _is_furniture(contents: Contents, instance_id: int) -> bool:
    """Tell whether an instance stands on the floor and stays there."""
    if instance_id not in contents.instances or contents.instances[instance_id].support:
        return False
    return not CATALOGUE[contents.category(instance_id)].movable


def _point(values: Float[np.ndarray, 3]) -> Tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


class Routine:
    """One day. Iterate over it for its moments; each time they are the same."""

    def __init__(self, scene: Scene, floor: Floor, seed: int, n_interactions: Optional[int] = None) -> None:
        """Draw the day.

        Args:
            scene: The house in the morning.
            floor: Of that house.
            seed: Of everything that is left to chance.
            n_interactions: Errands; None draws from the published range. There may be fewer, but at least two.

        Raises:
            ValueError: ``n_interactions`` is out of the published range.
            SceneError: The house has no two things to move.
        """
        if n_interactions is not None and not MIN_INTERACTIONS <= n_interactions <= MAX_INTERACTIONS:
            expected = f"{MIN_INTERACTIONS} to {MAX_INTERACTIONS}"
            raise ValueError(f"n_interactions: expected {expected}, got {n_interactions}")
        rng = np.random.default_rng([seed, 31])
        n = int(rng.integers(MIN_INTERACTIONS, MAX_INTERACTIONS + 1)) if n_interactions is None else n_interactions
        self.scene = scene
        self.errands = plan_errands(scene, floor, rng, n)
        if len(self.errands) < MIN_INTERACTIONS:
            raise SceneError(f"scene {scene.name}: expected {MIN_INTERACTIONS} things to move, got {len(self.errands)}")
        self._floor = floor
        self._seed = seed

    def __iter__(self) -> Iterator[Moment]:
        """Yield the moments, the first at the start pose."""
        return _Day(self, self._floor, np.random.default_rng([self._seed, 32])).moments()


class _Day:
    """The state of one iteration."""

    def __init__(self, routine: Routine, floor: Floor, rng: np.random.Generator) -> None:
        self._routine = routine
        self._floor = floor
        self._rng = rng
        self._walker = Walker(floor, routine.scene.start_pose)
        self._scene = routine.scene
        self._held = 0

    def moments(self) -> Iterator[Moment]:
        yield self._moment(0.0)
        yield from self._round()
        errands = self._routine.errands
        longest_s = min(REST_S[1], 39_600.0 / max(1, len(errands)))
        for errand in errands:
            if self._rng.uniform() < WANDER_CHANCE:
                yield from self._wander()
            yield self._moment(float(self._rng.uniform(REST_S[0], longest_s)))
            yield from self._pick(errand)
            yield from self._carry(errand)
        yield from self._wander()

    def _round(self) -> Iterator[Moment]:
        """Go through the rooms and look around in the middle of each; now and then one is left out."""
        rooms = [region.name for region in self._floor.regions]
        order = [rooms[int(k)] for k in self._rng.permutation(len(rooms))]
        if self._rng.uniform() < SKIPPED_CHANCE:
            order = order[:-1]
        for room in order:
            yield from self._drive(self._widest(room))
            for _ in range(LOOKS_AROUND):
                yield from self._step("left")

    def _wander(self) -> Iterator[Moment]:
        """Go to some place of some room and look to one side."""
        region = self._floor.regions[int(self._rng.integers(len(self._floor.regions)))]
        centers = self._floor.centers_in(region.name)
        if not len(centers):
            return
        x_m, y_m = centers[int(self._rng.integers(len(centers)))].tolist()
        yield from self._drive((x_m, y_m))
        for _ in range(int(self._rng.integers(*SIDE_LOOKS))):
            yield from self._step("left")

    def _pick(self, errand: Rearrangement) -> Iterator[Moment]:
        yield from self._drive(errand.pick_stand_m)
        yield from self._look_at(errand.picked_position_m)
        self._scene, self._held = errand.without, errand.instance_id
        yield self._moment(GRASP_S)
        yield self._moment(LOOK_S)

    def _carry(self, errand: Rearrangement) -> Iterator[Moment]:
        if self._rng.uniform() < STOPOVER_CHANCE:
            yield from self._wander()
        if self._rng.uniform() < HOLD_CHANCE:
            yield self._moment(float(self._rng.uniform(*HOLD_S)))
        yield from self._drive(errand.place_stand_m)
        yield from self._face(errand.placed_position_m)
        self._scene, self._held = errand.afterwards, 0
        yield self._moment(GRASP_S)
        yield from self._look_at(errand.placed_position_m)

    def _look_at(self, point_m: Tuple[float, float, float]) -> Iterator[Moment]:
        """Face a place, and look at it from side to side."""
        yield from self._face(point_m)
        looks: Tuple[Move, ...] = ("left", "right", "right", "left")
        for move in looks:
            yield from self._step(move)

    def _face(self, point_m: Tuple[float, float, float]) -> Iterator[Moment]:
        x_m, y_m, _ = self._walker.pose
        for move in self._walker.turn_to(float(np.arctan2(point_m[1] - y_m, point_m[0] - x_m))):
            yield self._moved(move)

    def _drive(self, xy: Tuple[float, float]) -> Iterator[Moment]:
        for move in self._walker.drive_to(xy):
            yield self._moved(move)

    def _step(self, move: Move) -> Iterator[Moment]:
        self._walker.make(move)
        yield self._moved(move)

    def _widest(self, room: str) -> Tuple[float, float]:
        """Return the place of a room that is nearest to the middle of all where the robot can stand."""
        centers = self._floor.centers_in(room)
        if not len(centers):
            return self._walker.pose[:2]
        nearest = centers[int(np.linalg.norm(centers - centers.mean(axis=0), axis=1).argmin())]
        return float(nearest[0]), float(nearest[1])

    def _moved(self, move: Move) -> Moment:
        if move == "forward":
            return self._moment(MOVE_S, forward=MOVE_M / MOVE_S)
        return self._moment(TURN_S, turn=(TURN_RAD if move == "left" else -TURN_RAD) / TURN_S)

    def _moment(self, elapsed_s: float, forward: float = 0.0, turn: float = 0.0) -> Moment:
        action = (forward, 0.0, turn, 1.0 if self._held else 0.0)
        return Moment(self._walker.pose, elapsed_s, self._scene, self._held, action)
