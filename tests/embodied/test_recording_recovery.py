"""A log that was cut off or damaged gives back what is whole, and nothing else."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcap.writer import CompressionType, Writer

from embodied.errors import LogError
from embodied.messages import Observation, StreamMessage
from embodied.recording import log_info, read_session, recover
from recordings import N_OBSERVATIONS, assert_same, make_session, write_session


@lru_cache(maxsize=1)
def complete_log() -> bytes:
    with TemporaryDirectory() as directory:
        return write_session(Path(directory) / "a.mcap").read_bytes()


def size_of_data() -> int:
    """Bytes before the index, where a cut loses messages."""
    return complete_log().rindex(b"\x0f\x04\x00\x00\x00\x00\x00\x00\x00")


def assert_prefix(messages: List[StreamMessage]) -> None:
    for message, original in zip(messages, make_session()):
        assert_same(message, original)


@given(st.integers(8, len(complete_log()) - 1))
def test_a_log_cut_anywhere_gives_an_exact_beginning(n_bytes: int) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "cut.mcap"
        path.write_bytes(complete_log()[:n_bytes])
        messages = list(read_session(path))
        info = log_info(path)
    assert_prefix(messages)
    assert not info.complete
    assert info.damage == f"cut off at {n_bytes} bytes"
    assert info.n_observations == sum(isinstance(message, Observation) for message in messages)
    # Nothing but what the cut went through is lost: a chunk has far less than a fifth of the log.
    assert len(messages) >= (N_OBSERVATIONS + 2) * (n_bytes / size_of_data() - 0.3)


@given(st.integers(0, len(complete_log()) - 1))
def test_a_log_cut_anywhere_is_recovered_or_has_nothing(n_bytes: int) -> None:
    with TemporaryDirectory() as directory:
        cut, out = Path(directory) / "cut.mcap", Path(directory) / "out.mcap"
        cut.write_bytes(complete_log()[:n_bytes])
        n_readable = 0 if n_bytes < 8 else len(list(read_session(cut)))
        if n_readable == 0:
            with pytest.raises(LogError, match="not an MCAP" if n_bytes < 8 else "no message that can be read"):
                recover(cut, out)
            assert not out.exists()
            return
        found = recover(cut, out)
        info, messages = log_info(out), list(read_session(out))
        assert sorted(path.name for path in Path(directory).iterdir()) == ["cut.mcap", "out.mcap"]
    assert info.complete
    assert len(messages) == n_readable
    assert_prefix(messages)
    assert found.n_observations == info.n_observations
    assert found.n_messages == sum(topic.n_messages for topic in info.topics)
    assert found.duration_s == pytest.approx(info.duration_s)


@given(st.integers(8, size_of_data()), st.integers(1, 255))
def test_a_flipped_byte_never_changes_a_message_unnoticed(position: int, flip: int) -> None:
    data = bytearray(complete_log())
    data[position] ^= flip
    with TemporaryDirectory() as directory:
        path = Path(directory) / "flipped.mcap"
        path.write_bytes(data)
        try:
            log_info(path)
            assert_prefix(list(read_session(path)))
            recover(path, Path(directory) / "out.mcap")
        except LogError:
            pass  # said so


def test_recovery_passes_over_a_damaged_chunk(tmp_path: Path) -> None:
    data = bytearray(complete_log())
    data[data.index(b'"seq":3')] ^= 1
    (tmp_path / "a.mcap").write_bytes(data)
    assert [m.seq for m in read_session(tmp_path / "a.mcap") if isinstance(m, Observation)] == [0, 1, 2]
    found = recover(tmp_path / "a.mcap", tmp_path / "b.mcap")
    assert found.n_damaged_chunks == 1
    assert "crc validation failed" in found.damage
    messages = list(read_session(tmp_path / "b.mcap"))
    assert [m.seq for m in messages if isinstance(m, Observation)] == [0, 1, 2, 4, 5]


def test_recovering_a_sound_log_copies_it(tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_bytes(complete_log())
    found = recover(tmp_path / "a.mcap", tmp_path / "b.mcap")
    assert (found.damage, found.n_observations) == ("", N_OBSERVATIONS)
    assert log_info(tmp_path / "b.mcap").topics == log_info(tmp_path / "a.mcap").topics
    assert log_info(tmp_path / "b.mcap").metadata == log_info(tmp_path / "a.mcap").metadata


def test_recovery_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_bytes(complete_log())
    with pytest.raises(LogError, match="exists"):
        recover(tmp_path / "a.mcap", tmp_path / "a.mcap")


@pytest.mark.parametrize("read", [lambda path: list(read_session(path)), log_info])
def test_a_missing_log_and_another_file_are_log_errors(read: object, tmp_path: Path) -> None:
    assert callable(read)
    with pytest.raises(LogError, match="No such file"):
        read(tmp_path / "none.mcap")
    (tmp_path / "a.txt").write_text("hello, world")
    with pytest.raises(LogError, match="not an MCAP"):
        read(tmp_path / "a.txt")


def foreign_log(path: Path, topic: str, compression: CompressionType = CompressionType.NONE) -> Path:
    with path.open("wb") as file:
        writer = Writer(file, compression=compression)
        writer.start()
        channel = writer.register_channel(topic, "json", 0)
        writer.add_message(channel, 5, b'{"a": 1}', 5)
        writer.finish()
    return path


def test_an_mcap_of_somebody_else_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="holds no session of this stack"):
        list(read_session(foreign_log(tmp_path / "a.mcap", "/odometry")))


def test_a_message_that_is_not_ours_on_our_topic_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="topic /observation at 5 ns"):
        list(read_session(foreign_log(tmp_path / "a.mcap", "/observation")))


def test_a_compressed_chunk_is_not_unpacked(tmp_path: Path) -> None:
    path = foreign_log(tmp_path / "a.mcap", "/odometry", CompressionType.ZSTD)
    assert "compressed by zstd" in log_info(path).damage


def log_of_version(version: bytes) -> bytes:
    name = b"protocol_version\x01\x00\x00\x00"
    assert name + b"2" in complete_log()
    return complete_log().replace(name + b"2", name + version)


def test_a_log_from_before_sessions_named_their_numbers_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_bytes(log_of_version(b"1"))
    start, *others = read_session(tmp_path / "a.mcap")
    assert (start, len(others)) == (make_session()[0], N_OBSERVATIONS + 1)


def test_a_log_of_another_protocol_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mcap").write_bytes(log_of_version(b"9"))
    with pytest.raises(LogError, match="protocol version 9, this program reads 1 and 2"):
        list(read_session(tmp_path / "a.mcap"))
