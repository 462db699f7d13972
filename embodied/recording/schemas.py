"""What a log holds, topic by topic.

========================== ============================ =====================================================
``/session``               ``embodied.Session``         SessionStart and SessionEnd
``/observation``           ``embodied.Observation``     all of an observation but its images; comes after them
``/tf``                    ``foxglove.FrameTransforms`` world to base, base to each camera's optical frame
``/camera/N/rgb``          ``foxglove.CompressedImage`` JPEG
``/camera/N/depth``        ``foxglove.CompressedImage`` PNG, millimetres; 16 bits, or 8 where all values fit
``/camera/N/segments``     ``foxglove.CompressedImage`` PNG, likewise
``/camera/N/calibration``  ``foxglove.CameraCalibration``
========================== ============================ =====================================================

Foxglove's are protobuf, ours are JSON with a schema; every message's log time is the observation's instant of capture.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Type

import msgspec
import numpy as np
from foxglove_schemas_protobuf.CameraCalibration_pb2 import CameraCalibration
from foxglove_schemas_protobuf.CompressedImage_pb2 import CompressedImage
from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
from foxglove_schemas_protobuf.Vector3_pb2 import Vector3
from google.protobuf.timestamp_pb2 import Timestamp

from embodied.arrays import Shaped, Transform
from embodied.clock import NANOSECONDS
from embodied.geometry import quaternion_from_matrix
from embodied.messages import CameraFrame, Intrinsics, Observation
from embodied.structure import Structure

SESSION_TOPIC = "/session"
OBSERVATION_TOPIC = "/observation"
TRANSFORMS_TOPIC = "/tf"
METADATA_NAME = "embodied"
BASE_FRAME = "base"

Numbers = List[Optional[float]]
"""Of an array, row by row. JSON knows no infinity: a value that is not finite is null, and comes back as NaN."""


class SessionRecord(Structure):
    """JSON of ``/session``: SessionStart or SessionEnd, whose fields it unites. Only its schema is used."""

    type: str
    session: str
    stamp_ns: int
    robot: str = ""
    world_frame: str = ""
    instruction: str = ""
    action_names: Tuple[str, ...] = ()
    proprioception_names: Tuple[str, ...] = ()
    control_period_s: float = 0.0
    n_observations: int = 0


class CameraRecord(Structure):
    """A camera of an observation, without its images."""

    name: str
    intrinsics: Intrinsics
    T_base_camera: Numbers
    has_depth: bool
    has_segments: bool
    segment_labels: Tuple[str, ...]


class ObservationRecord(Structure):
    """JSON of ``/observation``."""

    session: str
    seq: int
    stamp_ns: int
    T_world_base: Numbers
    proprioception: Numbers
    has_action: bool
    action: Numbers
    collided: bool
    awaiting_action: bool
    cameras: Tuple[CameraRecord, ...]
    intended_action: Numbers = []
    """Empty: as ``action``."""


def json_schema(record_type: Type[msgspec.Struct]) -> bytes:
    """Return the JSON schema with an object at its root, which Foxglove asks for."""
    _, components = msgspec.json.schema_components([record_type])
    root = components.pop(record_type.__name__)
    return msgspec.json.encode(_without_null({**root, "$defs": components}))


def camera_topic(name: str, kind: str) -> str:
    """Return the topic of a camera's rgb, depth, segments or calibration."""
    return f"/camera/{name}/{kind}"


def numbers(array: np.ndarray) -> Numbers:
    """Return an array's values in row-major order."""
    values: Numbers = array.ravel().tolist()
    return values


def array(values: Numbers, dtype: type) -> Shaped[np.ndarray, " n_values"]:
    """Return the values that ``numbers`` took apart, in one dimension."""
    return np.array([np.nan if value is None else value for value in values], dtype=dtype)


def observation_record(observation: Observation) -> ObservationRecord:
    """Return the part of an observation that is not images."""
    return ObservationRecord(
        session=observation.session,
        seq=observation.seq,
        stamp_ns=observation.stamp_ns,
        T_world_base=numbers(observation.T_world_base),
        proprioception=numbers(observation.proprioception),
        has_action=observation.action is not None,
        action=[] if observation.action is None else numbers(observation.action),
        collided=observation.collided,
        awaiting_action=observation.awaiting_action,
        intended_action=[] if observation.intended_action is None else numbers(observation.intended_action),
        cameras=tuple(
            CameraRecord(
                name=camera.name,
                intrinsics=camera.intrinsics,
                T_base_camera=numbers(camera.T_base_camera),
                has_depth=camera.depth is not None,
                has_segments=camera.segments is not None,
                segment_labels=camera.segment_labels,
            )
            for camera in observation.cameras
        ),
    )


def frame_transforms(observation: Observation, world_frame: str) -> FrameTransforms:
    """Return where the base stands in the world and each camera's optical frame on the base."""
    stamp = timestamp(observation.stamp_ns)
    transforms = [_frame_transform(stamp, world_frame, BASE_FRAME, observation.T_world_base)]
    transforms += [
        _frame_transform(stamp, BASE_FRAME, optical_frame(camera.name), camera.T_base_camera)
        for camera in observation.cameras
    ]
    return FrameTransforms(transforms=transforms)


def calibration(camera: CameraFrame, stamp_ns: int) -> CameraCalibration:
    """Return a camera's intrinsics; the images are taken as rectified."""
    i = camera.intrinsics
    return CameraCalibration(
        timestamp=timestamp(stamp_ns),
        frame_id=optical_frame(camera.name),
        width=i.width_px,
        height=i.height_px,
        K=[i.fx_px, 0.0, i.cx_px, 0.0, i.fy_px, i.cy_px, 0.0, 0.0, 1.0],
        R=[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        P=[i.fx_px, 0.0, i.cx_px, 0.0, 0.0, i.fy_px, i.cy_px, 0.0, 0.0, 0.0, 1.0, 0.0],
    )


def compressed_image(camera: CameraFrame, stamp_ns: int, data: bytes, encoding: str) -> CompressedImage:
    """Return an image of a camera; ``encoding`` is jpeg or png."""
    return CompressedImage(
        timestamp=timestamp(stamp_ns), frame_id=optical_frame(camera.name), data=data, format=encoding
    )


def optical_frame(camera_name: str) -> str:
    """Return the name of a camera's frame: x right, y down, z forward."""
    return f"{camera_name}_optical"


def timestamp(stamp_ns: int) -> Timestamp:
    """Return protobuf's form of an instant."""
    seconds, nanos = divmod(stamp_ns, NANOSECONDS)
    return Timestamp(seconds=seconds, nanos=nanos)


def _frame_transform(stamp: Timestamp, parent: str, child: str, T_parent_child: Transform) -> FrameTransform:
    x, y, z = T_parent_child[:3, 3].tolist()
    qx, qy, qz, qw = quaternion_from_matrix(T_parent_child[:3, :3]).tolist()
    return FrameTransform(
        timestamp=stamp,
        parent_frame_id=parent,
        child_frame_id=child,
        translation=Vector3(x=x, y=y, z=z),
        rotation=Quaternion(x=qx, y=qy, z=qz, w=qw),
    )


def _without_null(schema: Any) -> Any:
    # Viewers know a value's type, or do not; "a number or null" is beyond some of them.
    if isinstance(schema, list):
        return [_without_null(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    choices: List[Dict[str, Any]] = [choice for choice in schema.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        return _without_null(choices[0])
    return {key: _without_null(value) for key, value in schema.items()}
