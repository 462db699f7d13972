"""Answers a question about past, present and future: recalls what is worth it, goes where it must, stops when sure.

After "Enter the Mind Palace" (arXiv 2507.12846): its strategies (past only, present only, past then present, …) follow
here from what the question names. The present is looked for in the order with the least expected way (``planner``), and
past visits are recalled for it only while that may shorten the way (``value``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from embodied.arrays import Float
from embodied.config import Config
from embodied.messages import Point
from policies.mind_palace.asking import NOW, Intent, Moment, understand
from policies.mind_palace.belief import BeliefConfig, after_misses, chances, weight
from policies.mind_palace.planner import Trip, best_trip, nearest_trip
from policies.mind_palace.protocols import Body, Palace, Place, Recalled, Visit
from policies.mind_palace.value import Search, value_of_recall_m

SAME_M = 0.6
"""Places nearer to one another than this are one."""


class MindConfig(Config):
    """How to recall and to search."""

    recall: Literal["value", "all", "none"] = "value"
    """``value``: what is worth it. ``all``: every visit before anything else. ``none``: never; nothing is known of
    what was, and whatever would have to be compared with it is not looked for."""
    plan: Literal["expected", "nearest"] = "expected"
    """``expected``: least expected way. ``nearest``: where it has been seen, then anywhere, always the nearest."""
    worth_m: float = 0.3
    """A recall that shortens the way by less is left."""
    looks_per_area: int = 2
    """After as many looks at every area a search is given up."""
    settled_looks: float = 0.85
    """A piece of furniture that was looked at so well does not have what was not seen there."""
    belief: BeliefConfig = BeliefConfig()
    """How past visits bear on the present."""


@dataclass(frozen=True)
class Conclusion:
    """An answer, and what it took."""

    position_m: Point | None
    carrier: str
    yes: bool | None
    count: int | None
    n_images: int
    """Pictures that were loaded from memory."""
    n_recalls: int
    found: bool
    """False where the present was asked for and the thing was not seen: what is told then is a guess."""


class Mind:
    """One question's thoughts."""

    def __init__(self, config: MindConfig, palace: Palace, body: Body) -> None:
        self._config, self._palace, self._body = config, palace, body
        self._recalled: dict[tuple[str, str], Recalled] = {}
        self._present: dict[str, Place | None] = {}
        self._found = True

    def answer(self, question: str) -> Conclusion:
        """Answer a question in English.

        Raises:
            NotUnderstood: It is beyond the grammar (``asking``).
        """
        intent = understand(question)
        if self._config.recall == "all":
            for visit in self._palace.visits:
                self._recall(visit, intent.thing)
        if intent.ask == "count":
            return self._conclude(count=self._count(intent))
        if intent.ask == "same":
            return self._conclude(yes=self._is_same(intent) != intent.is_negated)
        assert intent.when is not None, intent
        return self._conclude(place=self._place(intent.thing, intent.when))

    def _conclude(self, *, place: Place | None = None, yes: bool | None = None, count: int | None = None) -> Conclusion:
        carrier = self._palace.areas[place.area] if place is not None and place.area is not None else ""
        return Conclusion(
            position_m=place.position_m if place is not None else None,
            carrier=carrier,
            yes=yes,
            count=count,
            n_images=sum(recalled.n_images for recalled in self._recalled.values()),
            n_recalls=len(self._recalled),
            found=self._found,
        )

    # ------------------------------------------------------------------------------------------ kinds of answers

    def _count(self, intent: Intent) -> int:
        return sum(self._is_on(self._place_on(visit, intent.thing), intent.carrier) for visit in self._palace.visits)

    def _is_same(self, intent: Intent) -> bool:
        assert intent.when is not None, intent
        if intent.carrier:
            settling = self._area_named(intent.carrier) if intent.when == NOW else None
            return self._is_on(self._place(intent.thing, intent.when, settling), intent.carrier)
        assert intent.other is not None, intent
        other = self._place(intent.thing, intent.other)
        if other is None:
            return False
        place = self._place(intent.thing, intent.when, other.area if intent.when == NOW else None, other)
        if place is None:
            return False
        return _distance_m(place.position_m, other.position_m) <= SAME_M

    def _is_on(self, place: Place | None, carrier: str) -> bool:
        return place is not None and place.area is not None and self._palace.areas[place.area] == carrier

    def _area_named(self, carrier: str) -> int | None:
        areas = list(self._palace.areas)
        return areas.index(carrier) if carrier in areas else None

    def _place(
        self, thing: str, moment: Moment, settling: int | None = None, spot: Place | None = None
    ) -> Place | None:
        """Return where a thing is or was at a moment, None if that is not known."""
        if moment == NOW:
            return self._now(thing, settling, spot)
        if moment.kind == "visit":
            named = [v for v in self._palace.visits if (v.day, v.when.part) == (moment.day, moment.part)]
            return self._place_on(named[-1], thing) if named else None
        return self._usual(thing, moment.part)

    # ------------------------------------------------------------------------------------------ the past

    def _recall(self, visit: Visit, thing: str) -> Recalled:
        key = (visit.name, thing)
        if key not in self._recalled:
            self._recalled[key] = self._palace.recall(visit, thing)
        return self._recalled[key]

    def _place_on(self, visit: Visit, thing: str) -> Place | None:
        """Return where a thing was on a visit; nothing for who never recalls."""
        return None if self._config.recall == "none" else self._recall(visit, thing).place

    def _known(self, thing: str) -> list[tuple[Visit, Place]]:
        """Return the visits that were recalled for a thing and showed it, oldest first."""
        found = [
            (v, self._recalled[v.name, thing].place) for v in self._palace.visits if (v.name, thing) in self._recalled
        ]
        return [(visit, place) for visit, place in found if place is not None]

    def _usual(self, thing: str, part: str) -> Place | None:
        """Return where a thing mostly was in a part of the day: visits are recalled until that is decided."""
        visits = [v for v in reversed(self._palace.visits) if v.when.part == part] or list(self._palace.visits)
        groups: list[list[Place]] = []
        for n, visit in enumerate(visits):
            place = self._place_on(visit, thing)
            if place is not None:
                group = next((g for g in groups if _distance_m(g[0].position_m, place.position_m) <= SAME_M), None)
                if group is None:
                    groups.append([place])
                else:
                    group.append(place)
            ranks = sorted((len(group) for group in groups), reverse=True) + [0, 0]
            if ranks[0] > ranks[1] + len(visits) - n - 1:
                break
        return max(groups, key=len)[0] if groups else None

    # ------------------------------------------------------------------------------------------ the present

    def _now(self, thing: str, settling: int | None, spot: Place | None = None) -> Place | None:
        if thing not in self._present:
            self._present[thing] = self._search(thing, settling, spot)
        return self._present[thing]

    def _search(self, thing: str, settling: int | None, spot: Place | None) -> Place | None:
        """Look for a thing until it is found, or the settling area has been looked at."""
        found = self._body.look_around(thing, spot)
        while found is None and not self._is_settled(settling, spot):
            n_missed = self._missed(thing)
            search = self._round(n_missed, settling)
            if search is None:
                break
            self._recall_what_is_worth_it(thing, search, n_missed)
            order = self._trip(thing, search, n_missed).order
            own = [spot] if spot is not None and spot.area == order[0] else []
            found = self._body.look_at(order[0], thing, [*own, *self._spots(thing, order[0])])
        if found is None and self._is_settled(settling, spot):
            return None
        self._found = found is not None
        return found if found is not None else self._guess(thing)

    def _round(self, n_missed: Float[np.ndarray, " n_areas"], settling: int | None) -> Search | None:
        """Return the ways to what is to be looked at next: no area again before each has had as many looks.

        None once all have had enough of them. Without rounds a robot would look for ever where it stands, for that
        costs no way.
        """
        from_here_m, between_m = self._body.ways_m()
        can_go = np.isfinite(from_here_m)
        if not can_go.any() or n_missed[can_go].min() >= self._config.looks_per_area:
            return None
        is_next = n_missed < np.floor(n_missed[can_go].min()) + 1.0
        if settling is not None:
            is_next[settling] |= n_missed[settling] < self._config.looks_per_area
        return Search(np.where(is_next, from_here_m, np.inf), between_m, settling)

    def _spots(self, thing: str, area: int) -> list[Place]:
        """Return the places in an area where the thing was, as far as they were recalled, the latest first."""
        kept: list[Place] = []
        for _, place in reversed(self._known(thing)):
            if place.area == area and all(_distance_m(place.position_m, p.position_m) > SAME_M for p in kept):
                kept.append(place)
        return kept

    def _missed(self, thing: str) -> Float[np.ndarray, " n_areas"]:
        """Return how well each area was looked at; all its known places being seen counts as a look."""
        looks = self._body.looks()
        spots = [self._spots(thing, area) for area in range(len(looks))]
        seen = [bool(own) and all(self._body.has_seen(spot) for spot in own) for own in spots]
        total: Float[np.ndarray, " n_areas"] = looks + np.array(seen, dtype=float)
        return total

    def _is_settled(self, settling: int | None, spot: Place | None) -> bool:
        """Tell whether the place that is asked for has been seen, so that the thing is not there."""
        if spot is not None and self._body.has_seen(spot):
            return True
        # A spot that cannot be made out from before it is given up like any area.
        enough = self._config.settled_looks if spot is None else self._config.looks_per_area
        return settling is not None and bool(self._body.looks()[settling] >= enough)

    def _chances(self, thing: str, n_missed: Float[np.ndarray, " n_areas"]) -> Float[np.ndarray, " n_areas"]:
        seen = [(visit.when, place.area) for visit, place in self._known(thing) if place.area is not None]
        even = chances(self._config.belief, len(n_missed), seen, self._body.now)
        return after_misses(self._config.belief, even, n_missed)

    def _trip(self, thing: str, search: Search, n_missed: Float[np.ndarray, " n_areas"]) -> Trip:
        ways = search.from_here_m, search.between_m
        if self._config.plan == "expected":
            return best_trip(self._chances(thing, n_missed), *ways, search.settling)
        seen = {place.area for _, place in self._known(thing) if place.area is not None}
        first = nearest_trip(np.array(sorted(seen), dtype=np.int64), *ways)
        return first if first.order else nearest_trip(np.arange(len(n_missed)), *ways)

    def _recall_what_is_worth_it(self, thing: str, search: Search, n_missed: Float[np.ndarray, " n_areas"]) -> None:
        """Recall visits, the most valuable first, while that is likely to shorten the way."""
        while self._config.recall == "value":
            now, belief = self._body.now, self._config.belief
            known = [(visit.when, place.area) for visit, place in self._known(thing) if place.area is not None]
            # Of visits in the same part of the day the latest tells the most.
            fresh = {v.when.part: v for v in self._palace.visits if (v.name, thing) not in self._recalled}
            worth = {v: value_of_recall_m(belief, search, known, v.when, now, n_missed) for v in fresh.values()}
            best = max(worth, key=lambda v: (worth[v], weight(belief, v.when, now)), default=None)
            if best is None or worth[best] < self._config.worth_m:
                return
            self._recall(best, thing)

    def _guess(self, thing: str) -> Place | None:
        """Return where a thing that was not found is likeliest."""
        known = [place for _, place in self._known(thing) if place.area is not None]
        if not known:
            return None
        chance = self._chances(thing, self._missed(thing))
        return max(known, key=lambda place: float(chance[place.area or 0]))


def _distance_m(a_m: Point, b_m: Point) -> float:
    return float(np.linalg.norm(np.subtract(a_m, b_m)))


__all__ = ["Conclusion", "Mind", "MindConfig"]
