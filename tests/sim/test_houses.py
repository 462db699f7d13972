"""Houses are what a robot and its judge may rely on: reachable, visible, truthful, the same for the same seed."""

from __future__ import annotations

from functools import lru_cache
from typing import List

import numpy as np
import pytest
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from sim.houses import MIN_CATEGORIES, MIN_OBJECTS, generate_house
from sim.houses.catalogue import CATALOGUE
from sim.houses.clearance import FreeFloor, clearance, rooms_reachable
from sim.houses.layout import MAX_ROOMS, MIN_ROOMS, plan_of
from sim.houses.placing import Contents, footprint, middle, overlap
from sim.houses.sight import hidden_things
from sim.scene import Scene

SEEDS = range(3)


@lru_cache(maxsize=8)
def house(seed: int) -> Scene:
    return generate_house(seed)


def floor_of(scene: Scene) -> FreeFloor:
    return clearance(plan_of(scene.regions, scene.doors), Contents(0, scene).footprints())


def chain(scene: Scene, instance_id: int) -> List[int]:
    """Return what an instance rests on, what that rests on, and so on."""
    supports = []
    while instance_id:
        instance_id = scene.by_id()[instance_id].support
        supports.append(instance_id)
    return supports


@pytest.mark.parametrize("seed", SEEDS)
def test_a_house_has_enough_things_of_enough_kinds(seed: int) -> None:
    scene = house(seed)
    categories = {scene.templates[instance.template].category for instance in scene.instances}
    assert len(scene.instances) >= MIN_OBJECTS
    assert len(categories) >= MIN_CATEGORIES
    assert [instance.instance_id for instance in scene.instances] == list(range(1, len(scene.instances) + 1))
    assert {instance.template for instance in scene.instances} == set(scene.templates)
    templates = [scene.templates[instance.template] for instance in scene.instances] + [scene.stage]
    assert 20_000 < sum(len(part.faces) for template in templates for part in template.parts) < 60_000


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_stands_inside_anything_else(seed: int) -> None:
    scene = house(seed)
    bounds = Contents(0, scene).bounds
    for a in bounds:
        for b in bounds:
            if a < b and a not in chain(scene, b) and b not in chain(scene, a):
                assert not overlap(bounds[a], bounds[b]), (scene.category_of(a), scene.category_of(b))


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_is_within_one_room_and_under_the_ceiling(seed: int) -> None:
    scene = house(seed)
    for instance_id, bounds in Contents(0, scene).bounds.items():
        rooms = [
            region.name
            for region in scene.regions
            if region.rectangle_m[0] <= bounds[0]
            and region.rectangle_m[1] <= bounds[1]
            and bounds[3] <= region.rectangle_m[2]
            and bounds[4] <= region.rectangle_m[3]
        ]
        assert len(rooms) == 1, scene.category_of(instance_id)
        assert -1e-6 <= bounds[2] < bounds[5] < 2.3


@pytest.mark.parametrize("seed", SEEDS)
def test_what_rests_on_something_touches_it_and_what_is_in_something_is_between_its_sides(seed: int) -> None:
    scene = house(seed)
    contents = Contents(0, scene)
    n_resting = 0
    for instance in scene.instances:
        bounds = contents.bounds[instance.instance_id]
        if instance.support == 0:
            assert bounds[2] == pytest.approx(0.0, abs=0.01)
            continue
        n_resting += 1
        support = scene.by_id()[instance.support]
        points = np.concatenate([part.vertices[part.faces] for part in scene.templates[support.template].parts])
        caster = rtcore_scene.EmbreeScene()
        world = points @ support.T_world_object[:3, :3].T + support.T_world_object[:3, 3]
        TriangleMesh(caster, world.astype(np.float32))
        x, y, _ = middle(bounds).tolist()
        around = [(x + dx, y + dy, bounds[2] + 0.005) for dx in (-0.02, 0.0, 0.02) for dy in (-0.02, 0.0, 0.02)]
        down = np.tile(np.array([[0, 0, -1]], dtype=np.float32), (len(around), 1))
        hits = caster.run(np.array(around, dtype=np.float32), down, output=True)
        gap = float(hits["tfar"][hits["primID"] >= 0].min()) - 0.005
        assert -0.005 < gap < 0.01, (scene.category_of(instance.instance_id), scene.category_of(support.instance_id))
        outer = contents.bounds[instance.support]
        assert outer[0] - 0.01 <= x <= outer[3] + 0.01
        assert outer[1] - 0.01 <= y <= outer[4] + 0.01
        if instance.relation == "in":
            assert bounds[2] < outer[5] - 0.01
    assert n_resting >= 20


@pytest.mark.parametrize("seed", SEEDS)
def test_the_relation_says_whether_a_thing_lies_on_or_in_its_support(seed: int) -> None:
    scene = house(seed)
    bounds = Contents(0, scene).bounds
    for instance in scene.instances:
        category = scene.category_of(instance.support) if instance.support else "floor"
        inside = category in ("bowl", "basket", "box", "bathtub") or (
            category == "bookshelf" and bounds[instance.instance_id][2] < bounds[instance.support][5] - 0.05
        )
        assert instance.relation == ("in" if inside else "on"), (scene.category_of(instance.instance_id), category)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_robot_can_get_into_every_room_and_starts_on_free_floor(seed: int) -> None:
    scene = house(seed)
    floor = floor_of(scene)
    assert rooms_reachable(plan_of(scene.regions, scene.doors), floor)
    x, y, _ = scene.start_pose
    distances = np.linalg.norm(floor.centers(floor.reachable) - np.array([x, y]), axis=1)
    assert distances.min() < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_can_be_seen_from_where_the_robot_can_stand(seed: int) -> None:
    scene = house(seed)
    assert hidden_things(scene, floor_of(scene)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_small_things_of_one_kind_are_apart(seed: int) -> None:
    scene = house(seed)
    contents = Contents(0, scene)
    small = [i for i in contents.instances if CATALOGUE[contents.category(i)].movable]
    for a in small:
        for b in small:
            if a < b and contents.category(a) == contents.category(b):
                assert np.linalg.norm(middle(contents.bounds[a]) - middle(contents.bounds[b])) >= 0.4


@pytest.mark.parametrize("seed", SEEDS)
def test_doors_lie_in_the_wall_between_their_rooms_and_nothing_blocks_them(seed: int) -> None:
    scene = house(seed)
    rooms = {region.name: np.array(region.rectangle_m) for region in scene.regions}
    feet = Contents(0, scene).footprints()
    for door in scene.doors:
        assert 0.9 <= door.width_m <= 1.0
        for name in (door.region_a, door.region_b):
            low, high = rooms[name][:2], rooms[name][2:]
            outside = np.maximum(np.maximum(low - door.center_m, np.array(door.center_m) - high), 0.0)
            assert outside.max() == pytest.approx(0.06, abs=1e-6)
        x, y = door.center_m
        assert not any(f[0] - 0.4 < x < f[2] + 0.4 and f[1] - 0.4 < y < f[3] + 0.4 for f in feet)


def test_the_same_seed_makes_the_same_house_and_another_seed_another() -> None:
    first, again, other = house(1), generate_house(1), house(2)
    assert [i.template for i in first.instances] == [i.template for i in again.instances]
    for a, b in zip(first.instances, again.instances):
        assert np.array_equal(a.T_world_object, b.T_world_object)
    for a, b in zip(first.stage.parts, again.stage.parts):
        assert np.array_equal(a.vertices, b.vertices)
        assert np.array_equal(a.texture, b.texture)
    assert first.regions != other.regions


@pytest.mark.parametrize("n_rooms", [MIN_ROOMS, MAX_ROOMS])
def test_houses_come_in_several_sizes(n_rooms: int) -> None:
    scene = generate_house(0, n_rooms)
    assert len({region.name for region in scene.regions}) == n_rooms
    assert len(scene.instances) >= MIN_OBJECTS
    assert len(scene.doors) >= n_rooms - 1


@pytest.mark.parametrize(("seed", "n_rooms"), [(-1, 5), (0, 2), (0, 13)])
def test_impossible_houses_are_refused(seed: int, n_rooms: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        generate_house(seed, n_rooms)


def test_questions_by_colour_are_possible() -> None:
    scene = house(0)
    mugs = [t.colour for t in scene.templates.values() if t.category == "mug"]
    assert len(mugs) >= 3


def test_footprints_are_the_floor_under_a_box() -> None:
    assert footprint((0.0, 1.0, 2.0, 3.0, 4.0, 5.0)) == (0.0, 1.0, 3.0, 4.0)
