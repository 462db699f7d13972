"""What processes tell their supervisor."""

from __future__ import annotations

from typing import Dict, Union

from embodied.messages.base import Message


class Ready(Message, tag="ready"):
    """A process has bound its sockets and can work."""

    name: str
    pid: int


class Heartbeat(Message, tag="heartbeat"):
    """A process lives; sent several times a second."""

    name: str
    n_work: int
    """Units of work done (frames, requests): a hung loop shows here."""
    peak_rss_mb: float
    statistics: Dict[str, float] = {}


class Failed(Message, tag="failed"):
    """A process ends with an error; its last message."""

    name: str
    code: str
    message: str


SupervisorMessage = Union[Ready, Heartbeat, Failed]
