"""A robot that looks for a thing in the present house, with a memory that takes in what it sees on the way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from laeqa_palace import MemoryPalace, when_of
from laeqa_sight import Sight

from embodied.arrays import Float, Points2
from embodied.config import Config
from embodied.geometry import wrap_angle
from embodied.messages import Point
from memory_bank.bank import MemoryBank
from memory_bank.objects.track import Track
from policies.mind_palace.belief import When
from policies.mind_palace.protocols import Place
from policies.navigation.controller import ControllerConfig, Pose, follow, get_free
from policies.navigation.grid import distance_field, shorten_path
from policies.navigation.navigator import pose_of
from policies.navigation.standing import StandingPlace
from sim.laeqa.present import PresentRobot


class ExplorerConfig(Config):
    """How the robot looks around."""

    controller: ControllerConfig = ControllerConfig(n_chunk=3)
    """Between two pictures it drives no longer than a chunk."""
    n_around: int = 8
    """Pictures of a whole turn."""
    fan_rad: tuple[float, ...] = (0.0, 0.45, -0.45)
    """Where it looks before an area, beside its middle."""
    glance_m: float = 4.5
    """So near to what it goes to, it turns its camera there on the way …"""
    glance_every_m: float = 0.5
    """… after as much way each time."""
    glance_beyond_rad: float = 0.4
    """What lies within this of its heading needs no turn."""
    passing_m: float = 3.0
    """What is in the picture and nearer than this is seen in passing …"""
    passing_share: float = 0.6
    """… with this share of its upper side free …"""
    passing_worth: float = 0.3
    """… which is worth so much of a look from near …"""
    passing_most: float = 0.9
    """… and all of it together at most so much."""
    empty_px: float = 30.0
    """Where a thing was expected and nothing hides it, pictures that would show it this large would show it; …"""
    n_sure_empty: int = 3
    """… so many of them without it are enough."""
    spots_worth: float = 0.5
    """How much of a look at an area it is to have looked at the places in it where the thing was."""
    around_apart_m: float = 1.5
    """Where it has turned once, it does not turn again so near."""
    n_surer: int = 3
    """Looks at what may be the thing and is not sure yet."""
    min_share: float = 0.5
    """Of the labels that it got in this session, the thing's own has at least this share."""
    max_chunks: int = 80
    """On one way."""


class Explorer:
    """A body for the mind: drives, looks, and asks the memory whether the thing was seen."""

    def __init__(self, palace: MemoryPalace, memory: MemoryBank, robot: PresentRobot, config: ExplorerConfig) -> None:
        """Begin the session.

        Args:
            palace: The past: furniture and map.
            memory: Takes in the present; a copy of the past's, for what was seen then is not forgotten.
            robot: In the present house.
            config: How it looks around.
        """
        self._palace, self._memory, self._robot, self._config = palace, memory, robot, config
        start = robot.start()
        self.now: When = when_of(start.stamp_ns)
        self._start_ns = start.stamp_ns
        memory.take(start)
        self._pose = Pose(0.0, 0.0, 0.0)
        self._passed = np.zeros(len(palace.furniture))
        self._looked = np.zeros(len(palace.furniture))
        self._turned_at_m: list[np.ndarray] = []
        self._sights: list[Sight] = []
        self._observe(False)

    def ways_m(self) -> tuple[Float[np.ndarray, " n_areas"], Float[np.ndarray, "n_areas n_areas"]]:
        """Return how far it is from the robot to each area, and between them."""
        ways = self._palace.ways
        return ways.from_m(self._pose.x_m, self._pose.y_m), ways.between_m

    def looks(self) -> Float[np.ndarray, " n_areas"]:
        """Return how well each area has been looked at."""
        worth = self._config.passing_worth * self._passed
        total: Float[np.ndarray, " n_areas"] = self._looked + np.minimum(worth, self._config.passing_most)
        return total

    def has_seen(self, spot: Place) -> bool:
        """Tell whether enough pictures show a place from near enough, with nothing before it."""
        return self._n_views_of(spot) >= self._config.n_sure_empty

    def _n_views_of(self, spot: Place) -> int:
        return sum(sight.shows(spot.position_m, spot.size_m, self._config.empty_px) for sight in self._sights)

    def look_around(self, thing: str, spot: Place | None = None) -> Place | None:
        """Turn once on the spot, look longer at a place if it is in sight, and return the thing if it is seen."""
        self._turned_at_m.append(self._pose.position_m)
        found = self._sure(thing)
        for _ in range(self._config.n_around if found is None else 0):
            self._turn(2.0 * np.pi / self._config.n_around)
            found = self._see(thing)
            if found is not None:
                break
        return found if found is not None or spot is None else self._look_longer(spot, thing)

    def _look_longer(self, spot: Place, thing: str) -> Place | None:
        """Where a place has come into view, look until that suffices or the thing is seen."""
        for _ in range(self._config.n_sure_empty):
            if not self._n_views_of(spot) or self.has_seen(spot):
                return None
            self._turn(wrap_angle(self._bearing(spot.position_m) - self._pose.yaw_rad))
            found = self._see(thing)
            if found is not None:
                return found
        return None

    def look_at(self, area: int, thing: str, spots: Sequence[Place]) -> Place | None:
        """Go until some places in an area are seen, or the whole of it where they have been, or the thing anywhere."""
        ways, fresh = self._palace.ways, [spot for spot in spots if not self.has_seen(spot)]
        for spot in fresh:
            place = ways.place_for(spot.position_m, distance_field(ways.terrain, self._cell()))
            found = self._go_and_look(place, spot.position_m, thing, spot)
            if found is not None:
                return found
        if fresh:
            self._looked[area] += self._config.spots_worth
            return None
        found = self._go_and_look(ways.area_place(area), self._palace.furniture[area].box.center_m, thing, None)
        self._looked[area] += 1.0
        if found is None and all(
            np.hypot(*(at - self._pose.position_m)) > self._config.around_apart_m for at in self._turned_at_m
        ):
            found = self.look_around(thing)
        return found

    def _go_and_look(
        self, place: StandingPlace | None, target_m: Point, thing: str, spot: Place | None
    ) -> Place | None:
        """Go to a place and look at a target; where only a spot is to be seen, no farther than that takes."""
        if place is None:
            return None
        found = self._drive(place, target_m, thing, spot)
        for offset_rad in self._config.fan_rad:
            if found is not None or (spot is not None and self.has_seen(spot)):
                break
            self._turn(wrap_angle(self._bearing(target_m) + offset_rad - self._pose.yaw_rad))
            found = self._see(thing)
        return found

    # ------------------------------------------------------------------------------------------ driving

    def _cell(self) -> tuple[int, int]:
        cell = self._palace.ways.terrain.nearest_traversable(self._pose.x_m, self._pose.y_m)
        assert cell is not None, "the map of the past has floor on it"
        return cell

    def _path(self, place: StandingPlace) -> Points2:
        terrain = self._palace.ways.terrain
        cells_m = distance_field(terrain, self._cell()).path_to(place.cell)
        return np.concatenate([self._pose.position_m[None], shorten_path(terrain, cells_m)])

    def _drive(self, place: StandingPlace, target_m: Point, thing: str, spot: Place | None) -> Place | None:
        """Go to a place; return the thing as soon as it is seen, or nothing as soon as the spot is."""
        terrain, controller = self._palace.ways.terrain, self._config.controller
        path_m = self._path(place)
        glanced_at_m = self._robot.way_m - self._config.glance_every_m
        for _ in range(self._config.max_chunks):
            plan = follow(controller, terrain, self._pose, path_m, place.yaw_rad)
            if not len(plan.twists):
                if not plan.blocked:
                    break
                plan = get_free(controller, terrain, self._pose)
            collided = False
            for twist in plan.twists:
                collided |= self._robot.step(twist, controller.period_s)
            found = self._see(thing, collided)
            if found is None and self._robot.way_m - glanced_at_m >= self._config.glance_every_m:
                off_rad = wrap_angle(self._bearing(target_m) - self._pose.yaw_rad)
                near = np.hypot(*(np.array(target_m[:2]) - self._pose.position_m)) <= self._config.glance_m
                if near and abs(off_rad) > self._config.glance_beyond_rad:
                    glanced_at_m = self._robot.way_m
                    self._turn(off_rad)
                    found = self._see(thing)
            if found is None and spot is not None:
                found = self._look_longer(spot, thing)
            if found is not None or (spot is not None and self.has_seen(spot)):
                return found
            if plan.blocked:
                path_m = self._path(place)
        return None

    def _bearing(self, target_m: Point) -> float:
        return float(np.arctan2(target_m[1] - self._pose.y_m, target_m[0] - self._pose.x_m))

    def _turn(self, angle_rad: float) -> None:
        rate = self._config.controller.max_turn_rad_s
        if abs(angle_rad) > 1e-3:
            self._robot.step(np.array([0.0, 0.0, np.copysign(rate, angle_rad)]), abs(angle_rad) / rate)

    # ------------------------------------------------------------------------------------------ seeing

    def _observe(self, collided: bool) -> None:
        observation = self._robot.look(collided)
        self._memory.take(observation)
        self._pose = pose_of(observation)
        view = Sight.of(observation)
        self._sights.append(view)
        config = self._config
        self._passed += [
            view.share_of_top(record.box, config.passing_m) >= config.passing_share for record in self._palace.furniture
        ]

    def _see(self, thing: str, collided: bool = False) -> Place | None:
        """Look, and look again at what may be the thing."""
        self._observe(collided)
        for _ in range(self._config.n_surer):
            found = self._sure(thing)
            if found is not None:
                return found
            maybe = [track for track in self._seen(thing) if not track.confirmed]
            if not maybe:
                return None
            self._turn(wrap_angle(self._bearing(maybe[0].position_m) - self._pose.yaw_rad))
            self._observe(False)
        return self._sure(thing)

    def _seen(self, thing: str) -> list[Track]:
        """Return what was seen in this session and mostly called so."""
        tracks = [t for t in self._memory.mapper.graph if t.last_seen_ns >= self._start_ns and t.label == thing]
        return [t for t in tracks if _share(t.session_label_weights, thing) >= self._config.min_share]

    def _sure(self, thing: str) -> Place | None:
        tracks = [track for track in self._seen(thing) if track.confirmed and track.is_there]
        if not tracks:
            return None
        best = max(tracks, key=lambda track: (track.session_label_weights[thing], track.id))
        return self._palace.place_of(best.box, best.label)


def _share(weights: dict[str, float], label: str) -> float:
    total = sum(weights.values())
    return weights.get(label, 0.0) / total if total > 0.0 else 0.0
