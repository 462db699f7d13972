"""The scene that the mapping benchmark measures on, and the others that are measured beside ours."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from box_world import CHAIR, INTRINSICS, MUG, PLANT, T_BASE_CAMERA, TABLE, World, render, tour
from embodied.geometry import planar_pose
from embodied.messages import SessionStart
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.perception.simulator import SimulatorPerception

sys.path.insert(0, str(Path(__file__).parents[2] / "launch"))

from mapping_peers import ConceptGraphsStep, DynaMemStep, Frame
from mapping_scene import PITCH_M, MappingScene, mapper_of

HOME = (TABLE, MUG, CHAIR, PLANT)


@pytest.fixture(scope="module")
def scene() -> MappingScene:
    """A box world that was mapped once, and views of it from another session."""
    world = World(HOME)
    mapper = Mapper(MapperConfig(), SimulatorPerception())
    mapper.start_session(world.start("yesterday"))
    for seq, pose in enumerate(tour(40)):
        mapper.integrate(world.observe("yesterday", seq, pose))
    mapper.end_session(world.end("yesterday", 40))
    world.start("today")
    return MappingScene(
        tracks=tuple(track.to_bytes() for track in mapper.graph),
        keyframes=tuple(mapper.keyframes),
        occupancy=mapper.occupancy.to_bytes(),
        frames=tuple(world.observe("today", seq, pose) for seq, pose in enumerate(tour(20))),
        n_detections=4.0,
    )


def test_a_map_of_many_houses_has_as_many_objects_and_only_the_first_house_is_seen(scene: MappingScene) -> None:
    mapper = mapper_of(scene, 38)
    mapper.graph.check()
    assert len(mapper.graph) == 38
    mugs = np.array([track.position_m for track in mapper.graph if track.label == "mug"])
    assert len(mugs) >= 9
    steps = (mugs[:, :2] - mugs[0, :2]) / PITCH_M
    assert steps == pytest.approx(np.rint(steps), abs=1e-3)
    for track in mapper.graph:
        assert track.position_m[:2] == pytest.approx(track.voxels.solid_points().mean(axis=0)[:2], abs=0.5)
    mapper.start_session(SessionStart(session="today", robot="test", stamp_ns=scene.frames[0].stamp_ns - 1))
    touched = {name for frame in scene.frames for name in mapper.integrate(frame).dirty_ids}
    assert touched == {track.id for track in list(mapper.graph)[:4]}
    assert len(mapper.graph) == 38


def frame_of(things: tuple) -> Frame:
    T = planar_pose(0.0, 0.0, 0.0) @ T_BASE_CAMERA
    _, depth, index = render(things, T)
    return Frame(depth.astype(np.float32), index, len(things), T, INTRINSICS)


def test_the_rewritten_conceptgraphs_step_fuses_what_it_knows(scene: MappingScene) -> None:
    clouds = [track.voxels.solid_points() for track in mapper_of(scene, 4).graph]
    step = ConceptGraphsStep(clouds)
    table = max(range(4), key=lambda i: np.ptp(clouds[i][:, 0]))
    before = len(step._clouds[table])
    step.integrate(frame_of(HOME))
    assert len(step._clouds[table]) > before
    assert len(step._clouds) == 4


def on_table(step: DynaMemStep) -> np.ndarray:
    """Which voxels lie on the table's top, away from its edges."""
    top = np.array([*TABLE.center_m[:2], TABLE.size_m[2]])
    near: np.ndarray = (np.abs(step._centers - top) < [0.2, 0.2, 0.06]).all(axis=1)
    return near


def test_the_rewritten_dynamem_step_adds_what_it_sees_and_forgets_what_it_sees_through() -> None:
    full, empty = frame_of((TABLE, MUG)), frame_of(())
    step = DynaMemStep(np.zeros((1, 3), dtype=np.float32))
    step.integrate(full)
    with_table = len(step)
    assert with_table > 500
    assert on_table(step).any()
    step.integrate(empty)
    assert not on_table(step).any()
    assert np.all(np.diff(step._keys) > 0)
