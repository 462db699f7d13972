"""What a person may change in a memory, and what may be taken out of it for good."""

from __future__ import annotations

from typing import Literal, Optional

from embodied.messages.base import Message, Point
from embodied.messages.records import Box, ObjectRecord

EditKind = Literal["rename", "delete", "pin", "unpin", "annotate", "add"]


class Edit(Message, tag="edit"):
    """Change what the memory holds of one object. Outlives everything automatic."""

    kind: EditKind
    """``delete``: it is not there and never was; seeing it again does not bring it back. ``add``: tell of one."""
    object_id: str = ""
    """Empty for ``add``."""
    epoch: int = -1
    """``ObjectRecord.epoch`` as it was read; an edit of anything older is refused (``StaleEdit``)."""
    text: str = ""
    """``rename`` and ``add``: the label. ``annotate``: the note."""
    author: str = ""
    position_m: Optional[Point] = None
    """``add``: where it stands."""
    size_m: Point = (0.1, 0.1, 0.1)
    """``add``: how large it is, full lengths."""
    world_frame: str = ""
    """``add``: the frame of the position; empty for the present one."""


class EditReply(Message, tag="edit_reply"):
    """The object after the edit, on disk; None once it is deleted."""

    object: Optional[ObjectRecord] = None


class Forget(Message, tag="forget"):
    """Take out what was seen in a region, in a time, in a session, or of one object: records and pictures.

    Conditions narrow each other; at least one is needed. A thing that was also seen outside of them stays, as it was
    seen there.
    """

    region: Optional[Box] = None
    world_frame: str = ""
    """Of the region; empty for the present frame."""
    since_ns: Optional[int] = None
    until_ns: Optional[int] = None
    session: str = ""
    object_id: str = ""
    only_count: bool = False
    """Say what would go, and change nothing."""


class ForgetReply(Message, tag="forget_reply"):
    """What has gone, off the disk too."""

    n_objects: int
    n_keyframes: int
    n_pictures: int
    """Pictures of objects, outside of keyframes."""
    n_intervals: int = 0
    """Stretches of the history of things that stay."""
