"""What all messages share."""

from __future__ import annotations

from typing import Tuple

from embodied.structure import Structure

PROTOCOL_VERSION = 2

Point = Tuple[float, float, float]


class Message(Structure, tag_field="type"):
    """Base of all that is sent."""
