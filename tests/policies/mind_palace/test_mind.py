"""A mind with a made-up past and a robot in a corridor of areas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from policies.mind_palace.belief import When
from policies.mind_palace.mind import Mind, MindConfig
from policies.mind_palace.protocols import Place, Recalled, Visit

DAY_NS = 86_400 * 1_000_000_000
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday")
NOW = When(4 * DAY_NS, "morning")
AREAS = ("desk", "bed", "sofa", "counter")
AT_M = (-2.0, 2.0, -6.0, 6.0)
"""Along the corridor; the robot begins at 0."""


def place(area: int) -> Place:
    return Place((AT_M[area], 0.0, 0.8), area)


@dataclass
class MadeUpPast:
    """``where``: the area of the thing at each visit, mornings and evenings in turn; None for not seen."""

    where: Sequence[int | None]
    areas: Sequence[str] = AREAS
    recalled: list[str] = field(default_factory=list)

    @property
    def visits(self) -> list[Visit]:
        slots = [(i // 2, "evening" if i % 2 else "morning") for i in range(len(self.where))]
        return [Visit(f"{DAYS[d]}-{part}", DAYS[d], When(d * DAY_NS, part)) for d, part in slots]

    def recall(self, visit: Visit, thing: str) -> Recalled:
        self.recalled.append(visit.name)
        area = self.where[[v.name for v in self.visits].index(visit.name)]
        return Recalled(None if area is None else place(area), 2)


@dataclass
class Corridor:
    """The thing is in one area, which shows it from near only."""

    thing_at: int
    now: When = NOW
    x_m: float = 0.0
    way_m: float = 0.0
    looked: list[int] = field(default_factory=list)
    shut: tuple[int, ...] = ()
    """Areas to which there is no way."""
    is_blind: bool = False
    """It never makes out whether a place is empty."""
    in_sight: tuple[int, ...] = ()
    """Areas that are seen without going there."""

    def ways_m(self) -> tuple[np.ndarray, np.ndarray]:
        at = np.array(AT_M)
        here, between = np.abs(at - self.x_m), np.abs(at[:, None] - at[None])
        for area in self.shut:
            here[area] = between[area] = between[:, area] = np.inf
        return here, between

    def looks(self) -> np.ndarray:
        return np.array([self.looked.count(area) for area in range(len(AREAS))], dtype=float)

    def look_around(self, thing: str, spot: Place | None) -> Place | None:
        return None

    def has_seen(self, spot: Place) -> bool:
        return not self.is_blind and (spot.area in self.looked or spot.area in self.in_sight)

    def look_at(self, area: int, thing: str, spots: Sequence[Place]) -> Place | None:
        self.way_m += abs(AT_M[area] - self.x_m)
        self.x_m = AT_M[area]
        self.looked.append(area)
        return place(area) if area == self.thing_at else None


def ask(question: str, past: MadeUpPast, body: Corridor, config: MindConfig = MindConfig()):  # type: ignore[no-untyped-def]
    return Mind(config, past, body).answer(question)


MORNINGS_BED = (1, 0, 1, 0, 1, 0, 1, 0)
"""The bed in the mornings, the desk in the evenings."""


def test_a_question_of_the_past_recalls_its_visit_and_moves_nothing() -> None:
    past, body = MadeUpPast(MORNINGS_BED), Corridor(3)
    got = ask("Which piece of furniture was the mug on or in on Tuesday evening?", past, body)
    assert (got.carrier, got.n_images, body.looked) == ("desk", 2, [])
    assert past.recalled == ["Tuesday-evening"]


def test_the_present_is_looked_for_where_the_same_part_of_the_day_had_it() -> None:
    past, body = MadeUpPast(MORNINGS_BED), Corridor(1)
    got = ask("Which piece of furniture is the mug on or in now?", past, body)
    assert got.carrier == "bed"
    assert body.looked == [1]
    assert got.n_recalls < len(past.where)


def test_a_thing_that_is_elsewhere_is_found_by_going_on() -> None:
    body = Corridor(2)
    got = ask("In which room is the mug now?", MadeUpPast(MORNINGS_BED), body)
    assert got.position_m == place(2).position_m
    assert got.found
    assert body.looked[-1] == 2


def test_an_empty_place_settles_whether_the_thing_is_still_there() -> None:
    body = Corridor(3)
    got = ask("Is the mug now where it was on Monday morning?", MadeUpPast(MORNINGS_BED), body)
    assert got.yes is False
    assert body.looked == [1]


def test_an_empty_place_that_is_in_sight_settles_it_without_a_way() -> None:
    body = Corridor(3, in_sight=(1,))
    assert ask("Is the mug now where it was on Monday morning?", MadeUpPast(MORNINGS_BED), body).yes is False
    assert body.looked == []


def test_a_place_that_cannot_be_made_out_is_given_up_after_some_looks() -> None:
    body = Corridor(-1, is_blind=True)
    assert ask("Is the mug now where it was on Monday morning?", MadeUpPast(MORNINGS_BED), body).yes is False
    assert body.looked.count(1) == 2


@pytest.mark.parametrize(("at", "yes"), [(0, False), (1, True)])
def test_what_has_to_be_moved_is_what_is_not_where_it_is_usually(at: int, yes: bool) -> None:
    question = "Does the mug have to be moved before Friday evening, if it is to be where it usually is then?"
    assert ask(question, MadeUpPast(MORNINGS_BED), Corridor(at)).yes is yes


def test_visits_are_recalled_for_a_habit_until_the_rest_cannot_change_it() -> None:
    past = MadeUpPast((1, 0, 1, 0, 1, 0, 1, 0))
    assert ask("Which piece of furniture was the mug mostly on in the mornings?", past, Corridor(0)).carrier == "bed"
    assert past.recalled == ["Thursday-morning", "Wednesday-morning", "Tuesday-morning"]


def test_visits_are_counted_one_by_one() -> None:
    got = ask("On how many of your visits was the mug on the desk?", MadeUpPast((0, None, 0, 1)), Corridor(0))
    assert (got.count, got.n_recalls) == (2, 4)


def test_who_recalls_everything_loads_every_picture_and_who_recalls_nothing_none() -> None:
    question = "In which room is the mug now?"
    everything = ask(question, MadeUpPast(MORNINGS_BED), Corridor(1), MindConfig(recall="all", plan="nearest"))
    nothing = ask(question, MadeUpPast(MORNINGS_BED), Corridor(1), MindConfig(recall="none", plan="nearest"))
    assert (everything.n_images, nothing.n_images) == (16, 0)
    assert everything.found
    assert nothing.found


@pytest.mark.parametrize("config", [MindConfig(), MindConfig(recall="all", plan="nearest")], ids=["ours", "nearest"])
@pytest.mark.parametrize("shut", [(), (3,), (0, 1, 2, 3)], ids=["all open", "one shut", "all shut"])
def test_what_is_nowhere_is_guessed_and_said_not_to_be_found(shut: tuple[int, ...], config: MindConfig) -> None:
    body = Corridor(-1, shut=shut)
    got = ask("Which piece of furniture is the mug on or in now?", MadeUpPast((1, 1)), body, config)
    assert not got.found
    assert got.carrier == ("bed" if got.n_recalls else "")
    open_ones = set(range(len(AREAS))) - set(shut)
    assert set(body.looked) == open_ones
    assert len(body.looked) <= 3 * len(AREAS)
