"""Demonstrations as they come from a log or a dataset: one frame after the other, never all at once."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import simplejpeg

from embodied.arrays import Float, Image
from embodied.errors import LogError
from embodied.structure import Structure


class Layout(Structure):
    """What every frame of the data holds."""

    cameras: tuple[str, ...]
    height_px: int
    width_px: int
    action_names: tuple[str, ...]
    proprioception_names: tuple[str, ...]
    control_period_s: float


class Frame(NamedTuple):
    """What was observed at one step, and what was done then."""

    encoded: tuple[bytes, ...]
    """A picture's file for each camera of the layout."""
    action: Float[np.ndarray, " n_actions"]
    """float32: what was meant to be done from here on."""
    proprioception: Float[np.ndarray, " n_proprioception"]
    """float32."""
    T_base_camera: Float[np.ndarray, "n_cameras 4 4"]
    """float64: of each camera of the layout at this step; NaN where the data do not tell."""
    intrinsics_px: Float[np.ndarray, "n_cameras 4"]
    """float64: its fx, fy, cx and cy; NaN where the data do not tell."""


class RecordedEpisode(NamedTuple):
    """One demonstration. ``frames`` is read once, before the next episode is asked for."""

    name: str
    """Where it comes from, for a person."""
    instruction: str
    layout: Layout
    frames: Iterator[Frame]


def decode_image(data: bytes) -> Image:
    """Return the pixels of a JPEG or PNG.

    Raises:
        ValueError: It is neither, or damaged.
    """
    if data[:2] == b"\xff\xd8":
        return simplejpeg.decode_jpeg(data, colorspace="RGB")
    from PIL import Image as Pillow

    try:
        with Pillow.open(io.BytesIO(data), formats=("PNG",)) as picture:
            return np.asarray(picture.convert("RGB"))
    except OSError as error:
        raise ValueError(f"expected a JPEG or PNG: {error}") from error


def check_finite(name: str, step: int, numbers: np.ndarray) -> None:
    """Refuse what no policy can learn from.

    Raises:
        LogError: A number is not finite.
    """
    if not np.isfinite(numbers).all():
        raise LogError(f"{name} of observation {step}: expected finite numbers, got {numbers.tolist()}")


def names_or_numbers(names: tuple[str, ...], n_values: int, prefix: str) -> tuple[str, ...]:
    """Return the names of values, or numbered ones where the data do not tell.

    Raises:
        LogError: There are names for more or fewer values.
    """
    if not names:
        return tuple(f"{prefix}_{index}" for index in range(n_values))
    if len(names) != n_values:
        raise LogError(f"{prefix}: expected {len(names)} numbers ({', '.join(names)}), got {n_values}")
    return names


def choose_cameras(found: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the cameras to be used: those wanted, or all where none is named.

    Raises:
        LogError: There is no camera, or none of a wanted name.
    """
    missing = [name for name in wanted if name not in found]
    if missing or not found:
        raise LogError(f"expected camera {', '.join(missing) or 'images'}, got {', '.join(found) or 'no camera'}")
    return wanted or found


def check_same_layout(layout: Layout, first: Layout) -> None:
    """Refuse an episode that holds something else than the first.

    Raises:
        LogError: The text names the field, what was expected and what was found.
    """
    for field in ("cameras", "height_px", "width_px", "action_names", "proprioception_names"):
        expected, got = getattr(first, field), getattr(layout, field)
        if expected != got:
            raise LogError(f"{field}: expected {_shown(expected)} as in the first episode, got {_shown(got)}")
    if not math.isclose(layout.control_period_s, first.control_period_s, rel_tol=1e-3):
        raise LogError(
            f"control_period_s: expected {first.control_period_s:g} as in the first episode, "
            f"got {layout.control_period_s:g}"
        )


def _shown(value: object) -> str:
    return ", ".join(value) or "none" if isinstance(value, tuple) else str(value)
