from __future__ import annotations

import struct
from typing import Any, Dict, Optional, Tuple, Union

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from embodied.codec import MAX_HEADER_BYTES, Codec, pack
from embodied.errors import MalformedMessage, OversizedMessage, ProtocolError, VersionMismatch
from embodied.messages import (
    PROTOCOL_VERSION,
    CameraFrame,
    Intrinsics,
    Message,
    Observation,
    SessionEnd,
    SessionStart,
    StreamMessage,
)

PREFIX = struct.Struct("<4sHHII")
DTYPES = st.sampled_from(["?", "u1", "<u2", "<u4", "<i2", "<i4", "<i8", "<f4", "<f8", ">f4", ">u2"])
ARRAYS = nps.arrays(DTYPES, nps.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
OPTIONAL_ARRAYS = st.none() | ARRAYS
STAMPS = st.integers(-(2**63), 2**63 - 1)


class Nested(Message, tag="nested"):
    array: np.ndarray
    maybe: Optional[np.ndarray] = None
    names: Tuple[str, ...] = ()
    inner: Tuple[Nested, ...] = ()
    numbers: Dict[str, float] = {}


class Other(Message, tag="other"):
    text: str = ""


def nested(depth: int) -> st.SearchStrategy[Nested]:
    return st.builds(
        Nested,
        array=ARRAYS,
        maybe=OPTIONAL_ARRAYS,
        names=st.lists(st.text(max_size=8), max_size=3).map(tuple),
        inner=st.lists(nested(depth - 1), max_size=2).map(tuple) if depth else st.just(()),
        numbers=st.dictionaries(st.text(max_size=4), st.floats(), max_size=3),
    )


def assert_same(a: Any, b: Any) -> None:
    """Compare messages field by field; arrays in value, shape and kind."""
    if isinstance(a, np.ndarray):
        assert isinstance(b, np.ndarray)
        assert a.shape == b.shape
        assert a.dtype.newbyteorder("<") == b.dtype
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, msgspec.Struct):
        assert type(a) is type(b)
        for name in a.__struct_fields__:
            assert_same(getattr(a, name), getattr(b, name))
    elif isinstance(a, tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            assert_same(x, y)
    else:
        np.testing.assert_equal(a, b)


def observation() -> Observation:
    intrinsics = Intrinsics(width_px=6, height_px=4, fx_px=3.0, fy_px=3.0, cx_px=2.5, cy_px=1.5)
    camera = CameraFrame(
        name="head",
        intrinsics=intrinsics,
        T_base_camera=np.eye(4),
        rgb=np.arange(72, dtype=np.uint8).reshape(4, 6, 3),
        depth=np.full((4, 6), 1500, dtype=np.uint16),
        segment_labels=("mug", ""),
    )
    return Observation(
        session="day-1",
        seq=3,
        stamp_ns=1_767_603_600_000_000_000,
        T_world_base=np.eye(4),
        cameras=(camera,),
        proprioception=np.zeros(3, dtype=np.float32),
    )


def frame_of(header: bytes, body: bytes = b"", version: int = PROTOCOL_VERSION) -> bytes:
    content = header + bytes(-(PREFIX.size + len(header)) % 64) + body if body else header
    return PREFIX.pack(b"EMB1", version, 0, len(header), PREFIX.size + len(content)) + content


def array_frame(dtype: Any, shape: Any, offset: Any, body: bytes = b"") -> bytes:
    return frame_of(msgspec.msgpack.encode({"type": "nested", "array": [dtype, shape, offset]}), body)


@given(nested(2))
def test_what_is_packed_is_what_is_unpacked(message: Nested) -> None:
    assert_same(message, Codec(Nested).unpack(pack(message)))


@given(st.one_of(st.builds(SessionStart, session=st.text(), robot=st.text(), stamp_ns=STAMPS), st.builds(Other)))
def test_a_union_decodes_to_the_type_that_was_sent(message: Message) -> None:
    assert Codec(Union[SessionStart, Other]).unpack(pack(message)) == message


def test_a_real_observation_survives() -> None:
    message = observation()
    assert_same(message, Codec(StreamMessage).unpack(bytearray(pack(message))))


def test_unpacked_arrays_are_aligned_read_only_views_of_the_frame() -> None:
    frame = pack(observation())
    received = Codec(StreamMessage).unpack(frame)
    rgb = received.cameras[0].rgb
    assert np.shares_memory(rgb, np.frombuffer(frame, dtype=np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        rgb[0, 0, 0] = 1
    assert received.T_world_base.flags.aligned


@pytest.mark.parametrize("shift", [1, 3, 7])
def test_a_frame_at_an_odd_address_still_gives_aligned_arrays(shift: int) -> None:
    frame = pack(observation())
    room = np.empty(len(frame) + 16, dtype=np.uint8)
    start = -room.ctypes.data % 8 + shift
    room[start : start + len(frame)] = np.frombuffer(frame, dtype=np.uint8)
    received = Codec(StreamMessage).unpack(memoryview(room)[start : start + len(frame)])
    assert received.T_world_base.flags.aligned
    assert_same(received, observation())


def test_views_that_are_not_contiguous_are_sent_by_value() -> None:
    array = np.arange(24).reshape(4, 6)
    for view in (array[:, ::2], array.T, array[::-1], np.broadcast_to(array[0], (3, 6))):
        assert_same(Nested(array=view), Codec(Nested).unpack(pack(Nested(array=view))))


def test_numpy_numbers_are_sent_as_plain_ones() -> None:
    message = SessionEnd(session="a", stamp_ns=np.int64(5), n_observations=np.uint8(2))  # type: ignore[arg-type]
    assert Codec(SessionEnd).unpack(pack(message)) == SessionEnd(session="a", stamp_ns=5, n_observations=2)


@pytest.mark.parametrize(
    "array", [np.array([object()]), np.array(["text"]), np.zeros(2, dtype=complex), np.zeros((1,) * 5)]
)
def test_arrays_that_are_not_sent_are_refused_to_the_caller(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="array: expected"):
        pack(Nested(array=array))


@given(nested(1), st.data())
def test_flipped_bytes_give_a_documented_error_or_a_message(message: Nested, data: st.DataObject) -> None:
    frame = bytearray(pack(message))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(Codec(Nested).unpack(frame), Nested)
    except (MalformedMessage, OversizedMessage, VersionMismatch):
        pass


@given(nested(1), st.data())
def test_a_cut_or_lengthened_frame_is_malformed(message: Nested, data: st.DataObject) -> None:
    frame = pack(message)
    cut = frame[: data.draw(st.integers(0, len(frame) - 1))]
    for broken in (cut, frame + b"\0"):
        with pytest.raises(MalformedMessage):
            Codec(Nested).unpack(broken)


@given(st.binary(max_size=200))
def test_random_headers_give_malformed_messages(header: bytes) -> None:
    with pytest.raises(MalformedMessage):
        Codec(Nested).unpack(frame_of(header))


@pytest.mark.parametrize(
    "frame",
    [
        array_frame("|O", [1], 0, bytes(8)),
        array_frame("<f8", [2], 0, bytes(8)),
        array_frame("<f8", [1], 64, bytes(8)),
        array_frame("<f8", [1], 8, bytes(16)),
        array_frame("<f8", [-1], 0, bytes(8)),
        array_frame("<f8", [1.0], 0, bytes(8)),
        array_frame("<f8", [True], 0, bytes(8)),
        array_frame("<f8", [1], -64, bytes(8)),
        array_frame("<f8", [1] * 5, 0, bytes(8)),
        array_frame("<f8", [2**32, 2**32], 0, bytes(8)),
        array_frame("<f8", [2**63, 0], 0, bytes(8)),
        array_frame("<f8", 1, 0, bytes(8)),
        array_frame("?", [1], 0, bytes(8)),
        array_frame("|b1", [1], 0, b"\x02"),
        array_frame(["<f8"], [1], 0, bytes(8)),
        frame_of(msgspec.msgpack.encode({"type": "nested", "array": {"dtype": "<f8"}})),
        frame_of(msgspec.msgpack.encode({"type": "no such type"})),
        frame_of(b"\x82\xa4type\xa6nested\xa5array" + b"\x91" * 100_000),
        frame_of(b"\x82\xa4type\xa6nested\xa5array\xdd\xff\xff\xff\xff"),
        frame_of(b"\x82\xa4type\xa6nested\xa5array\xd7\xff" + b"\xff" * 8),
    ],
)
def test_descriptions_that_do_not_fit_the_frame_are_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedMessage):
        Codec(Nested).unpack(frame)


def test_a_decoder_works_on_after_an_error() -> None:
    codec = Codec(Nested)
    with pytest.raises(ProtocolError):
        codec.unpack(array_frame("<f8", [2], 0, bytes(8)))
    assert codec.unpack(array_frame("<f8", [2], 0, bytes(16))).array.tolist() == [0.0, 0.0]


def test_another_version_is_named_whatever_else_is_in_the_frame() -> None:
    frame = bytearray(pack(Other()))
    frame[4:6] = struct.pack("<H", PROTOCOL_VERSION + 1)
    with pytest.raises(VersionMismatch, match=f"version {PROTOCOL_VERSION + 1}.*{PROTOCOL_VERSION}"):
        Codec(Other).unpack(frame)


def test_what_is_too_large_is_refused_by_sender_and_receiver() -> None:
    message = Nested(array=np.zeros(1000, dtype=np.uint8))
    with pytest.raises(OversizedMessage, match="Nested of .* bound of 500"):
        pack(message, max_bytes=500)
    with pytest.raises(OversizedMessage, match="bound of 500"):
        Codec(Nested, max_bytes=500).unpack(pack(message))
    with pytest.raises(OversizedMessage, match="header"):
        pack(Other(text="x" * (MAX_HEADER_BYTES + 1)))
    with pytest.raises(OversizedMessage, match="header"):
        Codec(Other).unpack(PREFIX.pack(b"EMB1", PROTOCOL_VERSION, 0, MAX_HEADER_BYTES + 1, PREFIX.size))
