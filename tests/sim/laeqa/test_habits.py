from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sim.houses.placing import bounds_of, overlap
from sim.laeqa.habits import FAITHFUL, MAX_VISITS, HabitWorld, Slot, make_world


@pytest.fixture(scope="module")
def world() -> HabitWorld:
    return make_world(700, MAX_VISITS)


def test_visits_follow_one_another_from_monday_morning_and_the_last_is_the_present(world: HabitWorld) -> None:
    slots = [visit.slot for visit in (*world.past, world.now)]
    assert [slot.index for slot in slots] == list(range(MAX_VISITS))
    assert (slots[0].text, slots[1].text, slots[2].session) == ("Monday morning", "Monday evening", "tuesday-morning")
    assert all(a.start_ns < b.start_ns for a, b in zip(slots, slots[1:]))


def test_things_move_between_their_haunts_alone_and_keep_their_ids(world: HabitWorld) -> None:
    things = {habit.instance_id for habit in world.habits}
    first = world.past[0].scene.by_id()
    for visit in (*world.past, world.now):
        now = visit.scene.by_id()
        assert now.keys() == first.keys()
        for instance_id, instance in now.items():
            if instance_id in things:
                assert instance is visit.at[instance_id].instance
            else:
                assert instance is first[instance_id]


def test_haunts_lie_in_different_rooms_on_furniture_that_the_house_has_one_of(world: HabitWorld) -> None:
    scene = world.now.scene
    n = Counter(scene.category_of(instance.instance_id) for instance in scene.instances)
    assert world.habits
    for habit in world.habits:
        assert n[habit.category] == 1
        assert len({haunt.room for haunt in habit.haunts}) == len(habit.haunts)
        for haunt in habit.haunts:
            assert scene.category_of(haunt.instance.support) == haunt.carrier
            assert n[haunt.carrier] == 1


def test_no_two_haunts_share_a_place(world: HabitWorld) -> None:
    templates = world.now.scene.templates
    boxes = [
        bounds_of(templates[haunt.instance.template], haunt.instance.T_world_object)
        for habit in world.habits
        for haunt in habit.haunts
    ]
    assert not any(overlap(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_where_things_are_follows_their_habits(world: HabitWorld) -> None:
    kept = [
        visit.at[habit.instance_id] is habit.expected(visit.slot)
        for visit in (*world.past, world.now)
        for habit in world.habits
    ]
    assert np.mean(kept) == pytest.approx(FAITHFUL, abs=3 * np.sqrt(FAITHFUL * (1 - FAITHFUL) / len(kept)))


def test_the_same_seed_gives_the_same_world(world: HabitWorld) -> None:
    again = make_world(700, MAX_VISITS)
    assert [h.category for h in again.habits] == [h.category for h in world.habits]
    places = [[visit.at[h.instance_id].position_m for visit in again.past] for h in again.habits]
    assert places == [[visit.at[h.instance_id].position_m for visit in world.past] for h in world.habits]


def test_too_few_visits_are_refused() -> None:
    with pytest.raises(ValueError, match="n_visits: expected 4 to 10"):
        make_world(700, 3)


def test_a_slot_says_its_part_of_the_day() -> None:
    assert [Slot(i).part for i in range(4)] == ["morning", "evening", "morning", "evening"]
