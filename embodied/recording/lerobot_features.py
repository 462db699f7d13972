"""What each frame of a LeRobot dataset holds, as a log's session lays it down."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple, Union

import msgspec
import numpy as np
import simplejpeg

from embodied.errors import LogError
from embodied.messages import CameraFrame, Intrinsics, Observation, SessionStart
from embodied.recording.png import encode_png
from embodied.structure import Structure

STATE = "observation.state"
ACTION = "action"
STAMP = "stamp_ns"
WORLD_BASE = "extrinsics.T_world_base"
PIXEL_SCALE = 1.0 / 255.0
"""Colours are statistics of 0 to 1, which is how they are loaded; depth stays in millimetres."""
FRAME_COLUMNS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
"""What every dataset has; the first is seconds since the episode's first frame, the others whole numbers."""

Value = Union[bytes, np.ndarray]
"""A picture's file, or numbers."""


class Feature(Structure):
    """One column, as ``meta/info.json`` describes it."""

    dtype: str
    shape: Tuple[int, ...]
    names: Optional[Tuple[str, ...]] = None
    info: Optional[Dict[str, Any]] = None
    """What else a loader should know: that it is depth, and its unit."""

    @property
    def is_image(self) -> bool:
        """Whether it is a picture's file."""
        return self.dtype == "image"

    @property
    def stats_shape(self) -> Tuple[int, ...]:
        """Shape of its statistics."""
        return (self.shape[-1], 1, 1) if self.is_image else self.shape


def features_of(start: SessionStart, observation: Observation, action: Optional[np.ndarray]) -> Dict[str, Feature]:
    """Return the features that a session has, by its first observation and the action that followed it, if any did.

    Raises:
        ValueError: The log names more or fewer numbers than there are.
    """
    features: Dict[str, Feature] = {}
    for camera in observation.cameras:
        size = (camera.intrinsics.height_px, camera.intrinsics.width_px)
        features[f"observation.images.{camera.name}"] = _image((*size, 3))
        if camera.depth is not None:
            features[f"observation.depth.{camera.name}"] = _image(
                (*size, 1), info={"is_depth_map": True, "depth_unit": "mm"}
            )
    state = observation.proprioception
    if state.size:
        features[STATE] = Feature(
            dtype="float32", shape=state.shape, names=_names(start.proprioception_names, state.size, "state")
        )
    if action is not None:
        features[ACTION] = Feature(
            dtype="float32", shape=action.shape, names=_names(start.action_names, action.size, "action")
        )
    features[STAMP] = Feature(dtype="int64", shape=(1,))
    features[WORLD_BASE] = _matrix()
    for camera in observation.cameras:
        features[f"extrinsics.T_base_camera.{camera.name}"] = _matrix()
        features[f"intrinsics.{camera.name}"] = Feature(
            dtype="float64", shape=(4,), names=("fx_px", "fy_px", "cx_px", "cy_px")
        )
    return features


def frame_columns() -> Dict[str, Feature]:
    """Return the features that every dataset has."""
    first, *others = FRAME_COLUMNS
    return {
        first: Feature(dtype="float32", shape=(1,)),
        **{name: Feature(dtype="int64", shape=(1,)) for name in others},
    }


def values_of(observation: Observation, action: Optional[np.ndarray]) -> Dict[str, Value]:
    """Return an observation's values by feature; pictures as files, colours as the JPEG that the log holds."""
    values: Dict[str, Value] = {
        STAMP: np.array([observation.stamp_ns], dtype=np.int64),
        WORLD_BASE: observation.T_world_base,
    }
    if observation.proprioception.size:
        values[STATE] = observation.proprioception
    if action is not None:
        values[ACTION] = action
    for camera in observation.cameras:
        values[f"observation.images.{camera.name}"] = camera.rgb.tobytes()
        if camera.depth is not None:
            values[f"observation.depth.{camera.name}"] = encode_png(camera.depth, bits=16)
        values[f"extrinsics.T_base_camera.{camera.name}"] = camera.T_base_camera
        values[f"intrinsics.{camera.name}"] = intrinsics_vector(camera.intrinsics)
    return values


def pixels_of(camera: CameraFrame) -> Dict[str, Tuple[np.ndarray, float]]:
    """Return a camera's pictures as (height, width, channels), each with the scale of its statistics."""
    pixels = {f"observation.images.{camera.name}": (_colours(camera), PIXEL_SCALE)}
    if camera.depth is not None:
        pixels[f"observation.depth.{camera.name}"] = (camera.depth[..., None], 1.0)
    return pixels


def intrinsics_vector(intrinsics: Intrinsics) -> np.ndarray:
    """Return fx, fy, cx, cy in pixels."""
    return np.array([intrinsics.fx_px, intrinsics.fy_px, intrinsics.cx_px, intrinsics.cy_px], dtype=np.float64)


def check_frame(values: Dict[str, Value], features: Dict[str, Feature]) -> None:
    """Refuse a frame that is not like the first one.

    Raises:
        ValueError: A feature is missing, new, of another shape, or not finite; the text names it.
    """
    if set(values) != set(features):
        missing, new = sorted(set(features) - set(values)), sorted(set(values) - set(features))
        raise ValueError(f"expected the features of the first frame, missing {missing}, new {new}")
    for name, value in values.items():
        if isinstance(value, bytes):
            continue
        if value.shape != features[name].shape:
            raise ValueError(f"{name}: expected {features[name].shape} numbers, got {value.shape}")
        if not np.isfinite(value).all():
            raise ValueError(f"{name}: expected finite numbers, got {value.tolist()}")


def check_same(features: Dict[str, Feature], first: Dict[str, Feature]) -> None:
    """Refuse a log whose frames are not like those of the first log.

    Raises:
        LogError: The text names the feature, what was expected and what was found.
    """
    for name in [*first, *(name for name in features if name not in first)]:
        if features.get(name) != first.get(name):
            expected, got = (_shown(each.get(name)) for each in (first, features))
            raise LogError(f"{name}: expected {expected} as in the first log, got {got}")


def _shown(feature: Optional[Feature]) -> str:
    if feature is None:
        return "none"
    names = f" ({', '.join(feature.names)})" if feature.names else ""
    return f"{feature.dtype} {list(feature.shape)}{names}"


def _image(shape: Tuple[int, int, int], info: Optional[Dict[str, Any]] = None) -> Feature:
    return Feature(dtype="image", shape=shape, names=("height", "width", "channels"), info=info)


def _matrix() -> Feature:
    return Feature(dtype="float64", shape=(4, 4))


def _names(names: Tuple[str, ...], n_values: int, prefix: str) -> Tuple[str, ...]:
    if not names:
        return tuple(f"{prefix}_{index}" for index in range(n_values))
    if len(names) != n_values:
        raise ValueError(f"{prefix}: expected {len(names)} numbers ({', '.join(names)}), got {n_values}")
    return names


def _colours(camera: CameraFrame) -> np.ndarray:
    found = simplejpeg.decode_jpeg_header(camera.rgb.tobytes())[:2]
    expected = (camera.intrinsics.height_px, camera.intrinsics.width_px)
    if found != expected:
        raise ValueError(f"camera {camera.name!r}: expected a JPEG of {expected[1]}x{expected[0]}, got {found[::-1]}")
    return simplejpeg.decode_jpeg(camera.rgb.tobytes(), colorspace="RGB")


def to_json(features: Dict[str, Feature]) -> Dict[str, Any]:
    """Return the features as ``meta/info.json`` has them."""
    described = {name: msgspec.to_builtins(feature) for name, feature in features.items()}
    for feature in described.values():
        if feature["info"] is None:
            del feature["info"]
    return described
