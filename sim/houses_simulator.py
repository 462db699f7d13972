"""The houses that this project makes, rendered by Embree, with a disc on wheels in them."""

from __future__ import annotations

from typing import Optional

from embodied.errors import SceneError
from sim.collision import obstacle_grid
from sim.renderer import Renderer
from sim.robot import DiscRobot
from sim.scene import Scene
from sim.simulator import Reading, View
from sim.simulator_settings import CameraSettings, HousesSettings
from sim.wheeled_simulator import WheeledSimulator

__all__ = ["CameraSettings", "HousesSettings", "HousesSimulator"]


class HousesSimulator(WheeledSimulator):
    """``Simulator`` without a GPU, a window or a system library."""

    name = "houses"

    def __init__(self, scene: Scene, settings: Optional[HousesSettings] = None) -> None:
        self.settings = settings or HousesSettings()
        super().__init__(self.settings.camera, self.settings.robot)
        self._renderer: Optional[Renderer] = Renderer(scene, self.settings.lighting)
        self._place(scene)

    def load(self, scene: Scene) -> None:
        """Put a scene in place and the robot at its start pose; the present scene need not be built again."""
        if scene is not self._scene:
            self._open().load(scene)
            self._place(scene)
        self._begin(scene)

    def observe(self) -> Reading:
        """Render what the camera sees."""
        rgb, depth_m, instance_ids = self._open().render(self.T_world_base @ self._T_base_camera, self._intrinsics)
        return Reading((View(rgb, depth_m, instance_ids, self._T_base_camera.copy()),))

    def close(self) -> None:
        """Drop the scene."""
        self._renderer = None

    def _open(self) -> Renderer:
        if self._renderer is None:
            raise ValueError("simulator: expected an open one, got one that was closed")
        return self._renderer

    def _place(self, scene: Scene) -> None:
        self._scene = scene
        self._name_instances(scene)
        try:
            self._robot = DiscRobot(obstacle_grid(self._open().mesh), scene.start_pose, self.settings.robot)
        except ValueError as error:
            raise SceneError(f"scene {scene.name}: the robot cannot stand at its start: {error}") from error
