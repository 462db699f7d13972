"""A frame in one pass of machine code, by numba: rays in packets, then the colour of each hit while it is at hand.

Extra ``rendering``; imported only where numba is installed. ``plain_renderer`` does the same without it, several times
slower.
"""

from __future__ import annotations

import inspect
from typing import Any, Callable, NamedTuple, Optional, Tuple

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from embodied.arrays import DepthMetres, Float, Image, Int, Transform, UInt8
from embodied.messages import Intrinsics
from sim.embree_packets import PacketScene
from sim.surfaces import SKY_RGB, TONE_SCALE, Surfaces, tone_table

_F, _I, _N = np.float32, np.int32, np.uint32
_ZERO, _ONE, _TINY, _FAR = _F(0.0), _F(1.0), _F(1e-12), _F(3e38)
_UNIT, _NOBODY = _I(1), _I(-1)
# Which array of a packet is which (rtcore_ray.h).
_ORIGIN, _NEAR, _RAY, _TIME, _T_FAR, _MASK, _FLAGS = (_N(k) for k in (0, 3, 4, 7, 8, 9, 11))
_NORMAL, _U, _V, _PRIMITIVE, _GEOMETRY, _INSTANCE = (_N(k) for k in (12, 15, 16, 17, 18, 19))


class _Tables(NamedTuple):
    """What pixels look up."""

    numbers: Float[np.ndarray, "n_faces 8"]
    """Of each face: texture coordinates at its first corner, along its first and its second edge; twice its texels."""
    indices: Int[np.ndarray, "n_faces 4"]
    """Of each face: row of its texture's largest copy, steps and first point of its light, instance id."""
    light: Float[np.ndarray, "n_points 4"]
    """Red, green, blue and nothing: four numbers are fetched as fast as one."""
    texels: Float[np.ndarray, "n_texels 4"]
    copies: Int[np.ndarray, "n_copies 3"]
    """Width, height and first texel of each copy of each texture."""
    n_levels: np.int32
    tone: UInt8[np.ndarray, " n_steps"]
    sky: UInt8[np.ndarray, " 3"]


class _Frame(NamedTuple):
    """Where the pixels go."""

    rgb: Image
    depth_m: DepthMetres
    instance_ids: Int[np.ndarray, "height width"]


class _Camera(NamedTuple):
    """A pinhole, float32."""

    T_world_camera: Float[np.ndarray, "4 4"]
    per_fx: np.float32
    per_fy: np.float32
    cx_px: np.float32
    cy_px: np.float32


_OPTIONS = {"boundscheck": False, "error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}}


def _inlined(function: Callable[..., Any]) -> Any:
    # Tests wrap every function to check shapes; numba needs the plain one. A call would count references to the tables.
    return numba.njit(inspect.unwrap(function), inline="always", **_OPTIONS)


def _compiled(function: Callable[..., Any]) -> Any:
    return numba.njit(inspect.unwrap(function), cache=True, **_OPTIONS)


def _emit_call(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    del signature
    pointer = ir.IntType(8).as_pointer()
    function, *rest = arguments
    kind = ir.FunctionType(ir.VoidType(), [pointer] * len(rest)).as_pointer()
    builder.call(builder.inttoptr(function, kind), [builder.inttoptr(address, pointer) for address in rest])
    return context.get_dummy_value()


@intrinsic
def _call(typing: Any, function: Any, valid: Any, scene: Any, packet: Any, arguments: Any) -> Any:
    """Call a function of four pointers; all five are addresses."""
    del typing, function, valid, scene, packet, arguments
    return numba.types.void(*[numba.types.intp] * 5), inspect.unwrap(_emit_call)


@_inlined
def _aim(packet: Any, integers: Any, n: Any, top: Any, left: Any, camera: Any) -> None:
    """Write the rays of a block of pixels, four in a row.

    They are one metre long along the optical axis, so that a ray's parameter is the depth.
    """
    T = camera.T_world_camera
    for lane in range(n):
        right = (_F(left + (lane & _N(3))) - camera.cx_px) * camera.per_fx
        down = (_F(top + (lane >> _N(2))) - camera.cy_px) * camera.per_fy
        for axis in range(3):
            packet[(_ORIGIN + _N(axis)) * n + lane] = T[axis, 3]
            packet[(_RAY + _N(axis)) * n + lane] = T[axis, 0] * right + T[axis, 1] * down + T[axis, 2]
        packet[_NEAR * n + lane] = packet[_TIME * n + lane] = _ZERO
        packet[_T_FAR * n + lane] = _FAR
        integers[_FLAGS * n + lane] = 0
        integers[_MASK * n + lane] = integers[_GEOMETRY * n + lane] = integers[_INSTANCE * n + lane] = _NOBODY


@_inlined
def _texel(
    packet: Any, integers: Any, n: Any, lane: Any, texels: Any, px_sq: Any, u: Any, v: Any, first: Any, tables: Any
) -> Any:
    """Return the nearest texel at texture coordinates, of the copy whose texels are as large as the pixel.

    A pixel's patch of the surface has the area z^2 / (f^2 |unit normal . ray|), the whole face half of |normal|.
    """
    facing = _ZERO
    for axis in range(3):
        facing += packet[(_NORMAL + _N(axis)) * n + lane] * packet[(_RAY + _N(axis)) * n + lane]
    depth_m = packet[_T_FAR * n + lane]
    # This ray's time is not needed any more. The exponent of a float is its logarithm, half of it that of the length.
    packet[_TIME * n + lane] = depth_m * depth_m * px_sq * texels / max(abs(facing), _TINY)
    level = ((integers[_TIME * n + lane] >> _I(23)) - _I(127)) >> _UNIT
    copy = _N(first + min(max(level, _I(0)), tables.n_levels - _UNIT))
    width, height = tables.copies[copy, 0], tables.copies[copy, 1]
    column = min(_I((u - np.floor(u)) * _F(width)), width - _UNIT)
    row = min(_I((np.ceil(v) - v) * _F(height)), height - _UNIT)
    return _N(tables.copies[copy, 2] + row * width + column)


@_inlined
def _corners(u: Any, v: Any, n: Any, first: Any) -> Any:
    """Return the three lattice points around a place on a face, and their weights (``LightField.at``)."""
    b, c = u * _F(n), v * _F(n)
    i, j = _I(b), _I(c)
    b -= _F(i)
    c -= _F(j)
    a = _ONE - b - c
    along_j = first + ((i * (n + n + _I(3) - i)) >> _UNIT) + j + _UNIT
    along_i = along_j + n - i
    start = along_j - _UNIT
    if a < _ZERO and i + j < n - _UNIT:
        start = along_i + _UNIT
        b, c = _ONE - c, _ONE - b
    return _N(start), _N(along_i), _N(along_j), abs(a), b, c


@_inlined
def _paint(
    packet: Any, integers: Any, n: Any, lane: Any, row: Any, column: Any, px_sq: Any, tables: Any, frame: Any
) -> None:
    """Write the pixel of a ray that hit something."""
    face = _N(integers[_PRIMITIVE * n + lane])
    numbers, indices = tables.numbers, tables.indices
    frame.depth_m[row, column] = packet[_T_FAR * n + lane]
    frame.instance_ids[row, column] = indices[face, 3]
    u, v = packet[_U * n + lane], packet[_V * n + lane]
    texture_u = numbers[face, 0] + u * numbers[face, 2] + v * numbers[face, 4]
    texture_v = numbers[face, 1] + u * numbers[face, 3] + v * numbers[face, 5]
    texel = _texel(packet, integers, n, lane, numbers[face, 6], px_sq, texture_u, texture_v, indices[face, 0], tables)
    at_a, at_b, at_c, a, b, c = _corners(u, v, indices[face, 1], indices[face, 2])
    light, last = tables.light, _F(tables.tone.shape[0] - 1)
    for k in range(3):
        amount = a * light[at_a, k] + b * light[at_b, k] + c * light[at_c, k]
        step = _I(min(tables.texels[texel, k] * amount * TONE_SCALE, last))
        frame.rgb[row, column, k] = tables.tone[_N(step)]


@_compiled
def _render(addresses: Any, packet: Any, n: Any, camera: Any, tables: Any, frame: Any) -> None:
    """Fill a frame, a block of pixels at a time."""
    intersect, valid, scene, arguments = addresses
    height, width = frame.depth_m.shape
    px_sq = camera.per_fx * camera.per_fy
    integers = packet.view(np.int32)
    for top in range(0, height, n >> _N(2)):
        for left in range(0, width, 4):
            _aim(packet, integers, n, top, left, camera)
            _call(intersect, valid, scene, packet.ctypes.data, arguments)
            for lane in range(n):
                row, column = _N(top + (lane >> _N(2))), _N(left + (lane & _N(3)))
                if row >= height or column >= width:
                    continue  # beyond the rim
                if integers[_GEOMETRY * n + lane] != _NOBODY:
                    _paint(packet, integers, n, lane, row, column, px_sq, tables, frame)
                    continue
                frame.depth_m[row, column] = _ZERO
                frame.instance_ids[row, column] = 0
                for k in range(3):
                    frame.rgb[row, column, k] = tables.sky[k]


class CompiledRenderer:
    """Renders one scene from anywhere, ``n_lanes`` pixels at a time (``PacketScene``)."""

    def __init__(self, surfaces: Surfaces, n_lanes: Optional[int] = None) -> None:
        atlas, light = surfaces.atlas, surfaces.light
        numbers = np.zeros((len(surfaces.instance_id), 8), dtype=np.float32)
        numbers[:, :6], numbers[:, 6] = surfaces.uv, surfaces.texels
        rows = (surfaces.slot, light.divisions, light.first, surfaces.instance_id)
        copies = (atlas.width_of_level, atlas.height_of_level, atlas.offset_of_level)
        self._tables = _Tables(
            numbers=numbers,
            indices=np.stack(rows, axis=1).astype(np.int32),
            light=_by_place(light.rgb),
            texels=_by_place(atlas.texels),
            copies=np.stack(copies, axis=1).astype(np.int32),
            n_levels=np.int32(atlas.n_levels),
            tone=tone_table(),
            sky=np.array(SKY_RGB, dtype=np.uint8),
        )
        self._scene = PacketScene(surfaces.corners, n_lanes)

    def render(self, T_world_camera: Transform, intrinsics: Intrinsics) -> Tuple[Image, DepthMetres, np.ndarray]:
        """Return colour, depth and instance ids, in new arrays."""
        shape = (intrinsics.height_px, intrinsics.width_px)
        frame = _Frame(np.empty((*shape, 3), np.uint8), np.empty(shape, np.float32), np.empty(shape, np.int32))
        camera = _Camera(
            np.ascontiguousarray(T_world_camera, dtype=np.float32),
            np.float32(1.0 / intrinsics.fx_px),
            np.float32(1.0 / intrinsics.fy_px),
            np.float32(intrinsics.cx_px),
            np.float32(intrinsics.cy_px),
        )
        scene = self._scene
        addresses = (scene.intersect, scene.valid.ctypes.data, scene.address, scene.arguments.ctypes.data)
        _render(addresses, scene.packet, np.uint32(scene.n_lanes), camera, self._tables, frame)
        return frame.rgb, frame.depth_m, frame.instance_ids


def _by_place(colors: Float[np.ndarray, "3 n"]) -> Float[np.ndarray, "n 4"]:
    """Return colours with the channels of one place side by side."""
    out = np.zeros((colors.shape[1], 4), dtype=np.float32)
    out[:, :3] = colors.T
    return out
