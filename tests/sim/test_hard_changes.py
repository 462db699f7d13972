"""A hard night does what it says, and the list of changes says all of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Dict, Tuple

import numpy as np

from sim.houses import change_overnight, generate_house
from sim.houses.hard_changes import PUSH_M, TWINS_M, add_twin, hard_night
from sim.houses.placing import Contents, middle
from sim.scene import Scene
from sim.truth import TrueChange

SEED = 1


@lru_cache(maxsize=1)
def night() -> Tuple[Scene, Scene, Tuple[TrueChange, ...]]:
    before = add_twin(generate_house(SEED), SEED)
    return (before, *hard_night(before, SEED))


def middles(scene: Scene) -> Dict[int, np.ndarray]:
    return {i: middle(bounds) for i, bounds in Contents(0, scene).bounds.items()}


def test_a_twin_stands_beside_its_like_on_the_same_support() -> None:
    house = generate_house(SEED)
    with_twin = add_twin(house, SEED)
    (new,) = set(with_twin.by_id()) - set(house.by_id())
    twin = with_twin.by_id()[new]
    like = [i for i in house.instances if i.template == twin.template]
    at = middles(with_twin)
    assert len(like) == 1
    assert like[0].support == twin.support
    assert TWINS_M[0] <= np.linalg.norm(at[new] - at[like[0].instance_id]) <= TWINS_M[1]


def test_the_list_tells_all_that_differs_and_nothing_else() -> None:
    before, after, changes = night()
    old, new = middles(before), middles(after)
    moved = {i for i in set(old) & set(new) if np.linalg.norm(old[i] - new[i]) > 1e-6}
    told = {kind: {c.instance_id for c in changes if c.kind == kind} for kind in ("moved", "removed", "added")}
    assert told == {"moved": moved, "removed": set(old) - set(new), "added": set(new) - set(old)}
    for change in changes:
        if change.from_position_m is not None:
            assert np.allclose(change.from_position_m, old[change.instance_id], atol=1e-6)
        if change.to_position_m is not None:
            assert np.allclose(change.to_position_m, new[change.instance_id], atol=1e-6)
    assert len({change.instance_id for change in changes}) == len(changes)


def test_one_thing_is_replaced_one_pushed_and_one_of_two_twins_carried_off() -> None:
    before, after, changes = night()
    ordinary = change_overnight(before, SEED)[1]
    assert changes[: len(ordinary)] == ordinary
    carried, removed, added, pushed = changes[len(ordinary) :]
    old, now = before.by_id(), after.by_id()
    template = old[carried.instance_id].template
    (stayed,) = [i for i in after.instances if i.template == template and i.instance_id != carried.instance_id]
    assert (stayed.T_world_object == old[stayed.instance_id].T_world_object).all()
    assert (removed.kind, added.kind, pushed.kind) == ("removed", "added", "moved")
    place = old[removed.instance_id].T_world_object
    assert (now[added.instance_id].T_world_object == place).all()
    assert added.category != removed.category
    assert pushed.from_position_m is not None
    assert pushed.to_position_m is not None
    assert np.isclose(np.linalg.norm(np.subtract(pushed.to_position_m, pushed.from_position_m)), PUSH_M)
    categories = [change.category for change in changes]
    assert len(set(categories)) == len(categories)


def test_the_same_seed_does_the_same() -> None:
    before, _, changes = night()
    assert hard_night(before, SEED)[1] == changes
