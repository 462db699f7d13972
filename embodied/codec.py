"""One message, one frame: a typed header and its arrays, packed side by side.

Layout, little-endian::

    0   4 bytes   magic "EMB1"
    4   uint16    protocol version
    6   uint16    zero
    8   uint32    length of the header
    12  uint32    length of the whole frame
    16  header    MessagePack of the message, each array replaced by [dtype, shape, offset]
    ..  arrays    each at a multiple of 64 bytes; offsets count from the first multiple of 64 after the header

Decoded arrays are read-only views of the frame: nothing is copied, and the frame lives as long as they do. A frame from
a stranger can cause one of three errors and nothing else; every length is compared with the frame before it is used.
"""

from __future__ import annotations

import math
import struct
from typing import Any, Dict, List, Union

import msgspec
import numpy as np

from embodied.errors import MalformedMessage, OversizedMessage, VersionMismatch
from embodied.messages import PROTOCOL_VERSION

MAX_FRAME_BYTES = 64 * 1024 * 1024
MAX_HEADER_BYTES = 16 * 1024 * 1024
"""Headers carry pictures of evidence as bytes, so they may be larger than names and numbers need."""
MAX_DIMENSIONS = 4

_PREFIX = struct.Struct("<4sHHII")
_MAGIC = b"EMB1"
_ALIGNMENT = 64
_BASE_ALIGNMENT = 8
_DTYPES: Dict[str, np.dtype[Any]] = {
    dtype.str: dtype for dtype in map(np.dtype, ("?", "u1", "<u2", "<u4", "<i2", "<i4", "<i8", "<f4", "<f8"))
}
_ZEROS = bytes(_ALIGNMENT)

Buffer = Union[bytes, bytearray, memoryview]


def _aligned(n_bytes: int) -> int:
    return -(-n_bytes // _ALIGNMENT) * _ALIGNMENT


def _encodable(array: np.ndarray) -> np.ndarray:
    """Return the array in C order and little-endian."""
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in _DTYPES:
        raise ValueError(f"array: expected one of the dtypes {', '.join(_DTYPES)}, got {array.dtype}")
    if array.ndim > MAX_DIMENSIONS:
        raise ValueError(f"array: expected at most {MAX_DIMENSIONS} axes, got shape {array.shape}")
    return np.require(array, dtype=dtype, requirements="C")  # keeps zero-dimensional arrays as they are


def pack(message: msgspec.Struct, max_bytes: int = MAX_FRAME_BYTES) -> bytes:
    """Encode a message and its arrays as one frame.

    Arrays that are not contiguous are copied once; others go straight into the frame.

    Raises:
        OversizedMessage: The frame would be longer than ``max_bytes``.
        ValueError: An array has a dtype that is not sent, or more than four axes.
    """
    arrays: List[np.ndarray] = []
    n_body = 0

    def reference(value: Any) -> Any:
        nonlocal n_body
        if isinstance(value, np.generic):
            return value.item()
        if not isinstance(value, np.ndarray):
            raise ValueError(f"message: expected plain values, structures and arrays, got {type(value).__name__}")
        array = _encodable(value)
        offset = _aligned(n_body)
        n_body = offset + array.nbytes
        arrays.append(array)
        return [array.dtype.str, array.shape, offset]

    header = msgspec.msgpack.encode(message, enc_hook=reference)
    body_start = _aligned(_PREFIX.size + len(header)) if arrays else _PREFIX.size + len(header)
    n_total = body_start + n_body
    if len(header) > MAX_HEADER_BYTES or n_total > max_bytes:
        raise OversizedMessage(
            f"{type(message).__name__} of {n_total} bytes (header {len(header)}) exceeds the bound of {max_bytes} "
            f"(header {MAX_HEADER_BYTES})"
        )
    parts: List[Any] = [_PREFIX.pack(_MAGIC, PROTOCOL_VERSION, 0, len(header), n_total), header]
    position = _PREFIX.size + len(header)
    for array in arrays:
        start = _aligned(position)
        parts.append(_ZEROS[: start - position])
        parts.append(array.data if array.size else b"")
        position = start + array.nbytes
    return b"".join(parts)


class Codec:
    """Decodes the messages of one channel. Not for two threads at once."""

    def __init__(self, message_type: Any, max_bytes: int = MAX_FRAME_BYTES) -> None:
        """Prepare for a structure or a tagged union of them."""
        self._decoder = msgspec.msgpack.Decoder(message_type, dec_hook=self._resolve)
        self._max_bytes = max_bytes
        self._body = memoryview(b"")

    def unpack(self, buffer: Buffer) -> Any:
        """Decode one frame; arrays are read-only views of it.

        Raises:
            OversizedMessage: The frame is longer than this channel allows.
            VersionMismatch: The sender speaks another protocol version.
            MalformedMessage: The bytes are not a message of this channel.
        """
        frame = memoryview(buffer).toreadonly().cast("B")
        header_end = self._check_prefix(frame)
        if np.frombuffer(frame, dtype=np.uint8).ctypes.data % _BASE_ALIGNMENT:
            frame = memoryview(frame.tobytes())  # small frames lie anywhere in the socket's read buffer
        self._body = frame[min(_aligned(header_end), len(frame)) :]
        try:
            return self._decoder.decode(frame[_PREFIX.size : header_end])
        except MalformedMessage:
            raise
        except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
            raise MalformedMessage(f"header of {header_end - _PREFIX.size} bytes: {error}") from error
        finally:
            self._body = memoryview(b"")

    def _check_prefix(self, frame: memoryview) -> int:
        """Check lengths, magic and version; return where the header ends."""
        if len(frame) > self._max_bytes:
            raise OversizedMessage(f"a frame of {len(frame)} bytes exceeds the bound of {self._max_bytes}")
        if len(frame) < _PREFIX.size:
            raise MalformedMessage(f"a frame of {len(frame)} bytes is shorter than its {_PREFIX.size} byte prefix")
        magic, version, zero, n_header, n_total = _PREFIX.unpack_from(frame)
        if magic != _MAGIC:
            raise MalformedMessage(f"a frame begins with {magic!r} instead of {_MAGIC!r}")
        if version != PROTOCOL_VERSION:
            raise VersionMismatch(f"the peer speaks protocol version {version}, this program {PROTOCOL_VERSION}")
        if n_header > MAX_HEADER_BYTES:
            raise OversizedMessage(f"a header of {n_header} bytes exceeds the bound of {MAX_HEADER_BYTES}")
        if zero != 0 or n_total != len(frame) or _PREFIX.size + n_header > len(frame):
            raise MalformedMessage(
                f"a frame of {len(frame)} bytes announces {n_total}, of them {n_header} of header (flags {zero})"
            )
        return _PREFIX.size + int(n_header)

    def _resolve(self, expected: Any, value: Any) -> Any:
        """Turn [dtype, shape, offset] into a view of the body."""
        if expected is not np.ndarray:
            raise MalformedMessage(f"no value of type {expected} can be received")
        if not isinstance(value, (list, tuple)) or len(value) != 3:
            raise MalformedMessage("an array is not described by dtype, shape and offset")
        name, shape, offset = value
        dtype = _DTYPES.get(name) if isinstance(name, str) else None
        if dtype is None:
            raise MalformedMessage(f"an array has the dtype {name!r:.40}, which is not sent")
        if not isinstance(shape, (list, tuple)) or len(shape) > MAX_DIMENSIONS:
            raise MalformedMessage(f"an array has the shape {shape!r:.80}")
        if not all(type(n) is int and 0 <= n <= self._max_bytes for n in (*shape, offset)):
            raise MalformedMessage(f"an array has the shape {shape!r:.80} at {offset!r:.40}")
        count = math.prod(shape)
        if offset % _ALIGNMENT or offset + count * dtype.itemsize > len(self._body):
            raise MalformedMessage(
                f"an array of shape {tuple(shape)} at {offset} does not fit a body of {len(self._body)} bytes"
            )
        if count == 0:
            return np.frombuffer(b"", dtype=dtype).reshape(shape)
        array = np.frombuffer(self._body, dtype=dtype, count=count, offset=offset).reshape(shape)
        if dtype.kind == "b" and array.view(np.uint8).max() > 1:
            raise MalformedMessage("an array of booleans holds bytes other than 0 and 1")
        return array
