"""What all sockets have in common: address policy, bounds, keys, deadlines and an orderly end.

A channel owns one socket in a context of its own and belongs to one thread.
"""

from __future__ import annotations

import errno
import math
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Optional, Sequence, Type, TypeVar

import zmq
from zmq.auth.base import Authenticator

from embodied import errors
from embodied.codec import MAX_FRAME_BYTES
from embodied.errors import AddressInUse, ConfigurationError, EmbodiedError, RemoteError
from embodied.messages import ErrorReply
from embodied.security import AllowList, Security, check_address, load_key_pair, load_server_key, uses_curve
from embodied.transport.address import claim_ipc_path, private_files

LINGER_MS = 1000
"""How long closing waits for messages on their way."""
QUEUE_LIMIT = 1000
"""Small messages that may wait on each side of a connection."""

ChannelT = TypeVar("ChannelT", bound="Channel")
_IN_USE = (errno.EADDRINUSE, zmq.EADDRINUSE)


class Deadline:
    """A point in time by which something must have happened."""

    def __init__(self, timeout_s: float) -> None:
        if not 0.0 <= timeout_s < math.inf:
            raise ValueError(f"timeout_s: expected a finite number that is not negative, got {timeout_s}")
        self.timeout_s = timeout_s
        self._end_s = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        """Seconds left, 0 when it is over."""
        return max(0.0, self._end_s - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.left_s == 0.0


def milliseconds(duration_s: float) -> int:
    """Round up, so that a wait never ends just before its deadline and spins."""
    return math.ceil(duration_s * 1000.0)


class Channel:
    """One socket of one type. Subclasses bind or connect it in their constructor."""

    def __init__(self, address: str, security: Optional[Security] = None) -> None:
        check_address(address, security)
        self.address = address
        """Where it is bound or connected; of a wildcard port, the port that was given."""
        self._security = security
        self._context: Optional[zmq.Context[Any]] = None
        self._socket: Optional[zmq.Socket[Any]] = None
        self._authenticator: Optional[Authenticator] = None

    @property
    def has_keys(self) -> bool:
        """Whether both ends must prove who they are."""
        return uses_curve(self.address, self._security)

    @property
    def socket(self) -> zmq.Socket[Any]:
        """The socket, for polling."""
        assert self._socket is not None, f"{type(self).__name__} at {self.address} is closed"
        return self._socket

    def _bind(self, kind: int, options: Optional[Dict[int, int]] = None) -> None:
        """Open a socket and bind it, or raise AddressInUse or ConfigurationError."""
        is_ipc = self.address.startswith("ipc://")
        path = Path(self.address[len("ipc://") :])
        if is_ipc:
            claim_ipc_path(path)
        try:
            new = self._open(kind, options)
            self._secure_server(new)
            if is_ipc:
                with private_files():
                    new.bind(self.address)
                path.chmod(0o600)
            else:
                new.bind(self.address)
            self.address = new.getsockopt_string(zmq.LAST_ENDPOINT)
        except zmq.ZMQError as error:
            self.close()
            if error.errno in _IN_USE:
                raise AddressInUse(f"address {self.address}: another process is bound there") from error
            raise ConfigurationError(f"address {self.address}: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def _connect(self, kind: int, options: Optional[Dict[int, int]] = None) -> None:
        """Open a socket and let it connect in the background."""
        try:
            new = self._open(kind, options)
            self._secure_client(new)
            new.connect(self.address)
        except zmq.ZMQError as error:
            self.close()
            raise ConfigurationError(f"address {self.address}: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def _open(self, kind: int, options: Optional[Dict[int, int]]) -> zmq.Socket[Any]:
        """Make a socket whose options are all set before it binds or connects: later ones are silently ignored."""
        assert self._socket is None
        self._context = zmq.Context()
        self._socket = self._context.socket(kind)
        settings: Dict[int, int] = {
            zmq.LINGER: LINGER_MS,
            zmq.MAXMSGSIZE: MAX_FRAME_BYTES,
            zmq.SNDHWM: QUEUE_LIMIT,
            zmq.RCVHWM: QUEUE_LIMIT,
            zmq.RECONNECT_IVL: 20,
            zmq.RECONNECT_IVL_MAX: 500,
        }
        if self.address.startswith("tcp://"):  # a cable can be pulled; a Unix socket tells when its peer dies
            settings.update({zmq.HEARTBEAT_IVL: 1000, zmq.HEARTBEAT_TIMEOUT: 5000, zmq.HEARTBEAT_TTL: 10000})
            if "[" in self.address:
                settings[zmq.IPV6] = 1
        settings.update(options or {})
        for option, value in settings.items():
            self._socket.setsockopt(option, value)
        return self._socket

    def _secure_server(self, new: zmq.Socket[Any]) -> None:
        if not self.has_keys:
            return
        from zmq.auth.thread import ThreadAuthenticator  # brings asyncio along, which only servers with keys need

        assert self._security is not None
        keys = load_key_pair(self._security)
        authenticator = ThreadAuthenticator(self._context)
        self._authenticator = authenticator
        authenticator.start()
        authenticator.configure_curve_callback("*", AllowList(self._security))
        new.curve_publickey, new.curve_secretkey, new.curve_server = keys.public, keys.secret, True

    def _secure_client(self, new: zmq.Socket[Any]) -> None:
        if not self.has_keys:
            return
        assert self._security is not None
        keys = load_key_pair(self._security)
        new.curve_publickey, new.curve_secretkey = keys.public, keys.secret
        new.curve_serverkey = load_server_key(self._security)

    def _readable(self, timeout_s: float) -> bool:
        """Wait until there is something to read."""
        return bool(self.socket.poll(milliseconds(timeout_s), zmq.POLLIN))

    def close(self, linger_ms: int = LINGER_MS) -> None:
        """Close the socket, giving messages on their way ``linger_ms``. May be called twice."""
        if self._socket is not None:
            self._socket.close(linger=linger_ms)
            self._socket = None
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None
        if self._context is not None:
            self._context.term()
            self._context = None

    def __enter__(self: ChannelT) -> ChannelT:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def wait_any(channels: Sequence[Channel], timeout_s: float) -> List[Channel]:
    """Wait until one of the channels has something to read and return those that have; none after ``timeout_s``."""
    deadline = Deadline(timeout_s)
    poller = zmq.Poller()
    for channel in channels:
        poller.register(channel.socket, zmq.POLLIN)
    ready = dict(poller.poll(milliseconds(deadline.left_s)))
    return [channel for channel in channels if channel.socket in ready]


def error_from(reply: ErrorReply) -> Exception:
    """Return the exception that a typed refusal names: a class of our tree, ValueError, or else RemoteError."""
    if reply.code == "ValueError":
        return ValueError(reply.message)
    kind = getattr(errors, reply.code, None)
    if isinstance(kind, type) and issubclass(kind, EmbodiedError) and kind is not RemoteError:
        return kind(reply.message)
    return RemoteError(reply.code, reply.message)


def reply_from(error: Exception) -> ErrorReply:
    """Return the refusal to send for an exception. What is not of our tree is a defect, and its text stays here."""
    if isinstance(error, RemoteError):
        return ErrorReply(code=error.code, message=error.message)
    if isinstance(error, (EmbodiedError, ValueError)):
        code = type(error).__name__ if isinstance(error, EmbodiedError) else "ValueError"
        return ErrorReply(code=code, message=str(error))
    return ErrorReply(code="InternalError", message="the server met a defect of its own; its log has the trace")
