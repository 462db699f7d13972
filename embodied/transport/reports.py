"""Many processes report to one: PUSH and PULL, for the supervisor's channel.

Delivery: in order and without loss while the receiver lives; a sender never waits for it.
"""

from __future__ import annotations

import logging
from typing import Any, Optional

import msgspec
import zmq

from embodied.codec import Codec, pack
from embodied.errors import ProtocolError
from embodied.security import Security
from embodied.transport.channel import Channel, Deadline

logger = logging.getLogger(__name__)

_MAX_BYTES = 1024 * 1024


class Mailbox(Channel):
    """Receives from all senders."""

    def __init__(self, address: str, message_type: Any, *, security: Optional[Security] = None) -> None:
        """Bind."""
        super().__init__(address, security)
        self._codec = Codec(message_type, _MAX_BYTES)
        self.n_malformed = 0
        """Messages that were none of this channel."""
        self._bind(zmq.PULL)

    def receive(self, timeout_s: float) -> Optional[Any]:
        """Return the next message, or None when the time is up."""
        deadline = Deadline(timeout_s)
        while self._readable(deadline.left_s):
            frames = self.socket.recv_multipart(copy=False)
            try:
                return self._codec.unpack(frames[0].buffer if len(frames) == 1 else b"")
            except ProtocolError as error:
                self.n_malformed += 1
                logger.warning("%s: dropped a message: %s", self.address, error)
        return None


class MailboxSender(Channel):
    """Sends to one mailbox."""

    def __init__(self, address: str, *, security: Optional[Security] = None) -> None:
        """Connect in the background; messages wait for the connection."""
        super().__init__(address, security)
        self._connect(zmq.PUSH)

    def send(self, message: msgspec.Struct) -> bool:
        """Send without waiting; returns False if the message was dropped because the receiver reads nothing."""
        try:
            self.socket.send(pack(message, _MAX_BYTES), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True
