"""Lives through days in simulated houses with a real memory on disk, for the evaluations of recall."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from embodied.clock import NANOSECONDS
from embodied.config import Config
from embodied.messages import Answer, Query, Recall
from memory_bank.bank import MemoryBank
from memory_bank.mapper import MapperConfig
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig
from memory_bank.service import ServiceConfig
from memory_bank.stores.sqlite_store import SqliteStore
from sim.houses import generate_house
from sim.houses.changes import change_overnight
from sim.recall_questions import Timeline
from sim.renderer import Renderer
from sim.scene import Scene
from sim.tours import Tour, TourNoise
from sim.truth import TrueChange, TruthSession

MONDAY_NS = 1_767_603_600 * NANOSECONDS
"""2026-01-05 09:00 UTC."""
DAY_NS = 86_400 * NANOSECONDS
AFTERNOON_NS = 5 * 3_600 * NANOSECONDS
STARTS_NS = (MONDAY_NS, MONDAY_NS + DAY_NS, MONDAY_NS + 2 * DAY_NS, MONDAY_NS + 2 * DAY_NS + AFTERNOON_NS)
"""Three mornings and an afternoon."""


class Detector(Config):
    """What the simulated detector gets wrong."""

    label_noise: float = 0.0
    """Share of detections with a wrong label."""
    dropout: float = 0.0
    """Share of things in a frame that it overlooks."""


@contextmanager
def new_memory(seed: int, detector: Detector, *, calibrated: bool = True) -> Iterator[MemoryBank]:
    """Yield an empty memory on disk; it is deleted at the end."""
    perception = SimulatorPerceptionConfig(dropout=detector.dropout, label_noise=detector.label_noise, seed=seed)
    with TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "memory.db")
        try:
            service = ServiceConfig(calibrated=calibrated)
            yield MemoryBank(MapperConfig(), SimulatorPerception(perception), store, service)
        finally:
            store.close()


def live(memory: MemoryBank, tour: Tour, changes: tuple[TrueChange, ...] = ()) -> TruthSession:
    """Take a tour into a memory; return the truth of it."""
    for message in tour:
        memory.take(message)
    memory.commit()
    return tour.truth(changes)


def ask(memory: MemoryBank, question: str | Query) -> Answer:
    """Ask a memory as a client would."""
    answer = memory.handle(Recall(question=question))
    assert isinstance(answer, Answer), answer
    return answer


def days_of(seed: int, n_sessions: int) -> list[tuple[Scene, tuple[TrueChange, ...]]]:
    """Return a house at each session, with what was changed before it."""
    days: list[tuple[Scene, tuple[TrueChange, ...]]] = [(generate_house(seed), ())]
    while len(days) < n_sessions:
        days.append(change_overnight(days[-1][0], seed + 1000 * len(days)))
    return days


def live_in(
    memory: MemoryBank, seed: int, starts_ns: Sequence[int] = STARTS_NS, noise: TourNoise = TourNoise()
) -> Timeline:
    """Let a memory go through the sessions of a house; return their truth."""
    sessions: list[TruthSession] = []
    renderer: Renderer | None = None
    for number, (scene, changes) in enumerate(days_of(seed, len(starts_ns))):
        renderer = renderer or Renderer(scene)
        tour = Tour(
            scene, session=f"session-{number + 1}", start_ns=starts_ns[number], seed=10 * seed + number, noise=noise,
            renderer=renderer,
        )  # fmt: skip
        sessions.append(live(memory, tour, changes))
    return Timeline(tuple(sessions))
