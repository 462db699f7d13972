"""What ``benchmark_mapping.py`` measures on: views of twenty things in a furnished house, and maps of such houses."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from embodied.arrays import DepthMetres, Image, Int
from embodied.geometry import intrinsics_from_fov, planar_pose
from embodied.messages import CameraFrame, Observation, SessionStart
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.geometry.voxels import VoxelCloud, pack, unpack
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.objects.track import Track
from memory_bank.perception.simulator import SimulatorPerception
from sim.houses import generate_house
from sim.renderer import Renderer
from sim.sensors import DepthNoiseSettings, DepthSensor, PoseNoiseSettings, PoseSensor
from sim.tours import Tour

WIDTH_PX, HEIGHT_PX = 640, 480
INTRINSICS = intrinsics_from_fov(WIDTH_PX, HEIGHT_PX, np.pi / 2)
N_THINGS = 20
LEAST_PX = 100
"""Things that show fewer pixels in the best view are not among the twenty."""
FRAME_NS = 200_000_000
START_NS = 1_767_603_600_000_000_000
PITCH_M = 12.8
"""From house to house; a whole number of voxels of every size, so that copies of a house are exact."""


@dataclass(frozen=True)
class MappingScene:
    """A house that was mapped in one session, and views of it in another."""

    tracks: tuple[bytes, ...]
    keyframes: tuple[Keyframe, ...]
    occupancy: bytes
    frames: tuple[Observation, ...]
    """Of the second session, which is called ``today``."""
    n_detections: float
    """Things in a view, on average."""


def map_house(seed: int) -> tuple[Tour, Renderer, Mapper]:
    """Return a tour of a house, what renders it, and the mapper that followed it."""
    house = generate_house(seed)
    renderer = Renderer(house)
    tour = Tour(house, session="yesterday", start_ns=START_NS, seed=seed, renderer=renderer)
    mapper = Mapper(MapperConfig(), SimulatorPerception())
    for message in tour:
        if isinstance(message, SessionStart):
            mapper.start_session(message)
        elif isinstance(message, Observation):
            mapper.integrate(message)
        else:
            mapper.end_session(message)
    return tour, renderer, mapper


def make_scene(seed: int, n_frames: int) -> MappingScene:
    """Map a house and look at the part of it where most things are seen at once, from ``n_frames`` nearby poses."""
    tour, renderer, mapper = map_house(seed)
    pose = _richest_pose(tour, renderer)
    around = np.linspace(0.0, 2.0 * np.pi, n_frames)
    poses = [
        (pose[0] + 0.12 * np.cos(a), pose[1] + 0.12 * np.sin(a), pose[2] + 0.1 * np.sin(2.0 * a))
        for a in around.tolist()
    ]
    views = [renderer.render(planar_pose(*each) @ tour.T_base_camera, INTRINSICS) for each in poses]
    counts = np.median([np.bincount(ids.ravel(), minlength=1000) for _, _, ids in views], axis=0)
    counts[0] = 0
    shown = np.argsort(-counts, kind="stable")[:N_THINGS]
    if counts[shown[-1]] < LEAST_PX:
        raise ValueError(f"seed: expected a house with a view of {N_THINGS} things, got one of {(counts > 0).sum()}")
    frames = _observed(tour, poses, views, shown, np.random.default_rng(seed))
    n_seen = np.mean([len(np.unique(frame.cameras[0].segments)) - 1 for frame in frames])
    return MappingScene(
        tracks=tuple(track.to_bytes() for track in mapper.graph),
        keyframes=tuple(mapper.keyframes),
        occupancy=mapper.occupancy.to_bytes(),
        frames=tuple(frames),
        n_detections=float(n_seen),
    )


def _observed(
    tour: Tour,
    poses: list[tuple[float, float, float]],
    views: list[tuple[Image, DepthMetres, Int[np.ndarray, "height width"]]],
    shown: Int[np.ndarray, " n_things"],
    rng: np.random.Generator,
) -> list[Observation]:
    """Return views as the robot has them: noise of depth and pose, segments of some instances only."""
    labels = {i.instance_id: tour.scene.templates[i.template].category for i in tour.scene.instances}
    depth_sensor = DepthSensor(DepthNoiseSettings(), rng)
    pose_sensor = PoseSensor(PoseNoiseSettings(), rng)
    frames = []
    for seq, (at, (rgb, depth_m, ids)) in enumerate(zip(poses, views, strict=True)):
        number = np.zeros(1000, dtype=np.uint16)
        number[shown] = 1 + np.arange(N_THINGS)
        camera = CameraFrame(
            name="head",
            intrinsics=INTRINSICS,
            T_base_camera=tour.T_base_camera,
            rgb=rgb,
            depth=depth_sensor.measure(depth_m, INTRINSICS.fx_px),
            segments=number[ids],
            segment_labels=tuple(labels[i] for i in shown.tolist()),
        )
        frames.append(
            Observation(
                session="today",
                seq=seq,
                stamp_ns=START_NS + 86_400_000_000_000 + seq * FRAME_NS,
                T_world_base=pose_sensor.measure(*at, FRAME_NS * 1e-9),
                cameras=(camera,),
                proprioception=np.zeros(3, dtype=np.float32),
            )
        )
    return frames


def _richest_pose(tour: Tour, renderer: Renderer) -> tuple[float, float, float]:
    """Return x, y, yaw of the view with the most things in it."""
    coarse = intrinsics_from_fov(WIDTH_PX // 4, HEIGHT_PX // 4, np.pi / 2)
    best, most = (0.0, 0.0, 0.0), 0
    for stop in tour.stops:
        for yaw_rad in np.arange(0.0, 2.0 * np.pi, np.pi / 6).tolist():
            pose = (stop.x_m, stop.y_m, yaw_rad)
            _, _, ids = renderer.render(planar_pose(*pose) @ tour.T_base_camera, coarse)
            n_things = int((np.bincount(ids.ravel())[1:] >= LEAST_PX // 16).sum())
            if n_things > most:
                best, most = pose, n_things
    return best


def mapper_of(scene: MappingScene, n_objects: int) -> Mapper:
    """Return a mapper that remembers ``n_objects`` things: the house itself, and copies of it around it."""
    n_houses = -(-n_objects // len(scene.tracks))
    reach = int(np.ceil(np.sqrt(n_houses))) + 1
    offsets = [(i, j) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)]
    offsets.sort(key=lambda cell: (cell[0] ** 2 + cell[1] ** 2, cell))
    tracks: list[Track] = []
    keyframes: list[Keyframe] = []
    highest = 1 + max(Track.from_bytes(data).number for data in scene.tracks)
    for house, cell in enumerate(offsets[:n_houses]):
        shift_m = (cell[0] * PITCH_M, cell[1] * PITCH_M)
        tracks += [_shifted(Track.from_bytes(data), house * highest, shift_m) for data in scene.tracks]
        keyframes += [
            _keyframe(each, house * highest, shift_m, len(keyframes) + i) for i, each in enumerate(scene.keyframes)
        ]
    mapper = Mapper(MapperConfig(), SimulatorPerception())
    kept = tracks[:n_objects]
    mapper.restore(kept, keyframes, scene.occupancy, kept[-1].number + 1)
    return mapper


def _shifted(track: Track, add: int, shift_m: tuple[float, float]) -> Track:
    """Return a track as it would be of a like thing in another house."""

    def renamed(name: str) -> str:
        return f"o{int(name[1:]) + add}"

    def point(xyz: tuple[float, float, float]) -> tuple[float, float, float]:
        return xyz[0] + shift_m[0], xyz[1] + shift_m[1], xyz[2]

    track.id = renamed(track.id)
    track.seen_with = {renamed(name) for name in track.seen_with}
    track.merged_ids = [renamed(name) for name in track.merged_ids]
    track.box = msgspec.structs.replace(track.box, center_m=point(track.box.center_m))
    track.intervals = [
        msgspec.structs.replace(
            each,
            object_id=track.id,
            position_m=point(each.position_m),
            box=msgspec.structs.replace(each.box, center_m=point(each.box.center_m)),
        )
        for each in track.intervals
    ]
    voxels = VoxelCloud(track.voxels.level)
    cells = unpack(track.voxels.keys)
    cells[:, :2] += np.rint(np.array(shift_m) / voxels.size_m).astype(np.int64)
    keys = pack(cells)
    order = np.argsort(keys)
    voxels.keys, voxels.hits, voxels.through = keys[order], track.voxels.hits[order], track.voxels.through[order]
    track.voxels = voxels
    return track


def _keyframe(keyframe: Keyframe, add: int, shift_m: tuple[float, float], index: int) -> Keyframe:
    """Return a keyframe as it would be in another house."""
    T = list(keyframe.T_world_camera)
    T[3], T[7] = T[3] + shift_m[0], T[7] + shift_m[1]
    ids = tuple(f"o{int(name[1:]) + add}" for name in keyframe.track_ids)
    return msgspec.structs.replace(keyframe, index=index, T_world_camera=tuple(T), track_ids=ids)
