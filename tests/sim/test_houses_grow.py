"""Houses of every size and variety: reachable past their doors, at rest, with things in what opens."""

from __future__ import annotations

from functools import lru_cache
from typing import Dict, List, Set

import numpy as np
import pytest

from sim.houses import generate_house, relit
from sim.houses.catalogue import CATALOGUE, build_template
from sim.houses.changes import change_overnight
from sim.houses.clearance import clearance, rooms_reachable
from sim.houses.fittings import doors_of, kept_inside
from sim.houses.layout import HALL_M, WALL_M, plan_of
from sim.houses.placing import Contents, overlap
from sim.houses.sight import hidden_things
from sim.physics import Obstacles, hull_body, settle
from sim.scene import Scene, close_container, open_container
from sim.viewpoints import free_floor

HOUSES = [(3, 0), (9, 0), *[pytest.param(n, 1, marks=pytest.mark.slow) for n in (5, 8, 12)]]
"""Rooms and seed."""
SOFT_M = 0.02
"""Seats are drawn as rounded cushions: things there may touch beside their middle, or hang between two of them."""


@lru_cache(maxsize=8)
def house(n_rooms: int, seed: int) -> Scene:
    return generate_house(seed, n_rooms, variety="full")


def categories(scene: Scene) -> Set[str]:
    return {scene.templates[i.template].category for i in scene.instances}


def containers(scene: Scene) -> List[int]:
    return [
        i.instance_id
        for i in scene.instances
        if scene.templates[i.template].can_open and scene.templates[i.template].category != "door"
    ]


def opened(scene: Scene, share: float) -> Scene:
    for container in containers(scene):
        scene = open_container(scene, container, share)
    return scene


@pytest.mark.parametrize(("n_rooms", "seed"), HOUSES)
def test_every_room_can_be_reached_past_the_doors_as_they_stand(n_rooms: int, seed: int) -> None:
    scene = house(n_rooms, seed)
    assert len(scene.regions) == n_rooms
    assert rooms_reachable(plan_of(scene.regions, scene.doors), free_floor(scene))
    assert doors_of(scene)


@pytest.mark.parametrize(("n_rooms", "seed"), HOUSES)
def test_nothing_reaches_into_anything_else(n_rooms: int, seed: int) -> None:
    scene = house(n_rooms, seed)
    bounds = Contents(0, scene).bounds
    above: Dict[int, Set[int]] = {}
    for i in scene.instances:
        above[i.instance_id] = {i.support} | above.get(i.support, set())
    loose = [i for i in bounds if scene.category_of(i) != "door"]
    for a in loose:
        for b in loose:
            if a < b and a not in above[b] and b not in above[a]:
                assert not overlap(bounds[a], bounds[b]), (scene.category_of(a), scene.category_of(b))


def test_everything_that_stands_or_lies_is_at_rest() -> None:
    scene = house(3, 0)
    children: Dict[int, List[int]] = {}
    for i in scene.instances:
        children.setdefault(i.support, []).append(i.instance_id)
    small = [i for i in scene.instances if CATALOGUE[scene.category_of(i.instance_id)].movable]
    assert len(small) >= 30
    for i in small[::2]:
        body, T = hull_body(scene.shape_of(i)), i.T_world_object
        obstacles = Obstacles(scene, without=(i.instance_id, *children.get(i.instance_id, [])))
        assert obstacles.below_m(body, T) <= SOFT_M, i.template
        touched = obstacles.contacts(body, T).points
        if not len(touched):
            assert scene.category_of(i.support) in ("sofa", "armchair"), i.template
            continue
        center = T[:3, :3] @ body.center_m + T[:3, 3]
        assert (touched.min(axis=0)[:2] - SOFT_M <= center[:2]).all(), i.template
        assert (center[:2] <= touched.max(axis=0)[:2] + SOFT_M).all(), i.template
        assert obstacles.overlap_m(body, T) <= 0.002, i.template


def test_a_house_holds_more_than_sixty_categories_and_things_are_made_of_several_materials() -> None:
    assert len(CATALOGUE) >= 100
    assert len(categories(house(9, 0))) >= 75
    seen = {build_template("mug", "red", seed, "full").parts[0].texture.shape for seed in range(12)}
    assert len(seen) > 1
    assert all(build_template("mug", "red", seed).parts[0].texture.shape == (1, 1, 3) for seed in range(3))


@pytest.mark.parametrize(("n_rooms", "seed"), [(9, 0)])
def test_what_is_kept_inside_is_hidden_while_shut_and_seen_when_open(n_rooms: int, seed: int) -> None:
    scene = house(n_rooms, seed)
    kept = sorted(kept_inside(scene))
    floor = clearance(plan_of(scene.regions, scene.doors), Contents(0, scene).footprints())
    assert len(kept) >= 4
    assert hidden_things(opened(scene, 1.0), floor, kept) == []
    assert hidden_things(opened(scene, 0.0), floor, kept) == kept


def test_what_lies_in_a_drawer_comes_out_with_it() -> None:
    shut = opened(house(9, 0), 0.0)
    container, thing = _in_drawers(shut)[0]
    out = open_container(shut, container)
    forward = shut.by_id()[container].T_world_object[:3, 0]
    shift = (out.by_id()[thing].T_world_object - shut.by_id()[thing].T_world_object)[:3, 3]
    assert shift @ forward > 0.2
    assert np.allclose(shift, (shift @ forward) * forward, atol=1e-9)
    back = close_container(out, container).by_id()[thing].T_world_object
    assert np.allclose(back, shut.by_id()[thing].T_world_object, atol=1e-9)


def _in_drawers(scene: Scene) -> List[List[int]]:
    wanted = ("dresser", "nightstand")
    return [
        [i.support, i.instance_id]
        for i in scene.instances
        if i.instance_id in kept_inside(scene) and i.support and scene.category_of(i.support) in wanted
    ]


def test_only_what_opens_can_be_opened_and_only_so_far() -> None:
    scene = house(3, 0)
    chair = next(i.instance_id for i in scene.instances if scene.category_of(i.instance_id) == "sofa")
    with pytest.raises(ValueError, match="expected an instance that can open"):
        open_container(scene, chair)
    with pytest.raises(ValueError, match=r"expected a share in \[0, 1\], got 1.5"):
        open_container(scene, containers(scene)[0], 1.5)


def test_more_than_eight_rooms_lie_in_two_wings_along_a_hall() -> None:
    scene = house(9, 0)
    x0, y0, x1, y1 = next(r.rectangle_m for r in scene.regions if r.name == "hallway")
    assert y1 - y0 == pytest.approx(HALL_M - WALL_M)
    for region in scene.regions:
        if region.name != "hallway":
            assert region.rectangle_m[3] < y0 or region.rectangle_m[1] > y1
            assert x0 - 1e-6 <= region.rectangle_m[0]
            assert region.rectangle_m[2] <= x1 + 1e-6
    assert sum("hallway" in (door.region_a, door.region_b) for door in scene.doors) >= 4


def test_a_full_house_changes_overnight_and_its_cupboards_stay_shut_to_it() -> None:
    scene = house(3, 0)
    after, changes = change_overnight(scene, 3)
    assert {change.kind for change in changes} == {"moved", "removed", "added"}
    touched = {change.instance_id for change in changes}
    assert not touched & (kept_inside(scene) | set(doors_of(scene)))
    assert [after.by_id()[i].opened for i in containers(scene)] == [scene.by_id()[i].opened for i in containers(scene)]


def test_plain_houses_have_neither_doors_nor_things_of_full_ones() -> None:
    scene = generate_house(0, 4)
    after, _ = change_overnight(scene, 0)
    assert not [name for s in (scene, after) for name in categories(s) if CATALOGUE[name].in_full_houses]
    assert not kept_inside(scene)


def test_light_follows_the_time_of_day() -> None:
    scene = house(3, 0)
    lit = {when: relit(scene, when) for when in ("lamps", "day", "evening", "night")}
    assert lit["lamps"].lights == scene.lights
    heights = {when: {round(light.position_m[2], 2) for light in s.lights} for when, s in lit.items()}
    assert heights["lamps"] == {2.25}
    assert min(heights["day"]) < 2.0 < max(heights["evening"])
    assert sum(lit["night"].ambient_rgb) < 0.5 * sum(lit["evening"].ambient_rgb + (0.4,)) < sum(lit["day"].ambient_rgb)
    assert np.mean([p.texture.mean() for p in lit["night"].stage.parts]) < np.mean(
        [p.texture.mean() for p in lit["day"].stage.parts]
    )


def test_a_light_argument_is_the_same_house_lit_otherwise() -> None:
    scene, as_built = generate_house(0, 3, "full", "night"), house(3, 0)
    assert [i.template for i in scene.instances] == [i.template for i in as_built.instances]
    assert scene.lights == relit(as_built, "night").lights


@pytest.mark.parametrize("n_rooms", [2, 13])
def test_houses_that_cannot_be_are_refused(n_rooms: int) -> None:
    with pytest.raises(ValueError, match="n_rooms: expected 3 to 12"):
        generate_house(0, n_rooms)


def test_a_thing_put_on_a_table_of_a_full_house_stays_there() -> None:
    scene = house(3, 0)
    mug = next(i for i in scene.instances if scene.category_of(i.instance_id) == "mug" and i.support)
    T = mug.T_world_object.copy()
    T[2, 3] += 0.05
    after = settle(scene, mug.instance_id, T).by_id()[mug.instance_id]
    assert (after.support, after.relation) == (mug.support, mug.relation)
    assert np.allclose(after.T_world_object, mug.T_world_object, atol=0.004)
