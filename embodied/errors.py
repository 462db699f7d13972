"""The world's faults, as one tree of exceptions.

``assert`` is for our own invariants and ``ValueError`` for the caller's mistakes; everything that a correct program can
still meet is here::

    EmbodiedError
    ├── ConfigurationError          a setting that cannot work, found before anything starts
    │   └── InsecureAddress         an address off this machine without keys
    ├── TransportError
    │   ├── AddressInUse            somebody else is bound there
    │   ├── DeadlineExceeded        no answer in time
    │   ├── PeerLost                the peer was there and went away
    │   └── ProtocolError           the peer speaks, but not our protocol
    │       ├── MalformedMessage    bytes that are not a message
    │       ├── OversizedMessage    more than the receiver's bound
    │       └── VersionMismatch     another protocol version
    ├── RemoteError                 the peer answered with an error of its own
    ├── ProcessError                a process of the group died or never became ready
    ├── SceneError                  a scene that is missing, broken or inconsistent
    ├── LogError                    a log that is missing or cannot be read
    ├── StoreError                  a memory file that is missing, damaged or from another version
    ├── NotUnderstood               a question in words that the memory cannot read; also a ValueError
    ├── StaleEdit                   an edit of something that has changed since it was read
    ├── PerceptionError             a detector that cannot run on these observations
    └── PolicyError                 a trained policy that gave no action which a robot may take
"""

from __future__ import annotations


class EmbodiedError(Exception):
    """Any fault of the world that this project reports."""


class ConfigurationError(EmbodiedError):
    """A setting that cannot work."""


class InsecureAddress(ConfigurationError):
    """An address that other machines can reach, without keys."""


class TransportError(EmbodiedError):
    """A fault between two processes."""


class AddressInUse(TransportError):
    """Another process is bound to the address."""


class DeadlineExceeded(TransportError):
    """The peer did not answer within the deadline."""


class PeerLost(TransportError):
    """The peer was connected and is gone."""


class ProtocolError(TransportError):
    """The peer sent something that the protocol does not allow."""


class MalformedMessage(ProtocolError):
    """Bytes that do not decode to a message of the channel."""


class OversizedMessage(ProtocolError):
    """A message larger than the receiver accepts."""


class VersionMismatch(ProtocolError):
    """The peer speaks another protocol version."""


class RemoteError(EmbodiedError):
    """The peer understood the request and answered with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class ProcessError(EmbodiedError):
    """A process of the group died, hung, or never became ready."""


class SceneError(EmbodiedError):
    """A scene that is missing, broken or inconsistent."""


class LogError(EmbodiedError):
    """A log that is missing or cannot be read."""


class StoreError(EmbodiedError):
    """A memory file that is missing, damaged or of another version."""


class NotUnderstood(EmbodiedError, ValueError):
    """A question in words that is beyond the grammar; asked otherwise it may be answered."""


class StaleEdit(EmbodiedError):
    """An edit of an object that has changed since it was read: read it again, then decide."""


class PerceptionError(EmbodiedError):
    """A detector that cannot run on the observations it is given."""


class PolicyError(EmbodiedError):
    """A trained policy gave something that is no action; the robot is to be halted."""
