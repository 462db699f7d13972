"""Keeps what a robot saw in a session, to show afterwards where something was that its memory got wrong."""

from __future__ import annotations

import io

import numpy as np
import simplejpeg
from PIL import Image, ImageDraw

from embodied.arrays import Transform
from embodied.geometry import invert, project, transform_points
from embodied.messages import Box, Intrinsics, Observation, StreamMessage
from sim.truth import TruthObject, TruthSession

JPEG_QUALITY = 80
MARGIN_PX = 3
COLOUR = (220, 38, 38)


class Album:
    """The frames of one session, from the first camera."""

    def __init__(self) -> None:
        self._frames: dict[int, tuple[bytes, Transform, Intrinsics]] = {}

    def take(self, message: StreamMessage) -> None:
        """Keep the picture of an observation."""
        if isinstance(message, Observation) and message.cameras:
            camera = message.cameras[0]
            # Colours out of a log are still the JPEG that was recorded.
            jpeg = (
                camera.rgb.tobytes()
                if camera.rgb.ndim == 1
                else simplejpeg.encode_jpeg(np.ascontiguousarray(camera.rgb), quality=JPEG_QUALITY)
            )
            self._frames[message.seq] = (jpeg, message.T_world_base @ camera.T_base_camera, camera.intrinsics)

    def picture(self, thing: TruthObject) -> bytes:
        """Return the best view of a thing as a JPEG with a frame around it; empty if it was never in view."""
        if thing.best_sighting is None or thing.best_sighting.seq not in self._frames:
            return b""
        jpeg, T_world_camera, intrinsics = self._frames[thing.best_sighting.seq]
        with Image.open(io.BytesIO(jpeg)) as image:
            shown = image.convert("RGB")
        bounds = bounds_px(thing.box, T_world_camera, intrinsics)
        if bounds is not None:
            ImageDraw.Draw(shown).rectangle(bounds, outline=COLOUR, width=2)
        buffer = io.BytesIO()
        shown.save(buffer, "JPEG", quality=JPEG_QUALITY)
        return buffer.getvalue()


def bounds_px(box: Box, T_world_camera: Transform, intrinsics: Intrinsics) -> tuple[float, float, float, float] | None:
    """Return left, top, right and bottom of an axis-aligned box in the image; None where it is not all before it."""
    signs = np.array(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5])).reshape(3, 8).T
    corners = np.asarray(box.center_m) + signs * np.asarray(box.size_m)
    points = transform_points(invert(T_world_camera), corners)
    if points[:, 2].min() <= 0.05:
        return None
    pixels = project(points, intrinsics)
    size = np.array([intrinsics.width_px - 1, intrinsics.height_px - 1])
    low = np.clip(pixels.min(axis=0) - MARGIN_PX, 0, size)
    high = np.clip(pixels.max(axis=0) + MARGIN_PX, 0, size)
    return (*map(float, low), *map(float, high))  # type: ignore[return-value]


def last_view(instance_id: int, sessions: list[tuple[TruthSession, Album]]) -> bytes:
    """Return the best view of a thing in the last session that saw it; empty if none did."""
    for truth, album in reversed(sessions):
        for thing in truth.objects:
            if thing.instance_id == instance_id and (jpeg := album.picture(thing)):
                return jpeg
    return b""
