"""Writes a session as one MCAP that other tools open as it is, and that survives the writer's death."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Dict, Optional, Tuple, Type

import msgspec
import numpy as np
import simplejpeg
from google.protobuf.message import Message as ProtobufMessage
from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap_protobuf.schema import build_file_descriptor_set

import embodied
from embodied.config import git_hash
from embodied.errors import LogError
from embodied.messages import PROTOCOL_VERSION, CameraFrame, Observation, SessionEnd, SessionStart, StreamMessage
from embodied.recording.container import ChunkWriter
from embodied.recording.png import encode_png
from embodied.recording.schemas import (
    METADATA_NAME,
    OBSERVATION_TOPIC,
    SESSION_TOPIC,
    TRANSFORMS_TOPIC,
    ObservationRecord,
    SessionRecord,
    calibration,
    camera_topic,
    compressed_image,
    frame_transforms,
    json_schema,
    observation_record,
)

JPEG_QUALITY = 90
_JSON_SCHEMAS: Dict[str, Tuple[str, Type[msgspec.Struct]]] = {
    SESSION_TOPIC: ("embodied.Session", SessionRecord),
    OBSERVATION_TOPIC: ("embodied.Observation", ObservationRecord),
}


class SessionWriter:
    """One session on its way to disk.

    Each message becomes one chunk and is handed to the operating system at once, so that it outlives this process;
    every ``sync_every`` messages, and at the end of the session, all is forced to the disk, so that it outlives the
    power.

    Args:
        path: A file that does not exist yet: a log is never overwritten.
        sync_every: Messages between two syncs.

    Raises:
        LogError: The file exists, or the disk refuses; also from every other method.
    """

    def __init__(self, path: Path, *, sync_every: int = 32) -> None:
        self.path = path
        self.n_written = 0
        """Messages that outlive this process."""
        self.n_durable = 0
        """Messages that outlive the power."""
        self._sync_every = sync_every
        self._start: Optional[SessionStart] = None
        self._last_seq = -1
        self._schemas: Dict[str, int] = {}
        self._channels: Dict[str, int] = {}
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb")
            _sync_directory(path.parent)
        except OSError as error:
            raise LogError(f"cannot create the log {path}: {error.strerror}") from error
        self._mcap = ChunkWriter(self._file, library=f"embodied-memory/{embodied.__version__}")

    def write(self, message: StreamMessage) -> None:
        """Append a message: SessionStart first, then observations of rising ``seq``, SessionEnd last.

        Raises:
            ValueError: The message is out of turn, of another session, or its images do not fit its intrinsics.
            LogError: The disk refuses.
        """
        self._check_turn(message)
        try:
            if isinstance(message, Observation):
                self._write_observation(message)
            elif isinstance(message, SessionStart):
                self._write_start(message)
            else:
                self._write_json(SESSION_TOPIC, message, message.stamp_ns, 0)
            self._mcap.end_chunk()
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error
        self.n_written += 1
        if isinstance(message, SessionEnd):
            self.close()
        elif self.n_written - self.n_durable >= self._sync_every:
            self.sync()

    def sync(self) -> None:
        """Force to the disk what was written."""
        if self.n_durable == self.n_written or self._closed:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._failed(error) from error
        self.n_durable = self.n_written

    def close(self) -> None:
        """Write the index and force all to the disk. A session without its SessionEnd stays readable as cut off."""
        if self._closed:
            return
        try:
            self._mcap.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise self._failed(error) from error
        self._closed = True
        self.n_durable = self.n_written

    def __enter__(self) -> SessionWriter:
        return self

    def __exit__(
        self,
        exception_type: Optional[Type[BaseException]],
        exception: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def _check_turn(self, message: StreamMessage) -> None:
        if self._closed:
            raise ValueError(f"message: expected none after the end of {self.path}, got {type(message).__name__}")
        if self._start is None:
            if not isinstance(message, SessionStart):
                raise ValueError(f"message: expected SessionStart first, got {type(message).__name__}")
        elif isinstance(message, SessionStart) or message.session != self._start.session:
            raise ValueError(
                f"message: expected one of session {self._start.session!r}, got {type(message).__name__} of "
                f"{message.session!r}"
            )
        if message.stamp_ns < 0:
            raise ValueError(f"stamp_ns: expected an instant since 1970, got {message.stamp_ns}")
        if isinstance(message, Observation):
            if message.seq <= self._last_seq:
                raise ValueError(f"seq: expected more than {self._last_seq}, got {message.seq}")
            _check_arrays(message)

    def _write_start(self, start: SessionStart) -> None:
        self._start = start
        self._mcap.add_metadata(
            METADATA_NAME,
            {
                "session": start.session,
                "robot": start.robot,
                "world_frame": start.world_frame,
                "protocol_version": str(PROTOCOL_VERSION),
                "embodied_version": embodied.__version__,
                "git": git_hash(),
            },
        )
        self._write_json(SESSION_TOPIC, start, start.stamp_ns, 0)

    def _write_observation(self, observation: Observation) -> None:
        assert self._start is not None
        stamp_ns, seq = observation.stamp_ns, observation.seq
        images = [_images(camera) for camera in observation.cameras]  # may raise, so before anything is added
        self._write_protobuf(TRANSFORMS_TOPIC, frame_transforms(observation, self._start.world_frame), stamp_ns, seq)
        for camera, pictures in zip(observation.cameras, images):
            self._write_protobuf(camera_topic(camera.name, "calibration"), calibration(camera, stamp_ns), stamp_ns, seq)
            for kind, data, encoding in pictures:
                image = compressed_image(camera, stamp_ns, data, encoding)
                self._write_protobuf(camera_topic(camera.name, kind), image, stamp_ns, seq)
        # Last: who reads it has seen the images.
        self._write_json(OBSERVATION_TOPIC, observation_record(observation), stamp_ns, seq)
        self._last_seq = seq

    def _write_protobuf(self, topic: str, message: ProtobufMessage, stamp_ns: int, seq: int) -> None:
        if topic not in self._channels:
            name = message.DESCRIPTOR.full_name
            if name not in self._schemas:
                descriptors = build_file_descriptor_set(type(message)).SerializeToString()
                self._schemas[name] = self._mcap.register_schema(name, SchemaEncoding.Protobuf, descriptors)
            self._channels[topic] = self._mcap.register_channel(topic, MessageEncoding.Protobuf, self._schemas[name])
        self._add(topic, message.SerializeToString(), stamp_ns, seq)

    def _write_json(self, topic: str, message: msgspec.Struct, stamp_ns: int, seq: int) -> None:
        if topic not in self._channels:
            name, record_type = _JSON_SCHEMAS[topic]
            schema = self._mcap.register_schema(name, SchemaEncoding.JSONSchema, json_schema(record_type))
            self._channels[topic] = self._mcap.register_channel(topic, MessageEncoding.JSON, schema)
        self._add(topic, msgspec.json.encode(message), stamp_ns, seq)

    def _add(self, topic: str, data: bytes, stamp_ns: int, seq: int) -> None:
        self._mcap.add_message(self._channels[topic], stamp_ns, data, publish_time=stamp_ns, sequence=seq)

    def _failed(self, error: OSError) -> LogError:
        self._closed = True
        with contextlib.suppress(OSError):  # it flushes, and fails as before; the first error is the one to report
            self._file.close()
        return LogError(f"cannot write the log {self.path}: {error.strerror}")


def _images(camera: CameraFrame) -> Tuple[Tuple[str, bytes, str], ...]:
    if camera.rgb_encoding == "jpeg":
        rgb = camera.rgb.tobytes()
    else:
        rgb = simplejpeg.encode_jpeg(np.ascontiguousarray(camera.rgb), quality=JPEG_QUALITY, colorspace="RGB")
    images = [("rgb", rgb, "jpeg")]
    if camera.depth is not None:
        images.append(("depth", encode_png(camera.depth), "png"))
    if camera.segments is not None:
        images.append(("segments", encode_png(camera.segments), "png"))
    return tuple(images)


def _check_arrays(observation: Observation) -> None:
    if observation.T_world_base.shape != (4, 4):
        raise ValueError(f"T_world_base: expected shape (4, 4), got {observation.T_world_base.shape}")
    names = [camera.name for camera in observation.cameras]
    if len(set(names)) < len(names):
        raise ValueError(f"cameras: expected different names, got {names}")
    for camera in observation.cameras:
        size = (camera.intrinsics.height_px, camera.intrinsics.width_px)
        _check(camera, "T_base_camera", camera.T_base_camera, camera.T_base_camera.dtype.name, (4, 4))
        is_raw = camera.rgb_encoding == "raw"
        _check(camera, "rgb", camera.rgb, "uint8", (*size, 3) if is_raw else (camera.rgb.size,))
        if camera.depth is not None:
            _check(camera, "depth", camera.depth, "uint16", size)
        if camera.segments is not None:
            _check(camera, "segments", camera.segments, "uint16", size)


def _check(camera: CameraFrame, name: str, values: np.ndarray, dtype: str, shape: Tuple[int, ...]) -> None:
    if values.shape != shape or values.dtype.name != dtype or values.size == 0:
        raise ValueError(
            f"{name} of camera {camera.name!r}: expected {dtype} {shape}, got {values.dtype.name} {values.shape}"
        )


def _sync_directory(directory: Path) -> None:
    # Without it the file's name may be lost with the power although its bytes are not.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
