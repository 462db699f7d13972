"""Where things are most often."""

from __future__ import annotations

from dataclasses import replace

import pytest

from embodied.messages import Interval, Query
from memory_bank.recall.answers import answer
from memory_bank.recall.habits import habits_of
from memory_bank.recall.matching import MemoryView
from memory_world import DAY_1_NS, NOW_NS, SECOND_NS, house_view, interval

ON_DESK, ON_TABLE, ON_FLOOR = (8.2, 1.1, 0.79), (3.2, 1.1, 0.79), (10.0, 2.0, 0.05)


def stay(
    position_m: tuple[float, float, float], room: str, from_s: int, to_s: int | None, state: str = "present"
) -> Interval:
    to_ns = None if to_s is None else DAY_1_NS + to_s * SECOND_NS
    return interval("o3", position_m, DAY_1_NS + from_s * SECOND_NS, to_ns, room=room, state=state)


STAYS = (
    stay(ON_DESK, "office", 0, 100),
    stay(ON_TABLE, "kitchen", 200, 800, "moved"),
    stay(ON_DESK, "office", 900, 1200, "moved"),
    stay(ON_DESK, "office", 1300, 1400, "gone"),
    stay(ON_FLOOR, "living room", 1500, 1500, "moved"),
)


def view_with(stays: tuple[Interval, ...], now_ns: int = NOW_NS) -> MemoryView:
    view = house_view()
    return replace(view, history=lambda i: stays if i == "o3" else view.history(i), now_ns=now_ns)


def test_places_are_weighed_by_the_time_spent_there() -> None:
    view = view_with(STAYS)
    (mug,) = [record for record in view.objects if record.id == "o3"]
    table, desk, floor = habits_of([mug], view)
    assert (table.room, table.on, table.n_stays) == ("kitchen", "table", 1)
    assert (desk.room, desk.on, desk.n_stays) == ("office", "desk", 2)
    assert (floor.room, floor.on, floor.position_m) == ("living room", "", ON_FLOOR)
    assert table.share == pytest.approx(600 / 1001)
    assert table.share + desk.share + floor.share == pytest.approx(1.0)


def test_a_stay_that_goes_on_counts_until_now_and_a_window_cuts_it() -> None:
    view = view_with(
        (stay(ON_DESK, "office", 0, 100), stay(ON_TABLE, "kitchen", 200, None)), DAY_1_NS + 300 * SECOND_NS
    )
    (mug,) = [record for record in view.objects if record.id == "o3"]
    assert {h.room: h.share for h in habits_of([mug], view)} == {"office": 0.5, "kitchen": 0.5}
    early = habits_of([mug], view, until_ns=DAY_1_NS + 150 * SECOND_NS)
    assert [h.room for h in early] == ["office"]
    late = habits_of([mug], view, since_ns=DAY_1_NS + 90 * SECOND_NS)
    assert [h.room for h in late] == ["kitchen", "office"]


def test_the_answer_names_the_usual_place_first() -> None:
    found = answer(Query(kind="where", label="mug", colour="red", order="most_often"), view_with(STAYS))
    assert found.text.startswith(
        "The red mug is usually on the table in the kitchen (60 % of the time, one stay); "
        "else on the desk in the office (40 % of the time, 2 stays)"
    )
    assert [habit.room for habit in found.habits] == ["kitchen", "office", "living room"]
    assert answer(Query(kind="where", label="piano", order="most_often"), view_with(STAYS)).unknown
