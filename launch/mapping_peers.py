"""The steps of two published maps, written anew from what their papers say, to be timed beside ours.

They are not the authors' programs. Only what a frame costs in geometry is here: no network runs, features come for
free, and where a description leaves a choice the faster one is taken. So their times are a lower bound of the idea in
numpy and scipy, not a measurement of the published systems.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from embodied.arrays import DepthMetres, Float, Int, Points, Transform
from embodied.geometry import invert, pixel_rays, transform_points
from embodied.messages import Intrinsics
from memory_bank.geometry.voxels import pack
from memory_bank.objects.association import boxes_touch

FEATURES = 512


@dataclass(frozen=True)
class Frame:
    """What both are given."""

    depth_m: DepthMetres
    owner: Int[np.ndarray, "height width"]
    """1 + number of the mask at each pixel, 0 for none."""
    n_masks: int
    T_world_camera: Transform
    intrinsics: Intrinsics

    def points(self) -> Float[np.ndarray, "height width 3"]:
        """Return the world point of each pixel, float32."""
        camera = (pixel_rays(self.intrinsics) * self.depth_m[..., None]).reshape(-1, 3)
        return transform_points(self.T_world_camera, camera).reshape(*self.depth_m.shape, 3)


def thinned(points: Points, voxel_m: float) -> Points:
    """Return one point of each voxel."""
    _, first = np.unique(pack(np.floor(points / voxel_m).astype(np.int64)), return_index=True)
    return points[first]


class ConceptGraphsStep:
    """Associate and fuse as in ConceptGraphs (Gu et al., 2024, Sec. III-A and III-B).

    Every detection is a cloud with a feature. Its likeness to each object of the map is the share of its points with a
    neighbour in the object's cloud within 2.5 cm, plus the cosine of the features; it is fused with the best one above
    a threshold, else it is a new object. Points are compared only for pairs whose boxes touch, cosines for all. The
    clustering that cleans each cloud of noise is left out.
    """

    name = "ConceptGraphs' step, rewritten"

    def __init__(self, clouds: list[Points], seed: int = 0) -> None:
        """Begin with the map of some objects."""
        self._rng = np.random.default_rng(seed)
        self._clouds = [thinned(cloud, 0.025) for cloud in clouds]
        self._features = self._unit(len(clouds))
        self._low = np.array([cloud.min(axis=0) for cloud in self._clouds])
        self._high = np.array([cloud.max(axis=0) for cloud in self._clouds])

    def _unit(self, n: int) -> Float[np.ndarray, "n n_features"]:
        features = self._rng.standard_normal((n, FEATURES), dtype=np.float32)
        return features / np.linalg.norm(features, axis=1, keepdims=True)

    def integrate(self, frame: Frame) -> None:
        """Take in one frame."""
        world = frame.points()
        detected = []
        for mask in range(1, frame.n_masks + 1):
            points = world[(frame.owner == mask) & (frame.depth_m > 0)]
            if len(points) >= 16:
                detected.append(thinned(points, 0.025))
        features = self._unit(len(detected))
        low, high = (np.array([f(cloud, axis=0) for cloud in detected]) for f in (np.min, np.max))
        likeness = features @ self._features.T
        overlap = np.zeros_like(likeness)
        trees: dict[int, cKDTree] = {}
        for d, o in np.argwhere(boxes_touch(low, high, self._low, self._high, 0.025)).tolist():
            if o not in trees:
                trees[o] = cKDTree(self._clouds[o])
            distances, _ = trees[o].query(detected[d], distance_upper_bound=0.025)
            overlap[d, o] = np.isfinite(distances).mean()
        score = overlap + likeness
        for d, cloud in enumerate(detected):
            best = int(np.argmax(score[d]))
            if overlap[d, best] >= 0.2:
                self._fuse(best, cloud, features[d])

    def _fuse(self, o: int, cloud: Points, feature: Float[np.ndarray, " n_features"]) -> None:
        self._clouds[o] = thinned(np.concatenate([self._clouds[o], cloud]), 0.025)
        self._features[o] = 0.9 * self._features[o] + 0.1 * feature
        self._low[o], self._high[o] = self._clouds[o].min(axis=0), self._clouds[o].max(axis=0)


class DynaMemStep:
    """Update a dynamic voxel map as DynaMem does (Liu et al., 2024, Sec. III-B).

    Voxels of 5 cm. All that project into the image nearer than the measured depth were seen through and are removed;
    then every pixel's point is added to its voxel. A voxel holds a count, a stamp and a mean colour; the features of
    several hundred numbers that the original averages in each voxel are left out.
    """

    name = "DynaMem's step, rewritten"

    def __init__(self, points: Points) -> None:
        """Begin with the map of some points."""
        self._keys = np.unique(pack(np.floor(points / 0.05).astype(np.int64)))
        self._centers = self._decoded(self._keys)
        self._count = np.ones(len(self._keys), dtype=np.float32)
        self._seen = np.zeros(len(self._keys), dtype=np.int64)
        self._n_frames = 0

    def __len__(self) -> int:
        return len(self._keys)

    def integrate(self, frame: Frame) -> None:
        """Take in one frame."""
        self._n_frames += 1
        self._remove(frame)
        depth_m = frame.depth_m
        valid = (depth_m > 0.3) & (depth_m < 4.0)
        cells = np.floor(frame.points()[valid] / 0.05).astype(np.int64)
        keys, counts = np.unique(pack(cells), return_counts=True)
        slots = np.searchsorted(self._keys, keys)
        known = self._keys[np.minimum(slots, len(self._keys) - 1)] == keys
        self._count[slots[known]] += counts[known]
        self._seen[slots[known]] = self._n_frames
        at, new = slots[~known], keys[~known]
        self._keys = np.insert(self._keys, at, new)
        self._centers = np.insert(self._centers, at, self._decoded(new), axis=0)
        self._count = np.insert(self._count, at, counts[~known])
        self._seen = np.insert(self._seen, at, self._n_frames)

    def _remove(self, frame: Frame) -> None:
        """Forget the voxels that are seen through."""
        camera = frame.intrinsics
        points = transform_points(invert(frame.T_world_camera), self._centers)
        z = points[:, 2]
        safe = np.maximum(z, 1e-3)
        u = np.rint(camera.fx_px * points[:, 0] / safe + camera.cx_px)
        v = np.rint(camera.fy_px * points[:, 1] / safe + camera.cy_px)
        inside = (z > 0.3) & (z < 4.0) & (u >= 0) & (v >= 0) & (u < camera.width_px) & (v < camera.height_px)
        rows = np.flatnonzero(inside)
        measured = frame.depth_m[v[rows].astype(np.int64), u[rows].astype(np.int64)]
        keep = np.ones(len(self._keys), dtype=bool)
        keep[rows] = ~((measured > 0) & (z[rows] < measured - 0.1))
        self._keys, self._centers = self._keys[keep], self._centers[keep]
        self._count, self._seen = self._count[keep], self._seen[keep]

    def _decoded(self, keys: Int[np.ndarray, " n"]) -> Points:
        mask, offset = (1 << 21) - 1, 1 << 20
        cells = np.stack([keys >> 42, (keys >> 21) & mask, keys & mask], axis=1) - offset
        return ((cells + 0.5) * 0.05).astype(np.float32)
