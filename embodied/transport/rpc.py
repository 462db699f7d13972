"""Questions and answers: ROUTER and DEALER, with request numbers and deadlines.

Delivery: each call is answered, or refused with a typed error, or ends at its deadline. A late answer is dropped.
"""

from __future__ import annotations

import logging
from typing import Any, Callable, Optional, Union

import msgspec
import zmq

from embodied.codec import MAX_FRAME_BYTES, Codec, pack
from embodied.errors import DeadlineExceeded, EmbodiedError, MalformedMessage, ProtocolError
from embodied.messages import ErrorReply
from embodied.security import Security
from embodied.transport.channel import Channel, Deadline, error_from, milliseconds, reply_from

logger = logging.getLogger(__name__)

_ID_BYTES = 8
_LOOK_EVERY_S = 0.1


class Call:
    """One request that waits for its answer; exactly one, now or later."""

    def __init__(self, server: RpcServer, sender: bytes, request_id: bytes, request: Any) -> None:
        self.request = request
        self._server = server
        self._sender = sender
        self._request_id = request_id
        self.answered = False

    def reply(self, response: msgspec.Struct) -> None:
        """Send the answer. A client that went away meanwhile is not told.

        Raises:
            OversizedMessage: The answer is larger than a frame may be; nothing was sent, so the call can still fail.
        """
        assert not self.answered, f"{type(self.request).__name__} was answered already"
        frame = pack(response)
        self.answered = True
        self._server._send(self._sender, self._request_id, frame)

    def fail(self, error: Exception) -> None:
        """Refuse with a typed error. An error that is neither ours nor a ValueError is a defect: it is raised again."""
        self.reply(reply_from(error))
        if not isinstance(error, (EmbodiedError, ValueError)):
            raise error

    def answer(self, handler: Callable[[Any], msgspec.Struct]) -> None:
        """Reply with what ``handler`` makes of the request, or refuse with what it raises (see ``fail``)."""
        try:
            self.reply(handler(self.request))
        except Exception as error:
            if self.answered:
                raise
            if isinstance(error, (EmbodiedError, ValueError)):
                self.fail(error)
                return
            self.reply(reply_from(error))
            raise


class RpcServer(Channel):
    """Receives requests and answers them, in any order."""

    def __init__(
        self, address: str, request_type: Any, *, security: Optional[Security] = None, max_bytes: int = MAX_FRAME_BYTES
    ) -> None:
        """Bind. Requests longer than ``max_bytes`` are refused."""
        super().__init__(address, security)
        self._codec = Codec(request_type, max_bytes)
        self.n_malformed = 0
        """Messages that were no requests of this channel."""
        self._bind(zmq.ROUTER)

    def receive(self, timeout_s: float) -> Optional[Call]:
        """Return the next request, or None when the time is up. Malformed ones are answered here and counted."""
        deadline = Deadline(timeout_s)
        while self._readable(deadline.left_s):
            call = self._take()
            if call is not None:
                return call
        return None

    def _take(self) -> Optional[Call]:
        sender, *frames = self.socket.recv_multipart(copy=False)
        if len(frames) != 2 or len(frames[0]) != _ID_BYTES:
            self._refuse(sender.bytes, bytes(_ID_BYTES), MalformedMessage("expected a request number and one frame"))
            return None
        try:
            return Call(self, sender.bytes, frames[0].bytes, self._codec.unpack(frames[1].buffer))
        except ProtocolError as error:
            self._refuse(sender.bytes, frames[0].bytes, error)
            return None

    def _refuse(self, sender: bytes, request_id: bytes, error: ProtocolError) -> None:
        self.n_malformed += 1
        logger.warning("%s: refused a request: %s", self.address, error)
        self._send(sender, request_id, pack(reply_from(error)))

    def _send(self, sender: bytes, request_id: bytes, frame: bytes) -> None:
        # Without ROUTER_MANDATORY a message to a client that is gone, or that reads nothing, is dropped at once.
        self.socket.send_multipart([sender, request_id, frame], copy=len(frame) < 65536)


class RpcClient(Channel):
    """Asks one server, one question at a time."""

    def __init__(
        self,
        address: str,
        response_type: Any,
        *,
        timeout_s: float = 5.0,
        security: Optional[Security] = None,
        while_waiting: Optional[Callable[[], None]] = None,
    ) -> None:
        """Connect in the background; the server may come later, within the deadline of a call.

        Args:
            address: Where the server is bound.
            response_type: The structure or union that it answers with.
            timeout_s: Deadline of a call that names none.
            security: Keys, for an address off this machine.
            while_waiting: Called several times a second during a call. What it raises ends the call, such as
                ``Supervisor.check`` when the server has died.
        """
        super().__init__(address, security)
        self._while_waiting = while_waiting
        self.timeout_s = Deadline(timeout_s).timeout_s
        self._codec = Codec(Union[response_type, ErrorReply])
        self._n_calls = 0
        self.n_late = 0
        """Answers that came after their deadline and were dropped."""
        self._start()

    def _start(self) -> None:
        # IMMEDIATE: nothing is queued for a server that is not there, so no stale request reaches one that comes later.
        self._connect(zmq.DEALER, {zmq.IMMEDIATE: 1})

    def call(self, request: msgspec.Struct, timeout_s: Optional[float] = None) -> Any:
        """Send a request and return its answer.

        Raises:
            DeadlineExceeded: Nobody is there, or no answer came in time; the request may have been carried out.
            RemoteError, ValueError, EmbodiedError: The server refused with this error, or ``while_waiting`` raised it.
            ProtocolError: The answer is not of this protocol.
        """
        deadline = Deadline(self.timeout_s if timeout_s is None else timeout_s)
        frame = pack(request)
        self._n_calls += 1
        request_id = self._n_calls.to_bytes(_ID_BYTES, "big")
        name = type(request).__name__
        if not self._wait(zmq.POLLOUT, deadline):
            who = "nobody answers" if not self.has_keys else "nobody answers, or our keys do not fit,"
            raise DeadlineExceeded(f"{name}: {who} at {self.address} within {deadline.timeout_s:.1f} s")
        self.socket.send_multipart([request_id, frame], copy=len(frame) < 65536)
        while self._wait(zmq.POLLIN, deadline):
            received_id, *frames = self.socket.recv_multipart(copy=False)
            if received_id.bytes != request_id:
                self.n_late += 1
                continue
            if len(frames) != 1:
                raise MalformedMessage(f"{name}: an answer of {len(frames)} frames from {self.address}")
            response = self._codec.unpack(frames[0].buffer)
            if isinstance(response, ErrorReply):
                raise error_from(response)
            return response
        self.close(linger_ms=0)  # drops the request if it has not left
        self._start()
        raise DeadlineExceeded(f"{name}: no answer from {self.address} within {deadline.timeout_s:.1f} s")

    def _wait(self, event: int, deadline: Deadline) -> bool:
        """Wait until the socket can be read or written; False when the time is up."""
        while True:
            if self._while_waiting is not None:
                self._while_waiting()
            left_s = deadline.left_s
            look_s = left_s if self._while_waiting is None else min(left_s, _LOOK_EVERY_S)
            if self.socket.poll(milliseconds(look_s), event):
                return True
            if deadline.over:
                return False
