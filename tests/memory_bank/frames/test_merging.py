"""Merging two frames of tracks: one thing becomes one, what changed meanwhile is told, a person's word holds."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from embodied.geometry import intrinsics_from_fov
from embodied.messages import Box, Edit, Point, SessionRecord
from memory_bank.episodes.archive import KeyframeArchive
from memory_bank.episodes.keyframes import Keyframe
from memory_bank.frames.merging import Merged, _likenesses, merge_frames, same_place
from memory_bank.frames.poses import Pose, inverted, move_track, moved_point
from memory_bank.geometry.voxels import VoxelCloud
from memory_bank.mapper import Mapper, MapperConfig
from memory_bank.objects.track import Track
from memory_bank.perception.simulator import SimulatorPerception
from memory_bank.person.edits import told_track
from memory_world import DAY_1_NS, DAY_2_NS, NOW_NS, SECOND_NS, SESSIONS, interval, make_track

POSE = np.array([1.1, 2.0, -3.0, 0.0])
"""T_target_source."""
OLD, NEW = (
    msgspec.structs.replace(record, world_frame=frame, memory_frame=frame)
    for record, frame in zip(SESSIONS, ("map", "boot"), strict=True)
)


def thing(number: int, label: str, position_m: Point, session: SessionRecord, **fields: object) -> Track:
    """Return a confirmed track of one session: a cube of 20 cm with voxels."""
    cloud = VoxelCloud()
    cloud.insert(np.array(position_m, dtype=np.float32) + np.random.default_rng(0).uniform(-0.1, 0.1, (400, 3)), 3.0)
    first_ns, last_ns = session.start_ns + number * SECOND_NS, session.start_ns + 200 * SECOND_NS
    return make_track(
        number, np.random.default_rng(number), label,
        voxels=cloud, box=Box(center_m=position_m, size_m=(0.2, 0.2, 0.2)), first_seen_ns=first_ns,
        last_seen_ns=last_ns, first_session=session.session, last_session=session.session, views=[],
        intervals=[interval(f"o{number}", position_m, first_ns, None, session=session.session, room="")], **fields,
    )  # fmt: skip


def seen_empty(index: int, position_m: Point, session: SessionRecord, at_ns: int) -> Keyframe:
    """Return a keyframe from a metre before a place, in which only a wall three metres behind is seen."""
    T = np.eye(4)
    T[:3, :3] = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    T[:3, 3] = np.array(position_m) - (1.0, 0.1 * index, 0.0)
    return Keyframe(
        index=index, session=session.session, seq=index, stamp_ns=at_ns, camera="head",
        T_world_camera=tuple(T.ravel().tolist()), intrinsics=intrinsics_from_fov(96, 96, 1.5), thumbnail_jpeg=b"",
        depth_mm=np.full((24, 24), 4000, dtype="<u2").tobytes(), depth_shape=(24, 24), track_ids=(),
    )  # fmt: skip


def merge(
    old: list[Track], new: list[Track], keyframes: tuple[Keyframe, ...] = (), pose: Pose = POSE
) -> tuple[Mapper, Merged]:
    """Merge the new tracks, told in the target's frame, into a mapper with the old ones."""
    target, source = (Mapper(MapperConfig(), SimulatorPerception()) for _ in range(2))
    for track in new:
        move_track(track, inverted(pose))
    target.restore(old, (), None, 100)
    source.restore(new, (), None, 200)
    archive = KeyframeArchive()
    archive.extend(keyframes)
    return target, merge_frames(source, target, pose, [NEW], [OLD], archive, NOW_NS)


def test_what_stands_in_both_is_one_thing_under_its_older_id() -> None:
    old = [thing(1, "mug", (1.0, 1.0, 0.8), OLD), thing(2, "mug", (1.4, 1.0, 0.8), OLD)]
    new = [thing(11, "mug", (1.43, 1.02, 0.8), NEW), thing(12, "mug", (1.02, 0.98, 0.8), NEW)]
    target, merged = merge(old, new)
    assert {track.id: track.merged_ids for track in target.graph} == {"o1": ["o12"], "o2": ["o11"]}
    assert (merged.dirty_ids, merged.removed_ids) == ({"o1", "o2"}, {"o11", "o12"})
    assert target.graph.resolve("o12") == "o1"
    first = target.graph.get("o1")
    assert first is not None
    assert first.position_m == pytest.approx((1.0, 1.0, 0.8), abs=0.05)
    assert first.last_session == "day-2"
    assert first.n_observations == 18
    assert target.graph.new_id() == "o200"


def test_another_thing_beside_it_stays_another_thing() -> None:
    old, new = [thing(1, "mug", (1.0, 1.0, 0.8), OLD)], [thing(11, "book", (1.05, 1.0, 0.8), NEW)]
    target, merged = merge(old, new)
    assert [(t.id, t.position_m) for t in target.graph] == [
        ("o1", (1.0, 1.0, 0.8)),
        ("o11", pytest.approx((1.05, 1.0, 0.8), abs=0.03)),
    ]
    assert merged.dirty_ids == {"o11"}
    assert target.graph.within((1.05, 1.0, 0.8), 0.05)


def test_everything_that_a_track_knows_of_places_comes_along() -> None:
    track = thing(11, "plant", (4.0, 2.0, 0.5), NEW, missed_from=[(1.0, 2.0, 1.2)])
    expected = [moved_point(POSE, point) for point in (track.position_m, track.missed_from[0])]
    epoch = track.epoch
    move_track(track, POSE)
    assert track.position_m == pytest.approx(expected[0], abs=0.03)
    assert track.missed_from == [expected[1]]
    assert track.intervals[-1].position_m == track.position_m
    assert track.epoch > epoch, "an edit that names the old place is stale"


def test_what_has_left_meanwhile_is_gone_and_what_moved_goes_on() -> None:
    place = (3.0, 1.0, 0.8)
    old, new = [thing(1, "mug", place, OLD)], [thing(11, "mug", (6.0, 1.0, 0.8), NEW)]
    looks = tuple(seen_empty(i, place, NEW, NEW.start_ns + (i + 1) * SECOND_NS) for i in range(3))
    target, _ = merge(old, new, looks)
    (mug,) = target.graph
    assert (mug.id, mug.state, mug.merged_ids) == ("o1", "moved", ["o11"])
    assert [i.cause for i in mug.intervals] == ["seen_first", "missed", "seen_elsewhere"]
    assert mug.intervals[1].valid_from_ns == looks[-1].stamp_ns
    assert mug.intervals[1].known_from_ns == NOW_NS, "it was seen earlier, but nobody knew what was missing there"
    assert mug.position_m == pytest.approx((6.0, 1.0, 0.8), abs=0.03)


def test_nothing_is_gone_that_nobody_looked_for() -> None:
    target, _ = merge([thing(1, "mug", (3.0, 1.0, 0.8), OLD)], [])
    assert [track.state for track in target.graph] == ["present"]


def test_what_is_new_was_added_if_its_place_had_been_seen_empty() -> None:
    place = (3.0, 1.0, 0.8)
    looks = tuple(seen_empty(i, place, OLD, OLD.start_ns + (i + 1) * SECOND_NS) for i in range(3))
    target, _ = merge([], [thing(11, "mug", place, NEW)], looks)
    assert [(c.kind, c.object_id) for c in target.graph.changes()] == [("added", "o11")]


def test_a_persons_word_outlives_the_merge() -> None:
    old = [
        thing(1, "mug", (1.0, 1.0, 0.8), OLD, name="grandmother's cup"),
        thing(2, "cat", (2.0, 1.0, 0.8), OLD, deleted=True),
        thing(3, "book", (3.0, 1.0, 0.8), OLD, pinned=True),
    ]
    new = [
        thing(11, "mug", (1.0, 1.0, 0.8), NEW),
        thing(12, "cat", (2.0, 1.0, 0.8), NEW),
        thing(13, "book", (3.0, 1.0, 0.8), NEW, pinned=True),
    ]
    looks = tuple(seen_empty(i, (3.0, 1.0, 0.8), NEW, DAY_2_NS + 300 * SECOND_NS + i) for i in range(3))
    target, _ = merge(old, new, looks)
    tracks = {track.id: track for track in target.graph}
    assert tracks["o1"].label == "grandmother's cup"
    assert tracks["o2"].deleted, "what a person says is not there does not come back"
    assert tracks["o2"].merged_ids == ["o12"]
    assert {tracks["o3"].state, tracks["o13"].state} == {"present"}, "what is pinned is neither merged away nor gone"


def test_a_frame_seen_in_turns_keeps_the_order_of_what_happened() -> None:
    """What the frame that is brought over saw last on day one was found missing in the other one on day two."""
    place = (3.0, 1.0, 0.8)
    earlier = msgspec.structs.replace(NEW, session="day-0", start_ns=DAY_1_NS - 3600 * SECOND_NS)
    looks = tuple(seen_empty(i, place, OLD, OLD.start_ns + (i + 1) * SECOND_NS) for i in range(3))
    target, _ = merge([], [thing(11, "mug", place, earlier)], looks)
    (mug,) = target.graph
    assert (mug.state, mug.intervals[-1].session) == ("gone", "day-1")


def test_what_was_deleted_in_the_frame_that_is_brought_over_does_not_come_back() -> None:
    target, merged = merge(
        [thing(1, "cat", (2.0, 1.0, 0.8), OLD), thing(2, "mug", (1.0, 1.0, 0.8), OLD, name="Ann's")],
        [thing(11, "cat", (2.0, 1.0, 0.8), NEW, deleted=True), thing(12, "mug", (1.0, 1.0, 0.8), NEW, deleted=True)],
    )
    tracks = {track.id: track for track in target.graph}
    assert (tracks["o1"].deleted, tracks["o1"].merged_ids) == (True, ["o11"])
    assert not tracks["o2"].deleted, "another person's word stands against it"
    assert "o12" in tracks
    assert merged.removed_ids == {"o11"}


@pytest.mark.parametrize("older", [True, False])
def test_a_deleted_double_leaves_the_other_one_as_it_is(older: bool) -> None:
    """Although it was nearer to where the thing stands."""
    doubled, alone, n = (OLD, NEW, 1) if older else (NEW, OLD, 11)
    double = [
        thing(n, "cat", (2.0, 1.0, 0.8), doubled, deleted=True),
        thing(n + 1, "cat", (2.01, 1.0, 0.8), doubled),
    ]
    other = [thing(12 - n + 9, "cat", (2.0, 1.0, 0.8), alone)]
    target, _ = merge(double, other) if older else merge(other, double)
    (cat,) = target.graph.confirmed()
    assert (cat.id, cat.merged_ids) == (("o2", ["o20"]) if older else ("o10", ["o12"]))


def test_what_was_told_of_in_one_frame_and_seen_in_the_other_is_one() -> None:
    def told(number: int, frame: str) -> Track:
        edit = Edit(kind="add", text="cup", position_m=(1.1, 1.0, 0.8), author="ann")
        return told_track(edit, f"o{number}", frame, "", NOW_NS)

    mugs = [thing(n, "mug", (1.0, 1.0, 0.8), session) for n, session in ((2, OLD), (12, NEW))]
    for old, new, kept, lost in (
        ([told(1, "map")], mugs[1:], "o12", "o1"),
        (mugs[:1], [told(11, "boot")], "o2", "o11"),
    ):
        target, merged = merge(old, new)
        (mug,) = target.graph.confirmed()
        assert (mug.id, mug.label, mug.source, mug.merged_ids) == (kept, "cup", "seen", [lost])
        assert [note.author for note in mug.notes] == ["ann"]
        assert merged.removed_ids == {lost}
        assert kept in merged.dirty_ids


def test_likeness_of_place_is_that_of_all_pairs_although_only_near_ones_are_compared() -> None:
    rng = np.random.default_rng(4)
    things = [
        make_track(n, rng, ("mug", "cat")[n % 2], box=Box(center_m=tuple(place), size_m=(0.4, 0.3, 0.2)), views=[])
        for n, place in enumerate(rng.uniform(0.0, 1.5, (40, 3)).tolist())
    ]
    table = _likenesses(things[:25], things[25:])
    assert table == pytest.approx(np.array([[same_place(a, b) for b in things[25:]] for a in things[:25]]))
    assert 0 < np.count_nonzero(table) < table.size / 2
    assert _likenesses(things[:3], []).shape == (3, 0)
