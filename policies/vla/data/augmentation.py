"""Varies what an episode looks like: one draw for all its frames, so that what is remembered still looks the same.

A colour seen at the beginning of an episode is that colour at its end, whatever it is turned to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from embodied.arrays import Float, Rotation, UInt8, Vector3
from embodied.config import Config

MIDDLE = 127.5
_GREY = np.full((3, 3), 1.0 / 3.0)
"""Projects a colour onto the grey axis."""


class AugmentationConfig(Config):
    """How much episodes are varied. All off unless set."""

    p_hue: float = 0.0
    """Chance that all colours of an episode are turned around the grey axis, by any angle."""
    brightness: float = 0.0
    """Greatest change, as a share of white."""
    contrast: float = 0.0
    """Greatest change, as a share."""
    saturation: float = 0.0
    """Greatest change, as a share."""
    crop: float = 0.0
    """Greatest share of the picture's area that is cut away before it is brought to its size again. Between nothing and
    this share is cut away, so that a whole picture, as when the policy acts, is one of those it was trained on."""
    shift: float = 0.0
    """Greatest shift to any side, as a share of the picture's width; what comes into view repeats its edge. Without a
    crop it is by whole pixels, which leaves pictures as sharp as they are (Yarats et al. 2020, arXiv 2004.13649)."""


class Look(NamedTuple):
    """What is done to all frames of an episode."""

    colours: Rotation | None
    """float32: a pixel's new colour is ``pixel @ colours + offset``. None leaves colours alone."""
    offset: Vector3
    view: tuple[float, float, float] | None
    """The first row and column that are seen, and how far the next lies from one, in pixels. None: all as they are."""


def draw_look(config: AugmentationConfig, rng: np.random.Generator, height_px: int, width_px: int) -> Look:
    """Draw how an episode looks. Each setting uses as many numbers of ``rng``, whether it is off or not."""
    draws = rng.uniform(-1.0, 1.0, size=8)
    brightness, contrast, saturation = (
        value * draw
        for value, draw in zip((config.brightness, config.contrast, config.saturation), draws, strict=False)
    )
    colours, offset = np.eye(3), np.zeros(3)
    if rng.random() < config.p_hue:
        colours = hue_rotation(np.pi * draws[3])
    colours = (1.0 + contrast) * (colours @ (_GREY + (1.0 + saturation) * (np.eye(3) - _GREY)))
    # Contrast is around the middle, and a colour's sum is left alone by all but contrast.
    offset = offset - contrast * MIDDLE + 255.0 * brightness
    is_plain = np.array_equal(colours, np.eye(3)) and not offset.any()
    zoom = np.sqrt(1.0 - config.crop * 0.5 * (draws[4] + 1.0))
    spare = 1.0 - zoom
    top, left = (0.5 * (draw + 1.0) * spare for draw in draws[5:7])
    down, right = (config.shift * width_px * draw for draw in (draws[7], rng.uniform(-1.0, 1.0)))
    if zoom == 1.0:
        down, right = np.rint(down), np.rint(right)
    moved = zoom < 1.0 or down != 0.0 or right != 0.0
    view = (float(top * (height_px - 1) + down), float(left * (width_px - 1) + right), float(zoom))
    return Look(
        colours=None if is_plain else colours.astype(np.float32),
        offset=offset.astype(np.float32),
        view=view if moved else None,
    )


def apply_look(
    frames: UInt8[np.ndarray, "n_frames height width 3"], look: Look
) -> UInt8[np.ndarray, "n_frames height width 3"]:
    """Return frames as they look; a look that changes nothing gives back the frames themselves."""
    if look.colours is None and look.view is None:
        return frames
    seen = np.empty_like(frames)
    # One at a time: a frame fits into a processor's cache, a batch does not.
    for index, frame in enumerate(frames):
        pixels = frame
        if look.view is not None:
            pixels = _shifted(pixels, look.view) if _is_whole(look.view) else _resampled(pixels, look.view)
        if look.colours is not None:
            pixels = (pixels.reshape(-1, 3).astype(np.float32) @ look.colours).reshape(pixels.shape)
            pixels += look.offset
        if pixels.dtype == np.uint8:
            seen[index] = pixels
            continue
        np.rint(pixels, out=pixels)
        np.clip(pixels, 0.0, 255.0, out=pixels)
        seen[index] = pixels
    return seen


def move_places(
    places: Float[np.ndarray, "*rows 2"], look: Look, height_px: int, width_px: int
) -> Float[np.ndarray, "*rows 2"]:
    """Return where places of the pictures are when they look so: u and v as shares of width and height.

    NaN where they are no longer in the picture.
    """
    if look.view is None:
        return places
    top, left, step = look.view
    size_px, first = np.array([width_px, height_px]), np.array([left, top])
    # The middle of the first pixel is half a pixel from the edge.
    moved = ((places * size_px - 0.5 - first) / step + 0.5) / size_px
    with np.errstate(invalid="ignore"):
        is_seen = ((moved >= 0.0) & (moved < 1.0)).all(axis=-1, keepdims=True)
    return np.where(is_seen, moved, np.nan).astype(np.float32)


def view_of(look: Look, height_px: int, width_px: int) -> Float[np.ndarray, " 3"]:
    """Return left, top and size of the part of the pictures that is seen, as shares of the whole, float32."""
    top, left, step = look.view or (0.0, 0.0, 1.0)
    # From the edge of the first pixel, whose middle it is that is looked at.
    edge = 0.5 * (1.0 - step)
    return np.array([(left + edge) / width_px, (top + edge) / height_px, step], dtype=np.float32)


def hue_rotation(angle_rad: float) -> Rotation:
    """Return what turns colours around the grey axis, as ``pixel @ matrix``; grey stays, and so does each sum."""
    axis = np.full(3, 1.0 / np.sqrt(3.0))
    cross = np.cross(np.eye(3), axis)
    return np.cos(angle_rad) * np.eye(3) + np.sin(angle_rad) * cross + (1.0 - np.cos(angle_rad)) * _GREY


def _is_whole(view: tuple[float, float, float]) -> bool:
    top, left, step = view
    return step == 1.0 and top.is_integer() and left.is_integer()


def _shifted(
    frame: UInt8[np.ndarray, "height width 3"], view: tuple[float, float, float]
) -> UInt8[np.ndarray, "height width 3"]:
    height_px, width_px = frame.shape[:2]
    rows = np.clip(np.arange(height_px) + int(view[0]), 0, height_px - 1)
    return frame[rows].take(np.clip(np.arange(width_px) + int(view[1]), 0, width_px - 1), axis=1)


def _resampled(
    frame: UInt8[np.ndarray, "height width 3"], view: tuple[float, float, float]
) -> Float[np.ndarray, "height width 3"]:
    """Return what is seen between four pixels, linearly."""
    pixels = frame.astype(np.float32)
    top, left, step = view
    below, share = _neighbours(pixels.shape[0], top, step)
    rows = pixels[below]
    rows += (pixels[np.minimum(below + 1, pixels.shape[0] - 1)] - rows) * share[:, None, None]
    right, share = _neighbours(pixels.shape[1], left, step)
    seen = np.take(rows, right, axis=1)
    seen += (np.take(rows, np.minimum(right + 1, pixels.shape[1] - 1), axis=1) - seen) * share[None, :, None]
    return seen


def _neighbours(n_pixels: int, first: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return for each pixel that is made the one before its place, and how far it lies behind that one."""
    places = np.clip(first + step * np.arange(n_pixels), 0.0, n_pixels - 1)
    before = places.astype(np.int64)
    return before, (places - before).astype(np.float32)
