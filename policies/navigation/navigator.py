"""Tasks that move the robot: explore the house, go to a thing. Each asks for the map and answers with velocities."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from embodied.arrays import Points2, Twists
from embodied.config import Config
from embodied.geometry import yaw_of
from embodied.messages import MapReply, Observation
from policies.navigation.controller import ControllerConfig, Plan, Pose, back_off, follow, get_free
from policies.navigation.coverage import Coverage, CoverageConfig, StepCost
from policies.navigation.grid import (
    Disc,
    DistanceField,
    Grid,
    Terrain,
    TerrainConfig,
    build_terrain,
    distance_field,
    shorten_path,
)
from policies.navigation.standing import (
    GoToConfig,
    StandingPlace,
    Target,
    find_standing_places,
    target_in_view,
)
from policies.navigation.view import CameraView

_MAX_LOOKS = 40
"""Views that are given up in a row before exploring ends."""


class BodyConfig(Config):
    """What the robot knows of the floor by standing on it and bumping into things."""

    blind_radius_m: float = 0.65
    """Unknown cells as near to where a session starts count as free: the camera cannot see the floor there."""
    bump_radius_m: float = 0.08
    """Size of the obstacle that a bump puts on the map …"""
    bump_ahead_m: float = 0.26
    """… as far from the robot's middle …"""
    bump_steps: int = 60
    """… for as many steps."""
    shut_in_share: float = 0.5
    """Where bumps leave less than this share of the floor to be reached, they are forgotten."""
    escape_m: float = 0.2
    """So far the nearest floor that is wide enough may be from where the robot stands among its bumps."""
    n_escapes: int = 3
    """Times in a row that the robot tries to get free where it cannot follow its path."""
    astray_m: float = 0.25
    """Ending a chunk as far from where it should have led counts as a bump."""
    max_bumps: int = 40
    """A task that bumps as often fails."""


class NavigationConfig(Config):
    """All settings of navigation."""

    terrain: TerrainConfig = TerrainConfig()
    coverage: CoverageConfig = CoverageConfig()
    controller: ControllerConfig = ControllerConfig()
    body: BodyConfig = BodyConfig()
    go_to: GoToConfig = GoToConfig()


@dataclass(frozen=True)
class Finished:
    """A task has ended."""

    state: Literal["succeeded", "failed"]
    detail: str


@runtime_checkable
class Task(Protocol):
    """Something for the robot to do."""

    kind: str

    @property
    def progress(self) -> float:
        """0 to 1."""
        ...

    @property
    def n_steps(self) -> int:
        """Velocities handed out so far."""
        ...

    def next_chunk(self, observation: Observation, reply: MapReply) -> Twists | Finished:
        """Return the next velocities, float32 (n_steps, 3) with at least one, or how the task ended."""
        ...


@dataclass
class Body:
    """The robot in one session, across tasks: where it started, what it bumped into, what it was told last."""

    config: NavigationConfig
    n_steps: int = 0
    n_bumps: int = 0
    _start: Disc | None = None
    _bumps: list[tuple[int, Disc]] = field(default_factory=list)
    _expected: Pose | None = None
    _last_forward: float = 0.0

    @property
    def backed(self) -> bool:
        """Whether the last velocity went backwards."""
        return self._last_forward < 0.0

    def feel(self, pose: Pose, collided: bool) -> bool:
        """Take in a new pose; return whether the robot has bumped into something since the last chunk."""
        settings = self.config.body
        if self._start is None:
            self._start = Disc((pose.x_m, pose.y_m), settings.blind_radius_m)
        expected, self._expected = self._expected, None
        astray = expected is not None and np.hypot(*(expected.position_m - pose.position_m)) > settings.astray_m
        if not (collided or astray):
            return False
        self.n_bumps += 1
        reach = settings.bump_ahead_m if self._last_forward >= 0.0 else -settings.bump_ahead_m
        ahead = pose.moved(reach, 0.0, 1.0)
        # Bumping there again: it must be larger.
        n_near = sum(np.hypot(*(ahead.position_m - disc.center_m)) < settings.bump_ahead_m for _, disc in self._bumps)
        disc = Disc((ahead.x_m, ahead.y_m), settings.bump_radius_m * (1 + n_near))
        self._bumps.append((self.n_steps + settings.bump_steps * (1 + n_near), disc))
        return True

    def terrain(self, reply: MapReply, pose: Pose) -> Terrain:
        """Return what the memory's map and the body's own knowledge mean together."""
        footprint = Disc((pose.x_m, pose.y_m), self.config.terrain.robot_radius_m)
        known_free = (footprint,) if self._start is None else (self._start, footprint)
        self._bumps = [(until, disc) for until, disc in self._bumps if until > self.n_steps]
        grid = Grid.of(reply)
        terrain = build_terrain(grid, self.config.terrain, known_free, tuple(disc for _, disc in self._bumps))
        if self._bumps:
            if self._is_shut_in(terrain, pose):
                # What it bumped into may be smaller than assumed: rather bump again than stay here.
                self._bumps = []
                return build_terrain(grid, self.config.terrain, known_free)
        return terrain

    def _is_shut_in(self, terrain: Terrain, pose: Pose) -> bool:
        source = terrain.nearest_traversable(pose.x_m, pose.y_m)
        if source is None or terrain.share_around(source) < self.config.body.shut_in_share:
            return True
        away_m = np.hypot(*(terrain.grid.centers_of(np.array([source]))[0] - pose.position_m))
        return bool(away_m > self.config.body.escape_m)

    def commit(self, plan: Plan) -> Twists:
        """Note that a plan is handed out and return its velocities."""
        assert len(plan.twists), "an empty plan cannot be handed out"
        self.n_steps += len(plan.twists)
        self._expected = plan.poses[-1]
        self._last_forward = float(plan.twists[-1, 0])
        return plan.twists


def pose_of(observation: Observation) -> Pose:
    """Return where the robot believes to stand."""
    T = observation.T_world_base
    return Pose(float(T[0, 3]), float(T[1, 3]), yaw_of(T))


def camera_of(observation: Observation) -> CameraView:
    """Return mount and field of the observation's first camera, a usual one if it has none."""
    return CameraView.of(observation.cameras[0]) if observation.cameras else CameraView()


class _Driving:
    """What both tasks share: feeling bumps, counting steps, following a path."""

    kind = ""

    def __init__(self, body: Body, max_steps: int) -> None:
        if max_steps < 1:
            raise ValueError(f"max_steps: expected at least 1, got {max_steps}")
        self._body = body
        self._config = body.config
        self._max_steps = max_steps
        self._first_step = body.n_steps
        self._first_bump = body.n_bumps
        self._n_escapes = 0
        self.progress = 0.0

    @property
    def n_steps(self) -> int:
        """Velocities handed out so far."""
        return self._body.n_steps - self._first_step

    def next_chunk(self, observation: Observation, reply: MapReply) -> Twists | Finished:
        """Return the next velocities, float32 (n_steps, 3) with at least one, or how the task ended."""
        pose = pose_of(observation)
        # Where it bumped into something while backing off, backing off again would keep it there.
        backed = self._body.backed
        bumped = self._body.feel(pose, observation.collided)
        if self._body.n_bumps - self._first_bump > self._config.body.max_bumps:
            return Finished("failed", f"bumped into things more than {self._config.body.max_bumps} times")
        terrain = self._body.terrain(reply, pose)
        if bumped and not backed:
            plan = back_off(self._config.controller, terrain, pose)
            if len(plan.twists) and not self._out_of_steps():
                return self._commit(plan)
        source = terrain.nearest_traversable(pose.x_m, pose.y_m)
        if source is None:
            return Finished("failed", "no place on the map is wide enough for the robot")
        return self._decide(observation, terrain, distance_field(terrain, source), pose)

    def _decide(
        self, observation: Observation, terrain: Terrain, distances: DistanceField, pose: Pose
    ) -> Twists | Finished:
        raise NotImplementedError

    def _drive(self, distances: DistanceField, pose: Pose, x_m: float, y_m: float, yaw_rad: float) -> Plan:
        """Return the next velocities towards a reachable place, or to get free where the way is blocked."""
        path_m = self._path(distances, pose, x_m, y_m)
        plan = follow(self._config.controller, distances.terrain, pose, path_m, yaw_rad)
        if len(plan.twists):
            self._n_escapes = 0
        elif plan.blocked and self._n_escapes < self._config.body.n_escapes:
            self._n_escapes += 1
            plan = get_free(self._config.controller, distances.terrain, pose)
        return plan

    def _commit(self, plan: Plan) -> Twists:
        """Hand out a plan, cut to the steps that are left."""
        n_left = self._max_steps - self.n_steps
        return self._body.commit(Plan(plan.twists[:n_left], plan.poses[:n_left]))

    def _path(self, distances: DistanceField, pose: Pose, x_m: float, y_m: float) -> Points2:
        """Return the way from the robot to a place, straightened as far as the next chunks need it."""
        terrain = distances.terrain
        cells_m = distances.path_to(terrain.grid.cell_of(x_m, y_m))
        n_near = 1 + int(4.0 / terrain.grid.resolution_m)
        here = pose.position_m[None]
        if terrain.clearance_at(here)[0] >= terrain.config.minimum_clearance_m:
            cells_m[0] = here
        near_m = shorten_path(terrain, cells_m[:n_near])
        return np.concatenate([here, near_m, cells_m[n_near:]])

    def _out_of_steps(self) -> bool:
        return self.n_steps >= self._max_steps


class Explore(_Driving):
    """See the whole house from near."""

    kind = "explore"

    def __init__(self, body: Body, max_steps: int, coverage: Coverage | None = None) -> None:
        super().__init__(body, max_steps)
        self._coverage = coverage

    def _decide(
        self, observation: Observation, terrain: Terrain, distances: DistanceField, pose: Pose
    ) -> Twists | Finished:
        coverage = self._coverage
        if coverage is None:
            coverage = self._coverage = new_coverage(self._config, camera_of(observation))
        # A look that was made and showed nothing new is given up after a few rounds, so this ends.
        coverage.look(terrain, pose.x_m, pose.y_m, pose.yaw_rad)
        for _ in range(_MAX_LOOKS):
            goal = coverage.choose(terrain, distances, pose.yaw_rad)
            self.progress = coverage.progress
            if goal is None:
                return Finished("succeeded", "nothing is left that is worth another look")
            if self._out_of_steps():
                return Finished("succeeded", f"the {self._max_steps} steps are used up, there is more to see")
            plan = self._drive(distances, pose, goal.x_m, goal.y_m, goal.yaw_rad)
            if len(plan.twists):
                return self._commit(plan)
            # It looks there already, or cannot go there: what that view would show is counted as looked at.
            coverage.look(terrain, goal.x_m, goal.y_m, goal.yaw_rad)
        return Finished("succeeded", "what is left to see cannot be seen from anywhere near")


def new_coverage(config: NavigationConfig, camera: CameraView) -> Coverage:
    """Return an empty account of what has been seen."""
    controller = config.controller
    steps = StepCost(
        forward_m=controller.max_forward_m_s * controller.period_s,
        turn_rad=controller.max_turn_rad_s * controller.period_s,
    )
    return Coverage(config.coverage, camera, steps)


class GoTo(_Driving):
    """Stand near a thing and face it."""

    kind = "go_to"

    def __init__(self, body: Body, target: Target, max_steps: int) -> None:
        super().__init__(body, max_steps)
        if not np.isfinite(target.position_m).all():
            raise ValueError(f"target_m: expected three finite numbers, got {target.position_m}")
        self._target = target
        self._tried: list[StandingPlace] = []
        self._place: StandingPlace | None = None
        self._first_cost_m = 0.0

    def _decide(
        self, observation: Observation, terrain: Terrain, distances: DistanceField, pose: Pose
    ) -> Twists | Finished:
        camera = camera_of(observation)
        for _ in range(self._config.go_to.n_places + 1):
            place = self._keep_or_find(terrain, distances, camera)
            if place is None:
                return self._give_up()
            self._note_progress(float(distances.cost_m[place.cell]))
            plan = self._drive(distances, pose, place.x_m, place.y_m, place.yaw_rad)
            if len(plan.twists):
                if self._out_of_steps():
                    return Finished("failed", f"not there yet when the {self._max_steps} steps were used up")
                return self._commit(plan)
            arrived = np.hypot(place.x_m - pose.x_m, place.y_m - pose.y_m) < 0.15
            if arrived and self._shows_target(observation):
                self.progress = 1.0
                return Finished("succeeded", "stands before the target and faces it")
            self._tried.append(place)
            self._place = None
        return self._give_up()

    def _shows_target(self, observation: Observation) -> bool:
        return target_in_view(observation, self._target.position_m, self._target.own_front_m(self._config.go_to))

    def _keep_or_find(self, terrain: Terrain, distances: DistanceField, camera: CameraView) -> StandingPlace | None:
        """Return the place chosen before while it can still be reached, else the best that was not tried."""
        if self._place is not None:
            cell = terrain.grid.cell_of(self._place.x_m, self._place.y_m)
            if terrain.grid.contains(cell) and np.isfinite(distances.cost_m[cell]):
                self._place = self._place.on(cell)
                return self._place
        if len(self._tried) >= self._config.go_to.n_places:
            return None
        places = find_standing_places(self._config.go_to, terrain, distances, camera, self._target, self._tried)
        self._place = places[0] if places else None
        return self._place

    def _note_progress(self, cost_m: float) -> None:
        self._first_cost_m = max(self._first_cost_m, cost_m)
        share = 1.0 - cost_m / self._first_cost_m if self._first_cost_m > 0.0 else 0.9
        self.progress = max(self.progress, 0.9 * share)

    def _give_up(self) -> Finished:
        where = "({:.2f}, {:.2f}, {:.2f})".format(*self._target.position_m)
        if self._tried:
            return Finished("failed", f"the target at {where} is hidden from {len(self._tried)} places near it")
        return Finished(
            "failed", f"no place within {self._config.go_to.reach_m} m of the target at {where} can be reached"
        )
