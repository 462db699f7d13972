"""Pictures of a camera side by side, in the order of time, with what came of it: one line an episode."""

from __future__ import annotations

import io
from typing import Any, List, NamedTuple, Sequence, Tuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from embodied.arrays import Image as Pixels

MAX_PICTURES = 12
"""Of one line; of more, so many are shown, as evenly in time as can be, the first and the last among them."""
JPEG_QUALITY = 90
GAP_PX = 4
TEXT_PX = 14
LINE_PX = 20
_PAPER, _FAINT = (255, 255, 255), (110, 110, 110)
_DONE, _NOT_DONE = (22, 128, 61), (185, 28, 28)


class Strip(NamedTuple):
    """One line of pictures."""

    title: str
    """Who acts, and what came of it."""
    frames: Sequence[Pixels]
    """At least one, all of one size, oldest first."""
    captions: Sequence[str]
    """One below each frame: its time, for instance; may be empty."""
    success: bool
    """Gives the title its colour."""


def draw_strips(strips: Sequence[Strip], *, height_px: int = 128) -> Image.Image:
    """Return one picture of several lines, one below the other.

    Args:
        strips: At least one.
        height_px: Of each picture of a line.

    Raises:
        ValueError: There is no line, or one has no frame or not one caption a frame.
    """
    if not strips:
        raise ValueError("strips: expected at least one, got none")
    lines = [_shown(strip) for strip in strips]
    font = ImageFont.load_default(size=TEXT_PX - 2)
    widths = [max(1, round(height_px * frames[0].shape[1] / frames[0].shape[0])) for frames, _ in lines]
    line_px = LINE_PX + height_px + (LINE_PX if any(any(captions) for _, captions in lines) else 0)
    n_most = max(len(frames) * (width + GAP_PX) for (frames, _), width in zip(lines, widths))
    page = Image.new("RGB", (n_most + GAP_PX, len(strips) * line_px + GAP_PX), _PAPER)
    draw = ImageDraw.Draw(page)
    for number, (strip, (frames, captions), width) in enumerate(zip(strips, lines, widths)):
        top = number * line_px + GAP_PX
        draw.text((GAP_PX, top), strip.title, fill=_DONE if strip.success else _NOT_DONE, font=font)
        for index, (frame, caption) in enumerate(zip(frames, captions)):
            left = GAP_PX + index * (width + GAP_PX)
            picture = Image.fromarray(np.ascontiguousarray(frame)).resize((width, height_px), Image.Resampling.BICUBIC)
            page.paste(picture, (left, top + LINE_PX))
            draw.text((left, top + LINE_PX + height_px + 1), caption, fill=_FAINT, font=font)
    return page


def strips_jpeg(strips: Sequence[Strip], *, height_px: int = 128) -> bytes:
    """Return ``draw_strips`` as a JPEG."""
    buffer = io.BytesIO()
    draw_strips(strips, height_px=height_px).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def _shown(strip: Strip) -> Tuple[List[Any], List[str]]:
    """Return the frames and captions that are shown."""
    n = len(strip.frames)
    if n == 0 or len(strip.captions) != n:
        raise ValueError(f"strip {strip.title!r}: expected a caption for each of 1 or more frames, got {n} frames and "
                         f"{len(strip.captions)} captions")  # fmt: skip
    chosen = sorted({round(x) for x in np.linspace(0, n - 1, min(n, MAX_PICTURES))})
    return [strip.frames[k] for k in chosen], [strip.captions[k] for k in chosen]
