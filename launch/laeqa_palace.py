"""Our memory as a mind palace: visits that are recalled one by one, and the furniture in which things are found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cached_property

import numpy as np
from recall_world import ask

from embodied.arrays import Float
from embodied.clock import NANOSECONDS
from embodied.messages import (
    Box,
    GetMap,
    ListObjects,
    ListSessions,
    MapReply,
    ObjectRecord,
    ObjectsReply,
    Point,
    Query,
    SessionsReply,
)
from memory_bank.bank import MemoryBank
from memory_bank.recall.past import carrier_of
from policies.mind_palace.belief import When
from policies.mind_palace.protocols import Place, Recalled, Visit
from policies.navigation.grid import DistanceField, Grid, Terrain, TerrainConfig, build_terrain, distance_field
from policies.navigation.standing import GoToConfig, StandingPlace, Target, find_standing_places
from policies.navigation.view import CameraView

MIN_SIDE_M, MIN_LENGTH_M = 0.3, 0.4
"""Furniture is at least so wide and long, seen from above, …"""
TOP_M = (0.25, 1.6)
"""… and its upper side lies between these heights."""
NEAR_AREA_M = 0.3
"""What rests on nothing that the memory knows of counts to the furniture within this, seen from above."""
NOON_H = 14


def when_of(stamp_ns: int) -> When:
    """Return the part of the day of an instant (UTC)."""
    hour = datetime.fromtimestamp(stamp_ns // NANOSECONDS, tz=timezone.utc).hour
    return When(stamp_ns, "morning" if hour < NOON_H else "evening")


def day_of(stamp_ns: int) -> str:
    """Return the day of the week of an instant (UTC)."""
    return datetime.fromtimestamp(stamp_ns // NANOSECONDS, tz=timezone.utc).strftime("%A")


class MemoryPalace:
    """A memory of past visits. It is only read."""

    def __init__(self, memory: MemoryBank) -> None:
        self._memory = memory
        listed = memory.handle(ListObjects())
        assert isinstance(listed, ObjectsReply), listed
        self.furniture: tuple[ObjectRecord, ...] = tuple(
            sorted((r for r in listed.objects if _is_furniture(r)), key=lambda r: (r.label, r.id))
        )
        self.areas: tuple[str, ...] = tuple(record.label for record in self.furniture)
        sessions = memory.handle(ListSessions())
        assert isinstance(sessions, SessionsReply), sessions
        self.visits: tuple[Visit, ...] = tuple(
            Visit(s.session, day_of(s.start_ns), when_of(s.start_ns)) for s in sessions.sessions
        )

    def recall(self, visit: Visit, thing: str) -> Recalled:
        """Recall where a thing was on a visit; every picture that comes with the answer counts."""
        answer = ask(self._memory, Query(kind="where", label=thing, session=visit.name, limit=1))
        n_images = len(answer.evidence) + len(answer.views)
        there = [record for record in answer.objects if record.state != "gone"]
        if answer.unknown or not there:
            return Recalled(None, n_images)
        return Recalled(self.place_of(there[0].box, there[0].label), n_images)

    def place_of(self, box: Box, label: str) -> Place:
        """Return a place with the area it is in or on."""
        others = [record for record in self.furniture if record.label != label]
        carrier = carrier_of(box, label, others)
        gap_m = np.array([_gap_m(box.center_m, record.box) for record in self.furniture])
        named = [i for i, record in enumerate(self.furniture) if record.label == carrier]
        if named:
            return Place(box.center_m, min(named, key=lambda i: float(gap_m[i])), box.size_m)
        nearest = int(np.argmin(gap_m)) if len(gap_m) else -1
        is_near = nearest >= 0 and gap_m[nearest] <= NEAR_AREA_M
        return Place(box.center_m, nearest if is_near else None, box.size_m)

    @cached_property
    def ways(self) -> AreaWays:
        """The ways between areas, on the map of the past."""
        told = self._memory.handle(GetMap())
        assert isinstance(told, MapReply), told
        return AreaWays(told, self.furniture)


def _is_furniture(record: ObjectRecord) -> bool:
    x, y, z = record.box.size_m
    top_m = record.box.center_m[2] + z / 2
    return min(x, y) >= MIN_SIDE_M and max(x, y) >= MIN_LENGTH_M and TOP_M[0] <= top_m <= TOP_M[1]


def _gap_m(point_m: Point, box: Box) -> float:
    """Return how far a point lies outside of a box, seen from above."""
    c, s = np.cos(box.yaw_rad), np.sin(box.yaw_rad)
    dx, dy = point_m[0] - box.center_m[0], point_m[1] - box.center_m[1]
    own = np.abs([c * dx + s * dy, -s * dx + c * dy]) - np.array(box.size_m[:2]) / 2
    return float(np.hypot(*np.maximum(own, 0.0)))


@dataclass(frozen=True)
class _Stand:
    place: StandingPlace | None
    field: DistanceField | None


class AreaWays:
    """Where to stand before each area, and how far it is between them."""

    def __init__(self, told: MapReply, furniture: Sequence[ObjectRecord]) -> None:
        self.terrain: Terrain = build_terrain(Grid.of(told), TerrainConfig(), ())
        self._furniture = furniture
        self._go_to = GoToConfig()
        row_columns = np.argwhere(self.terrain.traversable)
        middle = self.terrain.grid.centers_of(row_columns).mean(axis=0)
        source = self.terrain.nearest_traversable(float(middle[0]), float(middle[1]))
        assert source is not None, "a map of past visits has floor on it"
        everywhere = distance_field(self.terrain, source)
        self._stands = [self._stand(record, everywhere) for record in furniture]
        self.between_m = np.array(
            [[self._to(i, stand.place) for stand in self._stands] for i in range(len(furniture))]
        ).reshape(len(furniture), len(furniture))

    def _stand(self, record: ObjectRecord, everywhere: DistanceField) -> _Stand:
        place = self.place_for(record.box.center_m, everywhere, max(record.box.size_m[:2]) / 2)
        return _Stand(place, distance_field(self.terrain, place.cell, shy=False) if place else None)

    def place_for(
        self, target_m: Point, distances: DistanceField, radius_m: float | None = None
    ) -> StandingPlace | None:
        """Return the best place from which to see a target, None if none can be reached."""
        target = Target(target_m, radius_m)
        found = find_standing_places(self._go_to, self.terrain, distances, CameraView(), target)
        return found[0] if found else None

    def area_place(self, area: int) -> StandingPlace | None:
        """Return where to stand before an area."""
        return self._stands[area].place

    def _to(self, area: int, place: StandingPlace | None) -> float:
        field = self._stands[area].field
        return float(field.cost_m[place.cell]) if field is not None and place is not None else float("inf")

    def from_m(self, x_m: float, y_m: float) -> Float[np.ndarray, " n_areas"]:
        """Return how far it is from a place to each area; inf where there is no way."""
        cell = self.terrain.nearest_traversable(x_m, y_m)
        if cell is None:
            return np.full(len(self._stands), np.inf)
        return np.array([np.inf if s.field is None else float(s.field.cost_m[cell]) for s in self._stands])
