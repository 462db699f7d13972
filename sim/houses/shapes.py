"""Meshes built from simple solids: boxes, surfaces of revolution, tubes, pillows, leaves.

Every function returns closed or double-sided meshes whose faces are counter-clockwise seen from outside, z up, metres.
Boxes and lathes stand on z = 0 unless moved. Texture coordinates are lengths on the surface divided by ``tile_m``, so a
texture keeps its scale; ``tile_m=None`` stretches it once over each side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence, Tuple, Union

import numpy as np

from embodied.arrays import Float, Int, Vector3

Vec3 = Tuple[float, float, float]
TILE_M = 0.5
"""Default size of one repetition of a texture."""
LEAF_M = 0.0015
"""Thickness of a leaf: coincident sides would flicker."""


@dataclass(frozen=True)
class Mesh:
    """Triangles with texture coordinates, float64."""

    vertices: Float[np.ndarray, "n_vertices 3"]
    faces: Int[np.ndarray, "n_faces 3"]
    uv: Float[np.ndarray, "n_vertices 2"]

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
        """Return the mesh shifted by metres."""
        return Mesh(self.vertices + np.array([x, y, z]), self.faces, self.uv)

    def turned(self, axis: str, angle_deg: float) -> Mesh:
        """Return the mesh rotated about the x, y or z axis through the origin, counter-clockwise."""
        c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
        i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        R = np.eye(3)
        R[i, i] = R[j, j] = c
        R[i, j], R[j, i] = -s, s
        return Mesh(self.vertices @ R.T, self.faces, self.uv)

    def scaled(self, x: float, y: float, z: float) -> Mesh:
        """Return the mesh stretched by positive factors along its axes."""
        return Mesh(self.vertices * np.array([x, y, z]), self.faces, self.uv)


def join(meshes: Sequence[Mesh]) -> Mesh:
    """Put meshes into one."""
    offsets = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets)]),
        np.concatenate([mesh.uv for mesh in meshes]),
    )


def quad(corners: Sequence[Vec3], tile_m: Optional[float] = TILE_M) -> Mesh:
    """Return a rectangle, seen from where its corners run counter-clockwise; the first is the texture's origin."""
    vertices = np.array(corners, dtype=float)
    width, height = np.linalg.norm(vertices[1] - vertices[0]), np.linalg.norm(vertices[3] - vertices[0])
    u, v = (1.0, 1.0) if tile_m is None else (float(width) / tile_m, float(height) / tile_m)
    uv = np.array([[0.0, 0.0], [u, 0.0], [u, v], [0.0, v]])
    return Mesh(vertices, np.array([[0, 1, 2], [0, 2, 3]]), uv)


def tapered_box(
    bottom: Tuple[float, float], top: Tuple[float, float], height: float, tile_m: Optional[float] = TILE_M
) -> Mesh:
    """Return a box whose bottom and top have their own x and y lengths."""
    (a, b), (c, d) = (bottom[0] / 2, bottom[1] / 2), (top[0] / 2, top[1] / 2)
    low = [(-a, -b, 0.0), (a, -b, 0.0), (a, b, 0.0), (-a, b, 0.0)]
    high = [(-c, -d, height), (c, -d, height), (c, d, height), (-c, d, height)]
    sides = [[low[i], low[(i + 1) % 4], high[(i + 1) % 4], high[i]] for i in range(4)]
    caps = [high, [low[1], low[0], low[3], low[2]]]
    return join([quad(corners, tile_m) for corners in sides + caps])


def box(x: float, y: float, z: float, tile_m: Optional[float] = TILE_M) -> Mesh:
    """Return a box of these lengths standing on the origin."""
    return tapered_box((x, y), (x, y), z, tile_m)


def lathe(profile: Sequence[Tuple[float, float]], n: int = 20, tile_m: float = TILE_M) -> Mesh:
    """Turn a profile of (radius, z) about the z axis.

    The outside lies to the right of the profile's direction: go outwards along the bottom, up the outside, and for a
    hollow thing back down the inside.
    """
    points = np.array(profile, dtype=float)
    rings = len(points)
    angle = np.linspace(0.0, 2.0 * np.pi, n + 1)
    vertices = np.empty((rings, n + 1, 3))
    vertices[..., 0] = points[:, :1] * np.cos(angle)
    vertices[..., 1] = points[:, :1] * np.sin(angle)
    vertices[..., 2] = points[:, 1:]
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    n_around = max(1, round(2.0 * np.pi * points[:, 0].max() / tile_m))
    uv = np.empty((rings, n + 1, 2))
    uv[..., 0] = angle / (2.0 * np.pi) * n_around
    uv[..., 1] = arc[:, None] / tile_m
    return Mesh(vertices.reshape(-1, 3), _grid_faces(rings, n + 1, points[:, 0] <= 1e-9), uv.reshape(-1, 2))


def cylinder(radius: float, height: float, n: int = 16, tile_m: float = TILE_M) -> Mesh:
    """Return an upright cylinder standing on the origin."""
    return lathe([(0.0, 0.0), (radius, 0.0), (radius, height), (0.0, height)], n, tile_m)


def cup(radius: float, height: float, wall: float, n: int = 20, foot: Optional[float] = None) -> Mesh:
    """Return a hollow vessel, open at the top, whose foot may have another radius."""
    low = radius if foot is None else foot
    inner_low = max(low - wall, 1e-3)
    profile = [(0.0, 0.0), (low, 0.0), (radius, height), (radius - wall, height), (inner_low, wall), (0.0, wall)]
    return lathe(profile, n)


def ellipsoid(x: float, y: float, z: float, n: int = 14) -> Mesh:
    """Return an ellipsoid of these diameters about the origin."""
    return pillow(x, y, z, 1.0, n)


def pillow(x: float, y: float, z: float, roundness: float = 0.35, n: int = 14) -> Mesh:
    """Return a superellipsoid of these lengths about the origin: near 0 a box, 1 an ellipsoid (Barr 1981)."""
    latitudes = np.linspace(-np.pi / 2, np.pi / 2, max(n // 2, 5) + 1)
    angle = np.linspace(0.0, 2.0 * np.pi, n + 1)

    def power(value: Float[np.ndarray, " n"], exponent: float) -> Float[np.ndarray, " n"]:
        value = np.round(value, 12)
        return np.asarray(np.sign(value) * np.abs(value) ** exponent)

    waist = power(np.cos(latitudes), max(roundness, 0.5))
    waist[[0, -1]] = 0.0
    vertices = np.empty((len(latitudes), n + 1, 3))
    vertices[..., 0] = x / 2 * waist[:, None] * power(np.cos(angle), roundness)
    vertices[..., 1] = y / 2 * waist[:, None] * power(np.sin(angle), roundness)
    vertices[..., 2] = z / 2 * power(np.sin(latitudes), max(roundness, 0.6))[:, None]
    uv = np.empty((len(latitudes), n + 1, 2))
    uv[..., 0] = angle / (2.0 * np.pi) * max(1, round((x + y) * 2 / TILE_M))
    uv[..., 1] = (latitudes / np.pi + 0.5)[:, None]
    poles = np.zeros(len(latitudes), dtype=bool)
    poles[[0, -1]] = True
    return Mesh(vertices.reshape(-1, 3), _grid_faces(len(latitudes), n + 1, poles), uv.reshape(-1, 2))


def sphere(radius: float, n: int = 24) -> Mesh:
    """Return a sphere about the origin with the texture wrapped around it once."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, n // 2 + 1)
    profile = [(float(radius * np.cos(a)), float(radius * np.sin(a))) for a in angles]
    profile[0], profile[-1] = (0.0, -radius), (0.0, radius)
    mesh = lathe(profile, n)
    around, up = np.meshgrid(np.linspace(0.0, 1.0, n + 1), np.linspace(0.0, 1.0, len(profile)))
    return Mesh(mesh.vertices, mesh.faces, np.stack([around.ravel(), up.ravel()], axis=1))


def tube(path: Sequence[Vec3], radius: Union[float, Sequence[float]], n: int = 8) -> Mesh:
    """Sweep a circle along a path, closed by caps; one radius or one for each point."""
    points = np.array(path, dtype=float)
    radii = np.broadcast_to(np.asarray(radius, dtype=float), (len(points),))
    tangents = np.gradient(points, axis=0)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    side = _perpendicular(tangents[0])
    rings = []
    angle = np.linspace(0.0, 2.0 * np.pi, n + 1)
    for point, tangent, r in zip(points, tangents, radii):
        side = side - tangent * (side @ tangent)
        side /= np.linalg.norm(side)
        up = np.cross(tangent, side)
        rings.append(point + r * (np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up))
    first, last = np.broadcast_to(points[0], (n + 1, 3)), np.broadcast_to(points[-1], (n + 1, 3))
    vertices = np.stack([first, *rings, last])
    along = np.linspace(0.0, 1.0, len(vertices))
    uv = np.stack(np.broadcast_arrays(angle[None, :] / (2.0 * np.pi), along[:, None]), axis=-1)
    poles = np.zeros(len(vertices), dtype=bool)
    poles[[0, -1]] = True
    return Mesh(vertices.reshape(-1, 3), _grid_faces(len(vertices), n + 1, poles), uv.reshape(-1, 2).copy())


def arc(radius_x: float, radius_z: float, start_deg: float, end_deg: float, n: int = 8) -> Sequence[Vec3]:
    """Return points of an elliptic arc in the xz plane, 0 deg at +x and 90 deg at +z."""
    angles = np.radians(np.linspace(start_deg, end_deg, n))
    return [(float(radius_x * np.cos(a)), 0.0, float(radius_z * np.sin(a))) for a in angles]


def leaf(length: float, width: float, droop_deg: float, lift_deg: float, n: int = 4) -> Mesh:
    """Return a double-sided leaf that grows from the origin towards +x, starts ``lift_deg`` up and bends down."""
    along = np.linspace(0.0, 1.0, n + 1)
    slope = np.radians(lift_deg - droop_deg * along)
    steps = length / n
    x = np.concatenate([[0.0], np.cumsum(np.cos(slope[:-1]) * steps)])
    z = np.concatenate([[0.0], np.cumsum(np.sin(slope[:-1]) * steps)])
    half = width / 2 * np.sin(np.pi * (0.12 + 0.88 * along)) ** 0.8
    half[-1] = 0.002
    uv = np.stack([np.repeat(along, 2), np.tile([0.0, 1.0], n + 1)], axis=1)
    faces = _grid_faces(n + 1, 2, np.zeros(n + 1, dtype=bool))
    sides = []
    for offset, winding in ((0.0, faces[:, ::-1].copy()), (-LEAF_M, faces)):
        middle = np.stack([x - offset * np.sin(slope), np.zeros(n + 1), z + offset * np.cos(slope)], axis=1)
        across = np.stack([np.zeros(n + 1), half, np.zeros(n + 1)], axis=1)
        vertices = np.stack([middle - across, middle + across], axis=1).reshape(-1, 3)
        sides.append(Mesh(vertices, winding, uv))
    return join(sides)


def throw_pillow(x: float, y: float, z: float, n: int = 10) -> Mesh:
    """Return a stuffed cushion of these lengths about the origin: thin seams, drawn-in sides, pointed corners."""
    grid = np.linspace(-1.0, 1.0, n + 1)
    u, v = (axis.ravel() for axis in np.meshgrid(grid, grid, indexing="ij"))
    height = z / 2 * ((1 - u**4) * (1 - v**4)) ** 0.5
    flat = np.stack([x / 2 * u * (0.9 + 0.1 * v * v), y / 2 * v * (0.9 + 0.1 * u * u)], axis=1)
    uv = np.stack([u, v], axis=1) / 2 + 0.5
    faces = _grid_faces(n + 1, n + 1, np.zeros(n + 1, dtype=bool))
    upper = Mesh(np.concatenate([flat, height[:, None]], axis=1), faces[:, ::-1].copy(), uv)
    lower = Mesh(np.concatenate([flat, -height[:, None]], axis=1), faces, uv)
    return join([upper, lower])


def _grid_faces(rows: int, columns: int, poles: np.ndarray) -> Int[np.ndarray, "n_faces 3"]:
    """Triangles of a grid of vertices; rows that are a single point give one triangle a cell instead of two."""
    faces = []
    for i in range(rows - 1):
        j = np.arange(columns - 1)
        a, b = i * columns + j, i * columns + j + 1
        d, c = a + columns, b + columns
        if not poles[i]:
            faces.append(np.stack([a, b, c], axis=1) if not poles[i + 1] else np.stack([a, b, d], axis=1))
        if not poles[i + 1]:
            faces.append(np.stack([a, c, d], axis=1))
    return np.concatenate(faces)


def _perpendicular(direction: Vector3) -> Vector3:
    """Return some unit vector at a right angle to a direction."""
    helper = np.eye(3)[int(np.argmin(np.abs(direction)))]
    side = np.cross(direction, helper)
    return np.asarray(side / np.linalg.norm(side))
