from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from embodied.geometry import wrap_angle
from embodied.messages import Point
from navigation_world import CAMERA_M, FLOOR_M, World, draw, furnish
from policies.navigation.controller import Pose
from policies.navigation.navigator import Body, BodyConfig, Explore, Finished, GoTo, NavigationConfig
from policies.navigation.standing import Target, inside_outline, target_in_view

CONFIG = NavigationConfig()
ROOM = [
    "########################################",
    "#.....................#................#",
    "#.....................#......tttttt....#",
    "#.....................#......tttttt....#",
    "#.....................#......tttttt....#",
    "#.....................#................#",
    "#.....................#................#",
    "#......................................#",
    "#......................................#",
    "#......................................#",
    "#......................................#",
    "#......................................#",
    "#......................................#",
    "#......................................#",
    "#......................................#",
    "#.....................#................#",
    "#.....................#................#",
    "#.....................#................#",
    "#.....................#................#",
    "#.....................#................#",
    "#............wwwwwwwww#ttttttttt.......#",
    "#............wwwwwwwww#ttttttttt.......#",
    "#............wwwwwwwww#ttttttttt.......#",
    "########################################",
]
"""Two rooms of 4 m in all; x to the right from 0, y upwards from 0, 0.1 m a character."""


def explored(world: World) -> tuple[World, Body]:
    body = Body(CONFIG)
    world.run(Explore(body, 700))
    return world, body


@pytest.mark.parametrize(("seed", "rooms"), [(0, (3, 2)), (1, (2, 2)), (2, (2, 1))])
def test_a_house_is_seen_from_near_without_touching_anything_on_both_days(seed: int, rooms: tuple[int, int]) -> None:
    world = furnish(seed, rooms)
    start = world.pose
    tops = world.surfaces(within_m=0.6)
    for day in (1, 2):
        if day == 2:
            world.new_session(start)
        task = Explore(Body(CONFIG), 700)
        ended = world.run(task)
        assert ended.state == "succeeded"
        assert world.n_collisions == 0
        # Small things lie on furniture that the camera looks down on.
        assert np.isfinite(world.closest_view_m[tops]).mean() >= 0.98
        assert (world.closest_view_m[tops] <= 2.2).mean() >= 0.95
        assert (world.occupancy[world.reachable()] > 0).mean() >= 0.99
        assert task.n_steps <= 110 * rooms[0] * rooms[1]
        assert 0.7 <= task.progress <= 1.0


def test_the_same_house_is_explored_the_same_way() -> None:
    paths = []
    for _ in range(2):
        world = draw(ROOM, 1.0, 1.2)
        path: list[tuple[float, float]] = []
        task = Explore(Body(CONFIG), 60)
        while not isinstance(answer := task.next_chunk(world.observation(), world.map()), Finished):
            for twist in answer:
                world.step(twist)
                path.append((world.pose.x_m, world.pose.y_m))
        paths.append(path)
    assert paths[0] == paths[1]


def test_exploring_stops_at_the_last_step_that_is_allowed() -> None:
    world = draw(ROOM, 1.0, 1.2)
    task = Explore(Body(CONFIG), 23)
    ended = world.run(task)
    assert (ended.state, task.n_steps, world.seq) == ("succeeded", 23, 23)
    assert "23 steps" in ended.detail
    assert task.progress < 1.0


@pytest.mark.parametrize(
    "target_m",
    [
        (3.2, 2.0, 0.8),  # on the table at the upper wall
        (2.6, 0.25, 0.8),  # on the table by the wall between the rooms: seen from its own room only
        (1.75, 0.25, 1.0),  # in the wardrobe by the same wall
        (1.0, 1.5, 0.05),  # on the floor
    ],
)
def test_it_stands_near_the_target_and_faces_it(target_m: Point) -> None:
    world, body = explored(draw(ROOM, 1.0, 1.2))
    task = GoTo(body, Target(target_m), 300)
    ended = world.run(task)
    assert ended.state == "succeeded", ended.detail
    assert task.progress == 1.0
    offset = np.subtract(target_m[:2], world.pose.position_m)
    assert np.hypot(*offset) < 1.0
    assert abs(wrap_angle(float(np.arctan2(offset[1], offset[0])) - world.pose.yaw_rad)) < 0.2
    assert world.n_collisions == 0
    # No wall between: the same room.
    assert (world.pose.x_m > 2.25) == (target_m[0] > 2.25)
    down = np.arctan2(CAMERA_M - target_m[2], np.hypot(*offset))
    assert down < np.pi / 4 + 0.35


def test_it_reaches_things_on_furniture_all_over_a_house() -> None:
    world, body = explored(furnish(4, (2, 2)))
    labels, n_labels = ndimage.label((world.height_m > FLOOR_M) & (world.height_m < CAMERA_M))
    rng = np.random.default_rng(4)
    reachable = np.argwhere(world.reachable())
    for label in range(1, n_labels + 1, 2):
        cells = np.argwhere(labels == label)
        cell = cells[rng.integers(len(cells))]
        if np.hypot(*(reachable - cell).T).min() * 0.05 > 0.7:
            continue
        x_m, y_m = world.center(*cell.tolist())
        ended = world.run(GoTo(body, Target((x_m, y_m, float(world.height_m[tuple(cell)]) + 0.05)), 300))
        assert ended.state == "succeeded", ended.detail
        assert np.hypot(x_m - world.pose.x_m, y_m - world.pose.y_m) < 1.05
    assert world.n_collisions == 0


def test_a_target_that_cannot_be_reached_is_said_to_be() -> None:
    world, body = explored(draw(ROOM, 1.0, 1.2))
    outside = world.run(GoTo(body, Target((9.0, 9.0, 0.5)), 300))
    assert outside.state == "failed"
    assert "(9.00, 9.00, 0.50)" in outside.detail
    assert "can be reached" in outside.detail


def test_a_target_too_far_for_the_steps_is_not_reached() -> None:
    world, body = explored(draw(ROOM, 1.0, 1.2))
    world.pose = Pose(0.5, 0.5, np.pi)
    task = GoTo(body, Target((3.2, 2.0, 0.8)), 5)
    ended = world.run(task)
    assert (ended.state, task.n_steps) == ("failed", 5)
    assert "5 steps" in ended.detail


def test_a_bump_is_backed_off_from_and_gone_around() -> None:
    world, body = explored(draw(ROOM, 1.0, 1.2))
    # Something came to stand in the way that the map does not show.
    row, column = world.index(1.7, 1.2)
    world.height_m[row - 2 : row + 2, column - 2 : column + 2] = 1.0
    world.scan = lambda: None  # type: ignore[method-assign]
    world.pose = Pose(1.2, 1.2, 0.0)
    task = GoTo(body, Target((3.2, 2.0, 0.8)), 300)
    ended = world.run(task)
    assert ended.state == "succeeded", ended.detail
    assert 1 <= body.n_bumps <= 6


def test_a_robot_that_bumps_all_the_time_gives_up() -> None:
    world = draw(ROOM, 1.0, 1.2)
    task = Explore(Body(NavigationConfig(body=BodyConfig(max_bumps=3))), 500)
    answer = task.next_chunk(world.observation(), world.map())
    for _ in range(10):
        world.collided = True
        if isinstance(answer, Finished):
            break
        answer = task.next_chunk(world.observation(), world.map())
    assert isinstance(answer, Finished)
    assert (answer.state, "3 times" in answer.detail) == ("failed", True)


def test_tasks_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="max_steps"):
        Explore(Body(CONFIG), 0)
    with pytest.raises(ValueError, match="target_m"):
        GoTo(Body(CONFIG), Target((1.0, float("nan"), 0.0)), 10)


def test_a_target_behind_a_wall_is_not_in_view_and_one_before_it_is() -> None:
    world = draw(ROOM, 1.5, 1.9)
    observation = world.observation(world.depth())
    assert target_in_view(observation, (2.15, 1.9, 0.9), 0.2)
    assert not target_in_view(observation, (3.2, 1.9, 0.8), 0.2)
    assert not target_in_view(observation, (0.5, 1.9, 0.8), 0.2)  # behind the robot
    assert target_in_view(world.observation(None), (3.2, 1.9, 0.8), 0.2)
    blind = world.observation(np.zeros_like(world.depth()))
    assert not target_in_view(blind, (2.15, 1.9, 0.9), 0.2)
    assert target_in_view(blind, (1.85, 1.9, 1.2), 0.2)


SHELF = [
    "##############################",
    *(["#.............#..............#"] * 2),
    *(["#............................#"] * 9),
    *(["#.............#..............#"] * 5),
    *(["#.............#wwwbb.........#"] * 10),
    *(["#.............#..............#"] * 5),
    "##############################",
]
"""A shelf by the wall between two rooms, with a box before it: floor of the other room is nearer to what is in it."""


@pytest.mark.parametrize(
    "known",
    [
        {"radius_m": 0.05},
        {"room_m": [(1.5, 0.1), (2.9, 0.1), (2.9, 3.2), (1.5, 3.2)], "radius_m": 0.05},
    ],
)
def test_what_is_known_of_a_thing_keeps_the_robot_on_its_side_of_a_wall(known: dict[str, Any]) -> None:
    world, body = explored(draw(SHELF, 0.8, 1.5))
    task = GoTo(body, Target((1.72, 1.1, 1.0), **known), 300)
    ended = world.run(task)
    assert ended.state == "succeeded", ended.detail
    assert 2.0 < world.pose.x_m < 2.6
    if "room_m" in known:
        assert task.n_steps < 60  # without a look from the other side


def test_points_are_inside_an_outline_whatever_its_corners() -> None:
    outline = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 1.0], [1.0, 1.0], [1.0, 3.0], [0.0, 3.0]])
    points = np.array([[0.5, 2.5], [3.5, 0.5], [2.0, 2.0], [-0.1, 1.5], [0.5, 0.5], [5.0, 0.5]])
    assert inside_outline(points, outline).tolist() == [True, True, False, False, True, False]
    assert inside_outline(points, outline[::-1]).tolist() == [True, True, False, False, True, False]


def test_a_small_thing_is_not_taken_to_be_in_view_when_a_wall_stands_just_before_it() -> None:
    world = draw(ROOM, 1.5, 1.9)
    observation = world.observation(world.depth())
    behind_the_wall = (2.45, 1.9, 0.9)
    assert target_in_view(observation, behind_the_wall, Target(behind_the_wall).own_front_m(CONFIG.go_to))
    assert not target_in_view(observation, behind_the_wall, Target(behind_the_wall, 0.05).own_front_m(CONFIG.go_to))
