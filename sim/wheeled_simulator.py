"""What simulators of a robot on wheels have in common: one camera on a mast, twists as actions, the measured twist."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Dict, Mapping, Optional, Tuple

import numpy as np

from embodied.arrays import Float, Transform
from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from sim.robot import RobotSettings, WheeledRobot, limit_twists, twist_space
from sim.scene import Scene
from sim.simulator import WHEEL_ACTIONS, ActionSpace, Camera, StepResult, checked_action
from sim.simulator_settings import CameraSettings


class WheeledSimulator(ABC):
    """The part of ``Simulator`` that is the same wherever the house is drawn. Subclasses put a robot into a scene."""

    instruction = ""
    """It has no task of its own."""
    control_period_s: Optional[float] = None
    """Wheels hold a twist for as long as they are told."""
    proprioception_names = WHEEL_ACTIONS
    _robot: WheeledRobot

    def __init__(self, camera: CameraSettings, robot: RobotSettings) -> None:
        self._robot_settings = robot
        self._intrinsics = intrinsics_from_fov(camera.width_px, camera.height_px, camera.horizontal_fov_rad)
        self._T_base_camera = camera_mount(0.0, 0.0, camera.height_m, camera.pitch_rad)
        self._measured = np.zeros(3, dtype=np.float32)
        self._labels: Dict[int, str] = {}

    @property
    def cameras(self) -> Tuple[Camera, ...]:
        """The camera on its mast."""
        return (Camera("head", self._intrinsics),)

    @property
    def action_space(self) -> ActionSpace:
        """The twists within the limits of each axis alone."""
        return twist_space(self._robot_settings)

    @property
    def T_world_base(self) -> Transform:
        """Where the robot truly is."""
        return planar_pose(*self._robot.pose)

    @property
    def labels(self) -> Mapping[int, str]:
        """Category of each instance."""
        return self._labels

    def measured(self) -> Float[np.ndarray, " 3"]:
        """Return the twist of the last step, none before the first."""
        return self._measured.copy()

    def limited(self, actions: Float[np.ndarray, "n_steps 3"]) -> Float[np.ndarray, "n_steps 3"]:
        """Return the twists that the robot would carry out."""
        return limit_twists(actions, self._robot_settings)

    def step(self, action: np.ndarray, period_s: float) -> StepResult:
        """Hold a twist, which is done in substeps of a centimetre."""
        self._open()
        motion = self._robot.step(checked_action(action, self.action_space), period_s)
        self._measured = motion.twist.astype(np.float32)
        return StepResult(self._measured.copy(), motion.collided)

    @abstractmethod
    def _open(self) -> object:
        """Return what draws, or raise ValueError once the simulator is closed."""

    def _begin(self, scene: Scene) -> None:
        """Put the robot at the scene's start pose, standing."""
        self._robot.pose = scene.start_pose
        self._measured = np.zeros(3, dtype=np.float32)

    def _name_instances(self, scene: Scene) -> None:
        self._labels = {i.instance_id: scene.templates[i.template].category for i in scene.instances}
