"""Sparse voxel evidence of one object: where its surface was hit, and where it was seen through.

Hits and see-throughs are counted by frame, not by point, so that the ratio of both tells a surface from noise, as in
occupancy mapping (OctoMap, Hornung et al., 2013) and in the carving of voxels by DynaMem (Liu et al., 2024).
"""

from __future__ import annotations

import msgspec
import numpy as np

from embodied.arrays import Float, Int, Points

FINEST_M = 0.02
LARGEST_CELLS = 40
"""A cloud that spans more cells than this is coarsened, which bounds its memory and its cost."""
LEAST_HITS = (0.2, 0.12, 0.06, 0.03)
"""By level: share of a typical voxel's hits that a solid one needs. Fine voxels are as small as the noise, so
stray hits are many; coarse ones belong to large things, whose far parts are seldom hit."""
SEEN_THROUGH = 0.35
"""Voxels are not solid if they were hit less than this times as often as they were seen through."""
_OFFSET = 1 << 20
_MASK = (1 << 21) - 1


class VoxelState(msgspec.Struct, kw_only=True):
    """A cloud as it is stored."""

    level: int
    keys: bytes
    hits: bytes
    through: bytes


def pack(cells: Int[np.ndarray, "n 3"]) -> Int[np.ndarray, " n"]:
    """Pack integer cells within +-2^20 into one sortable int64 each."""
    shifted = cells.astype(np.int64) + _OFFSET
    packed: Int[np.ndarray, " n"] = (shifted[:, 0] << 42) | (shifted[:, 1] << 21) | shifted[:, 2]
    return packed


def unpack(keys: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n 3"]:
    """Undo ``pack``."""
    cells = np.empty((len(keys), 3), dtype=np.int64)
    cells[:, 0] = keys >> 42
    cells[:, 1] = (keys >> 21) & _MASK
    cells[:, 2] = keys & _MASK
    return cells - _OFFSET


class VoxelCloud:
    """Sorted voxel keys with the weight of frames that hit each and of frames that saw through it."""

    def __init__(self, level: int = 0) -> None:
        self.level = level
        self.keys: Int[np.ndarray, " n"] = np.zeros(0, dtype=np.int64)
        self.hits: Float[np.ndarray, " n"] = np.zeros(0, dtype=np.float32)
        self.through: Float[np.ndarray, " n"] = np.zeros(0, dtype=np.float32)
        self._bounds: tuple[Int[np.ndarray, " 3"], Int[np.ndarray, " 3"]] | None = None
        """Cells that hold all keys, and perhaps some that were forgotten; None until it is asked for."""
        self._solid: Points | None = None
        self._solid_keys: Int[np.ndarray, " n"] | None = None

    @property
    def size_m(self) -> float:
        """Side of a voxel."""
        return FINEST_M * float(1 << self.level)

    def __len__(self) -> int:
        return len(self.keys)

    def insert(self, points: Points, weight: float) -> None:
        """Add one frame's world points: every voxel they touch gains ``weight`` once."""
        if len(points) == 0:
            return
        cells = np.floor(points / self.size_m).astype(np.int64)
        new = np.sort(pack(cells))
        new = new[np.append(True, new[1:] != new[:-1])]  # Several times faster than `unique` for so few.
        if self._bounds is not None:
            self._bounds = (
                np.minimum(self._bounds[0], cells.min(axis=0)),
                np.maximum(self._bounds[1], cells.max(axis=0)),
            )
        self._add(new, np.full(len(new), weight, dtype=np.float32), np.zeros(len(new), dtype=np.float32))
        self._coarsen()

    def absorb(self, other: VoxelCloud) -> None:
        """Add another cloud's evidence to this one."""
        while self.level < other.level:
            self._halve()
        same = VoxelCloud(other.level)
        same.keys, same.hits, same.through = other.keys, other.hits, other.through
        while same.level < self.level:
            same._halve()
        self._add(same.keys, same.hits, same.through)
        self._bounds = None
        self._coarsen()

    def carve(self, keys: Int[np.ndarray, " n"], weight: float) -> None:
        """Count voxels that were seen through; keys not in the cloud are ignored."""
        if len(keys) == 0 or len(self.keys) == 0:
            return
        slots = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        slots = slots[self.keys[slots] == keys]
        self.through[slots] += weight
        if (self.hits[slots] <= SEEN_THROUGH * self.through[slots]).any():
            self._solid = None

    def prune(self, age: float) -> None:
        """Forget voxels that are seen through far more often than hit. ``age`` is the weight that counts as much."""
        keep = self.through < np.maximum(age, 4.0 * self.hits)
        if not keep.all():
            self.keys, self.hits, self.through = self.keys[keep], self.hits[keep], self.through[keep]
            self._solid = self._bounds = None

    def solid_points(self) -> Points:
        """Return the centres of the voxels that count as the object's surface, float32, world frame.

        A voxel counts if it was hit more than once (unless hardly any was) and in a fair share of the frames that
        looked at it.
        """
        if self._solid is None:
            self._choose_solid()
        assert self._solid is not None
        return self._solid

    def solid_keys(self) -> Int[np.ndarray, " n"]:
        """Return the keys of ``solid_points``."""
        self.solid_points()
        assert self._solid_keys is not None
        return self._solid_keys

    def near_share(self, points: Points, reach_m: float) -> float:
        """Return the share of points that lie within ``reach_m`` of the centre of a solid voxel."""
        solid = self.solid_points()
        if len(solid) == 0 or len(points) == 0:
            return 0.0
        # A cloud changes with each view: comparing all with all is done before a tree would be built. |a - b|^2 is
        # smallest where a.b - |b|^2 / 2 is largest; from an origin nearby, float32 is exact to a tenth of a millimetre.
        origin = solid[0]
        near, others = points - origin, solid - origin
        products = near @ others.T
        products -= 0.5 * np.einsum("ij,ij->i", others, others)
        squares = np.einsum("ij,ij->i", near, near) - 2.0 * products.max(axis=1)
        return float(np.count_nonzero(squares <= reach_m * reach_m)) / len(points)

    def samples(self, n: int, phase: int = 0) -> tuple[Points, Int[np.ndarray, " k"]]:
        """Return up to ``n`` solid points and their keys, evenly drawn; ``phase`` turns through them."""
        points, keys = self.solid_points(), self.solid_keys()
        if len(points) <= n:
            return points, keys
        chosen = (np.arange(n) * len(points) // n + phase * 7) % len(points)
        return points[chosen], keys[chosen]

    def state(self) -> VoxelState:
        """Return the cloud for a store."""
        return VoxelState(
            level=self.level,
            keys=self.keys.astype("<i8").tobytes(),
            hits=self.hits.astype("<f4").tobytes(),
            through=self.through.astype("<f4").tobytes(),
        )

    @classmethod
    def from_state(cls, state: VoxelState) -> VoxelCloud:
        """Read what ``state`` gave.

        Raises:
            ValueError: The arrays do not fit together.
        """
        cloud = cls(state.level)
        cloud.keys = np.frombuffer(state.keys, dtype="<i8").astype(np.int64)
        cloud.hits = np.frombuffer(state.hits, dtype="<f4").astype(np.float32)
        cloud.through = np.frombuffer(state.through, dtype="<f4").astype(np.float32)
        n = len(cloud.keys)
        if len(cloud.hits) != n or len(cloud.through) != n or np.any(np.diff(cloud.keys) <= 0):
            raise ValueError(f"state: expected sorted keys with as many counts, got {n}, {len(cloud.hits)}")
        return cloud

    # ------------------------------------------------------------------------------------------- inside

    def _add(
        self, keys: Int[np.ndarray, " n"], hits: Float[np.ndarray, " n"], through: Float[np.ndarray, " n"]
    ) -> None:
        """Merge sorted unique keys into the cloud."""
        self._solid = None
        if len(self.keys) == 0:
            self.keys, self.hits, self.through = keys.copy(), hits.copy(), through.copy()
            return
        slots = np.searchsorted(self.keys, keys)
        known = self.keys[np.minimum(slots, len(self.keys) - 1)] == keys
        self.hits[slots[known]] += hits[known]
        self.through[slots[known]] += through[known]
        if known.all():
            return
        fresh = ~known
        at = slots[fresh] + np.arange(np.count_nonzero(fresh))
        is_old = np.ones(len(self.keys) + len(at), dtype=bool)
        is_old[at] = False
        for name, new in (("keys", keys), ("hits", hits), ("through", through)):
            old = getattr(self, name)
            joined = np.empty(len(is_old), dtype=old.dtype)
            joined[is_old], joined[at] = old, new[fresh]
            setattr(self, name, joined)

    def _coarsen(self) -> None:
        """Double the voxel size while the cloud spans too many cells."""
        while len(self.keys) > LARGEST_CELLS:
            if self._bounds is None:
                cells = unpack(self.keys)
                self._bounds = cells.min(axis=0), cells.max(axis=0)
            if int((self._bounds[1] - self._bounds[0]).max()) < LARGEST_CELLS:
                return
            self._halve()

    def _halve(self) -> None:
        """Join eight voxels to one: as often hit as the most hit, as seldom seen through as the least."""
        parents = pack(unpack(self.keys) >> 1)
        keys, inverse = np.unique(parents, return_inverse=True)
        hits = np.zeros(len(keys), dtype=np.float32)
        through = np.full(len(keys), np.inf, dtype=np.float32)
        np.maximum.at(hits, inverse, self.hits)
        np.minimum.at(through, inverse, self.through)
        self.level += 1
        self.keys, self.hits, self.through = keys, hits, through
        self._solid = self._bounds = None

    def _choose_solid(self) -> None:
        """Cache the solid voxels."""
        if len(self.keys) == 0:
            self._solid, self._solid_keys = np.zeros((0, 3), dtype=np.float32), self.keys
            return
        quarter = len(self.hits) - max(1, len(self.hits) // 4)
        typical = float(np.partition(self.hits, quarter)[quarter])
        solid = self.hits >= LEAST_HITS[min(self.level, len(LEAST_HITS) - 1)] * typical
        solid &= self.hits > SEEN_THROUGH * self.through
        if not solid.any():
            solid = self.hits >= typical
        self._solid_keys = self.keys[solid]
        centers = unpack(self._solid_keys).astype(np.float32)
        centers += np.float32(0.5)
        centers *= np.float32(self.size_m)
        self._solid = centers
