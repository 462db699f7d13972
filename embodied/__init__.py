"""What a program needs to ask a robot's memory, and the contracts every process of the stack shares.

::

    from embodied import Memory

    with Memory("runs/demo/memory.db") as memory:
        print(memory.recall("where is the red mug?").text)
"""

from embodied.client import Memory, MemoryBackend
from embodied.errors import (
    ConfigurationError,
    DeadlineExceeded,
    EmbodiedError,
    InsecureAddress,
    LogError,
    ProtocolError,
    RemoteError,
    StaleEdit,
    StoreError,
    TransportError,
)
from embodied.messages import (
    Alignment,
    Answer,
    Box,
    Change,
    Evidence,
    Experience,
    Habit,
    Interval,
    MapReply,
    MemoryStatus,
    Note,
    ObjectRecord,
    PlaceRecord,
    Query,
    Relation,
    RelationFilter,
    RoomRecord,
    SessionRecord,
    ViewHit,
)

__version__ = "0.1.0"

__all__ = [
    "Alignment",
    "Answer",
    "Box",
    "Change",
    "ConfigurationError",
    "DeadlineExceeded",
    "EmbodiedError",
    "Evidence",
    "Experience",
    "Habit",
    "InsecureAddress",
    "Interval",
    "LogError",
    "MapReply",
    "Memory",
    "MemoryBackend",
    "MemoryStatus",
    "Note",
    "ObjectRecord",
    "PlaceRecord",
    "ProtocolError",
    "Query",
    "Relation",
    "RelationFilter",
    "RemoteError",
    "RoomRecord",
    "SessionRecord",
    "StaleEdit",
    "StoreError",
    "TransportError",
    "ViewHit",
]
