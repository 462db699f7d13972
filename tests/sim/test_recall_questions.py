from __future__ import annotations

from typing import Dict, Optional, Tuple

import msgspec
import pytest

from embodied.clock import NANOSECONDS
from embodied.messages import Answer, Box, Change, Habit, ObjectRecord, Point, Query, RoomRecord
from sim.recall_questions import TEMPLATES, Probe, Timeline, lures, make_probes
from sim.truth import Sighting, TrueChange, TruePose, TruthObject, TruthSession

MONDAY_NS = 1_767_603_600 * NANOSECONDS
DAY_NS = 86_400 * NANOSECONDS
STARTS_NS = (MONDAY_NS, MONDAY_NS + DAY_NS, MONDAY_NS + 2 * DAY_NS, MONDAY_NS + 2 * DAY_NS + 5 * 3600 * NANOSECONDS)
ANYTHING = Query(kind="where")


def thing(
    number: int, category: str, position_m: Point, start_ns: int, room: str, colour: str = "", support: int = 0
) -> TruthObject:
    seen = Sighting(seq=number, stamp_ns=start_ns + number * NANOSECONDS, n_pixels=500, distance_m=1.0)
    return TruthObject(
        instance_id=number, category=category, colour=colour, position_m=position_m,
        box=Box(center_m=position_m, size_m=(0.1, 0.1, 0.1)), room=room, support=support, relation="on",
        first_sighting=seen, last_sighting=seen, best_sighting=seen, n_sightings=1,
    )  # fmt: skip


def house(session: int) -> Tuple[TruthObject, ...]:
    """Five things that stay and one of each kind of change before each session."""
    start_ns = STARTS_NS[session]
    things = [
        thing(1, "table", (1.0, 1.0, 0.4), start_ns, "kitchen"),
        thing(2, "stove", (3.0, 1.0, 0.4), start_ns, "kitchen"),
        thing(3, "bed", (1.0, 6.0, 0.4), start_ns, "bedroom"),
        thing(4, "mug", (1.0, 1.0, 0.8), start_ns, "kitchen", "red", support=1),
        thing(5, "chair", (1.0, 2.0, 0.4), start_ns, "kitchen"),
        thing(6, "chair", (3.5, 1.0, 0.4), start_ns, "kitchen"),
    ]
    for number in (1, 2, 3):  # before session ``number``: one moved, one removed, one added
        moved_m = (1.2, 6.0, 0.6) if session >= number else (3.0, 1.0, 0.9)
        things.append(thing(10 + number, f"book {number}", moved_m, start_ns, "bedroom", "blue", support=1))
        if session < number:
            things.append(thing(20 + number, f"vase {number}", (0.8, 1.0, 0.8), start_ns, "kitchen", support=1))
        if session >= number:
            things.append(thing(30 + number, f"hat {number}", (0.8, 6.2, 0.6), start_ns, "bedroom", support=3))
    return tuple(things)


def changes(session: int) -> Tuple[TrueChange, ...]:
    if session == 0:
        return ()
    n = session
    return (
        TrueChange(kind="moved", instance_id=10 + n, category=f"book {n}", from_position_m=(3.0, 1.0, 0.9),
                   to_position_m=(1.2, 6.0, 0.6)),
        TrueChange(kind="removed", instance_id=20 + n, category=f"vase {n}", from_position_m=(0.8, 1.0, 0.8),
                   to_position_m=None),
        TrueChange(kind="added", instance_id=30 + n, category=f"hat {n}", from_position_m=None,
                   to_position_m=(0.8, 6.2, 0.6)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def world() -> Timeline:
    return Timeline(
        tuple(
            TruthSession(
                session=f"session-{number + 1}", seed=0, start_ns=start_ns, end_ns=start_ns + 600 * NANOSECONDS,
                objects=house(number), changes=changes(number),
                poses=(TruePose(seq=0, stamp_ns=start_ns, x_m=1.0, y_m=3.0, yaw_rad=0.0),), n_collisions=0,
            )
            for number, start_ns in enumerate(STARTS_NS)
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def probes(world: Timeline) -> Dict[str, Probe]:
    """Return the last probe of each template."""
    return {probe.template: probe for probe in make_probes(world, seed=1, n_each=20)}


def record(category: str, position_m: Point, state: str = "present") -> ObjectRecord:
    return msgspec.convert(
        {
            "id": "o1", "label": category, "position_m": position_m, "state": state, "confidence": 1.0, "room": "",
            "box": {"center_m": position_m, "size_m": (0.1, 0.1, 0.1)}, "first_seen_ns": 0, "last_seen_ns": 0,
        },
        ObjectRecord,
    )  # fmt: skip


def answer(*objects: ObjectRecord, unknown: bool = False, stamp_ns: Optional[int] = None) -> Answer:
    return Answer(query=ANYTHING, text="", unknown=unknown, confidence=1.0, objects=objects, stamp_ns=stamp_ns)


def test_there_are_more_than_thirty_templates_and_each_finds_something_to_ask(
    world: Timeline, probes: Dict[str, Probe]
) -> None:
    assert len(TEMPLATES) >= 30
    assert set(probes) == set(TEMPLATES)
    assert make_probes(world, seed=1) != make_probes(world, seed=2)
    asked = [(probe.template, probe.question) for probe in make_probes(world, seed=1)]
    assert asked == [(probe.template, probe.question) for probe in make_probes(world, seed=1)]


def test_not_to_know_is_right_only_where_there_is_nothing_to_know(probes: Dict[str, Probe]) -> None:
    nothing = Answer(query=ANYTHING, text="", unknown=True, confidence=1.0)
    right = {name for name, probe in probes.items() if probe.is_right(nothing)}
    assert right == {"never_there", "unknown_then", "is_it_in_another_room"}


def test_the_place_of_a_thing_must_be_that_of_the_time_asked_about(world: Timeline) -> None:
    label = "book 3"
    then, now = record(label, (3.0, 1.0, 0.9)), record(label, (1.2, 6.0, 0.6))
    for template in ("where_yesterday", "known_then"):
        probe = next(p for p in make_probes(world, 1, 20) if p.template == template and label in p.truth)
        assert probe.is_right(answer(then))
        assert not probe.is_right(answer(now))
        assert not probe.is_right(answer(then, unknown=True))
    probe = next(p for p in make_probes(world, 1, 20) if p.template == "where_moved" and label in p.truth)
    assert probe.is_right(answer(now))
    assert not probe.is_right(answer(then))


def test_a_habit_is_the_longest_stay(world: Timeline) -> None:
    usual = {p.truth.split(" in ")[0]: p for p in make_probes(world, 1, 20) if p.template == "usually"}

    def told(position_m: Point) -> Answer:
        habit = Habit(room="", on="", position_m=position_m, share=0.9, n_stays=1)
        return Answer(query=ANYTHING, text="", unknown=False, confidence=1.0, habits=(habit,))

    assert set(usual) == {"blue book 1", "blue book 2"}  # the third one had moved only minutes before
    assert usual["blue book 1"].is_right(told((1.2, 6.0, 0.6)))
    assert usual["blue book 2"].is_right(told((3.0, 1.0, 0.9)))
    assert not usual["blue book 2"].is_right(told((1.2, 6.0, 0.6)))


def test_changes_are_those_of_the_window_asked_about(probes: Dict[str, Probe]) -> None:
    def told(number: int) -> Answer:
        vase, hat, book = f"vase {number}", f"hat {number}", f"book {number}"

        def change(kind: str, label: str, start: Optional[Point], end: Optional[Point]) -> Change:
            return msgspec.convert(
                {
                    "kind": kind, "object_id": label, "label": label, "from_position_m": start, "to_position_m": end,
                    "from_room": "", "to_room": "", "after_ns": 0, "noticed_ns": 1,
                },
                Change,
            )  # fmt: skip

        found = (
            change("moved", book, (3.0, 1.0, 0.9), (1.2, 6.0, 0.6)),
            change("removed", vase, (0.8, 1.0, 0.8), None),
            change("added", hat, None, (0.8, 6.2, 0.6)),
        )
        return Answer(query=ANYTHING, text="", unknown=False, confidence=1.0, changes=found)

    assert probes["changed_yesterday"].is_right(told(1))
    assert not probes["changed_yesterday"].is_right(told(2))
    assert probes["changed_before_lunch"].is_right(told(2))
    assert not probes["changed_before_lunch"].is_right(told(3))


def test_rooms_counts_and_instants_are_exact(world: Timeline, probes: Dict[str, Probe]) -> None:
    def room(name: str) -> Answer:
        rooms = (RoomRecord(id="r0", name=name, center_m=(0, 0, 0), area_m2=1.0, outline_m=(), n_objects=0),)
        return Answer(query=ANYTHING, text="", unknown=False, confidence=1.0, rooms=rooms)

    truth = probes["which_room_has"].truth
    assert probes["which_room_has"].is_right(room(truth))
    assert not probes["which_room_has"].is_right(room("attic"))
    assert probes["how_many"].is_right(msgspec.structs.replace(answer(), count=2))
    assert not probes["how_many"].is_right(msgspec.structs.replace(answer(), count=1))
    stamp_ns = int(probes["last_seen"].truth)
    assert probes["last_seen"].is_right(answer(stamp_ns=stamp_ns))
    assert not probes["last_seen"].is_right(answer(stamp_ns=stamp_ns + 60 * NANOSECONDS))


def test_lures_were_never_in_the_house(world: Timeline) -> None:
    found = lures(world)
    assert len(found) >= 20
    assert not set(found) & {t.category for session in world.sessions for t in session.objects}
