"""The judge of changes counts what is wrong once, and the evaluation runs."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from embodied.messages import Box, Point
from memory_bank.objects.appearance import COLOURS
from memory_bank.objects.lifecycle import LifecycleConfig, continue_elsewhere, declare_gone, new_track, observe
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track
from memory_bank.perception.detections import Measured
from sim.truth import TrueChange, TruthObject, TruthSession
from source_tree import ROOT

CONFIG = LifecycleConfig()


@pytest.fixture(scope="module")
def evaluation() -> ModuleType:
    path = ROOT / "launch" / "evaluate_changes.py"
    spec = importlib.util.spec_from_file_location("evaluate_changes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["evaluate_changes"] = module
    spec.loader.exec_module(module)
    return module


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


def test_a_memory_that_is_right_scores_full_marks(evaluation: ModuleType) -> None:
    graph, judge = SceneGraph(), evaluation.Judge()
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


def test_a_ghost_a_duplicate_and_a_lost_identity_are_each_seen(evaluation: ModuleType) -> None:
    graph, judge = SceneGraph(), evaluation.Judge()
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


@pytest.mark.slow
def test_a_house_is_lived_through(evaluation: ModuleType) -> None:
    score = evaluation.evaluate_house(0, evaluation.Settings(out="unused", n_views=3))
    assert set(score.values) == {name for name, *_ in evaluation.GOALS}
    assert score.values["changes.f1"] > 0.7
