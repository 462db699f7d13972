"""Light that is computed once a scene: soft shadows and ambient occlusion at points spread over every surface.

Nothing moves during a session and surfaces are matt, so what reaches a point does not depend on where the camera is.
Each triangle carries a lattice of points; a pixel blends the three around it. Frames then cost no shadow rays, and
shadows are softer than one ray a pixel could give.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Sequence, Tuple

import numpy as np
from embreex.rtcore_scene import EmbreeScene

from embodied.arrays import Float, Int, Points
from sim.lighting_settings import LightingSettings
from sim.scene import Light
from sim.world_mesh import WorldMesh, face_normals

_NO_HIT = -1
_LIFT_M = 0.004
"""Light is gathered this far off a surface, or it would shade itself."""
_LARGE_DIVISIONS = 4
"""Faces with so many steps along an edge are large beside the unevenness that light shows."""
_RAYS_A_CALL = 1 << 20


@dataclass(frozen=True)
class LightField:
    """Light at the lattice points. Point (i, j), i + j <= n, of a face lies at barycentric (i / n, j / n)."""

    divisions: Int[np.ndarray, " n_faces"]
    """n of each face."""
    first: Int[np.ndarray, " n_faces"]
    """Row of the face's point (0, 0); point (i, j) is ``i (2 n + 3 - i) / 2 + j`` rows further."""
    rgb: Float[np.ndarray, "3 n_points"]
    """Red, green and blue in rows of their own: gathers from them are the fastest."""

    def at(
        self,
        face: Int[np.ndarray, " n_pixels"],
        u: Float[np.ndarray, " n_pixels"],
        v: Float[np.ndarray, " n_pixels"],
    ) -> Tuple[Float[np.ndarray, " n_pixels"], ...]:
        """Return red, green and blue light at barycentric u, v of faces, linear between lattice points."""
        n: np.ndarray = self.divisions.take(face)
        steps = n.astype(np.float32)
        a, b = u * steps, v * steps
        i: np.ndarray = a.astype(np.int32)
        j: np.ndarray = b.astype(np.int32)
        a -= i.astype(np.float32)
        b -= j.astype(np.float32)
        rest = 1.0 - a - b
        # Of the two triangles of a lattice cell the upper one starts from the opposite corner.
        upper = (rest < 0) & (i + j < n - 1)
        along_j = self.first.take(face) + ((i * (2 * n + 3 - i)) >> 1) + j + 1
        # From row i to row i + 1 at the same j it is n + 1 - i places.
        along_i = along_j + (n - i)
        start = np.where(upper, along_i + 1, along_j - 1)
        np.abs(rest, out=rest)
        weight_i = np.where(upper, 1.0 - b, a)
        weight_j = np.where(upper, 1.0 - a, b)
        return tuple(
            rest * color.take(start) + weight_i * color.take(along_i) + weight_j * color.take(along_j)
            for color in self.rgb
        )


def bake(
    mesh: WorldMesh,
    embree: EmbreeScene,
    lights: Sequence[Light],
    settings: LightingSettings,
    ambient_rgb: Tuple[float, float, float] = (1.0, 1.0, 1.0),
    lamp_gain: float = 1.0,
) -> LightField:
    """Compute the light at the lattice points of every face."""
    divisions, first, points, normals, faces_normal = _lattice(mesh, settings)
    keys = _keys(points, normals, np.repeat(divisions, _n_points(divisions)))
    _, representative, inverse = np.unique(keys, return_index=True, return_inverse=True)
    points, normals, off = points[representative], normals[representative], faces_normal[representative]
    front = points + _LIFT_M * off
    openness = _openness(embree, front, normals, settings)
    direct = _lamplight(embree, front, normals, lights, settings)
    # A face may be drawn inside out, or seal a hollow: its front then looks into the dark, and its back counts.
    dark = np.flatnonzero(openness < 0.03)
    back = points[dark] - _LIFT_M * off[dark]
    behind = _openness(embree, back, -normals[dark], settings)
    brighter = np.flatnonzero(behind > openness[dark])
    turned = dark[brighter]
    openness[turned] = behind[brighter]
    direct[turned] = _lamplight(embree, back[brighter], -normals[turned], lights, settings)
    floor = (normals[:, 2] > 0.9) & (points[:, 2] < 0.05) & (direct.max(axis=1) > 0)
    typical = float(np.median(direct[floor].mean(axis=1))) if floor.any() else 0.0
    lamps = direct * np.float32(lamp_gain * (1.0 - settings.ambient) / typical if typical > 0 else 0.0)
    # Light from all around comes a little more from above, and never quite dies in corners.
    ambient = (0.35 + 0.65 * openness) * (0.92 + 0.08 * normals[:, 2])
    rgb = (lamps + settings.ambient * ambient[:, None] * np.array(ambient_rgb)) * settings.exposure
    padded = np.concatenate([rgb[inverse.ravel()], np.zeros((settings.max_divisions + 2, 3))])
    return LightField(divisions=divisions, first=first, rgb=np.ascontiguousarray(padded.T, dtype=np.float32))


def _n_points(divisions: Int[np.ndarray, " n_faces"]) -> Int[np.ndarray, " n_faces"]:
    return (divisions + 1) * (divisions + 2) // 2


def _lattice(mesh: WorldMesh, settings: LightingSettings) -> Tuple[np.ndarray, np.ndarray, Points, Points, Points]:
    edges = np.linalg.norm(mesh.corners - np.roll(mesh.corners, 1, axis=1), axis=2).max(axis=1)
    wanted = np.ceil(edges / settings.spacing_m).astype(np.int32)
    divisions = np.clip(wanted, 1, settings.max_divisions).astype(np.int32)
    counts = _n_points(divisions)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32)
    n_points = int(counts.sum())
    points = np.empty((n_points, 3), dtype=np.float32)
    normals = np.empty_like(points)
    face_normal = np.empty_like(points)
    flat = face_normals(mesh.corners)
    grids: Dict[int, np.ndarray] = {int(n): _barycentric(int(n)) for n in np.unique(divisions)}
    for n, weights in grids.items():
        faces = np.flatnonzero(divisions == n)
        rows = first[faces][:, None] + np.arange(len(weights))
        # A point on the rim would look along the next surface, or into it; it is drawn a little to the middle.
        inner = 0.94 * weights + 0.02 if n < 4 else weights + (1 / 3 - weights) * min(0.06, 0.25 / n)
        points[rows] = np.einsum("pc,fck->fpk", inner.astype(np.float32), mesh.corners[faces])
        normals[rows] = np.einsum("pc,fck->fpk", weights.astype(np.float32), mesh.normals[faces])
        face_normal[rows] = flat[faces][:, None]
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return divisions, first, points, normals, face_normal


def _barycentric(n: int) -> Float[np.ndarray, "n_points 3"]:
    i, j = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    keep = i + j <= n
    along_i, along_j = i[keep] / n, j[keep] / n
    return np.stack([1.0 - along_i - along_j, along_i, along_j], axis=1)


def _keys(points: Points, normals: Points, divisions: Int[np.ndarray, " n_points"]) -> Int[np.ndarray, " n_points"]:
    """Pack place (8 mm) and direction into one integer each, so that equal points are lit once.

    Long and narrow faces have more points across than light needs: on large faces 32 mm along them are the same place,
    but only 2 mm off them, for panes and pictures lie close to their wall.
    """
    flat = (np.abs(normals) < 0.3).astype(np.int64)
    step = np.where((divisions >= _LARGE_DIVISIONS)[:, None], np.array([1, 16])[flat], 4)
    place = np.round(points / (0.002 * step)).astype(np.int64) * step & 0xFFFF
    direction = (np.round(normals * 12).astype(np.int64) + 15) & 0x1F
    keys = np.zeros(len(points), dtype=np.int64)
    for column in range(3):
        keys = (keys << 21) | (place[:, column] << 5) | direction[:, column]
    return keys


def _openness(
    embree: EmbreeScene, points: Points, normals: Points, settings: LightingSettings
) -> Float[np.ndarray, " n_points"]:
    """Return the share of directions, weighted by their cosine, in which points see nothing near."""
    points = np.ascontiguousarray(points, dtype=np.float32)
    openness = np.zeros(len(points), dtype=np.float32)
    directions = _hemisphere(settings.n_ambient_rays)
    side = np.where(np.abs(normals[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    tangent = np.cross(side, normals)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    bitangent = np.cross(normals, tangent)
    reach = np.full(len(points), settings.ambient_distance_m, dtype=np.float32)
    for x, y, z in directions:
        openness += _free(embree, points, x * tangent + y * bitangent + z * normals, reach)
    return openness / len(directions)


def _lamplight(
    embree: EmbreeScene, points: Points, normals: Points, lights: Sequence[Light], settings: LightingSettings
) -> Float[np.ndarray, "n_points 3"]:
    """Return what lamps throw on points, with soft shadows."""
    points = np.ascontiguousarray(points, dtype=np.float32)
    direct = np.zeros((len(points), 3), dtype=np.float32)
    # The middle ones lie farthest apart sideways: where neither is seen, the lamp is behind a wall.
    offsets = _sphere(settings.n_shadow_rays) * settings.lamp_radius_m
    offsets = offsets[np.argsort(np.abs(offsets[:, 2]), kind="stable")]
    for light in lights:
        to_lamp = np.asarray(light.position_m, dtype=np.float32) - points
        distance = np.linalg.norm(to_lamp, axis=1)
        cosine = np.einsum("ij,ij->i", to_lamp, normals) / np.maximum(distance, 1e-3)
        seen = np.flatnonzero((distance < settings.lamp_reach_m) & (cosine > 0))
        n_free = np.zeros(len(points), dtype=np.float32)
        for index, offset in enumerate(offsets):
            if index == 2:
                seen = seen[n_free[seen] > 0]
            rays = to_lamp[seen] + offset.astype(np.float32)
            length = np.linalg.norm(rays, axis=1)
            # The lamp's own shade must not hide it.
            reach = np.maximum(length - 0.3, 0.01) / np.maximum(length, 1e-3)
            n_free[seen] += _free(embree, points[seen], rays, reach)
        away = distance[seen]
        fade = (1.0 - (away / settings.lamp_reach_m) ** 2) ** 2 / (1.0 + away**2)
        strength = light.intensity * fade * cosine[seen] * n_free[seen] / settings.n_shadow_rays
        direct[seen] += strength[:, None] * np.asarray(light.color, dtype=np.float32)
    return direct


def _free(embree: EmbreeScene, origins: Points, rays: Points, reach: np.ndarray) -> np.ndarray:
    """Return 1.0 for rays that meet nothing within ``reach`` times their own length."""
    rays, reach = np.ascontiguousarray(rays, dtype=np.float32), reach.astype(np.float32)
    out = np.empty(len(origins), dtype=np.float32)
    for start in range(0, len(origins), _RAYS_A_CALL):
        part = slice(start, start + _RAYS_A_CALL)
        out[part] = embree.run(origins[part], rays[part], dists=reach[part], query="OCCLUDED") == _NO_HIT
    return out


def _hemisphere(n: int) -> Float[np.ndarray, "n 3"]:
    """Return directions about +z, spread as the cosine (Malley's method on a sunflower disc)."""
    k = np.arange(n) + 0.5
    radius, angle = np.sqrt(k / n), k * np.pi * (3.0 - np.sqrt(5.0))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1.0 - radius**2)], axis=1)


def _sphere(n: int) -> Float[np.ndarray, "n 3"]:
    k = np.arange(n) + 0.5
    z, angle = 1.0 - 2.0 * k / n, k * np.pi * (3.0 - np.sqrt(5.0))
    return np.stack([np.sqrt(1 - z**2) * np.cos(angle), np.sqrt(1 - z**2) * np.sin(angle), z], axis=1)
