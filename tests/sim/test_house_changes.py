"""What happened overnight is what the list of changes says."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Set, Tuple

import numpy as np
import pytest

from sim.houses import change_overnight, generate_house
from sim.houses.changes import MIN_MOVE_M
from sim.houses.clearance import clearance, rooms_reachable
from sim.houses.layout import plan_of
from sim.houses.placing import Contents, middle, overlap
from sim.houses.sight import hidden_things
from sim.scene import Scene
from sim.truth import TrueChange

SEEDS = range(3)


@lru_cache(maxsize=8)
def night(seed: int) -> Tuple[Scene, Scene, Tuple[TrueChange, ...]]:
    before = generate_house(seed)
    return (before, *change_overnight(before, seed))


def supports_of(contents: Contents, instance_id: int) -> Set[int]:
    found = set()
    while contents.instances[instance_id].support:
        instance_id = contents.instances[instance_id].support
        found.add(instance_id)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_some_things_are_moved_removed_and_added(seed: int) -> None:
    _, _, changes = night(seed)
    kinds = Counter(change.kind for change in changes if change.category != "chair")
    assert kinds == {"moved": 3, "removed": 2, "added": 2}
    assert len({change.category for change in changes}) == len(changes)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_list_tells_all_that_differs_and_nothing_else(seed: int) -> None:
    before, after, changes = night(seed)
    old, new = Contents(0, before), Contents(0, after)
    by_kind = {kind: {c.instance_id for c in changes if c.kind == kind} for kind in ("moved", "removed", "added")}
    assert set(old.instances) - set(new.instances) == by_kind["removed"]
    assert set(new.instances) - set(old.instances) == by_kind["added"]
    kept = set(old.instances) & set(new.instances)
    poses_old = {i: old.instances[i].T_world_object for i in kept}
    differs = {i for i in kept if not np.array_equal(poses_old[i], new.instances[i].T_world_object)}
    assert differs == by_kind["moved"]
    for change in changes:
        for point, contents in ((change.from_position_m, old), (change.to_position_m, new)):
            if point is not None:
                assert np.allclose(point, middle(contents.bounds[change.instance_id]))
                assert contents.category(change.instance_id) == change.category
        assert (change.from_position_m is None) == (change.kind == "added")
        assert (change.to_position_m is None) == (change.kind == "removed")


@pytest.mark.parametrize("seed", SEEDS)
def test_moved_things_go_far_and_one_changes_its_room(seed: int) -> None:
    before, _, changes = night(seed)

    def room_of(point: Tuple[float, float, float]) -> str:
        for region in before.regions:
            x0, y0, x1, y1 = region.rectangle_m
            if x0 <= point[0] <= x1 and y0 <= point[1] <= y1:
                return region.name
        return ""

    rooms = []
    for change in changes:
        if change.kind == "moved" and change.from_position_m and change.to_position_m:
            distance = np.hypot(*(np.array(change.to_position_m) - np.array(change.from_position_m))[:2])
            assert distance >= MIN_MOVE_M
            rooms.append((room_of(change.from_position_m), room_of(change.to_position_m)))
    assert any(a != b for a, b in rooms)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_that_carried_others_was_touched_and_the_house_stays_whole(seed: int) -> None:
    before, after, changes = night(seed)
    carriers = {instance.support for instance in before.instances}
    assert not carriers & {change.instance_id for change in changes if change.kind != "added"}
    contents = Contents(0, after)
    for instance in after.instances:
        assert instance.support == 0 or instance.support in contents.instances
    moved = {change.instance_id for change in changes if change.kind != "removed"}
    for a in moved:
        for b in contents.instances:
            if a != b and b not in supports_of(contents, a):
                assert not overlap(contents.bounds[a], contents.bounds[b])
    plan = plan_of(after.regions, after.doors)
    floor = clearance(plan, contents.footprints())
    assert rooms_reachable(plan, floor)
    assert hidden_things(after, floor) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_added_things_are_the_first_of_their_category_and_colour(seed: int) -> None:
    before, after, changes = night(seed)
    known = {(t.category, t.colour) for t in before.templates.values()}
    for change in changes:
        if change.kind == "added":
            template = after.templates[after.by_id()[change.instance_id].template]
            assert (template.category, template.colour) not in known
            assert change.instance_id > max(before.by_id())


def test_the_same_seed_changes_the_same() -> None:
    before, after, changes = night(0)
    again, changes_again = change_overnight(before, 0)
    assert changes == changes_again
    assert after.name == again.name != before.name
    assert change_overnight(before, 1)[1] != changes


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed"):
        change_overnight(night(0)[0], -1)
