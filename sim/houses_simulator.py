"""The houses that this project makes, rendered by Embree, with a disc on wheels in them."""

from __future__ import annotations

from typing import Dict, Mapping, Optional

import numpy as np

from embodied.arrays import Float, Transform, Vector3
from embodied.config import Config
from embodied.errors import SceneError
from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from embodied.messages import Intrinsics
from sim.collision import obstacle_grid
from sim.lighting import LightingSettings
from sim.renderer import Renderer
from sim.robot import DiscRobot, RobotSettings, StepResult, limit_twists
from sim.scene import Scene
from sim.simulator import Reading


class CameraSettings(Config):
    """The robot's camera."""

    width_px: int = 256
    """Width of the image."""
    height_px: int = 256
    """Height of the image."""
    horizontal_fov_rad: float = 1.5707963267948966
    """Angle between the left and the right edge."""
    height_m: float = 1.25
    """Above the floor."""
    pitch_rad: float = 0.3490658503988659
    """Downwards."""


class HousesSettings(Config):
    """The simulated robot."""

    camera: CameraSettings = CameraSettings()
    """What it sees with."""
    robot: RobotSettings = RobotSettings()
    """What it moves."""
    lighting: LightingSettings = LightingSettings()
    """How houses are lit."""


class HousesSimulator:
    """``Simulator`` without a GPU, a window or a system library."""

    name = "houses"

    def __init__(self, scene: Scene, settings: Optional[HousesSettings] = None) -> None:
        self.settings = settings or HousesSettings()
        camera = self.settings.camera
        self._intrinsics = intrinsics_from_fov(camera.width_px, camera.height_px, camera.horizontal_fov_rad)
        self._T_base_camera = camera_mount(0.0, 0.0, camera.height_m, camera.pitch_rad)
        self._renderer: Optional[Renderer] = Renderer(scene, self.settings.lighting)
        self._place(scene)

    @property
    def intrinsics(self) -> Intrinsics:
        """The camera."""
        return self._intrinsics

    @property
    def T_base_camera(self) -> Transform:
        """Where the camera sits on the robot."""
        return self._T_base_camera.copy()

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

    def observe(self) -> Reading:
        """Render what the camera sees."""
        rgb, depth_m, instance_ids = self._open().render(self.T_world_base @ self._T_base_camera, self._intrinsics)
        return Reading(rgb=rgb, depth_m=depth_m, instance_ids=instance_ids)

    def limited(self, twists: Float[np.ndarray, "n_steps 3"]) -> Float[np.ndarray, "n_steps 3"]:
        """Return the twists that the robot would carry out."""
        return limit_twists(twists, self.settings.robot)

    def step(self, twist: Vector3, period_s: float) -> StepResult:
        """Move the robot, which is done in substeps of a centimetre."""
        self._open()
        return self._robot.step(twist, period_s)

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
