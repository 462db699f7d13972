"""HTML and SVG that cannot be broken by the data in them: a plain string is always escaped, only ``Markup`` is not."""

from __future__ import annotations

import base64
import html
import io
import re
from typing import Iterable, Optional, Union

from PIL import Image, UnidentifiedImageError

MAX_PICTURE_PIXELS = 64_000_000
# Not allowed in a page at all, and marks that turn the direction of the text around them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Child = Union[str, Markup, None]
Attribute = Union[str, int, float, None]


def text(value: str) -> Markup:
    """Escape a string of data."""
    return value if isinstance(value, Markup) else Markup(html.escape(_UNPRINTABLE.sub("\ufffd", value)))


def element(name: str, /, *children: Child, **attributes: Attribute) -> Markup:
    """Build an element. ``class_`` stands for class, an underscore for a hyphen; None leaves out."""
    written = []
    for key, value in attributes.items():
        if value is not None:
            shown = f"{value:.7g}" if isinstance(value, float) else str(value)
            written.append(f' {key.rstrip("_").replace("_", "-")}="{text(shown)}"')
    inner = "".join(text(child) for child in children if child is not None)
    head = f"<{name}{''.join(written)}"
    return Markup(f"{head}/>" if not inner and name in _VOID else f"{head}>{inner}</{name}>")


def join(parts: Iterable[Child]) -> Markup:
    """Put parts one after the other."""
    return Markup("".join(text(part) for part in parts if part is not None))


def picture(jpeg: bytes, alt: str, *, max_px: int = 320, class_: Optional[str] = None) -> Markup:
    """Embed a picture, made smaller where its longer side is above ``max_px``; a note stands in for broken bytes."""
    try:
        with Image.open(io.BytesIO(jpeg)) as image:
            width_px, height_px = image.size
            if width_px * height_px > MAX_PICTURE_PIXELS:
                raise OSError(f"{width_px}x{height_px} pixels")
            if image.format != "JPEG" or max(width_px, height_px) > max_px:
                image = image.convert("RGB")  # type: ignore[assignment]
                image.thumbnail((max_px, max_px))
                width_px, height_px = image.size
                buffer = io.BytesIO()
                image.save(buffer, "JPEG", quality=85)
                jpeg = buffer.getvalue()
            else:
                image.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return element("span", "picture unreadable", class_="nopicture")
    source = data_uri("image/jpeg", jpeg)
    return element("img", src=source, alt=alt, width=width_px, height=height_px, loading="lazy", class_=class_)


def data_uri(mime: str, content: bytes) -> str:
    """Return the address that is its own content."""
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


_VOID = frozenset(
    ["br", "img", "meta", "input", "path", "line", "circle", "rect", "polyline", "polygon", "image", "use"]
)
