"""The columns of some keyframes as bytes and back. What cannot be read back is a ``StoreError``."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np

from embodied.arrays import Float, Int, Shaped, UInt8
from embodied.errors import StoreError
from memory_bank.episodes.search import codes

FORMAT = 1
MAX_ROWS = 1 << 16
MAX_TRACKS = 1 << 24
_FIELDS = (
    ("indices", "<i8"), ("stamps_ns", "<i8"), ("sessions", "<i4"), ("positions_m", "<f4"), ("n_tracks", "<i4"),
    ("tracks", "<u4"), ("vectors", "<i2"), ("scales", "<f4"), ("codes", "u1"), ("factors", "<f4"),
)  # fmt: skip
"""Columns in the order in which they follow one another."""


@dataclass(frozen=True)
class Block:
    """Columns of the keyframes of a stretch of indices, removed ones left out."""

    first: int
    """The first index of the stretch."""
    dim: int
    """Of the vectors; 0 if there are none."""
    names: tuple[str, ...]
    """Sessions."""
    indices: Int[np.ndarray, " n"]
    stamps_ns: Int[np.ndarray, " n"]
    sessions: Int[np.ndarray, " n"]
    """Of each row, which of ``names``."""
    positions_m: Float[np.ndarray, "n 3"]
    n_tracks: Int[np.ndarray, " n"]
    tracks: Shaped[np.ndarray, " n_tracks_in_all"]
    """Numbers of the tracks that are seen, row after row."""
    vectors: Int[np.ndarray, "n dim"]
    scales: Float[np.ndarray, " n"]
    codes: UInt8[np.ndarray, "n bytes"]
    factors: Float[np.ndarray, " n"]

    def without_vectors(self, dim: int) -> Block:
        """Return the block with rows of no vector, for an index of vectors with ``dim`` numbers."""
        n, none = len(self.indices), np.zeros(len(self.indices), dtype=np.float32)
        return replace(
            self,
            dim=dim,
            vectors=np.zeros((n, dim), dtype=np.int16),
            scales=none,
            codes=np.zeros((n, codes.padded(dim) // 4), dtype=np.uint8),
            factors=none,
        )


class _Header(msgspec.Struct, frozen=True):
    format: int
    dim: int
    n_rows: int
    n_tracks: int
    names: tuple[str, ...]


def write_block(block: Block) -> bytes:
    """Return a block as bytes: a header with its length before it, then column after column."""
    header = msgspec.msgpack.encode(_Header(FORMAT, block.dim, len(block.indices), len(block.tracks), block.names))
    columns = [np.ascontiguousarray(getattr(block, name), dtype=dtype).tobytes() for name, dtype in _FIELDS]
    return b"".join([len(header).to_bytes(4, "little"), header, *columns])


def read_block(first: int, data: bytes) -> Block:
    """Read what ``write_block`` wrote. The columns are views of the bytes.

    Raises:
        StoreError: The bytes are no block, or of a newer format.
    """
    size = int.from_bytes(data[:4], "little")
    try:
        header = msgspec.msgpack.decode(data[4 : 4 + size], type=_Header)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreError(f"keyframes from {first}: damaged ({error})") from error
    if header.format != FORMAT:
        raise StoreError(f"keyframes from {first}: expected format {FORMAT}, got {header.format}")
    bounds = ((header.dim, codes.MAX_DIM), (header.n_rows, MAX_ROWS), (header.n_tracks, MAX_TRACKS))
    if not all(0 <= value <= most for value, most in bounds):
        raise StoreError(f"keyframes from {first}: damaged (sizes {header.n_rows}, {header.dim}, {header.n_tracks})")
    wide = {"positions_m": 3, "vectors": header.dim, "codes": codes.padded(header.dim) // 4}
    columns, offset = {}, 4 + size
    for name, dtype in _FIELDS:
        n = header.n_tracks if name == "tracks" else header.n_rows
        count = n * wide.get(name, 1)
        try:
            column = np.frombuffer(data, dtype=dtype, count=count, offset=offset) if count else np.zeros(0, dtype)
        except ValueError as error:
            raise StoreError(f"keyframes from {first}: damaged ({error})") from error
        columns[name] = column.reshape(n, wide[name]) if name in wide else column
        offset += column.nbytes
    block = Block(first=first, dim=header.dim, names=header.names, **columns)
    _check(block, offset == len(data))
    return block


def _check(block: Block, complete: bool) -> None:
    """Find out whether the columns can be what was written."""
    sound = (
        complete
        and bool((np.diff(block.indices) > 0).all())
        and (not len(block.indices) or int(block.indices[0]) >= block.first)
        and bool(((block.sessions >= 0) & (block.sessions < len(block.names))).all())
        and bool((block.n_tracks >= 0).all())
        and int(block.n_tracks.sum(dtype=np.int64)) == len(block.tracks)
        and all(bool(np.isfinite(each).all()) for each in (block.positions_m, block.scales, block.factors))
    )
    if not sound:
        raise StoreError(f"keyframes from {block.first}: damaged (its columns do not fit together)")
