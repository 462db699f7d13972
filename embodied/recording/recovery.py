"""Makes a complete log of one that was cut off."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Dict, List, Union

from mcap.records import Attachment, Channel, McapRecord, Message, Metadata, Schema

import embodied
from embodied.clock import NANOSECONDS
from embodied.errors import LogError
from embodied.recording.container import ChunkWriter, LogReader
from embodied.recording.reader import Topics
from embodied.recording.schemas import OBSERVATION_TOPIC
from embodied.structure import Structure


class Recovery(Structure):
    """What was saved."""

    out: str
    damage: str
    """Empty if nothing was wrong."""
    n_messages: int
    n_observations: int
    duration_s: float
    """From the first message saved to the last."""
    n_damaged_chunks: int
    """Chunks left out because their checksum was wrong."""


def recover(path: Union[str, Path], out: Union[str, Path]) -> Recovery:
    """Write all that can be read of a log as a complete MCAP with an index; nothing is decoded or compressed again.

    Args:
        path: An MCAP, cut off or damaged; it stays as it is.
        out: A file that does not exist yet. It appears only when it is complete.

    Raises:
        LogError: The log is missing, is not an MCAP, holds nothing readable, or ``out`` exists or cannot be written.
    """
    path, out = Path(path), Path(out)
    if out.exists():
        raise LogError(f"{out} exists; choose another file for what is recovered")
    partial = out.with_name(out.name + ".partial")
    with LogReader(path) as log:
        try:
            with partial.open("wb") as file:
                copy = _Copy(ChunkWriter(file, library=f"embodied-memory/{embodied.__version__} recover"))
                for group in log.groups(skip_damaged=True):
                    copy.add(group)
                copy.writer.finish()
                file.flush()
                os.fsync(file.fileno())
            if not copy.stamps:
                raise LogError(f"{path} holds no message that can be read: {log.damage or 'it is empty'}")
            partial.rename(out)
        except OSError as error:
            raise LogError(f"cannot write {out}: {error.strerror}") from error
        finally:
            partial.unlink(missing_ok=True)
    return Recovery(
        out=str(out),
        damage=log.damage,
        n_messages=len(copy.stamps),
        n_observations=copy.n_observations,
        duration_s=(max(copy.stamps) - min(copy.stamps)) / NANOSECONDS,
        n_damaged_chunks=log.n_damaged_chunks,
    )


class _Copy:
    """Copies records; ids are given anew, in the order of arrival."""

    def __init__(self, writer: ChunkWriter) -> None:
        self.writer = writer
        self.stamps: List[int] = []
        self.n_observations = 0
        self._topics = Topics()
        self._schemas: Dict[int, int] = {0: 0}
        self._channels: Dict[int, int] = {}

    def add(self, group: List[McapRecord]) -> None:
        for record in group:
            known = self._topics.take(record)
            if isinstance(record, Schema) and record.id not in self._schemas:
                self._schemas[record.id] = self.writer.register_schema(record.name, record.encoding, record.data)
            elif isinstance(record, Channel) and record.id not in self._channels and record.schema_id in self._schemas:
                self._channels[record.id] = self.writer.register_channel(
                    record.topic, record.message_encoding, self._schemas[record.schema_id], record.metadata
                )
            elif isinstance(record, Message) and known and record.channel_id in self._channels:
                self._add_message(record)
            elif isinstance(record, Metadata):
                self.writer.add_metadata(record.name, record.metadata)
            elif isinstance(record, Attachment):
                self.writer.add_attachment(
                    record.create_time, record.log_time, record.name, record.media_type, record.data
                )
        self.writer.end_chunk()

    def _add_message(self, record: Message) -> None:
        self.writer.add_message(
            self._channels[record.channel_id], record.log_time, record.data, record.publish_time, record.sequence
        )
        self.stamps.append(record.log_time)
        self.n_observations += self._topics.of(record)[0] == OBSERVATION_TOPIC
