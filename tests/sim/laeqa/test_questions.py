"""Verdicts on timelines made by hand: a mug with three places in three rooms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from embodied.messages import Point
from sim.laeqa.habits import Habit, HabitWorld, Haunt, Slot, Visit
from sim.laeqa.questions import CATEGORIES, TEMPLATES, Asker, LongTermQuestion, Reply, make_questions
from sim.scene import Instance, Region, Scene
from sim_scenes import room_scene

MUG = 7
ROOMS = ("kitchen", "office", "bedroom")
CARRIERS = ("counter", "desk", "dresser")


def haunt(i: int) -> Haunt:
    return Haunt(Instance(MUG, "mug", np.eye(4)), (2.0 * i + 1.0, 1.0, 0.8), (0.1, 0.1, 0.1), ROOMS[i], CARRIERS[i])


HAUNTS = tuple(haunt(i) for i in range(3))


def world(past: Sequence[int], now: int, usual: tuple[int, int] = (0, 1)) -> HabitWorld:
    """Make a world from where the mug was at each past visit, mornings and evenings in turn."""
    regions = tuple(Region(name, (2.0 * i, 0.0, 2.0 * i + 2.0, 2.0)) for i, name in enumerate(ROOMS))
    scene: Scene = replace(room_scene(), regions=regions)
    visits = [Visit(Slot(i), scene, {MUG: HAUNTS[at]}) for i, at in enumerate([*past, now])]
    return HabitWorld(0, (Habit(MUG, "mug", HAUNTS, usual),), tuple(visits[:-1]), visits[-1])


def ask(template: str, made: HabitWorld, seed: int = 0) -> LongTermQuestion | None:
    make = next(group[template] for group in TEMPLATES.values() if template in group)
    return make(Asker(made, made.habits[0], made.past, np.random.default_rng(seed)))


def must(question: LongTermQuestion | None) -> LongTermQuestion:
    assert question is not None
    return question


def at(i: int) -> Point:
    return HAUNTS[i].position_m


def test_a_room_is_right_wherever_in_it_the_answer_points() -> None:
    question = must(ask("room_now", world((0, 1, 0), 2)))
    assert question.text == "In which room is the mug now?"
    assert question.is_right(Reply(position_m=(5.9, 0.1, 0.0)))
    assert not question.is_right(Reply(position_m=at(1)))
    assert not question.is_right(Reply())
    assert [(s.haunt, s.instance_id) for s in question.sights] == [(HAUNTS[2], MUG)]


def test_the_past_asks_of_the_visit_that_it_names_and_sends_nobody_anywhere() -> None:
    made = world((0, 1, 0, 2), 1)
    for seed in range(6):
        question = must(ask("carrier_then", made, seed))
        visit = next(v for v in made.past if question.text.endswith(f"on {v.slot.text}?"))
        assert question.is_right(Reply(carrier=visit.at[MUG].carrier))
        assert question.sights == ()


def test_counts_are_of_all_past_visits() -> None:
    made = world((0, 0, 1, 0, 2), 0)
    for seed in range(6):
        question = must(ask("how_often", made, seed))
        n = {"counter": 3, "desk": 1, "dresser": 1}[question.text.split(" in the ")[1].rstrip("?")]
        assert question.is_right(Reply(count=n))
        assert not question.is_right(Reply(count=n + 1))


@pytest.mark.parametrize(("now", "yes"), [(0, True), (2, False)])
def test_still_there_compares_the_present_with_the_past(now: int, yes: bool) -> None:
    question = must(ask("still_there", world((0, 0, 0), now)))
    assert question.is_right(Reply(yes=yes))
    assert not question.is_right(Reply(yes=not yes))
    assert not question.is_right(Reply())
    empty = [sight.haunt for sight in question.sights if sight.instance_id == 0]
    assert empty == ([] if yes else [HAUNTS[0]])


def test_a_habit_is_asked_for_only_where_most_visits_show_it() -> None:
    undecided = world((0, 1, 2, 1), 0)
    assert Asker(undecided, undecided.habits[0], undecided.past, np.random.default_rng(0)).usual("morning") is None
    decided = world((0, 1, 0, 1, 2, 1), 0)
    asker = Asker(decided, decided.habits[0], decided.past, np.random.default_rng(0))
    assert asker.usual("morning") is HAUNTS[0]
    assert asker.usual("evening") is HAUNTS[1]


def test_the_future_is_the_generators_own_and_must_have_shown() -> None:
    shown = world((0, 1, 0, 1), 0)
    question = must(ask("will_be", shown))
    assert question.text == "Which piece of furniture will the mug most likely be on or in on Wednesday evening?"
    assert question.is_right(Reply(carrier="desk"))
    assert question.sights == ()
    assert ask("will_be", world((0, 1, 0, 1), 0, usual=(0, 2))) is None, "what was seen contradicts the habit"


@pytest.mark.parametrize(("now", "yes"), [(0, True), (1, False)])
def test_what_is_not_where_it_will_be_expected_must_be_moved(now: int, yes: bool) -> None:
    assert must(ask("must_move", world((0, 1, 0, 1), now))).is_right(Reply(yes=yes))


def test_what_was_overlooked_on_a_visit_is_not_asked_for_on_it() -> None:
    made = world((0, 1, 0, 1), 0)
    seen = [[], [], [], [MUG]]
    texts = [q.text for q in make_questions(made, seen, 3, n_each=20)]
    assert texts
    assert not any("Monday" in text or "how many" in text.lower() for text in texts)


def test_questions_come_in_all_categories_and_are_the_same_for_the_same_seed() -> None:
    made = world((0, 1, 0, 1), 0)
    first = make_questions(made, [[MUG]] * 4, 5)
    assert tuple(dict.fromkeys(q.category for q in first)) == CATEGORIES
    assert [q.text for q in first] == [q.text for q in make_questions(made, [[MUG]] * 4, 5)]
