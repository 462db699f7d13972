"""A bounded pipe to each consumer: ROUTER and DEALER with credits.

Delivery: every message reaches every consumer once and in order, or the producer hears of it. The producer never has
more than a window of messages on the way to a consumer, and waits when one is full.

A consumer says Hello with its name and gets a Welcome; then it grants credit for what it has taken, and says how much
of that is on disk. An empty frame is the producer feeling whether the connection is still there.
"""

from __future__ import annotations

import logging
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Union

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from embodied.codec import Codec, pack
from embodied.errors import (
    AddressInUse,
    ConfigurationError,
    DeadlineExceeded,
    MalformedMessage,
    PeerLost,
    ProtocolError,
    TransportError,
    VersionMismatch,
)
from embodied.messages import (
    PROTOCOL_VERSION,
    ConsumerMessage,
    Credit,
    ErrorReply,
    Hello,
    StreamMessage,
    Welcome,
)
from embodied.security import Security
from embodied.transport.channel import LINGER_MS, QUEUE_LIMIT, Channel, Deadline, error_from, reply_from

logger = logging.getLogger(__name__)

_MAX_CONTROL_BYTES = 64 * 1024
_FEEL_EVERY_S = 0.1
_MAX_WINDOW = 256
_HELLO_RETRY_S = 0.05


class Counters(NamedTuple):
    """How far one consumer is, in messages since its Hello."""

    sent: int
    received: int
    durable: int


class _Consumer:
    """The producer's view of one connection."""

    def __init__(self, name: str, identity: bytes) -> None:
        self.name = name
        self.identity = identity
        self.sent = self.received = self.durable = 0
        self.lost = False
        self.heard_s = time.monotonic()

    @property
    def on_the_way(self) -> int:
        return self.sent - self.received


class LosslessProducer(Channel):
    """Sends a stream to a fixed set of consumers."""

    def __init__(
        self,
        address: str,
        *,
        consumers: Sequence[str],
        window: int = 8,
        peer_timeout_s: float = 10.0,
        security: Optional[Security] = None,
    ) -> None:
        """Bind.

        Args:
            address: Where.
            security: Keys, if other machines are to reach it.
            consumers: The names that may connect; the stream waits for all of them.
            window: How many messages may be on the way to one consumer.
            peer_timeout_s: A consumer that takes nothing for so long, while something is on the way, is lost.
        """
        super().__init__(address, security)
        if not 1 <= window <= _MAX_WINDOW:
            raise ValueError(f"window: expected 1 to {_MAX_WINDOW}, got {window}")
        if not consumers or len(set(consumers)) != len(consumers):
            raise ValueError(f"consumers: expected names, each once, got {list(consumers)}")
        self._window = window
        self._peer_timeout_s = Deadline(peer_timeout_s).timeout_s
        self._codec = Codec(ConsumerMessage, _MAX_CONTROL_BYTES)
        self._consumers: Dict[str, Optional[_Consumer]] = dict.fromkeys(consumers)
        self._unreported: Dict[str, int] = {}
        self.n_malformed = 0
        """Messages from consumers that the protocol does not allow."""
        self._bind(zmq.ROUTER, {zmq.ROUTER_MANDATORY: 1})

    @property
    def counters(self) -> Dict[str, Counters]:
        """Where each consumer is; zeros for one that has not come."""
        self._serve()
        return {
            name: Counters(peer.sent, peer.received, peer.durable) if peer else Counters(0, 0, 0)
            for name, peer in self._consumers.items()
        }

    def wait_for_consumers(self, timeout_s: float) -> None:
        """Wait until all consumers are connected.

        Raises:
            DeadlineExceeded: Some are missing when the time is up; the text names them.
        """

        def missing() -> List[str]:
            return [name for name, peer in self._consumers.items() if peer is None or peer.lost]

        if not self._wait_until(lambda: not missing(), timeout_s):
            raise DeadlineExceeded(f"{', '.join(missing())}: not connected to {self.address} within {timeout_s:.1f} s")

    def send(self, message: msgspec.Struct, timeout_s: float) -> None:
        """Send to every consumer, waiting while a window is full.

        Raises:
            DeadlineExceeded: A window stayed full, or a consumer has never come; nobody got the message, so it can be
                sent again.
            PeerLost: A consumer is gone. If it was found missing while sending, the others got the message.
            OversizedMessage: The message is larger than a frame may be; nobody got it.
        """
        frame = zmq.Frame(pack(message), copy=False)

        def blocking() -> List[str]:
            return [n for n, peer in self._consumers.items() if peer is None or peer.on_the_way >= self._window]

        if not self._wait_until(lambda: not blocking(), timeout_s, raises=True):
            names = ", ".join(blocking())
            raise DeadlineExceeded(f"{names}: no room for {type(message).__name__} within {timeout_s:.1f} s")
        for peer in self._peers():
            if peer.on_the_way == 0:
                peer.heard_s = time.monotonic()
            if self._deliver(peer, frame):
                peer.sent += 1
        self._raise_losses()

    def flush(self, timeout_s: float, durable: bool = False) -> None:
        """Wait until every consumer has received, or has on disk, everything sent.

        Raises:
            DeadlineExceeded: Some has not when the time is up.
            PeerLost: A consumer is gone.
        """

        def behind() -> List[str]:
            return [p.name for p in self._peers() if (p.durable if durable else p.received) < p.sent]

        if not self._wait_until(lambda: not behind(), timeout_s, raises=True):
            done = "on disk" if durable else "received"
            raise DeadlineExceeded(f"{', '.join(behind())}: not everything {done} within {timeout_s:.1f} s")

    # ------------------------------------------------------------------------------------- connections

    def _peers(self) -> Iterable[_Consumer]:
        return [peer for peer in self._consumers.values() if peer is not None]

    def _wait_until(self, condition: Callable[[], bool], timeout_s: float, raises: bool = False) -> bool:
        deadline = Deadline(timeout_s)
        while True:
            self._serve()
            if raises:
                self._raise_losses()
            if condition():
                return True
            if deadline.over:
                return False
            if not self._readable(min(deadline.left_s, _FEEL_EVERY_S)):
                self._feel()

    def _feel(self) -> None:
        """Find out which connections are gone."""
        for peer in self._peers():
            self._deliver(peer, b"")

    def _deliver(self, peer: _Consumer, frame: Union[bytes, zmq.Frame]) -> bool:
        if peer.lost:
            return False
        try:
            self.socket.send(peer.identity, zmq.SNDMORE | zmq.NOBLOCK)
            self.socket.send(frame, zmq.NOBLOCK, copy=False)
        except zmq.Again:  # only of a process that has not read its socket for a long time
            if frame:
                self._lose(peer, "its queue is full")
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._lose(peer, "its connection is gone")
            return False
        return True

    def _lose(self, peer: _Consumer, reason: str) -> None:
        logger.warning("%s: lost consumer %s: %s", self.address, peer.name, reason)
        peer.lost = True

    def _raise_losses(self) -> None:
        now_s = time.monotonic()
        for peer in self._peers():
            silent_s = now_s - peer.heard_s
            if not peer.lost and peer.on_the_way and silent_s > self._peer_timeout_s:
                self._lose(peer, f"it took nothing for {silent_s:.1f} s")
        lost = {peer.name: peer.on_the_way for peer in self._peers() if peer.lost}
        lost.update(self._unreported)
        self._unreported.clear()
        if lost:
            text = ", ".join(f"{name} ({n} messages on the way)" for name, n in lost.items())
            raise PeerLost(f"{self.address}: lost consumer {text}")

    # ------------------------------------------------------------------------------------- what consumers say

    def _serve(self) -> None:
        """Take everything that consumers have said, without waiting."""
        for _ in range(QUEUE_LIMIT):  # a flood of messages must not keep us here
            if not self._readable(0.0):
                return
            identity, *frames = self.socket.recv_multipart(copy=False)
            try:
                self._handle(identity.bytes, frames)
            except (TransportError, ConfigurationError) as error:
                self._refuse(identity.bytes, error)

    def _handle(self, identity: bytes, frames: List[zmq.Frame]) -> None:
        if len(frames) != 1:
            raise MalformedMessage(f"expected one frame, got {len(frames)}")
        message = self._codec.unpack(frames[0].buffer)
        if isinstance(message, Hello):
            self._welcome(identity, message)
        else:
            self._credit(identity, message)

    def _welcome(self, identity: bytes, hello: Hello) -> None:
        if hello.protocol_version != PROTOCOL_VERSION:
            raise VersionMismatch(
                f"consumer {hello.name!r:.80} speaks protocol version {hello.protocol_version}, "
                f"this producer {PROTOCOL_VERSION}"
            )
        if hello.name not in self._consumers:
            expected = ", ".join(self._consumers)
            raise ConfigurationError(f"no consumer is called {hello.name!r:.80} here; expected {expected}")
        old = self._consumers[hello.name]
        if old is not None:
            self._deliver(old, b"")
            if not old.lost:
                raise AddressInUse(f"a consumer called {hello.name} is connected already")
            if old.on_the_way:  # what it never took is lost for good: the next send must say so
                self._unreported[hello.name] = old.on_the_way
        peer = _Consumer(hello.name, identity)
        if self._deliver(peer, pack(Welcome(window=self._window))):
            self._consumers[hello.name] = peer

    def _credit(self, identity: bytes, credit: Credit) -> None:
        peer = next((peer for peer in self._peers() if peer.identity == identity), None)
        if peer is None:
            raise ProtocolError("a credit before any Hello on this connection")
        grows = peer.received <= credit.received <= peer.sent and peer.durable <= credit.durable <= credit.received
        if not grows:
            raise MalformedMessage(
                f"credit for {credit.received} received and {credit.durable} durable, after {peer.received} and "
                f"{peer.durable} of {peer.sent} sent"
            )
        if credit.received > peer.received:
            peer.heard_s = time.monotonic()
        peer.received, peer.durable = credit.received, credit.durable

    def _refuse(self, identity: bytes, error: Exception) -> None:
        if isinstance(error, ProtocolError):
            self.n_malformed += 1
        logger.warning("%s: refused a consumer's message: %s", self.address, error)
        self._deliver(_Consumer("stranger", identity), pack(reply_from(error)))


class LosslessConsumer(Channel):
    """Takes a stream from a producer."""

    def __init__(
        self, address: str, *, name: str, message_type: Any = StreamMessage, security: Optional[Security] = None
    ) -> None:
        """Prepare; ``connect`` does the rest."""
        super().__init__(address, security)
        self.name = name
        self._codec = Codec(Union[message_type, Welcome, ErrorReply])
        self._monitor: Optional[zmq.Socket[Any]] = None
        self._reset()

    def _reset(self) -> None:
        self.n_received = 0
        """Messages received since the Hello."""
        self._durable = 0
        self._credited = (0, 0)
        self._connected = False

    def connect(self, timeout_s: float) -> None:
        """Connect and introduce ourselves; also to begin anew after the connection was lost.

        Raises:
            DeadlineExceeded: Nobody answered in time; the producer may come later.
            AddressInUse: Another consumer of our name is connected.
            ConfigurationError: The producer knows no consumer of our name.
            VersionMismatch: The producer speaks another protocol version.
        """
        deadline = Deadline(timeout_s)
        retry = Deadline(min(timeout_s, 0.5))
        while True:
            try:
                self._introduce(deadline)
                return
            except AddressInUse:
                # The producer may not have noticed yet that our own earlier connection is gone.
                if retry.over:
                    self.close(linger_ms=0)
                    raise
                time.sleep(_HELLO_RETRY_S)
            except BaseException:
                self.close(linger_ms=0)
                raise

    def _introduce(self, deadline: Deadline) -> None:
        self.close(linger_ms=0)
        self._reset()
        self._connect(zmq.DEALER)
        self._monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.socket.send(pack(Hello(name=self.name)))
        while self._readable(deadline.left_s):
            message = self._next()
            if isinstance(message, Welcome):
                self._connected = True
                return
            if message is not None:
                raise ProtocolError(f"{type(message).__name__} from {self.address} before its Welcome")
        raise DeadlineExceeded(f"no producer answers {self.name} at {self.address} within {deadline.timeout_s:.1f} s")

    @property
    def connected(self) -> bool:
        """Whether the connection that was welcomed still stands. Messages that came before its end remain to be read.

        A lost connection does not come back by itself, because the producer would not know who speaks: call
        ``connect`` again.
        """
        if self._monitor is not None and self._monitor.poll(0):
            recv_monitor_message(self._monitor, zmq.NOBLOCK)
            self._connected = False
        return self._connected

    def _next(self) -> Any:
        """Read one frame; None for an empty one."""
        frames = self.socket.recv_multipart(copy=False)
        if len(frames) == 1 and not len(frames[0]):
            return None
        message = self._codec.unpack(frames[0].buffer if len(frames) == 1 else b"")
        if isinstance(message, ErrorReply):
            raise error_from(message)
        return message

    def receive(self, timeout_s: float) -> Optional[Any]:
        """Return the next message, or None when the time is up.

        Raises:
            ProtocolError: The producer's bytes, or ours to it, were not of this protocol.
        """
        deadline = Deadline(timeout_s)
        while self._readable(deadline.left_s):
            message = self._next()
            if message is not None and not isinstance(message, Welcome):
                self.n_received += 1
                return message
        return None

    def acknowledge(self, durable: Optional[int] = None) -> None:
        """Grant credit for everything received so far.

        Args:
            durable: How many of the messages since the Hello are on disk; what was said last if None.

        Raises:
            PeerLost: The producer has not looked at our credits for a long time.
        """
        if durable is not None:
            if not self._durable <= durable <= self.n_received:
                raise ValueError(f"durable: expected {self._durable} to {self.n_received}, got {durable}")
            self._durable = durable
        state = (self.n_received, self._durable)
        if state == self._credited:
            return  # at most two credits a message, so that a producer that does not look cannot fill our queue
        try:
            self.socket.send(pack(Credit(received=self.n_received, durable=self._durable)), zmq.NOBLOCK)
        except zmq.Again as error:
            raise PeerLost(f"{self.address}: the producer takes no credits of {self.name}") from error
        self._credited = state

    def close(self, linger_ms: int = LINGER_MS) -> None:
        """Close the socket. May be called twice."""
        if self._monitor is not None:
            self.socket.disable_monitor()
            self._monitor.close(linger=0)
            self._monitor = None
        super().close(linger_ms)
