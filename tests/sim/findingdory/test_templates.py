"""Every template asks what its text says, of a day whose truth is known by hand."""

from __future__ import annotations

from collections import Counter
from typing import Dict, Optional, Tuple

import numpy as np
import pytest

from findingdory_day import BEAR, BOOK, DESK, DRESSER, HAT, KITCHEN, MUG, OFFICE, ROUTE, TABLE, day, house
from sim.collision import navigable_grid
from sim.findingdory.goals import CATEGORIES, Goal, Instruction
from sim.findingdory.templates import TEMPLATES, Day
from sim.findingdory.templates.day import CLEARLY, extreme
from sim.findingdory.walking import Floor

PUBLISHED = (5, 6, 2, 7, 5, 5, 16, 2, 3, 6, 3)
TRUTH = day()
FLOOR = Floor(navigable_grid(house()), house().regions)
N_SEEDS = 12


def filled(name: str, seed: int) -> Optional[Instruction]:
    return TEMPLATES[name].fill(Day(TRUTH, FLOOR, np.random.default_rng(seed)))


def all_fillings(name: str) -> Dict[str, Tuple[Goal, ...]]:
    """Return every instruction that chance makes of a template."""
    made = [filled(name, seed) for seed in range(N_SEEDS)]
    return {i.text: i.goals for i in made if i is not None}


def things(*instances: int) -> Tuple[Goal, ...]:
    return (Goal("object", tuple(sorted(instances))),)


def furniture(*instances: int) -> Tuple[Goal, ...]:
    return (Goal("receptacle", tuple(sorted(instances))),)


def rooms(*names: str) -> Tuple[Goal, ...]:
    return (Goal("room", rooms=tuple(sorted(names))),)


def test_there_are_sixty_templates_with_the_published_count_in_each_category() -> None:
    counts = Counter(template.category for template in TEMPLATES.values())
    assert tuple(counts[category] for category in CATEGORIES) == PUBLISHED
    assert len(TEMPLATES) == 60


def test_every_template_is_filled_by_some_day_or_says_that_it_cannot_be() -> None:
    empty = {name for name in TEMPLATES if not all_fillings(name)}
    # In this day both rooms were worked in and entered equally often, and everything has one colour.
    assert empty == {"room_without_work", "room_entered_most_often", "colour_and_category"}


@pytest.mark.parametrize(
    ("name", "text", "goals"),
    [
        ("room_with_most_time", "go back to the room where you spent the most time today", rooms(KITCHEN)),
        ("room_with_work", "go to a room where you picked something up today", rooms(KITCHEN, OFFICE)),
        ("any_object_handled", "go to an object that you interacted with today", things(MUG, BOOK, HAT)),
        ("any_object_not_handled", "go to an object that you did not interact with today", things(BEAR)),
        ("category_handled", "go back to the book that you interacted with today", things(BOOK)),
        ("receptacle_picked_from", "go to a desk that you picked an object up from today", furniture(DESK)),
        ("receptacle_placed_on", "go to a table that you placed an object on today", furniture(TABLE)),
        ("any_of_category", "go to a teddy bear", things(BEAR)),
        ("any_of_furniture", "navigate to a dresser", furniture(DRESSER)),
        ("object_taken_from", "go to an object that you picked up from a table", things(MUG)),
        ("object_put_on", "go to an object that you placed on a table", things(BOOK)),
        (
            "where_object_was_taken",
            "go to the furniture from which you picked up the grey hat",
            furniture(DRESSER),
        ),
        ("where_object_was_put", "go to the furniture on which you placed the grey hat", furniture(DESK)),
        ("object_taken_in_room", "go to an object that you picked up in the office", things(BOOK, HAT)),
        ("object_put_in_room", "go to an object that you put down in the office", things(MUG, HAT)),
        (
            "object_carried_between_rooms",
            "go to the object that you carried from the office to the kitchen",
            things(BOOK),
        ),
        (
            "handled_farthest_from_here",
            "go to the object you interacted with that is farthest from your current location",
            things(BOOK),
        ),
        (
            "receptacle_farthest_from_here",
            "go to the furniture you placed an object on that is farthest from your current location",
            furniture(TABLE),
        ),
        (
            "handled_nearest_to_furniture",
            "go to the object you interacted with that is now nearest to the table",
            things(BOOK),
        ),
        (
            "handled_nearest_to_here",
            "go to the object you interacted with that is nearest to your current location",
            things(HAT),
        ),
        (
            "carried_farthest",
            "go to the object that you moved the farthest from where it was before",
            things(BOOK),
        ),
        ("largest_handled", "go to the largest object that you interacted with today", things(HAT)),
        ("colour_handled", "go back to a grey object that you interacted with", things(MUG, BOOK, HAT)),
        ("kind_handled", "go to a dish that you rearranged today", things(MUG)),
        ("kind_not_handled", "go to a soft toy that you did not rearrange today", things(BEAR)),
        ("first_object", "go to the first object you interacted with today", things(MUG)),
        ("last_object", "go to the last object you interacted with today", things(HAT)),
        ("nth_object", "go to the second object you interacted with today", things(BOOK)),
        ("nth_to_last_object", "go to the third-to-last object you interacted with today", things(MUG)),
        (
            "object_after_object",
            "go to the object you interacted with immediately after the grey mug",
            things(BOOK),
        ),
        (
            "object_before_object",
            "go to the object you interacted with immediately before the grey hat",
            things(BOOK),
        ),
        (
            "object_between_objects",
            "go to the object you interacted with between the grey mug and the grey hat",
            things(BOOK),
        ),
        ("first_picked_receptacle", "go to the first furniture you picked an object up from today", furniture(TABLE)),
        ("last_placed_receptacle", "go to the last furniture you placed an object on today", furniture(DESK)),
        (
            "receptacle_of_nth_object",
            "go to the furniture on which you placed the second object you interacted with",
            furniture(TABLE),
        ),
        (
            "receptacle_picked_after_object",
            "go to the furniture you picked an object up from right after you put down the grey mug",
            furniture(DESK),
        ),
        (
            "receptacle_placed_before_object",
            "go to the furniture you placed an object on right before you picked up the grey hat",
            furniture(TABLE),
        ),
        ("first_object_of_room", "go to the first object you picked up in the office today", things(BOOK)),
        ("last_object_put_in_room", "go to the last object you put down in the office today", things(HAT)),
        ("object_at_time", "go to the object that you were interacting with at 09:20", things(BOOK)),
        ("longest_rearrangement", "go to the object that took the longest to rearrange", things(BOOK)),
        ("shortest_rearrangement", "go to the object that took the shortest time to rearrange", things(HAT)),
        ("rearrangement_of_length", "go to the object that took 100 seconds to rearrange", things(MUG)),
        (
            "all_objects_handled",
            "visit all the objects that you interacted with today",
            (*things(MUG), *things(BOOK), *things(HAT)),
        ),
        (
            "all_receptacles_placed_on",
            "visit all the furniture you placed objects on today",
            (*furniture(DRESSER), *furniture(TABLE), *furniture(DESK)),
        ),
        (
            "all_objects_taken_in_room",
            "visit all the objects that you picked up in the office today",
            (*things(BOOK), *things(HAT)),
        ),
        (
            "all_rooms_with_putting_down",
            "visit all the rooms in which you put something down today",
            (*rooms(OFFICE), *rooms(KITCHEN)),
        ),
        (
            "objects_in_order",
            "revisit the second, then the first object you interacted with today, in this order",
            (*things(BOOK), *things(MUG)),
        ),
        (
            "picked_receptacles_in_order",
            "revisit the furniture you picked the third, then the second object up from, in this order",
            (*furniture(DRESSER), *furniture(DESK)),
        ),
    ],
)
def test_a_template_asks_for_what_its_text_says(name: str, text: str, goals: Tuple[Goal, ...]) -> None:
    assert {**dict.fromkeys([text]), **all_fillings(name)}[text] == goals


def test_a_moment_lies_in_a_rest_and_asks_for_the_pose_of_it() -> None:
    for text, (goal,) in all_fillings("place_at_time").items():
        hour, minute = (int(part) for part in text[-5:].split(":"))
        second = 3600 * (hour - 9) + 60 * minute
        frame = max(index for index, row in enumerate(ROUTE) if row[0] <= second)
        assert goal.pose == pytest.approx(ROUTE[frame][1:4])
        assert ROUTE[frame + 1][0] - ROUTE[frame][0] >= 240
        assert second + 60 <= ROUTE[frame + 1][0]


def test_only_the_ordered_templates_ask_for_an_order() -> None:
    ordered = {template.category for template in TEMPLATES.values() if template.ordered}
    assert ordered == {"ordered revisitation"}


def test_the_most_is_told_only_where_it_is_clearly_so() -> None:
    assert extreme({"a": 100.0, "b": 100.0 / CLEARLY - 1.0}, "most") == "a"
    assert extreme({"a": 100.0, "b": 100.0 / CLEARLY + 1.0}, "most") is None
    assert extreme({"a": 1.0, "b": 1.6}, "least", margin=0.5) == "a"
    assert extreme({"a": 1.0}, "most") is None
