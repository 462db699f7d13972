"""Only the newest message counts: XPUB and SUB with CONFLATE.

Delivery: a subscriber that is late finds the newest message and never an older one. One socket a topic, because a
conflated socket keeps one message over all its topics; one frame a message, because it would keep the last part only.
A subscriber finds a publisher that was started again only while it waits in ``receive`` or ``wait_any``.
"""

from __future__ import annotations

from typing import Any, Optional

import msgspec
import zmq

from embodied.codec import Codec, pack
from embodied.errors import DeadlineExceeded
from embodied.security import Security
from embodied.transport.channel import Channel, Deadline


class LatestPublisher(Channel):
    """Publishes to whoever listens."""

    def __init__(self, address: str, *, queue: int = 64, security: Optional[Security] = None) -> None:
        """Bind.

        Args:
            address: Where.
            security: Keys, if other machines are to reach it.
            queue: Messages that may wait for one subscriber's connection. They wait only while the subscriber's
                process is suspended; when it is full the newest is dropped, so it must hold more than one burst.
        """
        super().__init__(address, security)
        self._n_subscribers = 0
        self._newest: Optional[bytes] = None
        self._bind(zmq.XPUB, {zmq.SNDHWM: queue, zmq.XPUB_VERBOSER: 1})

    @property
    def n_subscribers(self) -> int:
        """How many subscribers are connected now."""
        while self._readable(0.0):
            self._count()
        return self._n_subscribers

    def _count(self) -> None:
        event = self.socket.recv()
        if event == b"\x01":
            self._n_subscribers += 1
        elif event == b"\x00":
            self._n_subscribers -= 1

    def wait_for_subscribers(self, n: int, timeout_s: float) -> None:
        """Wait until ``n`` subscribers are there: what is published before is lost to them.

        Raises:
            DeadlineExceeded: There are fewer when the time is up.
        """
        deadline = Deadline(timeout_s)
        while self.n_subscribers < n:
            if not self._readable(deadline.left_s):
                raise DeadlineExceeded(
                    f"{self._n_subscribers} of {n} subscribers came to {self.address} within {timeout_s:.1f} s"
                )

    def publish(self, message: msgspec.Struct) -> None:
        """Send to all subscribers; never waits."""
        self._newest = pack(message)
        self.socket.send(self._newest, copy=False)

    def repeat(self) -> None:
        """Send the newest message once more, if there is one. Call it now and then while nothing new comes.

        A conflating socket that is read while a message arrives keeps it back until the next one comes (libzmq's
        ``dbuffer_t::write`` gives up when it finds the lock taken). Of a stream that pauses, the last message, which
        matters most, could so never be seen.
        """
        if self._newest is not None:
            self.socket.send(self._newest, copy=False)


class LatestSubscriber(Channel):
    """Receives the newest message that it has not seen."""

    def __init__(self, address: str, message_type: Any, *, security: Optional[Security] = None) -> None:
        """Connect in the background."""
        super().__init__(address, security)
        self._codec = Codec(message_type)
        self._connect(zmq.SUB, {zmq.CONFLATE: 1})
        self.socket.subscribe(b"")

    def receive(self, timeout_s: float) -> Optional[Any]:
        """Return the newest message, or None when the time is up and nothing new came.

        Raises:
            ProtocolError: The publisher does not speak our protocol.
        """
        if not self._readable(Deadline(timeout_s).left_s):
            return None
        return self._codec.unpack(self.socket.recv(copy=False).buffer)
