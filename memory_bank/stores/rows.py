"""The bodies of stored rows: structures to bytes and back. What cannot be read back is a ``StoreError``."""

from __future__ import annotations

import struct
import zlib
from dataclasses import fields
from typing import TypeVar

import msgspec
import numpy as np

from embodied.errors import StoreError
from memory_bank.space.rooms import Room, RoomMap

StructT = TypeVar("StructT", bound=msgspec.Struct)

MAX_INFLATED = 1 << 30
_SIZE = struct.Struct("<Q")


def deflate(data: bytes) -> bytes:
    """Return bytes compressed, after their size."""
    return _SIZE.pack(len(data)) + zlib.compress(data, 1)


def inflate(body: bytes) -> bytes:
    """Undo ``deflate``; never makes more bytes than were put in.

    Raises:
        StoreError: The bytes are damaged.
    """
    if len(body) < _SIZE.size or _SIZE.unpack_from(body)[0] > MAX_INFLATED:
        raise StoreError("a compressed map is damaged")
    (size,) = _SIZE.unpack_from(body)
    try:
        data = zlib.decompressobj().decompress(body[_SIZE.size :], size or 1)
    except zlib.error as error:
        raise StoreError(f"a compressed map is damaged: {error}") from error
    if len(data) != size:
        raise StoreError(f"a compressed map is damaged: {len(data)} bytes where {size} were written")
    return data


def read_struct(kind: str, data: bytes, struct: type[StructT]) -> StructT:
    """Decode a body.

    Raises:
        StoreError: The bytes are no such structure; the text begins with ``kind``.
    """
    try:
        return msgspec.msgpack.decode(data, type=struct)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreError(f"{kind}: damaged ({error})") from error


class _StoredRoom(msgspec.Struct, frozen=True):
    id: str
    index: int
    center_m: tuple[float, float]
    area_m2: float
    outline_m: tuple[tuple[float, float], ...]
    connects: tuple[str, ...]


class _StoredRooms(msgspec.Struct, frozen=True):
    rooms: list[_StoredRoom]
    cells: bytes
    """int16, little endian."""
    shape: tuple[int, int]
    resolution_m: float
    origin_m: tuple[float, float]
    next_id: int


def rooms_to_bytes(room_map: RoomMap) -> bytes:
    """Return a map of rooms for a store."""
    names = [field.name for field in fields(Room)]
    rows, columns = room_map.cells.shape
    return msgspec.msgpack.encode(
        _StoredRooms(
            rooms=[_StoredRoom(**{name: getattr(room, name) for name in names}) for room in room_map.rooms],
            cells=room_map.cells.astype("<i2").tobytes(),
            shape=(rows, columns),
            resolution_m=room_map.resolution_m,
            origin_m=room_map.origin_m,
            next_id=room_map.next_id,
        )
    )


def rooms_from_bytes(data: bytes) -> RoomMap:
    """Read what ``rooms_to_bytes`` wrote.

    Raises:
        StoreError: The bytes are damaged.
    """
    stored = read_struct("rooms", data, _StoredRooms)
    try:
        cells = np.frombuffer(stored.cells, dtype="<i2").reshape(stored.shape).astype(np.int16)
    except ValueError as error:
        raise StoreError(f"rooms: damaged ({error})") from error
    rooms = tuple(Room(**msgspec.structs.asdict(room)) for room in stored.rooms)
    return RoomMap(rooms, cells, stored.resolution_m, stored.origin_m, stored.next_id)
