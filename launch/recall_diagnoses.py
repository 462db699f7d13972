"""Eight diagnoses that cognitive science asks of a memory, put to ours and to two others on the same observations.

Each is a share of right answers on probes with exact truth. Where a diagnosis has probes of two kinds (there or not,
seen or told), the two shares count alike, so that always saying the same gives one half.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from recall_rivals import NEAR_M, Detections, Emem, Ours, PlainList, Rival
from recall_world import MONDAY_NS, Detector, new_memory

from embodied.clock import NANOSECONDS
from embodied.messages import Observation, Point, SessionEnd, StreamMessage
from sim.houses import generate_house
from sim.houses.changes import change_overnight
from sim.judge import MATCH_RADIUS_M
from sim.recall_questions import Timeline, lures
from sim.renderer import Renderer
from sim.scene import Scene
from sim.tours import Tour
from sim.truth import TruthObject, TruthSession

HOUR_NS = 3_600 * NANOSECONDS
DELAYS_NS = {
    "an hour": HOUR_NS, "a day": 24 * HOUR_NS, "a week": 168 * HOUR_NS, "a month": 720 * HOUR_NS,
    "a year": 8760 * HOUR_NS,
}  # fmt: skip
N_OTHER_HOUSES = 5
SMALL_M = 0.6
N_TOLD = 6
N_FOILS = 12
DIAGNOSES = (
    "lures", "separation", "completion", "source", "context", "interference", "serial_position", "retention",
)  # fmt: skip

Marks = dict[str, dict[str, list[float]]]
"""Shares of right answers by diagnosis and memory, one a trial."""


def is_right(found: Point | None, thing: TruthObject) -> bool:
    """Tell whether a place is that of a thing."""
    return found is not None and float(np.linalg.norm(np.subtract(found, thing.position_m))) <= MATCH_RADIUS_M


def probes_of(truth: TruthSession) -> list[TruthObject]:
    """Return the small things that are the only ones of their category and were seen, in the order of first sight."""
    n = Counter(thing.category for thing in truth.objects)
    small = [t for t in truth.objects if n[t.category] == 1 and t.first_sighting and max(t.box.size_m) <= SMALL_M]
    return sorted(small, key=lambda thing: thing.first_sighting.stamp_ns if thing.first_sighting else 0)


def share(rights: Sequence[bool]) -> float:
    """Return the share of right answers."""
    return float(np.mean(rights)) if rights else float("nan")


def balanced(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Return the mean of two shares."""
    return (share(one) + share(other)) / 2


class Trial:
    """One set of houses, and the memories that live in them."""

    def __init__(self, seed: int, rivals: Sequence[Rival], marks: Marks) -> None:
        self.seed = seed
        self.rivals = rivals
        self._marks = marks
        self._renderer: Renderer | None = None
        self._n_sessions = 0

    def live(self, scene: Scene, frame: str, start_ns: int, n_observations: int | None = None) -> TruthSession | None:
        """Let all memories live through a session; return its truth if it was a whole one."""
        self._n_sessions += 1
        self._renderer = self._renderer or Renderer(scene)
        tour = Tour(
            scene, session=f"s{self._n_sessions}", start_ns=start_ns, seed=100 * self.seed + self._n_sessions,
            world_frame=frame, renderer=self._renderer,
        )  # fmt: skip
        for message in tour if n_observations is None else first_of(tour, n_observations):
            for rival in self.rivals:
                rival.take(message)
        return tour.truth() if n_observations is None else None

    def mark(self, diagnosis: str, judge: Callable[[Rival], float]) -> None:
        """Note how each memory does."""
        for rival in self.rivals:
            value = judge(rival)
            if not np.isnan(value):
                self._marks[diagnosis][rival.name].append(value)


def first_of(tour: Tour, n_observations: int) -> Iterator[StreamMessage]:
    """Yield the beginning of a tour as a session of its own."""
    n = 0
    for message in tour:
        yield message
        if isinstance(message, Observation):
            n += 1
            if n == n_observations:
                yield SessionEnd(session=message.session, stamp_ns=message.stamp_ns, n_observations=n)
                return


def one_house(trial: Trial) -> None:
    """Diagnose what one session in one house leaves behind: lures, completion, context, order, source, retention."""
    scene = generate_house(trial.seed)
    truth = trial.live(scene, "home", MONDAY_NS)
    assert truth is not None
    known = probes_of(truth)
    foils = lures(Timeline((truth,)))

    trial.mark(
        "lures",
        lambda rival: balanced(
            [is_right(rival.where(t.category), t) for t in known],
            [rival.where(label) is None for label in foils[:N_FOILS]],
        ),
    )
    thirds = [list(part) for part in np.array_split(np.arange(len(known)), 3)]
    trial.mark(
        "serial_position",
        lambda rival: min(share([is_right(rival.where(known[i].category), known[i]) for i in part]) for part in thirds),
    )
    trial.mark("completion", lambda rival: share([completes(rival, cue, scene, room) for cue, room in cues(truth)]))
    near, far = by_distance(truth, known)
    trial.mark(
        "context",
        lambda rival: balanced([rival.is_near(t.category) for t in near], [not rival.is_near(t.category) for t in far]),
    )
    told = foils[N_FOILS : N_FOILS + N_TOLD]
    for label, thing in zip(told, known, strict=False):
        x, y, z = thing.position_m
        for rival in trial.rivals:
            rival.tell(label, (x, y, z + 0.4))
    trial.mark(
        "source",
        lambda rival: balanced(
            [rival.source(label) == "told" for label in told], [rival.source(t.category) == "seen" for t in known]
        ),
    )
    retained: dict[str, list[float]] = defaultdict(list)
    for delay_ns in DELAYS_NS.values():
        trial.live(scene, "home", MONDAY_NS + HOUR_NS + delay_ns, n_observations=4)
        for rival in trial.rivals:
            kept = [is_right(rival.where(t.category), t) for t in known]
            retained[rival.name].append(balanced(kept, [rival.where(label) is None for label in foils[:N_FOILS]]))
    trial.mark("retention", lambda rival: min(retained[rival.name]))


def cues(truth: TruthSession) -> list[tuple[tuple[str, str], str]]:
    """Return pairs of things that together tell the room, with the room."""
    n = Counter(thing.category for thing in truth.objects)
    single = [t for t in truth.objects if n[t.category] == 1 and t.first_sighting]
    by_room: dict[str, list[str]] = defaultdict(list)
    for thing in single:
        by_room[thing.room].append(thing.category)
    return [((a, b), room) for room, names in sorted(by_room.items()) for a, b in zip(names[::2], names[1::2])]


def completes(rival: Rival, cue: tuple[str, str], scene: Scene, room: str) -> bool:
    """Tell whether a memory names the room of a cue."""
    found = rival.room_with(cue)
    if found is None:
        return False
    inside = [r.name for r in scene.regions if _within(found, r.rectangle_m)]
    return inside == [room]


def _within(point_m: Point, rectangle_m: tuple[float, float, float, float]) -> bool:
    x0, y0, x1, y1 = rectangle_m
    return x0 <= point_m[0] <= x1 and y0 <= point_m[1] <= y1


def by_distance(truth: TruthSession, things: Sequence[TruthObject]) -> tuple[list[TruthObject], list[TruthObject]]:
    """Return what is clearly near the robot at the end, and what is clearly far."""
    pose = truth.poses[-1]
    distance_m = [float(np.hypot(t.position_m[0] - pose.x_m, t.position_m[1] - pose.y_m)) for t in things]
    near = [t for t, m in zip(things, distance_m, strict=True) if m < NEAR_M - 0.3]
    far = [t for t, m in zip(things, distance_m, strict=True) if m > NEAR_M + 0.3]
    return near, far


def many_houses(trial: Trial) -> None:
    """Diagnose one memory of several houses: separation of alike ones, and the first one after a year of others."""
    first = generate_house(trial.seed)
    truth_a = trial.live(first, "house A", MONDAY_NS)
    truth_b = trial.live(generate_house(trial.seed + 50), "house B", MONDAY_NS + 24 * HOUR_NS)
    assert truth_a is not None
    assert truth_b is not None
    a = {t.category: t for t in probes_of(truth_a)}
    b = {t.category: t for t in probes_of(truth_b)}
    both = sorted(set(a) & set(b))
    trial.mark(
        "separation",
        lambda rival: balanced(
            [is_right(rival.where(name, "house A"), a[name]) for name in both],
            [is_right(rival.where(name, "house B"), b[name]) for name in both],
        ),
    )
    year_ns = 365 * 24 * HOUR_NS
    for number in range(N_OTHER_HOUSES):
        start_ns = MONDAY_NS + (number + 1) * year_ns // (N_OTHER_HOUSES + 1)
        trial.live(generate_house(trial.seed + 60 + number, n_rooms=4), f"house {number}", start_ns)
    changed, _ = change_overnight(first, trial.seed)
    truth = trial.live(changed, "house A", MONDAY_NS + year_ns)
    assert truth is not None
    trial.mark("interference", lambda rival: share([is_right(rival.where(t.category), t) for t in probes_of(truth)]))


@contextmanager
def rivals(seed: int, detector: Detector, encoder: Any) -> Iterator[list[Rival]]:
    """Yield new memories of each kind; eMEM only with a model of words for it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        found: list[Rival] = [
            Ours(stack.enter_context(new_memory(seed, detector))),
            PlainList(Detections(seed, detector)),
        ]
        if encoder is not None:
            found.append(Emem(Detections(seed, detector), encoder, folder))
        yield found


def diagnose(seed: int, detector: Detector, encoder: Any, marks: Marks) -> None:
    """Run all diagnoses once."""
    for story in (one_house, many_houses):
        with rivals(seed, detector, encoder) as memories:
            story(Trial(seed, memories, marks))


def new_marks() -> Marks:
    """Return empty marks."""
    return {diagnosis: defaultdict(list) for diagnosis in DIAGNOSES}
