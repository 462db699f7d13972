"""The houses that this project makes, rendered by Embree, with a disc on wheels in them."""

from __future__ import annotations

from typing import Dict, Mapping, Optional, Tuple

import numpy as np

from embodied.arrays import Float, Transform
from embodied.errors import SceneError
from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from sim.collision import obstacle_grid
from sim.renderer import Renderer
from sim.robot import DiscRobot, limit_twists, twist_space
from sim.scene import Scene
from sim.simulator import WHEEL_ACTIONS, ActionSpace, Camera, Reading, StepResult, View, checked_action
from sim.simulator_settings import CameraSettings, HousesSettings

__all__ = ["CameraSettings", "HousesSettings", "HousesSimulator"]


class HousesSimulator:
    """``Simulator`` without a GPU, a window or a system library."""

    name = "houses"
    instruction = ""
    """It has no task of its own."""
    control_period_s: Optional[float] = None
    """Wheels hold a twist for as long as they are told."""
    proprioception_names = WHEEL_ACTIONS

    def __init__(self, scene: Scene, settings: Optional[HousesSettings] = None) -> None:
        self.settings = settings or HousesSettings()
        camera = self.settings.camera
        self._intrinsics = intrinsics_from_fov(camera.width_px, camera.height_px, camera.horizontal_fov_rad)
        self._T_base_camera = camera_mount(0.0, 0.0, camera.height_m, camera.pitch_rad)
        self._renderer: Optional[Renderer] = Renderer(scene, self.settings.lighting)
        self._measured = np.zeros(3, dtype=np.float32)
        self._place(scene)

    @property
    def cameras(self) -> Tuple[Camera, ...]:
        """The camera on its mast."""
        return (Camera("head", self._intrinsics),)

    @property
    def action_space(self) -> ActionSpace:
        """The twists within the limits of each axis alone."""
        return twist_space(self.settings.robot)

    @property
    def T_world_base(self) -> Transform:
        """Where the robot truly is."""
        return planar_pose(*self._robot.pose)

    @property
    def labels(self) -> Mapping[int, str]:
        """Category of each instance."""
        return self._labels

    def load(self, scene: Scene) -> None:
        """Put a scene in place and the robot at its start pose; the present scene need not be built again."""
        if scene is not self._scene:
            self._open().load(scene)
            self._place(scene)
        self._robot.pose = scene.start_pose
        self._measured = np.zeros(3, dtype=np.float32)

    def observe(self) -> Reading:
        """Render what the camera sees."""
        rgb, depth_m, instance_ids = self._open().render(self.T_world_base @ self._T_base_camera, self._intrinsics)
        return Reading((View(rgb, depth_m, instance_ids, self._T_base_camera.copy()),))

    def measured(self) -> Float[np.ndarray, " 3"]:
        """Return the twist of the last step, none before the first."""
        return self._measured.copy()

    def limited(self, actions: Float[np.ndarray, "n_steps 3"]) -> Float[np.ndarray, "n_steps 3"]:
        """Return the twists that the robot would carry out."""
        return limit_twists(actions, self.settings.robot)

    def step(self, action: np.ndarray, period_s: float) -> StepResult:
        """Hold a twist, which is done in substeps of a centimetre."""
        self._open()
        motion = self._robot.step(checked_action(action, self.action_space), period_s)
        self._measured = motion.twist.astype(np.float32)
        return StepResult(self._measured.copy(), motion.collided)

    def close(self) -> None:
        """Drop the scene."""
        self._renderer = None

    def _open(self) -> Renderer:
        if self._renderer is None:
            raise ValueError("simulator: expected an open one, got one that was closed")
        return self._renderer

    def _place(self, scene: Scene) -> None:
        self._scene = scene
        self._labels: Dict[int, str] = {i.instance_id: scene.templates[i.template].category for i in scene.instances}
        try:
            self._robot = DiscRobot(obstacle_grid(self._open().mesh), scene.start_pose, self.settings.robot)
        except ValueError as error:
            raise SceneError(f"scene {scene.name}: the robot cannot stand at its start: {error}") from error
