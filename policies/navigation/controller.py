"""From a path to velocities: turns first, drives where it is safe, stops before what is not known to be free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.arrays import Points2, Twists
from embodied.config import Config
from embodied.geometry import wrap_angle
from policies.navigation.grid import Terrain, Vector2


class ControllerConfig(Config):
    """How the robot moves."""

    period_s: float = 0.2
    """Each velocity is held this long."""
    max_forward_m_s: float = 0.8
    max_turn_rad_s: float = 1.6
    n_chunk: int = 10
    """Velocities in a chunk, at most."""
    n_turn_chunk: int = 5
    """Velocities in a chunk that begins with a turn on the spot: what it shows may change the plan."""
    n_look_after: int = 3
    """A turn of as many periods is not followed by driving in the same chunk: look first."""
    look_ahead_m: float = 0.45
    """The point on the path that is steered for."""
    drive_within_rad: float = 0.9
    """With the point further to the side the robot turns on the spot."""
    deceleration_m_s2: float = 1.5
    """At the path's end."""
    arrived_m: float = 0.06
    faced_rad: float = 0.12


@dataclass(frozen=True)
class Pose:
    """Where the robot stands."""

    x_m: float
    y_m: float
    yaw_rad: float

    @property
    def position_m(self) -> Vector2:
        """Where its middle is."""
        return np.array([self.x_m, self.y_m])

    def moved(self, forward_m_s: float, turn_rad_s: float, duration_s: float) -> Pose:
        """Return the pose after driving along an arc."""
        turn = turn_rad_s * duration_s
        if abs(turn) < 1e-9:
            along, aside = forward_m_s * duration_s, 0.0
        else:
            radius = forward_m_s / turn_rad_s
            along, aside = radius * np.sin(turn), radius * (1.0 - np.cos(turn))
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        return Pose(
            float(self.x_m + c * along - s * aside),
            float(self.y_m + s * along + c * aside),
            wrap_angle(self.yaw_rad + turn),
        )


@dataclass(frozen=True)
class Plan:
    """Velocities, and where they should take the robot."""

    twists: Twists
    """float32 (n_steps, 3); n_steps may be 0."""
    poses: tuple[Pose, ...]
    """After each of them."""
    blocked: bool = False
    """The path goes on where the robot may not."""


def follow(
    config: ControllerConfig, terrain: Terrain, pose: Pose, path_m: Points2, final_yaw_rad: float | None
) -> Plan:
    """Return the next velocities along a path, with a turn to ``final_yaw_rad`` at its end.

    The disc never comes nearer to what is not known to be free than the terrain allows; where the robot stands nearer
    already it may move as long as the gap does not shrink.
    """
    twists: list[tuple[float, float, float]] = []
    poses: list[Pose] = []
    blocked = False
    progress = _nearest_on(path_m, pose.position_m)
    only_turns = True
    while len(twists) < (config.n_turn_chunk if twists and only_turns else config.n_chunk):
        command = _command(config, terrain, pose, path_m, final_yaw_rad, progress)
        if command is None or command.idle:
            blocked = command is None
            break
        if only_turns and command.forward_m_s > 0.0 and len(twists) >= config.n_look_after:
            break
        only_turns = only_turns and command.forward_m_s == 0.0
        progress, pose = command.progress_m, command.after
        twists.append((command.forward_m_s, 0.0, command.turn_rad_s))
        poses.append(pose)
    return Plan(np.array(twists, dtype=np.float32).reshape(-1, 3), tuple(poses), blocked)


def back_off(config: ControllerConfig, terrain: Terrain, pose: Pose, n_steps: int = 2, speed_m_s: float = 0.3) -> Plan:
    """Return a few velocities straight back, as far as that is known to be free."""
    twists: list[tuple[float, float, float]] = []
    poses: list[Pose] = []
    for _ in range(n_steps):
        after = _safe_move(config, terrain, pose, -speed_m_s, 0.0)
        if after is None:
            break
        pose = after
        twists.append((-speed_m_s, 0.0, 0.0))
        poses.append(pose)
    return Plan(np.array(twists, dtype=np.float32).reshape(-1, 3), tuple(poses), blocked=not twists)


def get_free(config: ControllerConfig, terrain: Terrain, pose: Pose) -> Plan:
    """Return a short move that leaves more room around the robot, straight or along an arc; else a turn on the spot."""
    best: tuple[float, float, Pose] | None = None
    room = float(terrain.clearance_at(pose.position_m[None])[0])
    for speed in (-0.3, 0.3, -0.15, 0.15):
        for turn in (0.0, 0.8, -0.8):
            after = _safe_move(config, terrain, pose, speed, turn)
            if after is not None:
                gained = float(terrain.clearance_at(after.position_m[None])[0])
                if gained > room + 1e-6:
                    best, room = (speed, turn, after), gained
    if best is None:
        turn = config.max_turn_rad_s
        best = 0.0, turn, pose.moved(0.0, turn, config.period_s)
    speed, turn, after = best
    return Plan(np.array([(speed, 0.0, turn)], dtype=np.float32), (after,))


def is_safe(terrain: Terrain, points_m: Points2) -> bool:
    """Tell whether the robot's middle may pass these points, the first being where it stands.

    Known floor must be under the whole disc; where the first point has less room than that, no later one has less.
    """
    clearance = terrain.clearance_at(points_m)
    # Interpolation rounds corners off by less than a tenth of a cell.
    needed = min(terrain.config.minimum_clearance_m, float(clearance[0])) - 0.1 * terrain.grid.resolution_m
    return bool(clearance.min() >= needed)


@dataclass(frozen=True)
class _Command:
    """One velocity on the way along a path."""

    forward_m_s: float
    turn_rad_s: float
    progress_m: float
    """Along the path."""
    after: Pose

    @property
    def idle(self) -> bool:
        """The path's end is reached."""
        return self.forward_m_s == 0.0 and self.turn_rad_s == 0.0


def _command(
    config: ControllerConfig,
    terrain: Terrain,
    pose: Pose,
    path_m: Points2,
    final_yaw_rad: float | None,
    progress_m: float,
) -> _Command | None:
    """Return the next velocity, None if none along the path is safe.

    Steering for a point far ahead is smooth and cuts corners; where that is not safe a nearer point is steered for, and
    turned to on the spot first.
    """
    for share in (1.0, 0.5, 0.2):
        reached_m, forward, turn = _steer(config, pose, path_m, final_yaw_rad, progress_m, share)
        for speed in (forward, 0.5 * forward) if forward else (0.0,):
            after = _safe_move(config, terrain, pose, speed, turn)
            if after is not None:
                return _Command(speed, turn, reached_m, after)
    return None


def _safe_move(config: ControllerConfig, terrain: Terrain, pose: Pose, forward: float, turn: float) -> Pose | None:
    """Return the pose after one period, None if the way there is not safe."""
    arc = [pose.moved(forward, turn, config.period_s * part) for part in (0.25, 0.5, 0.75, 1.0)]
    if forward == 0.0 or is_safe(terrain, np.array([(p.x_m, p.y_m) for p in (pose, *arc)])):
        return arc[-1]
    return None


def _steer(
    config: ControllerConfig, pose: Pose, path_m: Points2, final_yaw_rad: float | None, progress: float, share: float
) -> tuple[float, float, float]:
    """Return the arc length reached on the path and the wanted speeds (pure pursuit, Coulter 1992); both 0 at the end.

    ``share`` below 1 shortens the look ahead and narrows the angle within which the robot drives.
    """
    drive_within_rad = config.drive_within_rad * share
    step_rad = config.max_turn_rad_s * config.period_s
    progress, remaining, target = _pursue(path_m, pose.position_m, config.look_ahead_m * share, progress)
    if remaining <= config.arrived_m:
        error = 0.0 if final_yaw_rad is None else wrap_angle(final_yaw_rad - pose.yaw_rad)
        if abs(error) <= config.faced_rad:
            return progress, 0.0, 0.0
        return progress, 0.0, float(np.clip(error, -step_rad, step_rad)) / config.period_s
    offset = target - pose.position_m
    error = wrap_angle(float(np.arctan2(offset[1], offset[0])) - pose.yaw_rad)
    if abs(error) > drive_within_rad:
        return progress, 0.0, float(np.clip(error, -step_rad, step_rad)) / config.period_s
    speed = config.max_forward_m_s * max(0.25, 1.0 - abs(error) / drive_within_rad)
    speed = min(speed, float(np.sqrt(2.0 * config.deceleration_m_s2 * remaining)), remaining / config.period_s)
    curvature = 2.0 * np.sin(error) / max(float(np.hypot(*offset)), 0.15)
    # Slow robots steer by curvature too little: aim to lose half of the error within a period at least.
    turn = max(abs(speed * curvature), min(abs(error), 0.5 * abs(error) + 0.02) / config.period_s)
    turn = float(np.copysign(min(turn, abs(error) / config.period_s, config.max_turn_rad_s), error))
    return progress, speed, turn


def _nearest_on(path_m: Points2, position_m: Vector2, first_m: float = 0.0, last_m: float = np.inf) -> float:
    """Return how far along a path the point nearest to a position lies, between two such lengths."""
    segments = np.diff(path_m, axis=0)
    lengths = np.hypot(segments[:, 0], segments[:, 1])
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    if starts[-1] < 1e-9:
        return 0.0
    safe = np.where(lengths > 1e-9, lengths, 1.0)
    along = ((position_m - path_m[:-1]) * segments).sum(axis=1) / safe
    along = np.clip(along, np.minimum(np.maximum(first_m - starts[:-1], 0.0), lengths), lengths)
    foot = path_m[:-1] + segments * (along / safe)[:, None]
    outside = (starts[1:] < first_m - 1e-9) | (starts[:-1] > last_m)
    distance = np.where(outside, np.inf, np.hypot(*(foot - position_m).T))
    nearest = int(np.argmin(distance))
    return float(starts[nearest] + along[nearest])


def _pursue(path_m: Points2, position_m: Vector2, look_ahead_m: float, progress: float) -> tuple[float, float, Vector2]:
    """Return how far along the path the robot is, what remains, and the point to steer for.

    The nearest point is sought from ``progress`` onwards a little way, so that a path that passes by itself is not cut.
    """
    starts = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path_m, axis=0).T))])
    progress = max(progress, _nearest_on(path_m, position_m, progress, progress + 2.0 * look_ahead_m))
    ahead_m = min(progress + look_ahead_m, float(starts[-1]))
    point = np.array([np.interp(ahead_m, starts, path_m[:, 0]), np.interp(ahead_m, starts, path_m[:, 1])])
    left_m = float(starts[-1]) - progress
    remaining_m = float(np.hypot(*(path_m[-1] - position_m))) if left_m < look_ahead_m else left_m
    return progress, remaining_m, point
