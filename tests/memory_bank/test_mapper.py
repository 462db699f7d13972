from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from box_world import BLUE, CHAIR, MUG, PLANT, RED, TABLE, Thing, World, tour
from memory_bank.mapper import FrameReport, Mapper, MapperConfig
from memory_bank.objects.track import Track
from memory_bank.perception.protocol import Detection, View
from memory_bank.perception.simulator import SimulatorPerception, SimulatorPerceptionConfig

HOME = (TABLE, MUG, CHAIR, PLANT)
BAG = Thing("bag", (1.0, -2.2, 0.2), (0.4, 0.3, 0.4), BLUE)
N_FRAMES = 60


def make(dropout: float = 0.0, label_noise: float = 0.0) -> Mapper:
    perception = SimulatorPerception(SimulatorPerceptionConfig(dropout=dropout, label_noise=label_noise))
    return Mapper(MapperConfig(), perception, timer=lambda: 0.0)


def live(mapper: Mapper, world: World, session: str, n_frames: int = N_FRAMES) -> list[FrameReport]:
    mapper.start_session(world.start(session))
    reports = [mapper.integrate(world.observe(session, seq, pose)) for seq, pose in enumerate(tour(n_frames))]
    return [*reports, mapper.end_session(world.end(session, n_frames))]


def found(mapper: Mapper) -> list[str]:
    return sorted(track.label for track in mapper.graph.confirmed())


def one(mapper: Mapper, label: str) -> Track:
    (track,) = [t for t in mapper.graph.confirmed(include_gone=True) if t.label == label]
    return track


@pytest.mark.parametrize(("dropout", "label_noise"), [(0.0, 0.0), (0.1, 0.1)])
def test_every_thing_is_found_once_where_it_stands(dropout: float, label_noise: float) -> None:
    mapper = make(dropout, label_noise)
    live(mapper, World(HOME), "a")
    assert found(mapper) == ["chair", "mug", "plant", "table"]
    for thing in HOME:
        assert one(mapper, thing.label).position_m == pytest.approx(thing.center_m, abs=0.15)
    assert one(mapper, "mug").colour == "red"
    assert one(mapper, "plant").colour == "green"
    assert mapper.graph.changes() == []
    mapper.graph.check()


def test_two_like_things_side_by_side_stay_two() -> None:
    pair = (TABLE, MUG, Thing("mug", (1.8, -0.1, 0.78), (0.1, 0.1, 0.12), RED))
    mapper = make(dropout=0.1)
    live(mapper, World(pair), "a")
    assert found(mapper) == ["mug", "mug", "table"]


def test_a_second_look_makes_nothing_new() -> None:
    mapper, world = make(dropout=0.1, label_noise=0.1), World(HOME)
    live(mapper, world, "a")
    before = [t.id for t in mapper.graph.confirmed()]
    live(mapper, world, "b")
    assert [t.id for t in mapper.graph.confirmed()] == before
    assert mapper.graph.changes() == []


def test_overnight_a_mug_moves_a_plant_goes_and_a_bag_comes() -> None:
    mapper, world = make(), World(HOME)
    live(mapper, world, "a")
    mug = one(mapper, "mug").id
    world.things = (TABLE, MUG.at(-2.0, 1.0, 0.06), CHAIR, BAG)
    start_ns = world.start("unused").stamp_ns
    live(mapper, world, "b")
    changes = {change.kind: change for change in mapper.graph.changes(since_ns=start_ns)}
    assert sorted(changes) == ["added", "moved", "removed"]
    assert (changes["added"].label, changes["removed"].label) == ("bag", "plant")
    assert changes["moved"].object_id == mug
    assert changes["moved"].from_position_m == pytest.approx(MUG.center_m, abs=0.1)
    assert changes["moved"].to_position_m == pytest.approx((-2.0, 1.0, 0.06), abs=0.1)
    assert all(change.after_ns < start_ns <= change.noticed_ns for change in changes.values())
    assert one(mapper, "mug").id == mug
    assert one(mapper, "plant").state == "gone"
    assert mapper.graph.changes(since_ns=world.start("unused").stamp_ns) == []


class Blind:
    """Fails on chosen frames."""

    name = "blind"

    def __init__(self, inner: SimulatorPerception, empty: Sequence[int]) -> None:
        self._inner, self._empty = inner, empty

    def detect(self, view: View) -> list[Detection]:
        return [] if view.seq in self._empty else self._inner.detect(view)


def test_a_detector_that_overlooks_everything_removes_nothing() -> None:
    world = World(HOME)
    mapper = Mapper(MapperConfig(), Blind(SimulatorPerception(), range(30, 60)))
    live(mapper, world, "a")
    assert found(mapper) == ["chair", "mug", "plant", "table"]


def test_a_broken_detector_is_reported_and_touches_no_track() -> None:
    mapper, world = make(), World(HOME)
    live(mapper, world, "a")
    before = [track.to_bytes() for track in mapper.graph]
    world.things = ()
    mapper.start_session(world.start("b"))
    for seq, pose in enumerate(tour(20)):
        report = mapper.integrate(world.observe("b", seq, pose, segments=False))
        assert not report.healthy
        assert "segments" in report.fault
        assert report.dirty_ids == ()
    assert not mapper.healthy
    assert [track.to_bytes() for track in mapper.graph] == before
    assert (mapper.occupancy.reply().closest_view_m < np.inf).any()


def test_a_jump_of_the_pose_is_no_evidence() -> None:
    mapper, world = make(), World(HOME)
    live(mapper, world, "a")
    mapper.start_session(world.start("b"))
    mapper.integrate(world.observe("b", 0, (0.0, 0.0, 0.0)))
    honest = world.observe("b", 1, (0.0, 0.0, 0.0))
    lost = honest.T_world_base.copy()
    lost[0, 3] += 5.0
    report = mapper.integrate(msgspec.structs.replace(honest, T_world_base=lost))
    assert not report.healthy
    assert report.fault == "the pose jumped"
    assert report.dirty_ids == ()


def test_the_same_stream_gives_the_same_memory() -> None:
    def remember() -> list[bytes]:
        mapper = make(dropout=0.1, label_noise=0.1)
        live(mapper, World(HOME), "a", 30)
        return [track.to_bytes() for track in mapper.graph]

    assert remember() == remember()


def test_a_restored_mapper_goes_on_where_the_first_stopped() -> None:
    world, other_world = World(HOME), World(HOME)
    first, through = make(), make()
    live(first, world, "a")
    live(through, other_world, "a")
    second = make()
    stored = [Track.from_bytes(track.to_bytes()) for track in first.graph]
    second.restore(stored, first.keyframes, first.occupancy.to_bytes(), first.graph.next_number)
    moved = (TABLE, MUG.at(-2.0, 1.0, 0.06), CHAIR, BAG)
    for mapper, w in ((second, world), (through, other_world)):
        w.things = moved
        live(mapper, w, "b")
    told = [[(c.kind, c.object_id, c.label) for c in m.graph.changes()] for m in (second, through)]
    assert told[0] == told[1] != []


def test_reports_name_what_must_be_stored() -> None:
    mapper = make()
    reports = live(mapper, World(HOME), "a")
    alive = {track.id for track in mapper.graph}
    told = {name for report in reports for name in report.dirty_ids}
    removed = {name for report in reports for name in report.removed_ids}
    assert alive <= told
    assert told - alive <= removed
    keyframes = [keyframe for report in reports for keyframe in report.keyframes]
    assert [keyframe.index for keyframe in keyframes] == list(range(len(keyframes)))
    assert keyframes == list(mapper.keyframes)
    assert all(view.crop_jpeg[:2] == b"\xff\xd8" for track in mapper.graph for view in track.views)
    assert all(track.views for track in mapper.graph.confirmed())


def test_a_session_that_was_cut_off_can_be_ended() -> None:
    mapper, world = make(), World(HOME)
    mapper.start_session(world.start("a"))
    for seq, pose in enumerate(tour(20)):
        mapper.integrate(world.observe("a", seq, pose))
    mapper.end_session(None)
    assert all(track.confirmed for track in mapper.graph)


def test_frames_out_of_order_or_of_another_session_are_refused() -> None:
    mapper, world = make(), World(HOME)
    with pytest.raises(ValueError, match="open session"):
        mapper.end_session()
    mapper.start_session(world.start("a"))
    mapper.integrate(world.observe("a", 0, (0.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="seq > 0"):
        mapper.integrate(world.observe("a", 0, (0.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="session"):
        mapper.integrate(world.observe("b", 1, (0.0, 0.0, 0.0)))
    with pytest.raises(ValueError, match="ended first"):
        mapper.start_session(world.start("b"))


class Nameless:
    """A detector without classes."""

    name = "nameless"

    def detect(self, view: View) -> list[Detection]:
        found = SimulatorPerception().detect(view)
        return [Detection(d.mask, "", d.score, d.touches_border) for d in found]


def test_things_without_labels_are_kept_apart_by_place_and_colour() -> None:
    mapper, world = Mapper(MapperConfig(), Nameless()), World(HOME)
    live(mapper, world, "a")
    assert len(mapper.graph.confirmed()) == 4
    world.things = (TABLE, MUG.at(-2.0, 1.0, 0.06), CHAIR, PLANT)
    live(mapper, world, "b")
    assert [change.kind for change in mapper.graph.changes()] == ["moved"]
