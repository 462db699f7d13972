"""Where to stand so that everything in a house is seen from near and from several sides.

The choice knows the truth: it stands in for the exploring that a robot does, where a house is only needed as a stream
of observations. Greedy covering, as for the placing of cameras (Gonzalez-Banos and Latombe, "A randomized art-gallery
algorithm for sensor placement", 2001).
"""

from __future__ import annotations

from typing import List, NamedTuple, Tuple

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from scipy import sparse
from scipy.sparse import csgraph

from embodied.arrays import Bool, Float, Int
from embodied.geometry import wrap_angle
from sim.houses.clearance import CELL_M, FreeFloor, clearance
from sim.houses.layout import plan_of
from sim.houses.placing import Contents
from sim.scene import Scene
from sim.world_mesh import WorldMesh

NEAR_M, FAR_M = 0.35, 1.7
"""Horizontal distance from which a thing is to be seen, plus its own reach."""
STOPS_APART_M = 0.45
"""Two views of a thing count as two if they come from so far apart."""
FLOOR_NEAR_M = 1.3
"""Every place where the robot can stand is nearer than this to a stop in the same room."""
GOOD_SHARE = 0.75
"""A place is good for a thing if it shows this share of what the best place shows."""
HALF_WINDOW_RAD = 0.55
"""A view shows well what lies within this of its middle; the image is a little wider."""
_CANDIDATES_APART_M = 0.25
_N_POINTS = 24
_MAX_PLACES = 60
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))


class Stop(NamedTuple):
    """A place to stand, and where to look from there."""

    x_m: float
    y_m: float
    yaws_rad: Tuple[float, ...]
    way_m: float
    """Length of the way from the stop before."""


class Eye(NamedTuple):
    """The camera, as far as it matters here."""

    height_m: float
    lowest_rad: float
    """Angle below the horizon of the lower edge of the image."""


def free_floor(scene: Scene) -> FreeFloor:
    """Return where the robot can stand in a scene."""
    return clearance(plan_of(scene.regions, scene.doors), Contents(0, scene).footprints())


def choose_stops(scene: Scene, mesh: WorldMesh, eye: Eye, n_views: int, rng: np.random.Generator) -> Tuple[Stop, ...]:
    """Return stops, in the order of a short round that begins at the scene's start.

    Args:
        scene: The house as it stands.
        mesh: Its triangles.
        eye: The camera.
        n_views: From so many stops each thing is seen well, or from as many as there are.
        rng: Draws among places that are equally good.
    """
    floor = free_floor(scene)
    places = _candidates(floor, rng)
    good = _good_places(scene, mesh, eye, places)
    chosen = _cover(good, places, n_views)
    chosen += _fill(scene, places, chosen)
    order, ways = _round(floor, places[chosen], scene.start_pose[:2])
    centers = _centers(scene, mesh)
    stops = []
    for index, way_m in zip(order, ways):
        place = places[chosen[index]]
        offsets = centers[good[:, chosen[index]]] - place
        bearings = np.arctan2(offsets[:, 1], offsets[:, 0])
        yaws = _windows(bearings) if len(bearings) else _panorama(rng)
        stops.append(Stop(float(place[0]), float(place[1]), tuple(yaws), way_m))
    return tuple(stops)


def _candidates(floor: FreeFloor, rng: np.random.Generator) -> Float[np.ndarray, "n 2"]:
    """Return reachable places on a lattice that begins anywhere."""
    places = floor.centers(floor.reachable)
    step = max(1, round(_CANDIDATES_APART_M / CELL_M))
    cells = np.argwhere(floor.reachable)
    offset = rng.integers(0, step, 2)
    thinned = places[((cells + offset) % step == 0).all(axis=1)]
    return thinned if len(thinned) else places[:1]


def _centers(scene: Scene, mesh: WorldMesh) -> Float[np.ndarray, "n_things 2"]:
    """Return the middle of each instance on the floor."""
    centers = []
    for instance in scene.instances:
        corners = mesh.corners[mesh.instance_id == instance.instance_id].reshape(-1, 3)
        centers.append((corners.min(axis=0)[:2] + corners.max(axis=0)[:2]) / 2)
    return np.array(centers, dtype=float).reshape(-1, 2)


def _good_places(
    scene: Scene, mesh: WorldMesh, eye: Eye, places: Float[np.ndarray, "n_places 2"]
) -> Bool[np.ndarray, "n_things n_places"]:
    """Tell for each thing from which places it is seen nearly as well as it can be."""
    caster = EmbreeScene()
    TriangleMesh(caster, np.ascontiguousarray(mesh.corners))
    shares = np.zeros((len(scene.instances), len(places)))
    for row, instance in enumerate(scene.instances):
        own = mesh.instance_id == instance.instance_id
        faces = np.flatnonzero(own)
        points = mesh.corners[faces[np.linspace(0, len(faces) - 1, _N_POINTS).astype(int)]].mean(axis=1).astype(float)
        center = points.mean(axis=0)
        reach_m = float(np.abs(points[:, :2] - center[:2]).max())
        distance_m = np.linalg.norm(places - center[:2], axis=1)
        near = np.flatnonzero((distance_m >= NEAR_M) & (distance_m <= FAR_M + max(0.0, reach_m - 0.3)))
        near = near[np.argsort(distance_m[near], kind="stable")][:_MAX_PLACES]
        if len(near):
            shares[row, near] = _shares_seen(caster, own, points, places[near], eye)
    best = shares.max(axis=1, keepdims=True, initial=0.0)
    return (shares >= GOOD_SHARE * best) & (best > 0.0)


def _shares_seen(
    caster: EmbreeScene,
    own: Bool[np.ndarray, " n_faces"],
    points: Float[np.ndarray, "n_points 3"],
    places: Float[np.ndarray, "n_places 2"],
    eye: Eye,
) -> Float[np.ndarray, " n_places"]:
    """Return the share of a thing's points that is seen from each place."""
    eyes = np.concatenate([places, np.full((len(places), 1), eye.height_m)], axis=1)
    # Aim from a little outside, or the face that a point lies on would be hit or missed by chance.
    directions = (points[None] - eyes[:, None]).reshape(-1, 3)
    origins = np.repeat(eyes, len(points), axis=0)
    hit = np.asarray(caster.run(origins.astype(np.float32), directions.astype(np.float32), output=True)["primID"])
    seen = (hit >= 0) & own[np.maximum(hit, 0)]
    below_rad = np.arctan2(-directions[:, 2], np.linalg.norm(directions[:, :2], axis=1))
    seen &= below_rad < eye.lowest_rad
    shares: Float[np.ndarray, " n_places"] = seen.reshape(len(places), len(points)).mean(axis=1)
    return shares


def _cover(
    good: Bool[np.ndarray, "n_things n_places"], places: Float[np.ndarray, "n_places 2"], n_views: int
) -> List[int]:
    """Return places that together show each thing ``n_views`` times, chosen greedily."""
    left = good.copy()
    need = np.full(len(good), n_views)
    chosen: List[int] = []
    while True:
        gains = left[need > 0].sum(axis=0)
        if not gains.size or gains.max() == 0:
            return chosen
        place = int(gains.argmax())
        chosen.append(place)
        shown = left[:, place]
        need[shown] -= 1
        near = np.linalg.norm(places - places[place], axis=1) < STOPS_APART_M
        left[np.ix_(shown, near)] = False
        left[:, place] = False


def _fill(scene: Scene, places: Float[np.ndarray, "n_places 2"], chosen: List[int]) -> List[int]:
    """Return more places, so that no free floor is far from a stop in its own room."""
    room = np.full(len(places), -1)
    for number, region in enumerate(scene.regions):
        x0, y0, x1, y1 = region.rectangle_m
        room[((places >= (x0, y0)) & (places <= (x1, y1))).all(axis=1)] = number

    def nearest_m(place: int) -> Float[np.ndarray, " n_places"]:
        distance_m: Float[np.ndarray, " n_places"] = np.linalg.norm(places - places[place], axis=1)
        return np.where(room == room[place], distance_m, np.inf)

    left_m = np.full(len(places), np.inf)
    for place in chosen:
        left_m = np.minimum(left_m, nearest_m(place))
    left_m[room < 0] = 0.0
    more: List[int] = []
    while left_m.max() > FLOOR_NEAR_M:
        more.append(int(left_m.argmax()))
        left_m = np.minimum(left_m, nearest_m(more[-1]))
    return more


def _windows(bearings: Float[np.ndarray, " n"]) -> List[float]:
    """Return few headings such that each bearing lies within ``HALF_WINDOW_RAD`` of one."""
    ordered = np.sort(bearings)
    # Begin behind the widest gap, or a window would be cut there.
    gaps = np.diff(np.append(ordered, ordered[0] + 2 * np.pi))
    ordered = np.roll(ordered, -(int(gaps.argmax()) + 1))
    ordered = ordered[0] + (ordered - ordered[0]) % (2 * np.pi)
    yaws = []
    while len(ordered):
        inside = ordered <= ordered[0] + 2 * HALF_WINDOW_RAD
        yaws.append(float(wrap_angle(float(ordered[0] + ordered[inside][-1]) / 2)))
        ordered = ordered[~inside]
    return yaws


def _panorama(rng: np.random.Generator) -> List[float]:
    """Return four headings, a quarter turn apart."""
    first = float(rng.uniform(-np.pi, np.pi))
    return [float(wrap_angle(first + quarter * np.pi / 2)) for quarter in range(4)]


def _round(
    floor: FreeFloor, places: Float[np.ndarray, "n 2"], start_xy: Tuple[float, float]
) -> Tuple[List[int], List[float]]:
    """Return the order in which to visit places, always the nearest by way next, and the way to each in metres."""
    cells = np.argwhere(floor.reachable)
    index = np.full(floor.reachable.shape, -1)
    index[floor.reachable] = np.arange(len(cells))
    graph = _floor_graph(index)
    middles = floor.centers(floor.reachable)
    nodes = np.array([int(((middles - place) ** 2).sum(axis=1).argmin()) for place in places])
    here = int(((middles - np.array(start_xy)) ** 2).sum(axis=1).argmin())
    order: List[int] = []
    ways: List[float] = []
    left = list(range(len(places)))
    while left:
        distance_m = csgraph.dijkstra(graph, directed=False, indices=here)[nodes[left]]
        nearest = int(distance_m.argmin())
        ways.append(float(distance_m[nearest]))
        order.append(left.pop(nearest))
        here = int(nodes[order[-1]])
    return order, ways


def _floor_graph(index: Int[np.ndarray, "rows columns"]) -> sparse.csr_matrix:
    """Return the graph of neighbouring cells, whose numbers stand in ``index`` (-1: not free)."""
    padded = np.pad(index, 1, constant_values=-1)
    rows, columns = index.shape
    sources, targets, lengths = [], [], []
    for step in _STEPS:
        there = padded[1 + step[0] : 1 + step[0] + rows, 1 + step[1] : 1 + step[1] + columns]
        both = (index >= 0) & (there >= 0)
        sources.append(index[both])
        targets.append(there[both])
        lengths.append(np.full(int(both.sum()), CELL_M * float(np.hypot(*step))))
    n = int(index.max()) + 1
    return sparse.csr_matrix(
        (np.concatenate(lengths), (np.concatenate(sources), np.concatenate(targets))), shape=(n, n)
    )
