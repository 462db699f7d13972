"""What templates ask about a day, and the helpers that they share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, Literal, Optional, Sequence, Tuple, TypeVar

import numpy as np

from sim.findingdory.goals import Goal, Instruction
from sim.findingdory.truth import HistoryTruth, TrueInteraction
from sim.findingdory.walking import Floor
from sim.houses.catalogue import CATALOGUE
from sim.houses.placing import bounds_of, middle

T = TypeVar("T")
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh")
CLEARLY = 1.25
"""A greatest or least is one only by this factor over the next."""
CLEARLY_M = 0.5
"""And a distance by this much."""


class Day:
    """The truth of a day, and the chance that fills a template's gaps."""

    def __init__(self, truth: HistoryTruth, floor: Floor, rng: np.random.Generator) -> None:
        self.truth = truth
        self.rng = rng
        self._floor = floor
        self.interactions = truth.interactions
        scene = truth.after
        self.category: Dict[int, str] = {i.instance_id: scene.category_of(i.instance_id) for i in scene.instances}
        self.colour = {i.instance_id: scene.templates[i.template].colour for i in scene.instances}
        boxes = {i.instance_id: bounds_of(scene.templates[i.template], i.T_world_object) for i in scene.instances}
        self.center: Dict[int, Sequence[float]] = {i: middle(box).tolist() for i, box in boxes.items()}
        self.volume_m3 = {
            instance_id: float(np.prod(np.subtract(box[3:], box[:3]))) for instance_id, box in boxes.items()
        }
        self.handled = tuple(i.instance_id for i in self.interactions)
        self.picked_from = unique(i.picked_from for i in self.interactions)
        self.placed_on = unique(i.placed_on for i in self.interactions)
        self.used = unique((*self.picked_from, *self.placed_on))
        self.small = tuple(i for i, name in self.category.items() if CATALOGUE[name].movable)
        """Things that a hand can carry."""
        self.left_alone = tuple(i for i in self.small if i not in self.handled)
        self.receptacles = tuple(
            i.instance_id
            for i in scene.instances
            if i.support == 0 and not CATALOGUE[self.category[i.instance_id]].movable and self._carries(i.instance_id)
        )
        """Furniture on which something lies."""
        self.rooms = tuple(region.name for region in scene.regions)

    def _carries(self, instance_id: int) -> bool:
        scenes = (self.truth.before, self.truth.after)
        return any(i.support == instance_id for scene in scenes for i in scene.instances)

    def one_of(self, options: Iterable[T]) -> Optional[T]:
        """Return one by chance, None of none. The order of the options is theirs, not that of a set."""
        choices: List[T] = list(options)
        return choices[int(self.rng.integers(len(choices)))] if choices else None

    def of(self, instances: Iterable[int], category: str) -> Tuple[int, ...]:
        """Return those of a category."""
        return tuple(i for i in instances if self.category[i] == category)

    def name(self, instance_id: int) -> str:
        """Return colour and category."""
        return f"{self.colour[instance_id]} {self.category[instance_id]}".strip()

    def named(self) -> Tuple[TrueInteraction, ...]:
        """Return the interactions with a thing whose name no other handled thing has."""
        n = Counter(i.name for i in self.interactions)
        return tuple(i for i in self.interactions if n[i.name] == 1)

    def way_m(self, instance_id: int) -> float:
        """Return the length of the way from the robot to a thing."""
        x_m, y_m, _ = self.center[instance_id]
        return self._floor.way_m(self.truth.now_pose[:2], (x_m, y_m))

    def flat_m(self, a: Sequence[float], b: Sequence[float]) -> float:
        """Return the distance of two points along the floor, as the crow flies."""
        return float(np.hypot(a[0] - b[0], a[1] - b[1]))


def a(noun: str) -> str:
    """Return a noun with its indefinite article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def unique(items: Iterable[T]) -> Tuple[T, ...]:
    """Return each item once, in the order of first occurrence."""
    return tuple(dict.fromkeys(items))


def objects(instances: Iterable[int]) -> Goal:
    """Return the goal to be at any of some things."""
    return Goal("object", tuple(sorted(set(instances))))


def receptacles(instances: Iterable[int]) -> Goal:
    """Return the goal to be at any of some pieces of furniture."""
    return Goal("receptacle", tuple(sorted(set(instances))))


def extreme(values: Dict[T, float], which: Literal["most", "least"], margin: float = 0.0) -> Optional[T]:
    """Return what has the greatest or least value, None if it is not clearly so.

    Args:
        values: At least two.
        which: End of the order.
        margin: By how much it must differ from the next; 0 asks for the factor ``CLEARLY``.
    """
    if len(values) < 2:
        return None
    order = sorted(values, key=lambda key: values[key], reverse=which == "most")
    best, second = values[order[0]], values[order[1]]
    low, high = sorted((best, second))
    clear = high - low >= margin if margin else high >= CLEARLY * max(low, 1e-9)
    return order[0] if clear else None


Make = Callable[[Day], Optional[Tuple[str, Tuple[Goal, ...]]]]
"""Text and goals, or None where the day gives no such instruction."""


@dataclass(frozen=True)
class Template:
    """One kind of instruction."""

    name: str
    category: str
    make: Make
    ordered: bool = False

    def fill(self, day: Day) -> Optional[Instruction]:
        """Return an instruction about a day, None where it would be empty or ambiguous."""
        filled = self.make(day)
        if filled is None:
            return None
        text, goals = filled
        return Instruction(self.name, self.category, text, goals, self.ordered)


class Templates(List[Template]):
    """Collects the templates of a file."""

    def of(self, category: str, *, ordered: bool = False) -> Callable[[Make], Make]:
        """Return the decorator that adds a function under its own name."""

        def add(make: Make) -> Make:
            self.append(Template(make.__name__, category, make, ordered))
            return make

        return add
