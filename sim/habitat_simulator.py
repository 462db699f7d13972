"""The same robot in habitat-sim: its sensors render, and its PathFinder says where the robot may go.

Runs in an interpreter that has ``habitat_sim`` (docs/simulators.md). Habitat's world has y up, its agents and cameras
look along -z; that is converted here and in ``habitat_dataset``, and nowhere else.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, List, Optional, Tuple

import numpy as np

from embodied.arrays import Float
from embodied.errors import ConfigurationError, SceneError
from embodied.geometry import planar_pose, quaternion_from_matrix
from sim.collision import BODY_Z_M
from sim.habitat_dataset import R_HABITAT_WORLD, habitat_points, world_points, write_dataset
from sim.robot import RobotSettings, WheeledRobot
from sim.scene import Scene
from sim.simulator import Reading, View
from sim.simulator_settings import CameraSettings, HabitatSettings
from sim.wheeled_simulator import WheeledSimulator

R_BASE_AGENT = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Habitat's agents have x to the right, y up and z backwards."""
_NAVMESH_CELL_M = 0.02
_NAVMESH_EDGE_ERROR = 0.5
"""In cells: how far a simplified border may lie from the true one. Habitat's own 5 cm and 1.3 close narrow doors."""
_FLOOR_TOLERANCE_M = 0.3
"""The navigation mesh may lie this far over the floor it was made from."""
_SAME_M = 1e-4
"""Habitat's places are float32: a move that ends so near to where it should was not stopped."""


def habitat_library() -> Any:
    """Return the package, silenced.

    Raises:
        ConfigurationError: This interpreter has none.
    """
    # It writes pages to the terminal unless told before its first import.
    os.environ.setdefault("MAGNUM_LOG", "quiet")
    os.environ.setdefault("HABITAT_SIM_LOG", "quiet")
    try:
        import habitat_sim
    except ImportError as error:
        raise ConfigurationError(
            "habitat_sim is missing in this interpreter: name one that has it with --bridge-python or in "
            f"EMBODIED_HABITAT_PYTHON (docs/simulators.md): {error}"
        ) from error
    return habitat_sim


class _NavmeshRobot(WheeledRobot):
    """A robot that PathFinder moves over the navigation mesh."""

    def __init__(self, pathfinder: Any, pose: Tuple[float, float, float], settings: RobotSettings) -> None:
        super().__init__(pose, settings)
        self._pathfinder = pathfinder
        x_m, y_m, _ = pose
        if not pathfinder.is_navigable(_floor_point(x_m, y_m), _FLOOR_TOLERANCE_M):
            raise ValueError(f"pose: expected a place on the navigation mesh, got {pose}")

    def _moved(self, x_m: float, y_m: float, move: Float[np.ndarray, " 2"]) -> Tuple[float, float, bool]:
        wanted = np.array([x_m + float(move[0]), y_m + float(move[1])])
        start, end = _floor_point(x_m, y_m), _floor_point(*wanted.tolist())
        reached = world_points(np.asarray(self._pathfinder.try_step(start, end), dtype=np.float64).reshape(1, 3))[0, :2]
        if np.abs(reached - wanted).max() <= _SAME_M:
            return float(wanted[0]), float(wanted[1]), False
        return float(reached[0]), float(reached[1]), True


def _floor_point(x_m: float, y_m: float) -> np.ndarray:
    """Return a place on the floor in Habitat's world, float32."""
    return habitat_points(np.array([[x_m, y_m, 0.0]], dtype=np.float32))[0]


class HabitatSimulator(WheeledSimulator):
    """``Simulator`` by habitat-sim.

    A scene is written as a scene dataset and loaded from there, by the way that other people's datasets take. The
    navigation mesh is made anew for the robot's radius.
    """

    name = "habitat"

    def __init__(self, scene: Scene, settings: Optional[HabitatSettings] = None) -> None:
        self.settings = settings or HabitatSettings()
        super().__init__(self.settings.camera, self.settings.robot)
        self._library = habitat_library()
        self._simulator: Any = None
        self._place(scene)

    @property
    def navigable_area_m2(self) -> float:
        """How much floor the navigation mesh holds, which is where the robot's middle may be."""
        return float(self._open().pathfinder.navigable_area)

    def load(self, world: Scene) -> None:
        """Put a scene in place and the robot at its start pose; the present scene need not be read again."""
        self._open()
        if world is not self._scene:
            self._place(world)
        self._begin(world)

    def observe(self) -> Reading:
        """Render what the camera sees."""
        simulator = self._open()
        simulator.get_agent(0).set_state(agent_state(self._library, self._robot.pose), reset_sensors=True)
        images = simulator.get_sensor_observations()
        rgb = np.ascontiguousarray(np.asarray(images["rgb"])[..., :3])
        depth_m = np.array(images["depth"], dtype=np.float32)
        instance_ids = np.asarray(images["semantic"]).astype(np.int32)
        return Reading((View(rgb, depth_m, instance_ids, self._T_base_camera.copy()),))

    def close(self) -> None:
        """Give back the graphics context."""
        if self._simulator is not None:
            self._simulator.close()
            self._simulator = None

    def _open(self) -> Any:
        if self._simulator is None:
            raise ValueError("simulator: expected an open one, got one that was closed")
        return self._simulator

    def _place(self, scene: Scene) -> None:
        self.close()  # a dataset that it knows is never read again, whatever became of its files
        with tempfile.TemporaryDirectory(prefix="habitat-") as folder:
            dataset = write_dataset(_lit_for_habitat(scene), Path(folder))
            self._simulator = open_dataset(self._library, dataset, scene.name, self.settings)
        self._scene = scene
        self._name_instances(scene)
        self._make_navmesh(scene.name)
        try:
            self._robot = _NavmeshRobot(self._simulator.pathfinder, scene.start_pose, self.settings.robot)
        except ValueError as error:
            raise SceneError(f"scene {scene.name}: the robot cannot stand at its start: {error}") from error

    def _make_navmesh(self, scene_name: str) -> None:
        settings = self._library.NavMeshSettings()
        settings.set_defaults()
        settings.agent_radius = self.settings.robot.radius_m
        settings.agent_height = BODY_Z_M[1]
        settings.agent_max_climb = BODY_Z_M[0]
        settings.cell_size = settings.cell_height = _NAVMESH_CELL_M
        settings.edge_max_error = _NAVMESH_EDGE_ERROR
        if not self._simulator.recompute_navmesh(self._simulator.pathfinder, settings, True):
            raise SceneError(f"scene {scene_name}: habitat-sim finds no floor to drive on")


def open_dataset(library: Any, dataset: Path, scene_name: str, settings: HabitatSettings) -> Any:
    """Open habitat-sim itself on one scene of a dataset, with one agent."""
    backend = library.SimulatorConfiguration()
    backend.scene_dataset_config_file = str(dataset)
    backend.scene_id = scene_name
    backend.gpu_device_id = settings.gpu_device_id
    backend.load_semantic_mesh = False
    backend.enable_physics = False
    agent = library.agent.AgentConfiguration()
    agent.height, agent.radius = BODY_Z_M[1], settings.robot.radius_m
    agent.sensor_specifications = _sensors(library, settings.camera)
    return library.Simulator(library.Configuration(backend, [agent]))


def agent_state(library: Any, pose: Tuple[float, float, float]) -> Any:
    """Return where habitat-sim's agent is when our robot's base is at x, y in metres and yaw in radians."""
    T_world_base = planar_pose(*pose)
    state = library.AgentState()
    state.position = habitat_points(T_world_base[:3, 3].reshape(1, 3))[0].astype(np.float32)
    x, y, z, w = quaternion_from_matrix(R_HABITAT_WORLD @ T_world_base[:3, :3] @ R_BASE_AGENT).tolist()
    state.rotation = np.quaternion(w, x, y, z)  # type: ignore[attr-defined]  # numpy-quaternion puts it there
    return state


def _lit_for_habitat(scene: Scene) -> Scene:
    """Return the scene with its brightest lamp at one: how bright lamps are against each other is all that they say."""
    brightest = max((light.intensity for light in scene.lights), default=0.0)
    if brightest <= 0.0:
        return scene
    lights = tuple(replace(lamp, intensity=lamp.intensity / brightest * scene.lamp_gain) for lamp in scene.lights)
    return replace(scene, lights=lights)


def _sensors(library: Any, camera: CameraSettings) -> List[Any]:
    """Return one pinhole camera for each kind of image, all at the same place."""
    kinds = {
        "rgb": library.SensorType.COLOR,
        "depth": library.SensorType.DEPTH,
        "semantic": library.SensorType.SEMANTIC,
    }
    sensors = []
    for name, kind in kinds.items():
        sensor = library.CameraSensorSpec()
        sensor.uuid, sensor.sensor_type = name, kind
        sensor.resolution = [camera.height_px, camera.width_px]
        sensor.hfov = float(np.degrees(camera.horizontal_fov_rad))
        sensor.position = [0.0, camera.height_m, 0.0]
        sensor.orientation = [-camera.pitch_rad, 0.0, 0.0]
        sensors.append(sensor)
    return sensors
