"""Where a robot went, from its log, without touching the images."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple, Union

import msgspec
from mcap.records import Message

from embodied.errors import LogError
from embodied.recording.container import LogReader
from embodied.recording.reader import Topics
from embodied.recording.schemas import OBSERVATION_TOPIC
from embodied.structure import Structure


class _Pose(Structure):
    """The part of an observation's record that is read here."""

    T_world_base: Tuple[float, ...]


def read_path(path: Union[str, Path]) -> Tuple[Tuple[float, float], ...]:
    """Return world x, y in metres of the robot's base at each observation of a log, as far as it can be read.

    Raises:
        LogError: The file is missing, is not an MCAP, or holds observations that are not ours.
    """
    decoder = msgspec.json.Decoder(_Pose)
    topics = Topics()
    places: List[Tuple[float, float]] = []
    with LogReader(Path(path)) as log:
        for group in log.groups():
            for record in group:
                if not topics.take(record) or not isinstance(record, Message):
                    continue
                if topics.of(record)[0] != OBSERVATION_TOPIC:
                    continue
                try:
                    T = decoder.decode(record.data).T_world_base
                    places.append((T[3], T[7]))
                except (msgspec.MsgspecError, IndexError) as error:
                    raise LogError(f"{path}: observation at {record.log_time} ns: {error}") from error
    return tuple(places)
