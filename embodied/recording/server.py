"""The recorder process: takes every message off the lossless channel and has it on disk before it says so.

``python -m embodied.recording.server CONFIG.json``
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Optional

from embodied.config import Config
from embodied.errors import PeerLost, ProtocolError
from embodied.messages import SessionStart, StreamMessage
from embodied.process import ProcessConfig, ProcessLink, run_process
from embodied.recording.writer import SessionWriter
from embodied.security import Security
from embodied.transport import LosslessConsumer

logger = logging.getLogger(__name__)

CONSUMER_NAME = "recorder"
_POLL_S = 0.05
_ORPHAN_S = 5.0
SESSION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class RecorderConfig(Config):
    """Settings of the recorder process."""

    process: ProcessConfig
    pipe: str
    """Address of the lossless channel."""
    directory: str
    """Where the logs go, ``<session>.mcap`` each."""
    sync_every: int = 32
    """Messages between two syncs to disk while they keep coming; when they pause, all is synced."""
    connect_timeout_s: float = 30.0
    """How long the producer may take to answer."""
    security: Optional[Security] = None
    """Keys, for an address off this machine."""


class Recorder:
    """Turns the stream of all sessions into one log each."""

    def __init__(self, directory: Path, *, sync_every: int = 32) -> None:
        self._directory = directory
        self._sync_every = sync_every
        self._writer: Optional[SessionWriter] = None
        self._n_closed = 0
        self.n_received = 0

    @property
    def n_durable(self) -> int:
        """Messages since the beginning that outlive the power."""
        return self._n_closed + (self._writer.n_durable if self._writer else 0)

    def take(self, message: StreamMessage) -> None:
        """Write a message to its session's log.

        Raises:
            ProtocolError: The message is out of turn, or its session has a name that is no file's.
            LogError: The disk refuses, or there is a log of that session already.
        """
        self.n_received += 1
        if isinstance(message, SessionStart):
            self.close()
            self._writer = self._open(message)
        if self._writer is None:
            raise ProtocolError(f"{type(message).__name__} of {message.session!r} before any SessionStart")
        try:
            self._writer.write(message)
        except ValueError as error:
            raise ProtocolError(f"cannot record {type(message).__name__}: {error}") from error

    def sync(self) -> None:
        """Have everything on disk."""
        if self._writer is not None:
            self._writer.sync()

    def close(self) -> None:
        """Complete the log that is open."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
            self._n_closed += writer.n_durable
            logger.info("%s: %d messages", writer.path, writer.n_written)

    def _open(self, start: SessionStart) -> SessionWriter:
        if not SESSION_NAME.fullmatch(start.session):
            raise ProtocolError(f"session {start.session!r}: expected letters, digits, '.', '_' and '-'")
        return SessionWriter(self._directory / f"{start.session}.mcap", sync_every=self._sync_every)


def main(config: RecorderConfig, link: ProcessLink) -> None:
    """Record until told to stop; whatever ends it, the log that is open then is completed if the disk allows."""
    recorder = Recorder(Path(config.directory), sync_every=config.sync_every)
    with LosslessConsumer(config.pipe, name=CONSUMER_NAME, security=config.security) as consumer:
        consumer.connect(config.connect_timeout_s)
        link.ready()
        try:
            while not link.stopping and (record_next(recorder, consumer, link) or consumer.connected):
                pass
        finally:
            recorder.close()
        if consumer.connected:
            consumer.acknowledge(durable=recorder.n_durable)
    # When the producer dies, the supervisor is about to stop us; who runs alone has to hear of it.
    if not link.wait(_ORPHAN_S):
        raise PeerLost(f"the producer at {config.pipe} is gone")


def record_next(recorder: Recorder, consumer: LosslessConsumer, link: ProcessLink) -> bool:
    """Wait a moment for a message, record and acknowledge it; return whether there was one."""
    message = consumer.receive(_POLL_S)
    if message is not None:
        recorder.take(message)
        link.worked()
    else:
        recorder.sync()  # a pause is the time to have everything on disk
    consumer.acknowledge(durable=recorder.n_durable)
    return message is not None


if __name__ == "__main__":
    run_process(main, RecorderConfig)
