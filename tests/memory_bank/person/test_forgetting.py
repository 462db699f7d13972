"""What is forgotten is found, in tracks, pictures and keyframes, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from box_world import CHAIR, MUG, PLANT, TABLE, World, tour
from embodied.messages import Box, Forget, SessionRecord
from memory_bank.episodes.archive import KeyframeArchive
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.episodes.sightlines import keyframe_shows
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.objects.replacement import remember_before
from memory_bank.objects.track import Track
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.person.forgetting import Plan, carry_out, plan
from memory_bank.state import FrameState, Health, MemoryState

N_FRAMES = 60
MUG_LATER = MUG.at(-2.0, 1.0, 0.06)


class Remembered:
    """Two days in a room: a mug goes from the table to the floor, a plant leaves. Made once, and copied."""

    def __init__(self) -> None:
        self.mapper = Mapper(MapperConfig(), SimulatorPerception(), timer=lambda: 0.0)
        self.records: dict[str, SessionRecord] = {}
        world = World((TABLE, MUG, CHAIR, PLANT))
        for session in ("a", "b"):
            start = world.start(session)
            self.mapper.start_session(start)
            for seq, pose in enumerate(tour(N_FRAMES)):
                self.mapper.integrate(world.observe(session, seq, pose))
            end = world.end(session, N_FRAMES)
            self.mapper.end_session(end)
            self.records[session] = SessionRecord(
                session=session, robot="r", world_frame="map", start_ns=start.stamp_ns, end_ns=end.stamp_ns,
                n_observations=N_FRAMES, path_length_m=1.0,
            )  # fmt: skip
            world.things = (TABLE, MUG_LATER, CHAIR)
        self.tracks = [track.to_bytes() for track in self.mapper.graph]

    @property
    def keyframes(self) -> list[Keyframe]:
        return list(self.mapper.keyframes)

    def state(self) -> MemoryState:
        frame = FrameState(name="map")
        frame.graph.restore([Track.from_bytes(data) for data in self.tracks], self.mapper.graph.next_number)
        archive = KeyframeArchive()
        archive.extend(self.keyframes)
        end_ns = self.records["b"].end_ns
        assert end_ns is not None
        return MemoryState(
            frames={"map": frame},
            keyframes=archive,
            sessions=dict(self.records),
            health=Health(session="b", now_ns=end_ns),
        )


@pytest.fixture(scope="module")
def remembered() -> Remembered:
    return Remembered()


def by_label(state: MemoryState) -> dict[str, Track]:
    return {track.label: track for track in state.tracks()}


def look(remembered: Remembered, **conditions: Any) -> tuple[MemoryState, Plan]:
    """Return a memory and what would go; it is checked that looking changed nothing."""
    state = remembered.state()
    found = plan(Forget(**conditions), state)
    assert [track.to_bytes() for track in state.tracks()] == remembered.tracks
    return state, found


def forget(remembered: Remembered, **conditions: Any) -> tuple[MemoryState, Plan]:
    state, found = look(remembered, **conditions)
    changed = carry_out(found)
    graph = state.frame.graph
    graph.check()
    assert {track_id for _, track_id in changed if track_id not in graph} == {track.id for _, track in found.removed}
    return state, found


def around(thing: Any, grown_m: float = 0.1) -> Box:
    x, y, z = (size + grown_m for size in thing.size_m)
    return Box(center_m=thing.center_m, size_m=(x, y, z))


def test_a_session_leaves_what_another_one_saw_too(remembered: Remembered) -> None:
    state, found = forget(remembered, session="a")
    left = by_label(state)
    assert sorted(left) == ["chair", "mug", "table"]
    assert [track.label for _, track in found.removed] == ["plant"]
    assert {remembered.keyframes[index].session for index in found.keyframes} == {"a"}
    assert found.reply.n_keyframes == sum(keyframe.session == "a" for keyframe in remembered.keyframes)
    start_ns = remembered.records["b"].start_ns
    for track in left.values():
        assert track.first_seen_ns >= start_ns
        assert {view.session for view in track.views} <= {"b"}
        assert {interval.session for interval in track.intervals} == {"b"}
    assert state.frame.graph.changes() == []
    assert left["mug"].position_m == pytest.approx(MUG_LATER.center_m, abs=0.1)


def test_a_region_takes_what_stood_there_and_every_picture_that_shows_it(remembered: Remembered) -> None:
    region = around(CHAIR)
    state, found = forget(remembered, region=region)
    assert sorted(by_label(state)) == ["mug", "plant", "table"]
    assert found.reply.n_objects == 1
    kept = [keyframe for keyframe in remembered.keyframes if keyframe.index not in found.keyframes]
    assert kept
    assert found.keyframes
    assert not any(keyframe_shows(keyframe, region) for keyframe in kept)
    chair = next(thing for thing in by_label(remembered.state()).values() if thing.label == "chair")
    assert all(chair.id not in keyframe.track_ids for keyframe in kept)


def test_what_moved_out_of_a_region_is_remembered_where_it_is(remembered: Remembered) -> None:
    state, found = forget(remembered, region=around(MUG, 0.02))
    mug = by_label(state)["mug"]
    assert mug.is_there
    assert [interval.cause for interval in mug.intervals] == ["seen_first"]
    assert mug.position_m == pytest.approx(MUG_LATER.center_m, abs=0.1)
    assert found.reply.n_intervals == len(by_label(remembered.state())["mug"].intervals) - 1


def test_what_moved_into_a_region_is_gone_from_where_it_was(remembered: Remembered) -> None:
    state, _ = forget(remembered, region=around(MUG_LATER))
    mug = by_label(state)["mug"]
    assert mug.state == "gone", "it was seen that it had left"
    assert mug.position_m == pytest.approx(MUG.center_m, abs=0.1)


def test_a_region_cuts_what_reaches_into_it(remembered: Remembered) -> None:
    half = Box(center_m=(2.5, 0.0, 0.4), size_m=(0.6, 2.0, 1.0))
    before = by_label(remembered.state())["table"]
    state, _ = forget(remembered, region=half)
    table = by_label(state)["table"]
    assert table.box.center_m[0] + 0.5 * table.box.size_m[0] < 2.25
    assert table.box.size_m[1] == pytest.approx(before.box.size_m[1], abs=0.1)


def test_an_object_goes_with_the_keyframes_that_show_it_and_no_other(remembered: Remembered) -> None:
    plant = by_label(remembered.state())["plant"]
    state, found = forget(remembered, object_id=plant.id)
    assert sorted(by_label(state)) == ["chair", "mug", "table"]
    assert [track.id for _, track in found.removed] == [plant.id]
    shown = {keyframe.index for keyframe in remembered.keyframes if plant.id in keyframe.track_ids}
    assert shown <= set(found.keyframes)
    assert {remembered.keyframes[index].session for index in found.keyframes} == {"a"}, "on day b it was not there"
    assert found.reply.n_pictures >= len(plant.views)


def test_conditions_narrow_each_other(remembered: Remembered) -> None:
    mug = by_label(remembered.state())["mug"]
    state, found = forget(remembered, object_id=mug.id, session="b")
    left = by_label(state)["mug"]
    assert (left.state, left.last_session) == ("unknown", "a")
    assert {remembered.keyframes[index].session for index in found.keyframes} == {"b"}
    _, nothing = look(remembered, object_id=mug.id, region=around(PLANT))
    assert nothing.is_empty
    assert nothing.reply == plan(Forget(region=around(PLANT), until_ns=1), remembered.state()).reply


def test_a_time_takes_what_was_seen_in_it(remembered: Remembered) -> None:
    day = remembered.records["b"]
    state, found = forget(remembered, since_ns=day.start_ns, until_ns=day.end_ns)
    by_session, other = forget(remembered, session="b")
    assert found.keyframes == other.keyframes
    assert {k: t.intervals for k, t in by_label(state).items()} == {
        k: t.intervals for k, t in by_label(by_session).items()
    }
    assert by_label(state)["plant"].state == "present", "that it was missed is forgotten too"
    _, everything = look(remembered, since_ns=0)
    assert everything.reply.n_objects == 4
    assert everything.reply.n_keyframes == len(remembered.keyframes)


def test_tombstones_and_told_things_are_forgotten_too(remembered: Remembered) -> None:
    state = remembered.state()
    tracks = by_label(state)
    tracks["chair"].deleted = True
    tracks["plant"].pinned = True
    found = plan(Forget(since_ns=0), state)
    assert {track.id for _, track in found.removed} == {track.id for track in tracks.values()}
    assert found.reply.n_objects == 3, "what was deleted was shown to nobody"


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({}, "at least one of region"),
        ({"world_frame": "map"}, "at least one of region"),
        ({"since_ns": 2, "until_ns": 1}, "since_ns: expected at most until_ns"),
        ({"session": "c"}, r"expected one that I know \('a', 'b'\), got 'c'"),
        ({"object_id": "o99"}, "got 'o99'"),
        ({"region": Box(center_m=(0.0, 0.0, 0.0), size_m=(1.0, 0.0, 1.0))}, "lengths above 0"),
        ({"region": Box(center_m=(float("nan"), 0.0, 0.0), size_m=(1.0, 1.0, 1.0))}, "finite"),
        ({"region": around(MUG), "world_frame": "attic"}, "got 'attic'"),
    ],
)
def test_a_senseless_request_is_refused(remembered: Remembered, conditions: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        look(remembered, **conditions)


def test_an_empty_memory_has_nothing_to_forget() -> None:
    assert plan(Forget(since_ns=0), MemoryState()).is_empty


def test_another_frame_is_left_alone(remembered: Remembered) -> None:
    state = remembered.state()
    state.frames["attic"] = FrameState(name="attic")
    state.sessions["b"] = msgspec.structs.replace(state.sessions["b"], memory_frame="attic")
    found = plan(Forget(region=around(CHAIR), world_frame="map"), state)
    assert {remembered.keyframes[index].session for index in found.keyframes} == {"a"}


def test_what_is_cut_off_is_in_no_history_and_comes_back_by_no_way(remembered: Remembered) -> None:
    state = remembered.state()
    table = by_label(state)["table"]
    table.before = remember_before(table, table.last_seen_ns)
    carry_out(plan(Forget(region=Box(center_m=(2.5, 0.0, 0.4), size_m=(0.6, 2.0, 1.0))), state))
    assert table.intervals[-1].box == table.box
    assert table.before is None, "as it was before the session, it reached into the region"
