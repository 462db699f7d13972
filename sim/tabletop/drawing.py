"""Pictures of prisms on a table, by numpy alone.

A convex solid is where all of its half-spaces overlap. Along a pixel's ray the inverse depth at which a plane is met is
linear in the pixel, so that of a solid's front is the least over the planes that face the camera, and it is hit where
that exceeds the greatest over the others. Shadows on the table are found likewise, along the light.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from embodied.arrays import Float, Image, Int, Points, Transform, UInt8, Vector3
from embodied.messages import Intrinsics
from sim.tabletop.solids import Color, Prism

_SAMPLES = 2
"""Of a pixel along either axis."""
_SHADOW = 0.62
"""Share of the light that is left in the shadow."""
_BACKGROUND, _TABLE, _SHADED = 0, 1, 2
"""The first colours of the palette."""


class Light(NamedTuple):
    """A sun and what comes from all around."""

    direction: Vector3
    """Unit vector towards the sun."""
    ambient: float
    diffuse: float


class Layer(NamedTuple):
    """A picture being made, of samples."""

    face: Int[np.ndarray, "rows columns"]
    """Which colour of the palette is seen."""
    nearness: Float[np.ndarray, "rows columns"]
    """Inverse depth, 1/m; 0 where nothing is."""
    palette: List[UInt8[np.ndarray, "n_faces 4"]]
    """Colours, in the order in which they were added; the fourth number fills up."""


class Canvas:
    """Draws what stands on one table, for one camera that stands still."""

    def __init__(
        self, intrinsics: Intrinsics, T_base_camera: Transform, table: Prism, light: Light, background: Color
    ) -> None:
        """``table``: its top is at height 0."""
        self._R_camera_base, self._camera_m = T_base_camera[:3, :3].T, T_base_camera[:3, 3]
        self._light = light
        offsets = (np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5
        across = (np.arange(intrinsics.width_px)[:, None] + offsets).ravel()
        down = (np.arange(intrinsics.height_px)[:, None] + offsets).ravel()
        self._focal_px, self._middle_px = intrinsics.fx_px, (intrinsics.cx_px, intrinsics.cy_px)
        self._x = ((across - intrinsics.cx_px) / intrinsics.fx_px).astype(np.float32)
        self._y = ((down - intrinsics.cy_px) / intrinsics.fy_px).astype(np.float32)
        self._empty = self._bare(table, background)
        self._ground_x, self._ground_y = self._ground(T_base_camera)

    def layer(self, solids: Sequence[Prism], below: Optional[Layer] = None) -> Layer:
        """Return a layer with solids and their shadows added to the one below, which stays as it is."""
        base = below or self._empty
        layer = Layer(base.face.copy(), base.nearness.copy(), list(base.palette))
        for solid in solids:
            self._cast_shadow(layer, solid)
        for solid in solids:
            self._add(layer, solid)
        return layer

    def picture(self, layer: Layer) -> Image:
        """Return the mean of each pixel's samples."""
        colors = np.concatenate(layer.palette).view(np.uint32)[:, 0]
        rows, columns = layer.face.shape
        samples = colors.take(layer.face).view(np.uint8).reshape(rows, columns, 4)
        total = np.zeros((rows // _SAMPLES, columns // _SAMPLES, 4), dtype=np.uint16)
        for row in range(_SAMPLES):
            for column in range(_SAMPLES):
                total += samples[row::_SAMPLES, column::_SAMPLES]
        total += _SAMPLES**2 // 2
        total //= _SAMPLES**2
        return np.ascontiguousarray(total[:, :, :3].astype(np.uint8))

    def _bare(self, table: Prism, background: Color) -> Layer:
        shape = (len(self._y), len(self._x))
        lit = self._shaded(table, np.array([[0.0, 0.0, 1.0]]))
        shaded = (lit * _SHADOW).astype(np.uint8)
        palette = [_packed(np.array([background]) * 255.0), lit, shaded]
        layer = Layer(np.zeros(shape, dtype=np.intp), np.zeros(shape, dtype=np.float32), palette)
        first = sum(map(len, palette))
        self._add(layer, table)
        top = first + len(table.outline) + 1
        layer.face[layer.face == top] = _TABLE
        return layer

    def _ground(self, T_base_camera: Transform) -> Tuple[np.ndarray, np.ndarray]:
        """Return x and y of the table's plane at every sample, each (rows, columns); far away where there is none."""
        x, y = np.meshgrid(self._x, self._y)
        rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ T_base_camera[:3, :3].T.astype(np.float32)
        depth_m = -T_base_camera[2, 3] / np.minimum(rays[..., 2], -1e-3)
        ground = (T_base_camera[:2, 3] + depth_m[..., None] * rays[..., :2]).astype(np.float32)
        return np.ascontiguousarray(ground[..., 0]), np.ascontiguousarray(ground[..., 1])

    def _add(self, layer: Layer, solid: Prism) -> None:
        normals, offsets = solid.planes()
        first = sum(map(len, layer.palette))
        layer.palette.append(self._shaded(solid, normals))
        window = self._window((solid.corners() - self._camera_m) @ self._R_camera_base.T)
        if window is None:
            return
        rows, columns = window
        inverse_d = 1.0 / _not_zero(offsets - normals @ self._camera_m)
        a = ((normals @ self._R_camera_base.T) * inverse_d[:, None]).astype(np.float32)
        is_front = inverse_d < 0.0
        x, y = self._x[columns], self._y[rows]
        met = (a[:, 1, None] * y + a[:, 2, None])[:, :, None] + (a[:, 0, None] * x)[:, None, :]
        front = met[is_front]
        nearest = front.min(axis=0)
        is_hit = nearest > np.maximum(met[~is_front].max(axis=0), layer.nearness[rows, columns])
        face = (np.flatnonzero(is_front) + first)[front.argmin(axis=0)]
        layer.nearness[rows, columns][is_hit] = nearest[is_hit]
        layer.face[rows, columns][is_hit] = face[is_hit]

    def _cast_shadow(self, layer: Layer, solid: Prism) -> None:
        direction, corners = self._light.direction, solid.corners()
        on_ground = corners - (corners[:, 2] / direction[2])[:, None] * direction
        window = self._window((on_ground - self._camera_m) @ self._R_camera_base.T)
        if window is None:
            return
        rows, columns = window
        normals, offsets = solid.planes()
        inverse = 1.0 / _not_zero(normals @ direction)
        enters = inverse < 0.0
        by_x, by_y, by_one = ((value * inverse).astype(np.float32) for value in (*normals.T[:2], offsets))
        x, y = self._ground_x[rows, columns], self._ground_y[rows, columns]
        along = by_one[:, None, None] - by_x[:, None, None] * x - by_y[:, None, None] * y
        entry, end = along[enters].max(axis=0), along[~enters].min(axis=0)
        face = layer.face[rows, columns]
        face[(entry < end) & (end > 0.0) & (face == _TABLE)] = _SHADED

    def _shaded(self, solid: Prism, normals: Points) -> np.ndarray:
        """Return the colours of faces, (n_faces, 4)."""
        light = self._light.ambient + self._light.diffuse * np.maximum(normals @ self._light.direction, 0.0)
        return _packed(np.minimum(light[:, None] * np.array(solid.color), 1.0) * 255.0)

    def _window(self, points_camera: Points) -> Optional[Tuple[slice, slice]]:
        """Return the rows and columns of samples around points, None if they are out of the picture."""
        assert (points_camera[:, 2] > 0.0).all(), "nothing comes behind the camera"
        pixels = points_camera[:, :2] / points_camera[:, 2:] * self._focal_px + self._middle_px
        low = np.maximum(np.floor((pixels.min(axis=0) + 0.5) * _SAMPLES).astype(int) - 1, 0)
        size = (len(self._x), len(self._y))
        high = np.minimum(np.ceil((pixels.max(axis=0) + 0.5) * _SAMPLES).astype(int) + 1, size)
        if (low >= high).any():
            return None
        return slice(low[1], high[1]), slice(low[0], high[0])


def _not_zero(values: np.ndarray) -> np.ndarray:
    return np.where(np.abs(values) < 1e-9, 1e-9, values)


def _packed(colors: np.ndarray) -> np.ndarray:
    packed = np.zeros((len(colors), 4), dtype=np.uint8)
    packed[:, :3] = np.round(colors)
    return packed
