"""Single-goal spatial templates: where something is or was done."""

from __future__ import annotations

from typing import Dict, Iterable, Literal, Optional, Sequence, Tuple

from sim.findingdory.goals import Goal
from sim.findingdory.templates.day import CLEARLY_M, Day, Templates, a, extreme, objects, receptacles

TEMPLATES = Templates()
Filled = Optional[Tuple[str, Tuple[Goal, ...]]]

KINDS: Dict[str, Tuple[str, ...]] = {
    "soft toy": ("teddy bear",),
    "toy": ("teddy bear", "ball", "toy car", "rubber duck"),
    "fruit": ("apple", "banana", "pear"),
    "dish": ("mug", "bowl", "plate"),
    "piece of clothing": ("hat", "shoe"),
}
"""Words for several categories."""


def _one(text: str, goal: Goal) -> Filled:
    wanted = goal.instances or goal.rooms
    return (text, (goal,)) if wanted else None


def _room(text: str, rooms: Iterable[str]) -> Filled:
    return _one(text, Goal("room", rooms=tuple(sorted(set(rooms)))))


# ------------------------------------------------------------------------------------------ room visitation


@TEMPLATES.of("room visitation")
def room_with_most_time(day: Day) -> Filled:
    """Pick the room where the robot was longest in all."""
    room = extreme(day.truth.seconds_in, "most")
    return _room("go back to the room where you spent the most time today", [room]) if room else None


@TEMPLATES.of("room visitation")
def room_with_least_time(day: Day) -> Filled:
    """Pick the room where the robot was shortest in all, of those that it was in."""
    room = extreme(day.truth.seconds_in, "least")
    return (
        _room("of the rooms you were in today, go to the one where you spent the least time", [room]) if room else None
    )


@TEMPLATES.of("room visitation")
def room_without_work(day: Day) -> Filled:
    """Pick any room in which nothing was picked up or put down."""
    worked = {i.picked_room for i in day.interactions} | {i.placed_room for i in day.interactions}
    idle = [room for room in day.truth.seconds_in if room not in worked]
    return _room("go to a room where you neither picked up nor put down anything today", idle)


@TEMPLATES.of("room visitation")
def room_entered_most_often(day: Day) -> Filled:
    """Pick the room that the robot came into most often."""
    visits = day.truth.visits
    counts = {room: float(sum(v.room == room for v in visits)) for room in day.truth.seconds_in}
    room = extreme(counts, "most", margin=1.0)
    return _room("go to the room that you entered most often today", [room]) if room else None


@TEMPLATES.of("room visitation")
def room_with_work(day: Day) -> Filled:
    """Pick any room in which something was picked up."""
    return _room("go to a room where you picked something up today", [i.picked_room for i in day.interactions])


# ------------------------------------------------------------------------------------------ interaction


@TEMPLATES.of("interaction")
def any_object_handled(day: Day) -> Filled:
    """Pick any thing that was handled."""
    return _one("go to an object that you interacted with today", objects(day.handled))


@TEMPLATES.of("interaction")
def any_object_not_handled(day: Day) -> Filled:
    """Pick anything that was not touched: not carried, nothing taken from it and nothing put on it."""
    untouched = [i for i in day.category if i not in day.handled and i not in day.used]
    return _one("go to an object that you did not interact with today", objects(untouched))


@TEMPLATES.of("interaction")
def category_handled(day: Day) -> Filled:
    """Pick the thing of a category that was handled; others of the category do not count."""
    category = day.one_of(dict.fromkeys(day.category[i] for i in day.handled))
    if category is None:
        return None
    return _one(f"go back to the {category} that you interacted with today", objects(day.of(day.handled, category)))


@TEMPLATES.of("interaction")
def receptacle_picked_from(day: Day) -> Filled:
    """Pick a piece of furniture of a category from which something was taken."""
    category = day.one_of(dict.fromkeys(day.category[i] for i in day.picked_from))
    if category is None:
        return None
    text = f"go to {a(category)} that you picked an object up from today"
    return _one(text, receptacles(day.of(day.picked_from, category)))


@TEMPLATES.of("interaction")
def receptacle_placed_on(day: Day) -> Filled:
    """Pick a piece of furniture of a category on which something was put."""
    category = day.one_of(dict.fromkeys(day.category[i] for i in day.placed_on))
    if category is None:
        return None
    return _one(f"go to {a(category)} that you placed an object on today", receptacles(day.of(day.placed_on, category)))


@TEMPLATES.of("interaction")
def any_receptacle_used(day: Day) -> Filled:
    """Pick any piece of furniture from which something was taken or on which something was put."""
    return _one("go to a piece of furniture that you picked an object up from or placed one on", receptacles(day.used))


# ------------------------------------------------------------------------------------------ object recall


@TEMPLATES.of("object recall")
def any_of_category(day: Day) -> Filled:
    """Pick any thing of a category, handled or not."""
    category = day.one_of(dict.fromkeys(day.category[i] for i in day.small))
    return None if category is None else _one(f"go to {a(category)}", objects(day.of(day.small, category)))


@TEMPLATES.of("object recall")
def any_of_furniture(day: Day) -> Filled:
    """Pick any piece of furniture of a category."""
    category = day.one_of(dict.fromkeys(day.category[i] for i in day.receptacles))
    if category is None:
        return None
    everything = tuple(day.category)
    return _one(f"navigate to {a(category)}", receptacles(day.of(everything, category)))


# ------------------------------------------------------------------------------------------ conditional interaction


@TEMPLATES.of("conditional interaction")
def object_taken_from(day: Day) -> Filled:
    """Pick a thing that was taken from a category of furniture."""
    category = day.one_of(dict.fromkeys(day.category[i] for i in day.picked_from))
    if category is None:
        return None
    things = [i.instance_id for i in day.interactions if day.category[i.picked_from] == category]
    return _one(f"go to an object that you picked up from {a(category)}", objects(things))


@TEMPLATES.of("conditional interaction")
def object_put_on(day: Day) -> Filled:
    """Pick a thing that was put on a category of furniture."""
    category = day.one_of(dict.fromkeys(day.category[i] for i in day.placed_on))
    if category is None:
        return None
    things = [i.instance_id for i in day.interactions if day.category[i.placed_on] == category]
    return _one(f"go to an object that you placed on {a(category)}", objects(things))


@TEMPLATES.of("conditional interaction")
def where_object_was_taken(day: Day) -> Filled:
    """Pick the furniture that a thing was taken from."""
    chosen = day.one_of(day.named())
    if chosen is None:
        return None
    return _one(f"go to the furniture from which you picked up the {chosen.name}", receptacles([chosen.picked_from]))


@TEMPLATES.of("conditional interaction")
def where_object_was_put(day: Day) -> Filled:
    """Pick the furniture that a thing was put on."""
    chosen = day.one_of(day.named())
    if chosen is None:
        return None
    return _one(f"go to the furniture on which you placed the {chosen.name}", receptacles([chosen.placed_on]))


@TEMPLATES.of("conditional interaction")
def object_taken_in_room(day: Day) -> Filled:
    """Pick a thing that was taken in a room."""
    room = day.one_of(dict.fromkeys(i.picked_room for i in day.interactions))
    things = [i.instance_id for i in day.interactions if i.picked_room == room]
    return _one(f"go to an object that you picked up in the {room}", objects(things))


@TEMPLATES.of("conditional interaction")
def object_put_in_room(day: Day) -> Filled:
    """Pick a thing that was put down in a room."""
    room = day.one_of(dict.fromkeys(i.placed_room for i in day.interactions))
    things = [i.instance_id for i in day.interactions if i.placed_room == room]
    return _one(f"go to an object that you put down in the {room}", objects(things))


@TEMPLATES.of("conditional interaction")
def object_carried_between_rooms(day: Day) -> Filled:
    """Pick a thing that went from one room to another."""
    moved = [i for i in day.interactions if i.picked_room != i.placed_room]
    chosen = day.one_of(moved)
    if chosen is None:
        return None
    way = (chosen.picked_room, chosen.placed_room)
    things = [i.instance_id for i in moved if (i.picked_room, i.placed_room) == way]
    return _one(f"go to the object that you carried from the {way[0]} to the {way[1]}", objects(things))


# ------------------------------------------------------------------------------------------ spatial relationship


@TEMPLATES.of("spatial relationship")
def handled_farthest_from_here(day: Day) -> Filled:
    """Pick the handled thing farthest from the robot."""
    return _by_distance_from_here(day, farthest=True)


@TEMPLATES.of("spatial relationship")
def handled_nearest_to_here(day: Day) -> Filled:
    """Pick the handled thing nearest to the robot."""
    return _by_distance_from_here(day, farthest=False)


def _by_distance_from_here(day: Day, farthest: bool) -> Filled:
    thing = _extreme_from_here(day, day.handled, farthest)
    if thing is None:
        return None
    word = "farthest from" if farthest else "nearest to"
    return _one(f"go to the object you interacted with that is {word} your current location", objects([thing]))


def _extreme_from_here(day: Day, things: Sequence[int], farthest: bool) -> Optional[int]:
    """Return the thing at one end of the order by distance, if it is so as the crow flies and by way."""
    end: Literal["most", "least"] = "most" if farthest else "least"
    straight = extreme({i: day.flat_m(day.center[i], day.truth.now_pose) for i in things}, end, CLEARLY_M)
    by_way = extreme({i: day.way_m(i) for i in things}, end, CLEARLY_M)
    return straight if straight == by_way else None


@TEMPLATES.of("spatial relationship")
def carried_farthest(day: Day) -> Filled:
    """Pick the thing whose new place is farthest from its old one."""
    distance_m = {i.instance_id: day.flat_m(i.picked_position_m, i.placed_position_m) for i in day.interactions}
    thing = extreme(distance_m, "most", CLEARLY_M)
    if thing is None:
        return None
    return _one("go to the object that you moved the farthest from where it was before", objects([thing]))


@TEMPLATES.of("spatial relationship")
def receptacle_farthest_from_here(day: Day) -> Filled:
    """Pick the furniture farthest from the robot among those on which something was put."""
    thing = _extreme_from_here(day, day.placed_on, farthest=True)
    if thing is None:
        return None
    text = "go to the furniture you placed an object on that is farthest from your current location"
    return _one(text, receptacles([thing]))


@TEMPLATES.of("spatial relationship")
def handled_nearest_to_furniture(day: Day) -> Filled:
    """Pick the handled thing nearest to a piece of furniture that is the only one of its category."""
    single = [i for i in day.receptacles if len(day.of(tuple(day.category), day.category[i])) == 1]
    options = []
    for furniture in single:
        distance_m = {i: day.flat_m(day.center[i], day.center[furniture]) for i in day.handled}
        thing = extreme(distance_m, "least", CLEARLY_M)
        if thing is not None:
            options.append((furniture, thing))
    chosen = day.one_of(options)
    if chosen is None:
        return None
    text = f"go to the object you interacted with that is now nearest to the {day.category[chosen[0]]}"
    return _one(text, objects([chosen[1]]))


# ------------------------------------------------------------------------------------------ object attributes


@TEMPLATES.of("object attributes")
def colour_handled(day: Day) -> Filled:
    """Pick a handled thing of a colour."""
    colour = day.one_of(dict.fromkeys(day.colour[i] for i in day.handled if day.colour[i]))
    if colour is None:
        return None
    things = [i for i in day.handled if day.colour[i] == colour]
    return _one(f"go back to {a(colour)} object that you interacted with", objects(things))


@TEMPLATES.of("object attributes")
def colour_and_category(day: Day) -> Filled:
    """Pick a thing by colour and category where the category has several colours."""
    several = [i for i in day.small if len({day.colour[j] for j in day.of(day.small, day.category[i])}) > 1]
    thing = day.one_of(i for i in several if day.colour[i])
    if thing is None:
        return None
    name = day.name(thing)
    return _one(f"go to the {name}", objects(i for i in day.small if day.name(i) == name))


@TEMPLATES.of("object attributes")
def kind_handled(day: Day) -> Filled:
    """Pick a handled thing of a kind."""
    kind = day.one_of(k for k, names in KINDS.items() if any(day.category[i] in names for i in day.handled))
    if kind is None:
        return None
    things = [i for i in day.handled if day.category[i] in KINDS[kind]]
    return _one(f"go to {a(kind)} that you rearranged today", objects(things))


@TEMPLATES.of("object attributes")
def kind_not_handled(day: Day) -> Filled:
    """Pick a thing of a kind that was left alone."""
    kind = day.one_of(k for k, names in KINDS.items() if any(day.category[i] in names for i in day.left_alone))
    if kind is None:
        return None
    things = [i for i in day.left_alone if day.category[i] in KINDS[kind]]
    return _one(f"go to {a(kind)} that you did not rearrange today", objects(things))


@TEMPLATES.of("object attributes")
def largest_handled(day: Day) -> Filled:
    """Pick the largest handled thing, by its box."""
    thing = extreme({i: day.volume_m3[i] for i in day.handled}, "most", margin=0.0)
    return None if thing is None else _one("go to the largest object that you interacted with today", objects([thing]))
