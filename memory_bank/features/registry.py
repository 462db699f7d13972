"""Builds encoders by name: ``minilm``, ``efficientnet-lite0``, ``transformers:FOLDER``, or those of another package.

Packages name theirs in the entry point group ``embodied.encoders``: ``NAME = "module:function"``, where
``function(argument)`` returns a ``TextEncoder`` or an ``ImageEncoder`` and the argument is what follows the colon. So
this package imports no torch, and encoders with torch can live in ``policies``.
"""

from __future__ import annotations

from embodied.errors import ConfigurationError
from embodied.plugins import installed_plugins
from memory_bank.features.protocol import ImageEncoder, TextEncoder

GROUP = "embodied.encoders"


def build_text_encoder(name: str) -> TextEncoder:
    """Build a text encoder.

    Raises:
        ConfigurationError: No such name, what it needs is not installed, or it encodes no texts.
    """
    encoder = _build(name)
    if isinstance(encoder, ImageEncoder) and encoder.text_encoder is not None:
        return encoder.text_encoder
    if isinstance(encoder, ImageEncoder) or not isinstance(encoder, TextEncoder):
        raise ConfigurationError(f"encoder {name!r} does not encode texts")
    return encoder


def build_image_encoder(name: str) -> ImageEncoder:
    """Build an image encoder.

    Raises:
        ConfigurationError: No such name, what it needs is not installed, or it encodes no images.
    """
    encoder = _build(name)
    if not isinstance(encoder, ImageEncoder):
        raise ConfigurationError(f"encoder {name!r} does not encode images")
    return encoder


def _build(name: str) -> object:
    kind, _, argument = name.partition(":")
    found = {point.name: point for point in installed_plugins(GROUP)}
    if kind not in found:
        raise ConfigurationError(f"encoder: expected one of {sorted(found)}, got {kind!r}")
    try:
        build = found[kind].load()
    except ImportError as error:
        raise ConfigurationError(f"encoder {kind!r} cannot be loaded: {error}") from error
    encoder: object = build(argument)
    return encoder
