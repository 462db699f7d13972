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
    StoreError,
    TransportError,
)
from embodied.messages import (
    Answer,
    Box,
    Change,
    Evidence,
    Interval,
    MapReply,
    MemoryStatus,
    ObjectRecord,
    Query,
    Relation,
    RelationFilter,
    RoomRecord,
    SessionRecord,
)

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Box",
    "Change",
    "ConfigurationError",
    "DeadlineExceeded",
    "EmbodiedError",
    "Evidence",
    "InsecureAddress",
    "Interval",
    "LogError",
    "MapReply",
    "Memory",
    "MemoryBackend",
    "MemoryStatus",
    "ObjectRecord",
    "ProtocolError",
    "Query",
    "Relation",
    "RelationFilter",
    "RemoteError",
    "RoomRecord",
    "SessionRecord",
    "StoreError",
    "TransportError",
]
