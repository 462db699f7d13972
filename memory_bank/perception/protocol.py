"""What every detector gives the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import simplejpeg

from embodied.arrays import DepthMetres, Image, Mask, Transform
from embodied.messages import CameraFrame, Intrinsics, Observation


@dataclass(frozen=True)
class Detection:
    """One thing in one image. There is no identity across frames: finding it is the memory's work."""

    mask: Mask
    label: str
    """What the detector calls it; empty from a detector that knows no classes."""
    score: float
    """0 to 1."""
    touches_border: bool = False
    """The mask reaches the edge of the image: the thing goes on outside."""


@dataclass(frozen=True)
class View:
    """One camera's part of an observation, decoded: what a detector works on."""

    session: str
    seq: int
    stamp_ns: int
    rgb: Image
    depth_m: DepthMetres
    """float32, 0 where invalid."""
    intrinsics: Intrinsics
    T_world_camera: Transform
    segments: object = None
    """uint16 (height, width) or None, see ``messages.CameraFrame``."""
    segment_labels: tuple[str, ...] = ()


@runtime_checkable
class Perception(Protocol):
    """A detector. Built once, called for each frame in order."""

    name: str

    def detect(self, view: View) -> list[Detection]:
        """Return what is in the view.

        Raises:
            PerceptionError: The view lacks what this detector needs (masks, a model file). The memory then answers
                with a warning; it never serves an empty list as if nothing were there.
        """
        ...


def view_of(observation: Observation, camera: CameraFrame) -> View:
    """Return what a detector works on."""
    assert camera.depth is not None
    rgb: Image = camera.rgb
    if camera.rgb_encoding == "jpeg":
        rgb = simplejpeg.decode_jpeg(camera.rgb.tobytes(), colorspace="RGB")
    return View(
        session=observation.session,
        seq=observation.seq,
        stamp_ns=observation.stamp_ns,
        rgb=rgb,
        depth_m=camera.depth.astype(np.float32) * np.float32(1e-3),
        intrinsics=camera.intrinsics,
        T_world_camera=observation.T_world_base @ camera.T_base_camera,
        segments=camera.segments,
        segment_labels=camera.segment_labels,
    )
