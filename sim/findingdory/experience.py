"""Phase one as a stream of observations: a robot rearranges a house, and somebody may look over its shoulder.

The robot knows the truth. A grasp is magic: what is picked up leaves its place and is carried before the robot; what is
put down stands at its new place. No event crosses the wire: the only sign besides the picture is that the gripper feels
something. No processes, no sockets; the same arguments give the same stream.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, Iterator, List, NamedTuple, Optional

import numpy as np

from embodied.arrays import Bool, DepthMetres, Float, Image, Int, Transform
from embodied.clock import NANOSECONDS
from embodied.geometry import camera_mount, intrinsics_from_fov, planar_pose
from embodied.messages import CameraFrame, Observation, SessionEnd, SessionStart
from sim.collision import navigable_grid
from sim.findingdory.agents import ExperienceMessage
from sim.findingdory.routine import Moment, Routine
from sim.findingdory.truth import HistoryTruth, TrueInteraction
from sim.findingdory.walking import Floor, Pose
from sim.lighting_settings import LightingSettings
from sim.renderer import Renderer
from sim.scene import Light, Scene, Template
from sim.sensors import DepthSensor, PoseSensor, anonymise_segments
from sim.simulator_settings import CameraSettings
from sim.tours import CAMERA, MIN_SEGMENT_PX, TourNoise

PROPRIOCEPTION = ("forward_m_s", "left_m_s", "turn_rad_s", "gripper_closed")
ACTIONS = ("forward_m_s", "left_m_s", "turn_rad_s", "gripper")
CAMERA_SETTINGS = CameraSettings(width_px=192, height_px=192)
HELD_M = (0.6, 0.85)
"""Distance before the robot and height of the middle of a thing in hand; large ones are held farther off."""
_LIGHTING = LightingSettings(spacing_m=0.25, max_divisions=24, n_ambient_rays=8, n_shadow_rays=2)
"""Coarser than usual: the light of the house is computed anew at every picking up and putting down."""


class Camera:
    """The robot's camera in a house that changes."""

    def __init__(self, scene: Scene, settings: CameraSettings) -> None:
        self.intrinsics = intrinsics_from_fov(settings.width_px, settings.height_px, settings.horizontal_fov_rad)
        self.T_base_camera = camera_mount(0.0, 0.0, settings.height_m, settings.pitch_rad)
        self._renderer = Renderer(scene, _LIGHTING)

    def see(self, scene: Scene, T_world_base: Transform) -> Picture:
        """Return what is seen of a house from a pose."""
        if self._renderer.scene is not scene:
            self._renderer.load(scene)
        return Picture(*self._renderer.render(T_world_base @ self.T_base_camera, self.intrinsics))

    def see_held(self, scene: Scene, instance_id: int) -> Picture:
        """Return what is seen of a thing in hand and of nothing else; it is the same wherever the robot goes.

        Args:
            scene: One with the thing in it.
            instance_id: The thing.
        """
        instance = scene.by_id()[instance_id]
        held = replace(instance, T_world_object=_pose_in_hand(scene.templates[instance.template]), support=0)
        alone = replace(
            scene,
            stage=Template("nothing", "", "", ()),
            instances=(held,),
            lights=(Light((-0.5, 0.4, 1.9), (1.0, 0.96, 0.9), 1.0),),
        )
        return Picture(*Renderer(alone, _LIGHTING).render(self.T_base_camera, self.intrinsics))


class Picture(NamedTuple):
    """Without any error."""

    rgb: Image
    depth_m: DepthMetres
    instance_ids: Int[np.ndarray, "height width"]

    def behind(self, held: Picture) -> Picture:
        """Return this picture with a thing in hand before it."""
        free: Bool[np.ndarray, "height width"] = (self.depth_m == 0) | (held.depth_m < self.depth_m)
        over = (held.instance_ids > 0) & free
        return Picture(
            np.where(over[..., None], held.rgb, self.rgb),
            np.where(over, held.depth_m, self.depth_m),
            np.where(over, held.instance_ids, self.instance_ids),
        )


def _pose_in_hand(template: Template) -> Transform:
    """Return ``T_base_object`` of a thing that is carried."""
    length_m, _, height_m = template.size_m
    ahead_m, middle_m = HELD_M
    T_base_object = planar_pose(ahead_m + max(0.0, length_m / 2 - 0.2), 0.0, float(np.pi))
    T_base_object[2, 3] = middle_m - height_m / 2
    return T_base_object


class _Log:
    """Collects what is true, frame by frame."""

    def __init__(self, scene: Scene, floor: Floor) -> None:
        self._n_ids = max(i.instance_id for i in scene.instances) + 1
        self._floor = floor
        self.stamps_ns: List[int] = []
        self.poses: List[Pose] = []
        self.rooms: List[str] = []
        self.coverage: List[Float[np.ndarray, " n_ids"]] = []
        self.held: List[int] = []

    def add(self, stamp_ns: int, moment: Moment, instance_ids: Int[np.ndarray, "height width"]) -> None:
        """Take note of a frame."""
        counts = np.bincount(instance_ids.ravel(), minlength=self._n_ids)
        x_m, y_m, _ = moment.pose
        room = self._floor.room_at(x_m, y_m) or (self.rooms[-1] if self.rooms else "")
        self.stamps_ns.append(stamp_ns)
        self.poses.append(moment.pose)
        self.rooms.append(room)
        self.coverage.append((counts / instance_ids.size).astype(np.float32))
        self.held.append(moment.held)


class Experience:
    """One day. Iterate over it for its messages; each time it is the same stream."""

    def __init__(
        self,
        scene: Scene,
        *,
        session: str,
        start_ns: int,
        seed: int,
        n_interactions: Optional[int] = None,
        camera: CameraSettings = CAMERA_SETTINGS,
        noise: TourNoise = TourNoise(),
    ) -> None:
        """Draw the day.

        Args:
            scene: The house in the morning.
            session: Name of the session.
            start_ns: Its first instant.
            seed: Of what is done and of all noise; it never has to do with the house.
            n_interactions: Things to rearrange, see ``Routine``.
            camera: What the robot sees with.
            noise: Errors of the sensors.
        """
        self.scene = scene
        self.session = session
        self.start_ns = start_ns
        self.floor = Floor(navigable_grid(scene), scene.regions)
        self.camera = Camera(scene, camera)
        self._seed = seed
        self._noise = noise
        self.routine = Routine(scene, self.floor, seed, n_interactions)
        self.moments = tuple(self.routine)
        self._truth: Optional[HistoryTruth] = None

    @property
    def n_frames(self) -> int:
        """Observations in the stream."""
        return len(self.moments)

    def __iter__(self) -> Iterator[ExperienceMessage]:
        """Yield the start, the observations and the end."""
        log = _Log(self.scene, self.floor)
        depth_seed, pose_seed, segment_seed = np.random.SeedSequence([self._seed, 33]).spawn(3)
        depth_sensor = DepthSensor(self._noise.depth, np.random.default_rng(depth_seed))
        pose_sensor = PoseSensor(self._noise.pose, np.random.default_rng(pose_seed))
        segment_rng = np.random.default_rng(segment_seed)
        labels = {i.instance_id: self.scene.category_of(i.instance_id) for i in self.scene.instances}
        in_hand: Dict[int, Picture] = {}
        stamp_ns = self.start_ns
        yield SessionStart(
            session=self.session,
            robot="houses",
            stamp_ns=self.start_ns,
            action_names=ACTIONS,
            proprioception_names=PROPRIOCEPTION,
        )
        for seq, moment in enumerate(self.moments):
            stamp_ns += round(moment.elapsed_s * NANOSECONDS)
            picture = self.camera.see(moment.scene, planar_pose(*moment.pose))
            if moment.held:
                if moment.held not in in_hand:
                    in_hand = {moment.held: self.camera.see_held(self.scene, moment.held)}
                picture = picture.behind(in_hand[moment.held])
            log.add(stamp_ns, moment, picture.instance_ids)
            segments = anonymise_segments(picture.instance_ids, labels, segment_rng, MIN_SEGMENT_PX)
            frame = CameraFrame(
                name=CAMERA,
                intrinsics=self.camera.intrinsics,
                T_base_camera=self.camera.T_base_camera,
                rgb=picture.rgb,
                depth=depth_sensor.measure(picture.depth_m, self.camera.intrinsics.fx_px),
                segments=segments.segments,
                segment_labels=segments.labels,
            )
            yield Observation(
                session=self.session,
                seq=seq,
                stamp_ns=stamp_ns,
                T_world_base=pose_sensor.measure(*moment.pose, moment.elapsed_s),
                cameras=(frame,),
                proprioception=np.array([*moment.action[:3], float(moment.held > 0)], dtype=np.float32),
                action=np.array(moment.action, dtype=np.float32),
            )
        self._truth = self._history(log)
        yield SessionEnd(session=self.session, stamp_ns=stamp_ns, n_observations=self.n_frames)

    def truth(self) -> HistoryTruth:
        """Return what is true of the day; iterate over it first."""
        if self._truth is None:
            raise ValueError("experience: expected that it was taken to its end, got one that was not")
        return self._truth

    def _history(self, log: _Log) -> HistoryTruth:
        held = np.array(log.held, dtype=np.int32)
        interactions = []
        for errand in self.routine.errands:
            frames = np.flatnonzero(held == errand.instance_id)
            first, after = int(frames[0]), int(frames[-1]) + 1
            template = self.scene.templates[errand.placed.template]
            interactions.append(
                TrueInteraction(
                    instance_id=errand.instance_id,
                    category=template.category,
                    colour=template.colour,
                    picked_from=errand.picked_from,
                    picked_room=self.floor.room_at(*errand.picked_position_m[:2]),
                    picked_position_m=errand.picked_position_m,
                    picked_frame=first,
                    picked_ns=log.stamps_ns[first],
                    placed_on=errand.placed.support,
                    placed_room=self.floor.room_at(*errand.placed_position_m[:2]),
                    placed_position_m=errand.placed_position_m,
                    placed_frame=after,
                    placed_ns=log.stamps_ns[after],
                )
            )
        return HistoryTruth(
            before=self.scene,
            after=self.moments[-1].scene,
            stamps_ns=np.array(log.stamps_ns, dtype=np.int64),
            poses=np.array(log.poses),
            rooms=tuple(log.rooms),
            coverage=np.array(log.coverage),
            held=held,
            interactions=tuple(interactions),
        )
