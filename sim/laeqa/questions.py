"""Questions about the past, the present and the future of a house with habits, each with its exact verdict.

Categories are those of LA-EQA (arXiv 2507.12846): past, present, multi-past, past-present and past-present-future.
Truth follows from the generator alone. A question about habits or the future is asked only where what was seen leaves
no doubt: the usual place is that of most visits in that part of the day. Wordings are our own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from embodied.messages import Point
from sim.laeqa.habits import PARTS, Habit, HabitWorld, Haunt, Slot, Visit
from sim.scene import Scene

CATEGORIES = ("past", "present", "multi_past", "past_present", "past_present_future")
N_EACH = 3
"""Questions of each category in a house, where there are as many."""


@dataclass(frozen=True)
class Reply:
    """What somebody answers: what was asked for, the rest left empty."""

    position_m: Optional[Point] = None
    """Where the thing is, was or will be: it tells the room."""
    carrier: str = ""
    yes: Optional[bool] = None
    count: Optional[int] = None


@dataclass(frozen=True)
class Sight:
    """Something that settles a question once it is seen: a thing at a place, or that the place is empty."""

    haunt: Haunt
    instance_id: int
    """The thing that is seen there; 0 for the empty place."""


@dataclass(frozen=True)
class LongTermQuestion:
    """One question and its verdict."""

    category: str
    template: str
    text: str
    truth: str
    """As a person would say it."""
    is_right: Callable[[Reply], bool]
    sights: Tuple[Sight, ...] = ()
    """Any of them settles it; none where nobody has to go anywhere."""


class Asker(NamedTuple):
    """What templates make questions of: the house, one of its things, and chance."""

    world: HabitWorld
    habit: Habit
    visits: Tuple[Visit, ...]
    """Past ones in which the robot saw the thing."""
    rng: np.random.Generator

    @property
    def here(self) -> Haunt:
        """Where the thing is now."""
        return self.world.now.at[self.habit.instance_id]

    def then(self, visit: Visit) -> Haunt:
        """Return where the thing was."""
        return visit.at[self.habit.instance_id]

    def draw_visit(self) -> Visit:
        """Return one of the past visits."""
        return self.visits[int(self.rng.integers(len(self.visits)))]

    def draw_haunt(self, at: Haunt) -> Haunt:
        """Return a place that is the right one half of the time."""
        others = [haunt for haunt in self.habit.haunts if haunt is not at]
        return at if self.rng.uniform() < 0.5 else others[int(self.rng.integers(len(others)))]

    def usual(self, part: str) -> Optional[Haunt]:
        """Return where the thing was at most visits in a part of the day, None if that leaves doubt."""
        seen = Counter(self.habit.haunts.index(self.then(v)) for v in self.visits if v.slot.part == part)
        best = seen.most_common(1)
        if not best or best[0][1] < 2 or 2 * best[0][1] <= sum(seen.values()):
            return None
        return self.habit.haunts[best[0][0]]

    @property
    def next_slot(self) -> Slot:
        """The part of the day after this one."""
        return Slot(self.world.now.slot.index + 1)

    @property
    def future(self) -> Optional[Haunt]:
        """Where the thing is most likely next, None if what was seen does not show it."""
        usual = self.usual(self.next_slot.part)
        return usual if usual is self.habit.expected(self.next_slot) else None

    @property
    def sees_thing(self) -> Tuple[Sight, ...]:
        """The thing where it is now."""
        return (Sight(self.here, self.habit.instance_id),)

    def settles(self, place: Haunt) -> Tuple[Sight, ...]:
        """Return what settles whether the thing is at a place now."""
        return self.sees_thing if place is self.here else (*self.sees_thing, Sight(place, 0))


Template = Callable[[Asker], Optional[LongTermQuestion]]
TEMPLATES: Dict[str, Dict[str, Template]] = {category: {} for category in CATEGORIES}


def _template(category: str) -> Callable[[Template], Template]:
    def note(make: Template) -> Template:
        TEMPLATES[category][make.__name__.strip("_")] = make
        return make

    return note


def _in_room_of(scene: Scene, haunt: Haunt) -> Callable[[Reply], bool]:
    """Right if the place that is named lies in the room of a haunt."""
    x0, y0, x1, y1 = next(region.rectangle_m for region in scene.regions if region.name == haunt.room)

    def verdict(reply: Reply) -> bool:
        if reply.position_m is None:
            return False
        x, y, _ = reply.position_m
        return x0 <= x <= x1 and y0 <= y <= y1

    return verdict


def _room(ask: Asker, category: str, name: str, text: str, haunt: Haunt, see: bool) -> LongTermQuestion:
    verdict = _in_room_of(ask.world.now.scene, haunt)
    return LongTermQuestion(category, name, text, haunt.room, verdict, ask.sees_thing if see else ())


def _carrier(ask: Asker, category: str, name: str, text: str, haunt: Haunt, see: bool) -> LongTermQuestion:
    label = haunt.carrier
    return LongTermQuestion(
        category, name, text, label, lambda reply: reply.carrier == label, ask.sees_thing if see else ()
    )


def _yes(category: str, name: str, text: str, truth: bool, sights: Tuple[Sight, ...] = ()) -> LongTermQuestion:
    return LongTermQuestion(category, name, text, "yes" if truth else "no", lambda r: r.yes is truth, sights)


# ------------------------------------------------------------------------------------------ past


@_template("past")
def _room_then(ask: Asker) -> Optional[LongTermQuestion]:
    visit = ask.draw_visit()
    text = f"In which room was the {ask.habit.category} on {visit.slot.text}?"
    return _room(ask, "past", "room_then", text, ask.then(visit), False)


@_template("past")
def _carrier_then(ask: Asker) -> Optional[LongTermQuestion]:
    visit = ask.draw_visit()
    text = f"Which piece of furniture was the {ask.habit.category} on or in on {visit.slot.text}?"
    return _carrier(ask, "past", "carrier_then", text, ask.then(visit), False)


@_template("past")
def _was_there(ask: Asker) -> Optional[LongTermQuestion]:
    visit = ask.draw_visit()
    place = ask.draw_haunt(ask.then(visit))
    text = f"Was the {ask.habit.category} on or in the {place.carrier} on {visit.slot.text}?"
    return _yes("past", "was_there", text, ask.then(visit) is place)


# ------------------------------------------------------------------------------------------ multi-past


@_template("multi_past")
def _how_often(ask: Asker) -> Optional[LongTermQuestion]:
    if len(ask.visits) < len(ask.world.past):
        return None  # The robot overlooked it at one of its visits: nobody could tell.
    place = ask.draw_haunt(ask.then(ask.draw_visit()))
    n = sum(ask.then(visit) is place for visit in ask.visits)
    text = f"On how many of your earlier visits was the {ask.habit.category} on or in the {place.carrier}?"
    return LongTermQuestion("multi_past", "how_often", text, str(n), lambda reply: reply.count == n)


@_template("multi_past")
def _mostly(ask: Asker) -> Optional[LongTermQuestion]:
    part = PARTS[int(ask.rng.integers(len(PARTS)))]
    usual = ask.usual(part)
    if usual is None:
        return None
    text = f"Which piece of furniture was the {ask.habit.category} mostly on or in in the {part}s?"
    return _carrier(ask, "multi_past", "mostly", text, usual, False)


@_template("multi_past")
def _same_place(ask: Asker) -> Optional[LongTermQuestion]:
    if len(ask.visits) < 2:
        return None
    a, b = (ask.visits[int(i)] for i in np.sort(ask.rng.permutation(len(ask.visits))[:2]))
    text = f"Was the {ask.habit.category} in the same place on {a.slot.text} and on {b.slot.text}?"
    return _yes("multi_past", "same_place", text, ask.then(a) is ask.then(b))


# ------------------------------------------------------------------------------------------ present


@_template("present")
def _room_now(ask: Asker) -> Optional[LongTermQuestion]:
    return _room(ask, "present", "room_now", f"In which room is the {ask.habit.category} now?", ask.here, True)


@_template("present")
def _carrier_now(ask: Asker) -> Optional[LongTermQuestion]:
    text = f"Which piece of furniture is the {ask.habit.category} on or in now?"
    return _carrier(ask, "present", "carrier_now", text, ask.here, True)


@_template("present")
def _is_there(ask: Asker) -> Optional[LongTermQuestion]:
    place = ask.draw_haunt(ask.here)
    text = f"Is the {ask.habit.category} on or in the {place.carrier} now?"
    return _yes("present", "is_there", text, place is ask.here, ask.settles(place))


# ------------------------------------------------------------------------------------------ past and present


@_template("past_present")
def _still_there(ask: Asker) -> Optional[LongTermQuestion]:
    visit = ask.draw_visit()
    place = ask.then(visit)
    text = f"Is the {ask.habit.category} now where it was on {visit.slot.text}?"
    return _yes("past_present", "still_there", text, place is ask.here, ask.settles(place))


@_template("past_present")
def _as_mostly(ask: Asker) -> Optional[LongTermQuestion]:
    part = PARTS[int(ask.rng.integers(len(PARTS)))]
    usual = ask.usual(part)
    if usual is None:
        return None
    text = f"Is the {ask.habit.category} now where it mostly was in the {part}s?"
    return _yes("past_present", "as_mostly", text, usual is ask.here, ask.settles(usual))


# ------------------------------------------------------------------------------------------ past, present and future


@_template("past_present_future")
def _will_be(ask: Asker) -> Optional[LongTermQuestion]:
    future = ask.future
    if future is None:
        return None
    text = f"Which piece of furniture will the {ask.habit.category} most likely be on or in on {ask.next_slot.text}?"
    return _carrier(ask, "past_present_future", "will_be", text, future, False)


@_template("past_present_future")
def _must_move(ask: Asker) -> Optional[LongTermQuestion]:
    future = ask.future
    if future is None:
        return None
    text = (
        f"Does the {ask.habit.category} have to be moved before {ask.next_slot.text}, "
        "if it is to be where it usually is then?"
    )
    return _yes("past_present_future", "must_move", text, future is not ask.here, ask.settles(future))


def make_questions(
    world: HabitWorld, seen: Sequence[Sequence[int]], seed: int, n_each: int = N_EACH
) -> Tuple[LongTermQuestion, ...]:
    """Make questions of all categories.

    Args:
        world: The house.
        seen: For each past visit, the things that were in the robot's view.
        seed: Draws what is asked about.
        n_each: Of each category, where the house gives as many.
    """
    rng = np.random.default_rng([seed, 42])
    questions: List[LongTermQuestion] = []
    for category in CATEGORIES:
        pairs = [(make, habit) for make in TEMPLATES[category].values() for habit in world.habits]
        order = [pairs[int(i)] for i in rng.permutation(len(pairs))]
        made: List[LongTermQuestion] = []
        for make, habit in order:
            visits = tuple(v for v, ids in zip(world.past, seen) if habit.instance_id in ids)
            question = make(Asker(world, habit, visits, rng)) if visits and len(made) < n_each else None
            if question is not None:
                made.append(question)
        questions += made
    return tuple(questions)
