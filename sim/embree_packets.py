"""Rays in packets through the Embree library that embreex brings along.

embreex itself follows one ray after another. Neighbouring pixels look at the same triangles, so a packet of sixteen
that walks the tree together costs a quarter. The functions are called from machine code (``compiled_renderer``).
"""

from __future__ import annotations

import ctypes
import weakref
from functools import lru_cache
from pathlib import Path
from typing import Any, Optional

import embreex.rtcore_scene
import numpy as np

from embodied.arrays import Float
from embodied.errors import SceneError

_POINTER = ctypes.c_void_p
# rtcore_common.h, rtcore_device.h, rtcore_buffer.h and rtcore_geometry.h of Embree 4.
_FORMAT_UINT3, _FORMAT_FLOAT3 = 0x5003, 0x9003
_BUFFER_INDEX, _BUFFER_VERTEX = 0, 1
_GEOMETRY_TRIANGLE = 0
_PROPERTY_NATIVE_RAY16 = 34
_QUERY_COHERENT = 1 << 16
_ALL_FEATURES = -1
_ROW_BYTES = 12
"""Of three numbers of four bytes."""
_PACKET_ARRAYS = 24
"""Of a ``RTCRayHit``: twelve of the ray, at most nine of the hit, and some to spare."""


@lru_cache(maxsize=1)
def embree_library() -> Optional[ctypes.CDLL]:
    """Return the library that embreex itself loaded, or None if it is not one of Embree 4 in a place we know."""
    package = Path(embreex.rtcore_scene.__file__).parent
    for pattern in ("../embreex.libs/libembree4*", ".dylibs/libembree4*", "../embreex.libs/embree4*"):
        for path in sorted(package.glob(pattern)):
            library = ctypes.CDLL(str(path))
            _declare(library)
            return library
    return None


def _declare(library: ctypes.CDLL) -> None:
    signatures = {
        "rtcNewDevice": (_POINTER, [ctypes.c_char_p]),
        "rtcReleaseDevice": (None, [_POINTER]),
        "rtcGetDeviceError": (ctypes.c_int, [_POINTER]),
        "rtcGetDeviceProperty": (ctypes.c_ssize_t, [_POINTER, ctypes.c_int]),
        "rtcNewScene": (_POINTER, [_POINTER]),
        "rtcReleaseScene": (None, [_POINTER]),
        "rtcCommitScene": (None, [_POINTER]),
        "rtcNewGeometry": (_POINTER, [_POINTER, ctypes.c_int]),
        "rtcReleaseGeometry": (None, [_POINTER]),
        "rtcCommitGeometry": (None, [_POINTER]),
        "rtcAttachGeometry": (ctypes.c_uint, [_POINTER, _POINTER]),
        "rtcSetNewGeometryBuffer": (
            _POINTER,
            [_POINTER, ctypes.c_int, ctypes.c_uint, ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t],
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments


class PacketScene:
    """Triangles, numbered by their rows, for rays in packets. It is freed with the last reference to it.

    Args:
        corners: World frame, metres.
        n_lanes: Rays of a packet, 8 or 16; as many as the processor has instructions for if None.
    """

    def __init__(self, corners: Float[np.ndarray, "n_faces 3 3"], n_lanes: Optional[int] = None) -> None:
        library = embree_library()
        assert library is not None, "there is no library to call"
        # One thread builds the tree: the same triangles then give the same tree, and others keep their cores.
        device = library.rtcNewDevice(b"threads=1")
        scene = library.rtcNewScene(device)
        weakref.finalize(self, _release, library, scene, device)
        geometry = library.rtcNewGeometry(device, _GEOMETRY_TRIANGLE)
        vertices = np.ascontiguousarray(corners, dtype=np.float32).reshape(-1, 3)
        faces = np.arange(len(vertices), dtype=np.uint32).reshape(-1, 3)
        # Embree keeps what is written into buffers of its own, so nothing here has to outlive this call.
        for kind, form, rows in (
            (_BUFFER_VERTEX, _FORMAT_FLOAT3, vertices),
            (_BUFFER_INDEX, _FORMAT_UINT3, faces),
        ):
            buffer = library.rtcSetNewGeometryBuffer(geometry, kind, 0, form, _ROW_BYTES, len(rows))
            if rows.size:
                ctypes.memmove(buffer, rows.ctypes.data, rows.nbytes)
        library.rtcCommitGeometry(geometry)
        library.rtcAttachGeometry(scene, geometry)
        library.rtcReleaseGeometry(geometry)
        library.rtcCommitScene(scene)
        error = library.rtcGetDeviceError(device)
        if error:
            raise SceneError(f"Embree cannot build a scene of {len(corners)} triangles: error {error}")
        self.address: int = scene
        native_16 = bool(library.rtcGetDeviceProperty(device, _PROPERTY_NATIVE_RAY16))
        self.n_lanes = n_lanes or (16 if native_16 else 8)
        self.intersect = _address(library, f"rtcIntersect{self.n_lanes}")
        """Of the function that follows a packet: (valid, scene, packet, arguments)."""
        self.packet = _aligned(_PACKET_ARRAYS * self.n_lanes)
        self.valid = _aligned(self.n_lanes)
        self.valid.view(np.int32)[:] = -1
        self.arguments = _aligned(16)
        self.arguments.view(np.int32)[:2] = _QUERY_COHERENT, _ALL_FEATURES


def _release(library: Any, scene: int, device: int) -> None:
    library.rtcReleaseScene(scene)
    library.rtcReleaseDevice(device)


def _address(library: Any, name: str) -> int:
    address = ctypes.cast(getattr(library, name), _POINTER).value
    assert address is not None
    return address


def _aligned(n: int) -> Float[np.ndarray, " n"]:
    """Return zeros that begin where the widest registers want them."""
    raw = np.zeros(n + 16, dtype=np.float32)
    start = (-raw.ctypes.data % 64) // 4
    return raw[start : start + n]
