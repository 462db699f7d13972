"""One client, two memories: a process that runs and the file it writes answer the same questions the same way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Callable

import numpy as np
import pytest

from box_world import BLUE, CHAIR, MUG, PLANT, TABLE, Thing, World, tour
from embodied import Memory, MemoryStatus, Query, RelationFilter
from embodied.process import ProcessConfig, ProcessLink
from embodied.transport import LosslessProducer, socket_address
from memory_bank.server import MemoryConfig, main

N_FRAMES = 40
BOX = Thing("box", (-2.0, 1.5, 0.2), (0.4, 0.4, 0.4), BLUE)
DAY_ONE = (TABLE, MUG, CHAIR, PLANT)
DAY_TWO = (TABLE, CHAIR.at(1.6, 2.6), PLANT, BOX)
"""The mug is gone, the chair stands elsewhere, a box came."""

QUESTIONS: tuple[str | Query, ...] = (
    "where is the mug?",
    "where is the chair?",
    "what is on the table?",
    "when did you last see the plant?",
    "how many chairs are there?",
    "what changed?",
    "where is the purple elephant?",
    Query(kind="where", label="box", colour="blue"),
    Query(kind="what", near_m=(2.0, 0.0, 0.5), radius_m=1.0),
    Query(kind="what", relation=RelationFilter(kind="on", label="table")),
    Query(kind="when", label="chair", moment="first_seen"),
    Query(kind="when", label="chair", moment="moved"),
    Query(kind="count", label="plant", session="day-2"),
    Query(kind="changes", change="added"),
    Query(kind="what", order="latest", limit=2),
    Query(kind="what", room="no such room"),
)


@pytest.fixture(scope="module")
def memories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Memory]]:
    """Two days in a small world, held by a running memory and by its file."""
    folder = tmp_path_factory.mktemp("memory")
    config = MemoryConfig(
        process=ProcessConfig(name="memory"),
        memory=socket_address(folder, "memory"),
        pipe=socket_address(folder, "pipe"),
        database=str(folder / "memory.db"),
    )
    link = ProcessLink(config.process)
    thread = threading.Thread(target=main, args=(config, link))
    with LosslessProducer(config.pipe, consumers=[config.consumer]) as producer:
        thread.start()
        try:
            producer.wait_for_consumers(10.0)
            world = World(DAY_ONE)
            for session, things in (("day-1", DAY_ONE), ("day-2", DAY_TWO)):
                world.things = things
                producer.send(world.start(session), 5.0)
                for seq, pose in enumerate(tour(N_FRAMES)):
                    producer.send(world.observe(session, seq, pose), 5.0)
                producer.send(world.end(session, N_FRAMES), 5.0)
            producer.flush(20.0, durable=True)
            with Memory(config.memory) as process, Memory(config.database) as file:
                yield {"process": process, "file": file}
        finally:
            link.stop()
            thread.join(10.0)


def outcome(ask: Callable[[], Any]) -> Any:
    """Return an answer, or the class and the text of the refusal."""
    try:
        return ask()
    except ValueError as error:
        return type(error).__name__, str(error)


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_a_question_has_one_answer(memories: dict[str, Memory], question: str | Query) -> None:
    answers = [outcome(lambda memory=memory: memory.recall(question)) for memory in memories.values()]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    "ask",
    [
        lambda memory: memory.objects(),
        lambda memory: memory.objects(include_gone=True),
        lambda memory: [memory.history(thing.id) for thing in memory.objects(include_gone=True)],
        lambda memory: memory.history("o999"),
        lambda memory: memory.rooms(),
        lambda memory: memory.sessions(),
        lambda memory: memory.changes(),
        lambda memory: memory.changes(since_ns=memory.sessions()[1].start_ns),
        lambda memory: memory.map(session="no such session"),
        lambda memory: memory.recall("fnord?"),
    ],
)
def test_a_call_has_one_outcome(memories: dict[str, Memory], ask: Callable[[Memory], Any]) -> None:
    results = [outcome(lambda memory=memory: ask(memory)) for memory in memories.values()]
    assert results[0] == results[1]
    assert results[0], "an empty answer would compare nothing"


def test_the_map_is_one_map(memories: dict[str, Memory]) -> None:
    for arguments in ({}, {"session": "day-1"}, {"session": "day-2", "min_seq": N_FRAMES - 1}):
        live, kept = (memory.map(**arguments) for memory in memories.values())
        assert (live.session, live.seq, live.origin_m) == (kept.session, kept.seq, kept.origin_m)
        np.testing.assert_array_equal(live.occupancy, kept.occupancy)
        assert np.isfinite(live.closest_view_m).any()
        assert np.isinf(kept.closest_view_m).all(), "how near a cell was seen is for a robot that explores now"


def test_the_status_is_one_status(memories: dict[str, Memory]) -> None:
    def without_times(status: MemoryStatus) -> dict[str, object]:
        return {name: getattr(status, name) for name in status.__struct_fields__ if name != "stage_ms"}

    live, kept = (without_times(memory.status()) for memory in memories.values())
    assert live == kept
