"""Single-goal temporal templates: when something was done, in which order, and for how long."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional, Tuple

from embodied.clock import NANOSECONDS
from sim.findingdory.goals import Goal
from sim.findingdory.templates.day import CLEARLY, ORDINALS, Day, Templates, extreme, objects, receptacles
from sim.findingdory.truth import TrueInteraction

TEMPLATES = Templates()
Filled = Optional[Tuple[str, Tuple[Goal, ...]]]
MINUTE_NS = 60 * NANOSECONDS


def _object(text: str, interaction: Optional[TrueInteraction]) -> Filled:
    return None if interaction is None else (text, (objects([interaction.instance_id]),))


def _receptacle(text: str, instance_id: int) -> Filled:
    return text, (receptacles([instance_id]),)


def clock_text(stamp_ns: int) -> str:
    """Return the hour and minute of an instant in UTC, as HH:MM."""
    return datetime.fromtimestamp(stamp_ns // NANOSECONDS, tz=timezone.utc).strftime("%H:%M")


# ------------------------------------------------------------------------------------------ interaction order


@TEMPLATES.of("interaction order")
def first_object(day: Day) -> Filled:
    """Pick the thing handled first."""
    return _object("go to the first object you interacted with today", day.interactions[0])


@TEMPLATES.of("interaction order")
def last_object(day: Day) -> Filled:
    """Pick the thing handled last."""
    return _object("go to the last object you interacted with today", day.interactions[-1])


@TEMPLATES.of("interaction order")
def nth_object(day: Day) -> Filled:
    """Pick the thing handled second, third, …."""
    n = day.one_of(range(1, len(day.interactions)))
    return (
        None if n is None else _object(f"go to the {ORDINALS[n]} object you interacted with today", day.interactions[n])
    )


@TEMPLATES.of("interaction order")
def nth_to_last_object(day: Day) -> Filled:
    """Pick the thing handled second to last, third to last, …."""
    n = day.one_of(range(1, min(3, len(day.interactions))))
    if n is None:
        return None
    return _object(f"go to the {ORDINALS[n]}-to-last object you interacted with today", day.interactions[-1 - n])


@TEMPLATES.of("interaction order")
def object_after_object(day: Day) -> Filled:
    """Pick the thing handled next after one."""
    chosen = day.one_of(i for i in day.named() if i is not day.interactions[-1])
    if chosen is None:
        return None
    following = day.interactions[day.interactions.index(chosen) + 1]
    return _object(f"go to the object you interacted with immediately after the {chosen.name}", following)


@TEMPLATES.of("interaction order")
def object_before_object(day: Day) -> Filled:
    """Pick the thing handled just before one."""
    chosen = day.one_of(i for i in day.named() if i is not day.interactions[0])
    if chosen is None:
        return None
    before = day.interactions[day.interactions.index(chosen) - 1]
    return _object(f"go to the object you interacted with immediately before the {chosen.name}", before)


@TEMPLATES.of("interaction order")
def object_between_objects(day: Day) -> Filled:
    """Pick the thing handled between two others."""
    named = day.named()
    inner = day.interactions[1:-1]
    triples = [(day.interactions[k], i, day.interactions[k + 2]) for k, i in enumerate(inner)]
    chosen = day.one_of(t for t in triples if t[0] in named and t[2] in named)
    if chosen is None:
        return None
    text = f"go to the object you interacted with between the {chosen[0].name} and the {chosen[2].name}"
    return _object(text, chosen[1])


@TEMPLATES.of("interaction order")
def first_picked_receptacle(day: Day) -> Filled:
    """Pick the furniture of the first picking up."""
    return _receptacle("go to the first furniture you picked an object up from today", day.interactions[0].picked_from)


@TEMPLATES.of("interaction order")
def last_picked_receptacle(day: Day) -> Filled:
    """Pick the furniture of the last picking up."""
    return _receptacle("go to the last furniture you picked an object up from today", day.interactions[-1].picked_from)


@TEMPLATES.of("interaction order")
def first_placed_receptacle(day: Day) -> Filled:
    """Pick the furniture of the first putting down."""
    return _receptacle("go to the first furniture you placed an object on today", day.interactions[0].placed_on)


@TEMPLATES.of("interaction order")
def last_placed_receptacle(day: Day) -> Filled:
    """Pick the furniture of the last putting down."""
    return _receptacle("go to the last furniture you placed an object on today", day.interactions[-1].placed_on)


@TEMPLATES.of("interaction order")
def receptacle_of_nth_object(day: Day) -> Filled:
    """Pick the furniture on which the second, third, … thing was put."""
    n = day.one_of(range(1, len(day.interactions)))
    if n is None:
        return None
    text = f"go to the furniture on which you placed the {ORDINALS[n]} object you interacted with"
    return _receptacle(text, day.interactions[n].placed_on)


@TEMPLATES.of("interaction order")
def receptacle_picked_after_object(day: Day) -> Filled:
    """Pick the furniture of the picking up that followed one thing."""
    chosen = day.one_of(i for i in day.named() if i is not day.interactions[-1])
    if chosen is None:
        return None
    following = day.interactions[day.interactions.index(chosen) + 1]
    text = f"go to the furniture you picked an object up from right after you put down the {chosen.name}"
    return _receptacle(text, following.picked_from)


@TEMPLATES.of("interaction order")
def receptacle_placed_before_object(day: Day) -> Filled:
    """Pick the furniture of the putting down that came before one thing."""
    chosen = day.one_of(i for i in day.named() if i is not day.interactions[0])
    if chosen is None:
        return None
    before = day.interactions[day.interactions.index(chosen) - 1]
    text = f"go to the furniture you placed an object on right before you picked up the {chosen.name}"
    return _receptacle(text, before.placed_on)


@TEMPLATES.of("interaction order")
def first_object_of_room(day: Day) -> Filled:
    """Pick the thing handled first of those that were taken in a room."""
    room = day.one_of(dict.fromkeys(i.picked_room for i in day.interactions))
    first = next((i for i in day.interactions if i.picked_room == room), None)
    return _object(f"go to the first object you picked up in the {room} today", first)


@TEMPLATES.of("interaction order")
def last_object_put_in_room(day: Day) -> Filled:
    """Pick the thing handled last of those that were put down in a room."""
    room = day.one_of(dict.fromkeys(i.placed_room for i in day.interactions))
    last = next((i for i in reversed(day.interactions) if i.placed_room == room), None)
    return _object(f"go to the last object you put down in the {room} today", last)


# ------------------------------------------------------------------------------------------ time-based


@TEMPLATES.of("time-based")
def object_at_time(day: Day) -> Filled:
    """Pick the thing that was in hand at a minute of the clock."""
    options = []
    for chosen in day.interactions:
        minute_ns = (chosen.picked_ns + chosen.placed_ns) // 2 // MINUTE_NS * MINUTE_NS
        others = [i for i in day.interactions if i is not chosen]
        # A minute to either side belongs to no other, so that neither rounding nor a slow clock decides.
        low_ns, high_ns = minute_ns - MINUTE_NS, minute_ns + 2 * MINUTE_NS
        if all(i.placed_ns < low_ns or i.picked_ns > high_ns for i in others):
            options.append((chosen, minute_ns))
    picked = day.one_of(options)
    if picked is None:
        return None
    return _object(f"go to the object that you were interacting with at {clock_text(picked[1])}", picked[0])


@TEMPLATES.of("time-based")
def place_at_time(day: Day) -> Filled:
    """Pick where the robot stood at a minute of the clock, in the middle of a long rest."""
    truth = day.truth
    gaps_ns = truth.stamps_ns[1:] - truth.stamps_ns[:-1]
    frame = day.one_of(int(f) for f in (gaps_ns >= 4 * MINUTE_NS).nonzero()[0])
    if frame is None:
        return None
    minute_ns = int(truth.stamps_ns[frame] + gaps_ns[frame] // 2) // MINUTE_NS * MINUTE_NS
    x_m, y_m, yaw_rad = truth.poses[frame].tolist()
    return f"go back to where you were at {clock_text(minute_ns)}", (Goal("position", pose=(x_m, y_m, yaw_rad)),)


# ------------------------------------------------------------------------------------------ duration tracking


@TEMPLATES.of("duration tracking")
def longest_rearrangement(day: Day) -> Filled:
    """Pick the thing that was longest on its way."""
    thing = extreme({i.instance_id: i.duration_s for i in day.interactions}, "most")
    return None if thing is None else ("go to the object that took the longest to rearrange", (objects([thing]),))


@TEMPLATES.of("duration tracking")
def shortest_rearrangement(day: Day) -> Filled:
    """Pick the thing that was shortest on its way."""
    thing = extreme({i.instance_id: i.duration_s for i in day.interactions}, "least")
    return None if thing is None else ("go to the object that took the shortest time to rearrange", (objects([thing]),))


@TEMPLATES.of("duration tracking")
def rearrangement_of_length(day: Day) -> Filled:
    """Pick the thing that took so many seconds."""
    options = []
    for chosen in day.interactions:
        others = [i.duration_s for i in day.interactions if i is not chosen]
        if all(max(d, chosen.duration_s) >= CLEARLY * min(d, chosen.duration_s) for d in others):
            options.append(chosen)
    chosen_one = day.one_of(options)
    if chosen_one is None:
        return None
    return _object(f"go to the object that took {chosen_one.duration_s:.0f} seconds to rearrange", chosen_one)
