"""Reads a session back: exactly what was sent, but for colours that went through JPEG."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Tuple, Union

import msgspec
import numpy as np
import simplejpeg
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from google.protobuf.message import DecodeError
from mcap.records import Channel, McapRecord, Message, Metadata, Schema

from embodied.clock import NANOSECONDS
from embodied.errors import LogError
from embodied.messages import (
    PROTOCOL_VERSION,
    CameraFrame,
    Observation,
    SessionEnd,
    SessionStart,
    StreamMessage,
)
from embodied.recording.container import LogReader
from embodied.recording.png import decode_png
from embodied.recording.schemas import (
    METADATA_NAME,
    OBSERVATION_TOPIC,
    SESSION_TOPIC,
    CameraRecord,
    ObservationRecord,
    array,
    camera_topic,
)
from embodied.structure import Structure

logger = logging.getLogger(__name__)
READABLE_VERSIONS = ("1", str(PROTOCOL_VERSION))
"""In version 1 sessions did not say what their numbers are; what is recorded was the same."""
_IMAGE_SCHEMA = CompressedImage.DESCRIPTOR.full_name
_session_decoder = msgspec.json.Decoder(Union[SessionStart, SessionEnd])
_observation_decoder = msgspec.json.Decoder(ObservationRecord)


class TopicInfo(Structure):
    """One topic of a log."""

    topic: str
    schema: str
    n_messages: int
    n_bytes: int


class LogInfo(Structure):
    """What a log holds, as far as it can be read."""

    path: str
    n_bytes: int
    complete: bool
    """Readable to its end, with its index."""
    ended: bool
    """The session's end was recorded; a session may be cut off although its file is complete."""
    damage: str
    session: str
    robot: str
    start_ns: int
    end_ns: int
    n_observations: int
    topics: Tuple[TopicInfo, ...]
    metadata: Dict[str, str]
    start: Optional[SessionStart] = None
    """What opened the session: instruction, names of actions and proprioception, control period."""

    @property
    def duration_s(self) -> float:
        """Seconds from the first message to the last."""
        return (self.end_ns - self.start_ns) / NANOSECONDS


def read_session(path: Union[str, Path], *, decode_rgb: bool = False) -> Iterator[StreamMessage]:
    """Read the messages of a log in the order in which they were written.

    A log that was cut off gives all that is whole, then the reading ends with a warning in the program's log.

    Args:
        path: An MCAP of this stack.
        decode_rgb: Give colours as pixels. Otherwise they stay the JPEGs that they are in the log.

    Raises:
        LogError: The file is missing, is not an MCAP, or was not written by this stack in this protocol version.
    """
    LogReader(Path(path)).close()  # a missing file is an error here, not at the first message
    return _read_session(Path(path), decode_rgb)


def episode_observations(path: Path, messages: Iterator[StreamMessage]) -> Iterator[Observation]:
    """Yield what was observed; warn where the session's end is missing.

    Args:
        path: Of the log, for the warning.
        messages: Of ``read_session``, behind the session's start.
    """
    ended = False
    for message in messages:
        ended = isinstance(message, SessionEnd)
        if isinstance(message, Observation):
            yield message
    if not ended:
        logger.warning("%s: its session was cut off; the episode is what came before", path)


def _read_session(path: Path, decode_rgb: bool) -> Iterator[StreamMessage]:
    topics = Topics()
    images: Dict[str, bytes] = {}
    started = False
    with LogReader(path) as log:
        for group in log.groups():
            for record in group:
                if isinstance(record, Metadata) and record.name == METADATA_NAME:
                    _check_version(path, record.metadata)
                if not topics.take(record) or not isinstance(record, Message):
                    continue
                topic, schema = topics.of(record)
                try:
                    if topic == SESSION_TOPIC:
                        started = True
                        yield _session_decoder.decode(record.data)
                    elif topic == OBSERVATION_TOPIC:
                        yield _observation(_observation_decoder.decode(record.data), images, decode_rgb)
                        images.clear()
                    elif schema == _IMAGE_SCHEMA:
                        images[topic] = CompressedImage.FromString(record.data).data
                except (msgspec.MsgspecError, DecodeError, ValueError) as error:
                    raise LogError(f"{path}: topic {topic} at {record.log_time} ns: {error}") from error
    if log.damage:
        logger.warning("%s: %s; what came before was read", path, log.damage)
    elif not started:
        raise LogError(f"{path} is an MCAP, but holds no session of this stack")


def log_info(path: Union[str, Path]) -> LogInfo:
    """Read a log once and say what it holds; a damaged one as far as it goes.

    Raises:
        LogError: The file is missing, or is not an MCAP.
    """
    topics = Topics()
    counts: Dict[str, List[int]] = {}
    metadata: Dict[str, str] = {}
    session_messages: List[Union[SessionStart, SessionEnd]] = []
    start_ns = end_ns = -1
    with LogReader(Path(path)) as log:
        for record in (record for group in log.groups() for record in group):
            if isinstance(record, Metadata) and record.name == METADATA_NAME:
                metadata = dict(record.metadata)
            if not topics.take(record) or not isinstance(record, Message):
                continue
            topic, _ = topics.of(record)
            count = counts.setdefault(topic, [0, 0])
            count[0] += 1
            count[1] += len(record.data)
            start_ns = record.log_time if start_ns < 0 else min(start_ns, record.log_time)
            end_ns = max(end_ns, record.log_time)
            if topic == SESSION_TOPIC:
                session_messages.append(_decode_session(Path(path), record))
    return LogInfo(
        path=str(path),
        n_bytes=log.n_bytes,
        complete=log.complete,
        ended=any(isinstance(message, SessionEnd) for message in session_messages),
        damage=log.damage,
        session=metadata.get("session", ""),
        robot=metadata.get("robot", ""),
        start_ns=max(start_ns, 0),
        end_ns=max(end_ns, 0),
        n_observations=counts.get(OBSERVATION_TOPIC, [0])[0],
        topics=tuple(
            TopicInfo(topic=topic, schema=topics.schema_of(topic), n_messages=n_messages, n_bytes=n_bytes)
            for topic, (n_messages, n_bytes) in sorted(counts.items())
        ),
        metadata=metadata,
        start=next((message for message in session_messages if isinstance(message, SessionStart)), None),
    )


class Topics:
    """The channels and schemas met so far."""

    def __init__(self) -> None:
        self._schemas: Dict[int, str] = {}
        self._channels: Dict[int, Tuple[str, int]] = {}

    def take(self, record: McapRecord) -> bool:
        """Learn from a record; whether it is, if a message, one of a known channel."""
        if isinstance(record, Schema):
            self._schemas[record.id] = record.name
        elif isinstance(record, Channel):
            self._channels[record.id] = (record.topic, record.schema_id)
        elif isinstance(record, Message):
            # Unknown where the chunk that told of the channel was lost.
            return record.channel_id in self._channels
        return True

    def of(self, message: Message) -> Tuple[str, str]:
        """Return a message's topic and its schema's name."""
        topic, schema_id = self._channels[message.channel_id]
        return topic, self._schemas.get(schema_id, "")

    def schema_of(self, topic: str) -> str:
        """Return the name of a topic's schema."""
        return next(self._schemas.get(schema_id, "") for name, schema_id in self._channels.values() if name == topic)


def _observation(record: ObservationRecord, images: Dict[str, bytes], decode_rgb: bool) -> Observation:
    return Observation(
        session=record.session,
        seq=record.seq,
        stamp_ns=record.stamp_ns,
        T_world_base=array(record.T_world_base, np.float64).reshape(4, 4),
        cameras=tuple(_camera(camera, images, decode_rgb) for camera in record.cameras),
        proprioception=array(record.proprioception, np.float32),
        action=array(record.action, np.float32) if record.has_action else None,
        intended_action=array(record.intended_action, np.float32) if record.intended_action else None,
        collided=record.collided,
        awaiting_action=record.awaiting_action,
    )


def _camera(record: CameraRecord, images: Dict[str, bytes], decode_rgb: bool) -> CameraFrame:
    height, width = record.intrinsics.height_px, record.intrinsics.width_px

    def image(kind: str) -> bytes:
        topic = camera_topic(record.name, kind)
        if topic not in images:
            raise ValueError(f"no message of {topic} came before")
        return images[topic]

    jpeg = image("rgb")
    return CameraFrame(
        name=record.name,
        intrinsics=record.intrinsics,
        T_base_camera=array(record.T_base_camera, np.float64).reshape(4, 4),
        rgb=_decode_jpeg(jpeg, height, width) if decode_rgb else np.frombuffer(jpeg, np.uint8),
        rgb_encoding="raw" if decode_rgb else "jpeg",
        depth=decode_png(image("depth"), height, width) if record.has_depth else None,
        segments=decode_png(image("segments"), height, width) if record.has_segments else None,
        segment_labels=record.segment_labels,
    )


def _decode_jpeg(data: bytes, height: int, width: int) -> np.ndarray:
    found = simplejpeg.decode_jpeg_header(data)[:2]
    if found != (height, width):
        raise ValueError(f"expected a JPEG of {width}x{height}, got {found[1]}x{found[0]}")
    return simplejpeg.decode_jpeg(data, colorspace="RGB")


def _decode_session(path: Path, record: Message) -> Union[SessionStart, SessionEnd]:
    try:
        return _session_decoder.decode(record.data)
    except msgspec.MsgspecError as error:
        raise LogError(f"{path}: topic {SESSION_TOPIC} at {record.log_time} ns: {error}") from error


def _check_version(path: Path, metadata: Dict[str, str]) -> None:
    version: Optional[str] = metadata.get("protocol_version")
    if version not in READABLE_VERSIONS:
        raise LogError(f"{path} is of protocol version {version}, this program reads {' and '.join(READABLE_VERSIONS)}")
