"""A robot in the present house: it drives, looks, and reports what its sensors make of it. One process, no sockets."""

from __future__ import annotations

from typing import Optional, Tuple

import numpy as np

from embodied.arrays import UInt8, Vector3
from embodied.clock import NANOSECONDS
from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from embodied.messages import CameraFrame, Observation, SessionEnd, SessionStart
from sim.collision import Clearance, Grid
from sim.renderer import Renderer
from sim.robot import DiscRobot, RobotSettings
from sim.scene import Scene
from sim.sensors import DepthSensor, PoseSensor, anonymise_segments
from sim.simulator_settings import CameraSettings
from sim.tours import CAMERA, MIN_SEGMENT_PX, TourNoise

START_CLEARANCE_M = 0.3
"""From where a robot begins to the nearest obstacle, at least."""


class PresentRobot:
    """One session of a robot on wheels that somebody else commands. Same seed and commands, same observations."""

    def __init__(
        self,
        scene: Scene,
        renderer: Renderer,
        obstacles: Grid,
        pose: Tuple[float, float, float],
        *,
        session: str,
        start_ns: int,
        seed: int,
        noise: TourNoise = TourNoise(),
        camera: CameraSettings = CameraSettings(),
    ) -> None:
        """Put the robot somewhere.

        Args:
            scene: The house as it stands.
            renderer: Loaded with it.
            obstacles: Of it.
            pose: Where the robot starts: x, y in metres, yaw in radians.
            session: Name of the session.
            start_ns: Its first instant.
            seed: Of the sensors' errors.
            noise: How large those are.
            camera: What it sees with.
        """
        self._scene, self._renderer = scene, renderer
        self._robot = DiscRobot(obstacles, pose, RobotSettings())
        self._labels = {i.instance_id: scene.templates[i.template].category for i in scene.instances}
        depth_seed, pose_seed, segment_seed = np.random.SeedSequence([seed, 3]).spawn(3)
        self._depth = DepthSensor(noise.depth, np.random.default_rng(depth_seed))
        self._pose = PoseSensor(noise.pose, np.random.default_rng(pose_seed))
        self._segments = np.random.default_rng(segment_seed)
        self._intrinsics = intrinsics_from_fov(camera.width_px, camera.height_px, camera.horizontal_fov_rad)
        self._T_base_camera = camera_mount(0.0, 0.0, camera.height_m, camera.pitch_rad)
        self._session, self._stamp_ns = session, start_ns
        self._since_look_s = 0.0
        self.n_observations = 0
        self.n_collisions = 0
        self.way_m = 0.0
        """Length of the true path so far."""
        self.last_rgb: Optional[UInt8[np.ndarray, "height width 3"]] = None

    @property
    def pose(self) -> Tuple[float, float, float]:
        """Where it truly is, for the judge."""
        return self._robot.pose

    def start(self) -> SessionStart:
        """Return the beginning of the session."""
        return SessionStart(session=self._session, robot="houses", stamp_ns=self._stamp_ns, world_frame="map")

    def step(self, twist: Vector3, period_s: float) -> bool:
        """Hold a twist for a period; return whether something was in the way."""
        x_m, y_m, _ = self._robot.pose
        collided = self._robot.step(twist, period_s).collided
        self.way_m += float(np.hypot(self._robot.pose[0] - x_m, self._robot.pose[1] - y_m))
        self._stamp_ns += round(period_s * NANOSECONDS)
        self._since_look_s += period_s
        self.n_collisions += collided
        return collided

    def look(self, collided: bool = False) -> Observation:
        """Return what the sensors show."""
        T_world_camera = planar_pose(*self._robot.pose) @ self._T_base_camera
        rgb, depth_m, instance_ids = self._renderer.render(T_world_camera, self._intrinsics)
        self.last_rgb = rgb
        segments = anonymise_segments(instance_ids, self._labels, self._segments, MIN_SEGMENT_PX)
        frame = CameraFrame(
            name=CAMERA,
            intrinsics=self._intrinsics,
            T_base_camera=self._T_base_camera,
            rgb=rgb,
            depth=self._depth.measure(depth_m, self._intrinsics.fx_px),
            segments=segments.segments,
            segment_labels=segments.labels,
        )
        # Two looks never share an instant, also where the robot did not move between them.
        self._stamp_ns += round(0.1 * NANOSECONDS)
        observation = Observation(
            session=self._session,
            seq=self.n_observations,
            stamp_ns=self._stamp_ns,
            T_world_base=self._pose.measure(*self._robot.pose, self._since_look_s + 0.1),
            cameras=(frame,),
            proprioception=np.zeros(3, dtype=np.float32),
            collided=collided,
        )
        self.n_observations += 1
        self._since_look_s = 0.0
        return observation

    def finish(self) -> SessionEnd:
        """Return the end of the session."""
        return SessionEnd(session=self._session, stamp_ns=self._stamp_ns, n_observations=self.n_observations)


def draw_start(obstacles: Grid, floor: Grid, rng: np.random.Generator) -> Tuple[float, float, float]:
    """Return a pose with room around it, anywhere on the floor that the robot can reach.

    Args:
        obstacles: Of the house.
        floor: Where the robot can stand.
        rng: Draws the pose.

    Raises:
        ValueError: Nowhere on the floor is so much room.
    """
    cells, clearance = np.argwhere(floor.cells), Clearance(obstacles)
    for row, column in cells[rng.permutation(len(cells))].tolist():
        x_m, y_m = floor.center(row, column)
        if clearance.is_free(x_m, y_m, START_CLEARANCE_M):
            return x_m, y_m, float(rng.uniform(-np.pi, np.pi))
    raise ValueError(f"floor: expected a place with {START_CLEARANCE_M} m around it, got none")
