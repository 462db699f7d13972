"""The judge of changes counts what is wrong once, and the evaluation runs."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "launch"))

from evaluate_changes import GOALS, Judge, Settings, evaluate_house, main
from failure_pictures import bounds_px

from box_world import CHAIR, TABLE, World, tour
from embodied.errors import ConfigurationError
from embodied.figures import FiguresFile
from embodied.geometry import camera_mount, intrinsics_from_fov
from embodied.messages import Box, Point
from embodied.progress import Progress
from memory_bank.objects.appearance import COLOURS
from memory_bank.objects.lifecycle import LifecycleConfig, continue_elsewhere, declare_gone, new_track, observe
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track
from memory_bank.perception.detections import Measured
from recordings import write_session
from sim.truth import Sighting, TrueChange, TruthObject, TruthSession, write_truth

CONFIG = LifecycleConfig()


def thing(number: int, category: str, at: Point) -> TruthObject:
    return TruthObject(
        instance_id=number, category=category, colour="red", position_m=at,
        box=Box(center_m=at, size_m=(0.1, 0.1, 0.1)), room="", support=0, relation="on", first_sighting=None,
        last_sighting=None, best_sighting=None, n_sightings=3,
    )  # fmt: skip


def truth(session: str, things: tuple[TruthObject, ...], changes: tuple[TrueChange, ...] = ()) -> TruthSession:
    start_ns = {"a": 0, "b": 1000}[session]
    return TruthSession(
        session=session, seed=0, start_ns=start_ns, end_ns=start_ns + 100, objects=things, changes=changes, poses=(),
        n_collisions=0,
    )  # fmt: skip


def remember(graph: SceneGraph, label: str, at: Point, session: str = "a") -> Track:
    points = (np.random.default_rng(0).uniform(-0.05, 0.05, (80, 3)) + at).astype(np.float32)
    look = Measured(
        label=label, score=0.9, points=points, low_m=points.min(axis=0), high_m=points.max(axis=0), distance_m=1.0,
        n_pixels=300, partial=False, bounds_px=(0, 9, 0, 9), colour_shares=np.eye(len(COLOURS))[0],
    )  # fmt: skip
    start_ns = {"a": 0, "b": 1000}[session]
    track = new_track(graph.new_id(), look, start_ns, session, CONFIG)
    for i in range(1, 4):
        observe(track, look, start_ns + i, session, CONFIG)
    graph.insert(track)
    return track


MUG, BOX = (0.0, 0.0, 0.8), (3.0, 0.0, 0.2)
DAY_1 = (thing(1, "mug", MUG), thing(2, "box", BOX))
MOVED = TrueChange(kind="moved", instance_id=1, category="mug", from_position_m=MUG, to_position_m=(1.0, 1.0, 0.8))
DAY_2 = (thing(1, "mug", (1.0, 1.0, 0.8)), thing(2, "box", BOX))


def test_a_memory_that_is_right_scores_full_marks() -> None:
    graph, judge = SceneGraph(), Judge()
    mug, _ = remember(graph, "mug", MUG), remember(graph, "box", BOX)
    judge.day(SimpleNamespace(graph=graph), truth("a", DAY_1))
    declare_gone(mug, 1001, "b")
    new = remember(graph, "mug", (1.0, 1.0, 0.8), "b")
    continue_elsewhere(mug, new, 1005, "b")
    graph.merge(mug.id, new.id)
    judge.day(SimpleNamespace(graph=graph), truth("b", DAY_2, (MOVED,)))
    score = judge.score()
    assert score.wrong == []
    assert score.values == {
        "changes.f1": 1.0, "changes.precision": 1.0, "changes.recall": 1.0, "objects.ghost_rate": 0.0,
        "objects.duplicate_rate": 0.0, "identity.kept_moved": 1.0, "identity.kept_stayed": 1.0, "objects.recall": 1.0,
    }  # fmt: skip


def test_a_ghost_a_duplicate_and_a_lost_identity_are_each_seen() -> None:
    graph, judge = SceneGraph(), Judge()
    remember(graph, "mug", MUG)
    remember(graph, "box", BOX)
    judge.day(SimpleNamespace(graph=graph), truth("a", DAY_1))
    remember(graph, "mug", (1.0, 1.0, 0.8), "b")
    remember(graph, "box", (3.1, 0.0, 0.2), "b")
    judge.day(SimpleNamespace(graph=graph), truth("b", DAY_2, (MOVED,)))
    values = judge.score().values
    assert values["objects.ghost_rate"] == pytest.approx(0.25 / 2)  # The mug at its old place, on one of two days.
    assert values["objects.duplicate_rate"] == pytest.approx(0.25 / 2)
    assert (values["identity.kept_moved"], values["identity.kept_stayed"]) == (0.0, 1.0)
    assert values["changes.f1"] == 0.0
    assert len(judge.wrong) == 4


def record_run(run: Path) -> None:
    """Record two days in a room; in the night a chair is moved, and a mug that the robot never sees is taken away."""
    world = World((TABLE, CHAIR))
    moved = CHAIR.at(-2.2, 1.0)
    hidden = thing(3, "mug", (9.0, 9.0, 0.8))
    changes = (
        TrueChange(kind="moved", instance_id=2, category="chair", from_position_m=CHAIR.center_m,
                   to_position_m=moved.center_m),
        TrueChange(kind="removed", instance_id=3, category="mug", from_position_m=(9.0, 9.0, 0.8), to_position_m=None),
    )  # fmt: skip
    for day, things, extra, happened in (
        ("day-1", (TABLE, CHAIR), (hidden,), ()),
        ("day-2", (TABLE, moved), (), changes),
    ):
        world.things = things
        start = world.start(day)
        observations = [world.observe(day, seq, pose) for seq, pose in enumerate(tour(40))]
        write_session(run / "logs" / f"{day}.mcap", [start, *observations, world.end(day, 40)])
        sighting = Sighting(seq=5, stamp_ns=start.stamp_ns, n_pixels=99, distance_m=2.0)
        there = [thing(number, one.label, one.center_m) for number, one in enumerate(things, start=1)]
        seen = [msgspec.structs.replace(one, best_sighting=sighting) for one in (*there, *extra)]
        truth = TruthSession(
            session=day, seed=0, start_ns=start.stamp_ns, end_ns=start.stamp_ns + 1, objects=tuple(seen),
            changes=happened, poses=(), n_collisions=0,
        )  # fmt: skip
        write_truth(truth, run / "truth")
    (run / "settings.json").write_text('{"git": "none", "settings": {"seed": 7}}')


def test_a_recorded_run_is_judged_from_its_logs(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "changes.json"
    record_run(run)
    main(Settings(out=str(out), data=(str(run),), dropout=0.0, label_noise=0.0), Progress(io.StringIO()))
    figures = {f.name: f.value for f in msgspec.json.decode(out.read_bytes(), type=FiguresFile).figures}
    assert figures["identity.kept_moved"] == 1.0
    assert (figures["changes.precision"], figures["changes.recall"]) == (1.0, 0.5)
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert "day-2: mug removed, and it went unnoticed" in page
    assert "data:image/jpeg" in page
    (run / "settings.json").write_text('{"git": "none", "settings": {"seed": 8}}')
    with pytest.raises(ConfigurationError, match="with seed 7, not 8"):
        main(Settings(out=str(out), data=(str(run),), dropout=0.0, label_noise=0.0), Progress(io.StringIO()))
    (run / "logs" / "day-2.mcap").unlink()
    with pytest.raises(ConfigurationError, match=r"got no .*day-2\.mcap"):
        main(Settings(out=str(out), data=(str(run),)), Progress(io.StringIO()))
    with pytest.raises(ConfigurationError, match="holds no sessions with their truth"):
        main(Settings(out=str(out), data=(str(tmp_path / "nothing"),)), Progress(io.StringIO()))


def test_the_frame_around_a_thing_is_where_it_is_seen() -> None:
    intrinsics = intrinsics_from_fov(101, 101, np.pi / 2)
    ahead = Box(center_m=(2.1, 0.0, 1.0), size_m=(0.2, 1.0, 0.4))
    T_world_camera = camera_mount(0.0, 0.0, 1.0, 0.0)
    left, top, right, bottom = bounds_px(ahead, T_world_camera, intrinsics) or (0.0,) * 4
    # Its front is 2 m away: half a metre is a quarter of the half-width there.
    assert (left, right) == pytest.approx((50 - 50.5 / 4 - 3, 50 + 50.5 / 4 + 3))
    assert (top, bottom) == pytest.approx((50 - 50.5 / 10 - 3, 50 + 50.5 / 10 + 3))
    behind = Box(center_m=(-2.0, 0.0, 1.0), size_m=(0.2, 1.0, 0.4))
    assert bounds_px(behind, T_world_camera, intrinsics) is None


@pytest.mark.slow
def test_a_house_is_lived_through() -> None:
    score = evaluate_house(0, Settings(out="unused", n_views=3))
    assert set(score.values) == {name for name, *_ in GOALS}
    assert score.values["changes.f1"] > 0.7
