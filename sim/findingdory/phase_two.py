"""Phase two: the robot in the evening's house. Whether a pose is right, how far it is, and the drive there.

Predicates and thresholds are those of the release's PDDL domain. Its 0.1 m at a receptacle is read as in object
navigation: the distance to the nearest viewpoint, and viewpoints lie within 1 m of the thing.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple

import numpy as np

from embodied.arrays import Bool, Float
from embodied.geometry import planar_pose
from sim.findingdory.experience import Camera
from sim.findingdory.goals import Goal
from sim.findingdory.truth import HistoryTruth
from sim.findingdory.walking import MAX_STEPS, Floor, Pose, Walker
from sim.houses.placing import bounds_of, footprint, middle

OBJECT_M, OBJECT_RAD = 2.0, float(np.pi / 4)
"""Geodesic distance and heading error at an object."""
RECEPTACLE_M, RECEPTACLE_RAD = 0.1, float(np.pi / 2)
"""The same at a receptacle; the distance is to the nearest viewpoint."""
VIEWPOINT_M = 1.0
"""Viewpoints of a receptacle lie within this of its footprint, in its own room."""
POSITION_M, POSITION_RAD = 1.0, float(np.pi / 4)
MIN_COVERAGE = 0.001
"""Share of the image that the thing must fill."""
_ANGLE_TOLERANCE_RAD = 1e-6


class Verdicts(NamedTuple):
    """Poses against one goal: of its choices each pose is held to the one that it comes nearest to."""

    distance_m: Float[np.ndarray, " n_poses"]
    """Geodesic, to the object, the receptacle's nearest viewpoint, the room or the position."""
    is_near: Bool[np.ndarray, " n_poses"]
    is_seen: Bool[np.ndarray, " n_poses"]
    """Enough of the thing is in view; always so where the goal is none."""
    is_right: Bool[np.ndarray, " n_poses"]
    """Near one choice, facing it, and seeing it."""


class _Target(NamedTuple):
    """One choice of a goal."""

    to_go_m: Float[np.ndarray, "rows columns"]
    reach_m: float
    reach_rad: float
    center_m: Tuple[float, float]
    """What is to be faced."""
    yaw_rad: float
    """What heading is asked for, where nothing is to be faced."""
    instance_id: int


class Evening:
    """The house after the day."""

    def __init__(self, truth: HistoryTruth, floor: Floor, camera: Camera) -> None:
        self.truth = truth
        self.floor = floor
        self._camera = camera
        self._targets: Dict[Goal, Tuple[_Target, ...]] = {}
        scene = truth.after
        self._boxes = {i.instance_id: bounds_of(scene.templates[i.template], i.T_world_object) for i in scene.instances}
        self.still = truth.coverage.copy()
        """What each frame shows of the things that stand there to this day."""
        for interaction in truth.interactions:
            self.still[: interaction.placed_frame, interaction.instance_id] = 0.0

    def look(self, pose: Pose) -> Float[np.ndarray, " n_ids"]:
        """Return the share of the image that shows each instance from a pose, as the house is now."""
        picture = self._camera.see(self.truth.after, planar_pose(*pose))
        counts = np.bincount(picture.instance_ids.ravel(), minlength=self.still.shape[1])
        return (counts / picture.instance_ids.size).astype(np.float32)

    def judge_pose(self, goal: Goal, pose: Pose) -> Verdicts:
        """Judge a pose, with what is seen from it now."""
        return self.judge(goal, np.array([pose]), self.look(pose)[None])

    def judge_frames(self, goal: Goal) -> Verdicts:
        """Judge every frame of the history: its true pose, and what it shows of things that still stand there."""
        return self.judge(goal, self.truth.poses, self.still)

    def judge(
        self, goal: Goal, poses: Float[np.ndarray, "n_poses 3"], coverage: Float[np.ndarray, "n_poses n_ids"]
    ) -> Verdicts:
        """Judge poses with what is seen from each."""
        rows, columns = self.floor.cells_of(poses[:, :2])
        best: Tuple[np.ndarray, ...] = ()
        for target in self._targets_of(goal):
            distance_m = target.to_go_m[rows, columns]
            is_near = distance_m <= target.reach_m
            is_seen: np.ndarray = np.ones(len(poses), dtype=bool)
            heading_rad = np.full(len(poses), target.yaw_rad)
            if target.instance_id:
                is_seen = coverage[:, target.instance_id] >= MIN_COVERAGE
                ahead = np.array(target.center_m) - poses[:, :2]
                heading_rad = np.arctan2(ahead[:, 1], ahead[:, 0])
            error_rad = np.abs((poses[:, 2] - heading_rad + np.pi) % (2 * np.pi) - np.pi)
            is_right = is_near & is_seen & (error_rad <= target.reach_rad + _ANGLE_TOLERANCE_RAD)
            found = (distance_m, is_near, is_seen, is_right)
            if best:
                nearer = (is_right > best[3]) | ((is_right == best[3]) & (distance_m < best[0]))
                best = tuple(np.where(nearer, new, old) for new, old in zip(found, best))
            else:
                best = found
        return Verdicts(*best)

    def drive(self, start: Pose, believed: Pose, max_steps: int = MAX_STEPS) -> Walker:
        """Drive to where a frame was taken and turn as it looked; return the robot there.

        Args:
            start: True pose.
            believed: The frame's pose, as it was observed.
            max_steps: The drive ends after so many.
        """
        walker = Walker(self.floor, start)
        for _ in walker.drive_to(believed[:2]):
            if walker.n_steps >= max_steps:
                return walker
        for _ in walker.turn_to(believed[2]):
            if walker.n_steps >= max_steps:
                return walker
        return walker

    def _targets_of(self, goal: Goal) -> Tuple[_Target, ...]:
        if goal not in self._targets:
            if goal.kind == "room":
                targets = tuple(self._room(room) for room in goal.rooms)
            elif goal.kind == "position":
                assert goal.pose is not None
                x_m, y_m, yaw_rad = goal.pose
                to_go_m = self.floor.ways.field((x_m, y_m))
                targets = (_Target(to_go_m, POSITION_M, POSITION_RAD, (x_m, y_m), yaw_rad, 0),)
            elif goal.kind == "object":
                targets = tuple(self._object(i) for i in goal.instances)
            else:
                targets = tuple(self._receptacle(i) for i in goal.instances)
            self._targets[goal] = targets
        return self._targets[goal]

    def _room(self, room: str) -> _Target:
        return _Target(self.floor.ways.field_of(self.floor.cells_in(room)), 0.0, np.pi, (0.0, 0.0), 0.0, 0)

    def _object(self, instance_id: int) -> _Target:
        center = self._center(instance_id)
        return _Target(self.floor.field_to_point(center), OBJECT_M, OBJECT_RAD, center, 0.0, instance_id)

    def _receptacle(self, instance_id: int) -> _Target:
        center = self._center(instance_id)
        cells = self.floor.cells_in(self.floor.room_at(*center))
        distance_m = self.floor.distance_from(footprint(self._boxes[instance_id]), cells)
        to_go_m = self.floor.ways.field_of(distance_m <= VIEWPOINT_M)
        return _Target(to_go_m, RECEPTACLE_M, RECEPTACLE_RAD, center, 0.0, instance_id)

    def _center(self, instance_id: int) -> Tuple[float, float]:
        x_m, y_m, _ = middle(self._boxes[instance_id]).tolist()
        return x_m, y_m
