"""Lossless PNG of depth and segments.

Written here in a few lines because filter and strategy decide whether it is fast enough for every frame, and Pillow's
writer tries all filters: here it is rows minus the row above, then run lengths and Huffman codes. Pillow reads it.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Optional

import numpy as np
from PIL import Image, UnidentifiedImageError

from embodied.arrays import UInt16

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FILTER_UP = 2
_GREY_MODES = ("L", "I;16", "I")
"""What Pillow calls 8 bits, 16 bits, and 16 bits in its version 10."""
_PILLOW_ERRORS = (UnidentifiedImageError, OSError, SyntaxError, struct.error, zlib.error, Image.DecompressionBombError)


def encode_png(image: UInt16[np.ndarray, "height width"], *, bits: Optional[int] = None) -> bytes:
    """Encode whole numbers as a greyscale PNG.

    Args:
        image: The numbers.
        bits: 16, or 8 where all values fit; by default the fewest that do.
    """
    if image.ndim != 2 or image.dtype != np.uint16 or image.size == 0:
        raise ValueError(f"image: expected uint16 (height, width), got {image.dtype} {image.shape}")
    height, width = image.shape
    if bits is None:
        bits = 8 if int(image.max()) < 256 else 16
    assert bits == 16 or int(image.max()) < 256, "values that do not fit would be cut"
    rows = image.astype(np.uint8) if bits == 8 else image.astype(">u2", order="C").view(np.uint8)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _FILTER_UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    packer = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    data = packer.compress(filtered.data) + packer.flush()
    return _SIGNATURE + _block(b"IHDR", header) + _block(b"IDAT", data) + _block(b"IEND", b"")


def decode_png(data: bytes, height: int, width: int) -> UInt16[np.ndarray, "height width"]:
    """Decode a greyscale PNG of a size known beforehand, so that a hostile one allocates nothing.

    Raises:
        ValueError: The bytes are not such a PNG.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            if picture.size != (width, height) or picture.mode not in _GREY_MODES:
                raise ValueError(f"data: expected grey {width}x{height}, got {picture.mode} {picture.size}")
            return np.asarray(picture).astype(np.uint16)
    except _PILLOW_ERRORS as error:
        raise ValueError(f"data: expected a PNG, got {error}") from error


def _block(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
