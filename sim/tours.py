"""A house as a stream of observations without a robot: somebody carries the camera from stop to stop and looks around.

No processes, no sockets, no driving: a day takes a few seconds. Stops are chosen with knowledge of the truth, so that
every thing is seen from near and from several sides (``viewpoints``). Depth, localisation and segments have the same
errors as those of the simulated robot; what a detector overlooks and misnames is the perception's business
(``SimulatorPerceptionConfig``).
"""

from __future__ import annotations

from typing import Iterator, Optional, Tuple, Union

import numpy as np

from embodied.arrays import Transform
from embodied.clock import NANOSECONDS
from embodied.config import Config
from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from embodied.messages import CameraFrame, Observation, SessionEnd, SessionStart
from sim.houses_simulator import CameraSettings
from sim.renderer import Renderer
from sim.scene import Scene
from sim.sensors import DepthNoiseSettings, DepthSensor, PoseNoiseSettings, PoseSensor, anonymise_segments
from sim.truth import TrueChange, TruthSession
from sim.truth_recorder import TruthRecorder
from sim.viewpoints import Eye, choose_stops

SPEED_M_S = 0.5
"""Between stops."""
TURN_S = 1.0
"""From one heading to the next."""
MIN_SEGMENT_PX = 12
CAMERA = "head"
TourMessage = Union[SessionStart, Observation, SessionEnd]


class TourNoise(Config):
    """Errors of the sensors on a tour."""

    depth: DepthNoiseSettings = DepthNoiseSettings()
    """Of the depth camera."""
    pose: PoseNoiseSettings = PoseNoiseSettings(drift_m=0.01, drift_rad=0.0087)
    """Of the localisation: a slow error of 1 cm and half a degree, and a small one that is new in every frame."""


class Tour:
    """One session. Iterate over it for its messages; each time it is the same stream."""

    def __init__(
        self,
        scene: Scene,
        *,
        session: str,
        start_ns: int,
        seed: int,
        n_views: int = 3,
        width_px: int = 256,
        height_px: int = 256,
        noise: TourNoise = TourNoise(),
        world_frame: str = "map",
        T_frame_world: Optional[Transform] = None,
        renderer: Optional[Renderer] = None,
    ) -> None:
        """Choose the stops.

        Args:
            scene: The house as it stands.
            session: Name of the session.
            start_ns: Its first instant.
            seed: Of the stops and of all noise; it never has to do with the house.
            n_views: From so many stops each thing is seen well, where there are as many.
            width_px: Of the image, a right angle wide.
            height_px: Of the image.
            noise: Errors of the sensors.
            world_frame: What the session calls its frame.
            T_frame_world: Where the house lies in that frame; None for the house's own.
            renderer: One to use again: it is loaded with the scene unless it has been, which is faster than another.
        """
        self.scene = scene
        self.session = session
        self.start_ns = start_ns
        self._seed = seed
        self._noise = noise
        self._world_frame = world_frame
        self._T_frame_world = np.eye(4) if T_frame_world is None else np.asarray(T_frame_world, dtype=float)
        camera = CameraSettings(width_px=width_px, height_px=height_px)
        self.intrinsics = intrinsics_from_fov(width_px, height_px, camera.horizontal_fov_rad)
        self.T_base_camera = camera_mount(0.0, 0.0, camera.height_m, camera.pitch_rad)
        self._renderer = renderer or Renderer(scene)
        if self._renderer.scene is not scene:
            self._renderer.load(scene)
        half_rad = float(np.arctan(0.5 * height_px / self.intrinsics.fy_px))
        eye = Eye(camera.height_m, camera.pitch_rad + half_rad)
        self.stops = choose_stops(scene, self._renderer.mesh, eye, n_views, np.random.default_rng([seed, 1]))
        self._truth: Optional[TruthSession] = None

    @property
    def n_observations(self) -> int:
        """Observations in the stream."""
        return sum(len(stop.yaws_rad) for stop in self.stops)

    def __iter__(self) -> Iterator[TourMessage]:
        """Yield the start, the observations and the end."""
        recorder = TruthRecorder(self.scene, self.intrinsics, self.T_base_camera)
        depth_seed, pose_seed, segment_seed = np.random.SeedSequence([self._seed, 2]).spawn(3)
        depth_sensor = DepthSensor(self._noise.depth, np.random.default_rng(depth_seed))
        pose_sensor = PoseSensor(self._noise.pose, np.random.default_rng(pose_seed))
        segment_rng = np.random.default_rng(segment_seed)
        yield SessionStart(session=self.session, robot="houses", stamp_ns=self.start_ns, world_frame=self._world_frame)
        labels = {i.instance_id: self.scene.templates[i.template].category for i in self.scene.instances}
        stamp_ns = self.start_ns
        for seq, (pose, elapsed_s) in enumerate(self._poses()):
            stamp_ns += round(elapsed_s * NANOSECONDS)
            T_world_base = planar_pose(*pose)
            rgb, depth_m, instance_ids = self._renderer.render(T_world_base @ self.T_base_camera, self.intrinsics)
            recorder.record(seq, stamp_ns, T_world_base, instance_ids, False)
            segments = anonymise_segments(instance_ids, labels, segment_rng, MIN_SEGMENT_PX)
            frame = CameraFrame(
                name=CAMERA,
                intrinsics=self.intrinsics,
                T_base_camera=self.T_base_camera,
                rgb=rgb,
                depth=depth_sensor.measure(depth_m, self.intrinsics.fx_px),
                segments=segments.segments,
                segment_labels=segments.labels,
            )
            yield Observation(
                session=self.session,
                seq=seq,
                stamp_ns=stamp_ns,
                T_world_base=self._T_frame_world @ pose_sensor.measure(*pose, elapsed_s),
                cameras=(frame,),
                proprioception=np.zeros(3, dtype=np.float32),
            )
        self._truth = recorder.finish(self.session, self._seed, self.start_ns, stamp_ns, ())
        yield SessionEnd(session=self.session, stamp_ns=stamp_ns, n_observations=self.n_observations)

    def truth(self, changes: Tuple[TrueChange, ...] = ()) -> TruthSession:
        """Return what the judge knows of the tour, in the house's own frame; iterate over the tour first.

        Args:
            changes: What happened since the session before.
        """
        if self._truth is None:
            raise ValueError("tour: expected that it was taken to its end, got one that was not")
        truth = self._truth
        return TruthSession(
            session=truth.session,
            seed=truth.seed,
            start_ns=truth.start_ns,
            end_ns=truth.end_ns,
            objects=truth.objects,
            changes=changes,
            poses=truth.poses,
            n_collisions=truth.n_collisions,
        )

    def _poses(self) -> Iterator[Tuple[Tuple[float, float, float], float]]:
        """Yield true x, y, yaw and the time since the one before."""
        first = True
        for stop in self.stops:
            for turn, yaw_rad in enumerate(stop.yaws_rad):
                elapsed_s = TURN_S + (stop.way_m / SPEED_M_S if turn == 0 else 0.0)
                yield (stop.x_m, stop.y_m, yaw_rad), 0.0 if first else elapsed_s
                first = False


def tour(
    scene: Scene, *, session: str, start_ns: int, seed: int, noise: TourNoise = TourNoise(), n_views: int = 3
) -> Iterator[TourMessage]:
    """Yield the messages of a ``Tour`` with the default camera."""
    return iter(Tour(scene, session=session, start_ns=start_ns, seed=seed, noise=noise, n_views=n_views))
