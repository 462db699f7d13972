from __future__ import annotations

import msgspec
import numpy as np
import pytest

from embodied.errors import StoreError
from memory_bank.objects.appearance import COLOURS
from memory_bank.objects.lifecycle import (
    LifecycleConfig,
    absorb,
    continue_elsewhere,
    declare_gone,
    miss,
    new_track,
    observe,
    offer_view,
)
from memory_bank.objects.scene_graph import check_intervals, track_changes
from memory_bank.objects.track import BestView, Track
from memory_bank.perception.detections import Measured

CONFIG = LifecycleConfig()
SECOND = 1_000_000_000


def thing(label: str = "mug", x_m: float = 1.0, score: float = 0.9, distance_m: float = 1.0) -> Measured:
    points = np.random.default_rng(0).uniform(-0.05, 0.05, (200, 3)).astype(np.float32)
    points += np.array([x_m, 0.0, 0.8], dtype=np.float32)
    return Measured(
        label=label,
        score=score,
        points=points,
        low_m=points.min(axis=0),
        high_m=points.max(axis=0),
        distance_m=distance_m,
        n_pixels=400,
        partial=False,
        bounds_px=(0, 20, 0, 20),
        colour_shares=np.eye(len(COLOURS))[0],
    )


def seen(name: str = "o1", n: int = 4, x_m: float = 1.0, start_s: int = 10, session: str = "a") -> Track:
    track = new_track(name, thing(x_m=x_m), start_s * SECOND, session, CONFIG)
    for i in range(1, n):
        observe(track, thing(x_m=x_m), (start_s + i) * SECOND, session, CONFIG)
    return track


def vanish(track: Track, start_s: int, session: str = "b") -> bool:
    return any(miss(track, (start_s + i) * SECOND, session, (0.3 * i, 0.0, 1.2), CONFIG) for i in range(6))


def test_a_track_counts_after_some_sightings_and_began_with_the_first() -> None:
    track = seen(n=2)
    assert not track.confirmed
    observe(track, thing(), 12 * SECOND, "a", CONFIG)
    assert track.is_there
    (interval,) = track.intervals
    assert (interval.cause, interval.valid_from_ns, interval.known_from_ns) == ("seen_first", 10 * SECOND, 12 * SECOND)
    assert track.position_m == pytest.approx((1.0, 0.0, 0.8), abs=0.02)
    assert track.colour == "red"


def test_labels_are_weighed_and_never_a_gate() -> None:
    track = seen()
    observe(track, thing("cup", score=0.6), 20 * SECOND, "a", CONFIG)
    assert track.label == "mug"
    assert track.label_shares["cup"] == pytest.approx(0.6 / (4 * 0.9 + 0.6))
    assert list(track.label_shares) == ["mug", "cup"]


def test_a_track_without_labels_has_an_empty_label() -> None:
    track = new_track("o1", thing(""), 0, "a", CONFIG)
    assert track.label == ""
    assert track.label_shares == {}


def test_absence_needs_several_frames_from_several_places() -> None:
    track = seen()
    assert not any(miss(track, i * SECOND, "b", (0.0, 0.0, 1.2), CONFIG) for i in range(20, 60))
    assert track.is_there
    assert miss(track, 60 * SECOND, "b", (0.5, 0.0, 1.2), CONFIG)
    assert track.state == "gone"


def test_a_sighting_takes_back_what_spoke_for_absence() -> None:
    track = seen()
    for i in range(3):
        miss(track, (20 + i) * SECOND, "b", (float(i), 0.0, 1.2), CONFIG)
    observe(track, thing(), 30 * SECOND, "b", CONFIG)
    assert track.n_missed == 0
    assert not miss(track, 31 * SECOND, "b", (9.0, 0.0, 1.2), CONFIG)


def test_a_gone_object_is_told_as_removed_between_its_last_sighting_and_the_first_empty_look() -> None:
    track = seen()
    assert vanish(track, 50)
    check_intervals(track)
    (change,) = track_changes(track)
    assert (change.kind, change.after_ns, change.noticed_ns) == ("removed", 13 * SECOND, 50 * SECOND)
    assert change.to_position_m is None


def test_an_object_that_was_only_overlooked_did_not_change() -> None:
    track = seen()
    vanish(track, 50, session="b")
    observe(track, thing(), 70 * SECOND, "b", CONFIG)
    assert [i.cause for i in track.intervals] == ["seen_first", "missed", "seen_again"]
    check_intervals(track)
    assert track_changes(track) == []


def test_an_object_that_is_back_in_a_later_session_was_removed_and_added() -> None:
    track = seen()
    vanish(track, 50, session="b")
    observe(track, thing(), 90 * SECOND, "c", CONFIG)
    assert [change.kind for change in track_changes(track)] == ["removed", "added"]


@pytest.mark.parametrize("noticed_gone_first", [True, False])
def test_a_moved_object_keeps_its_identity(noticed_gone_first: bool) -> None:
    old, new = seen("o1"), seen("o7", x_m=3.0, start_s=40, session="b")
    if noticed_gone_first:
        vanish(old, 30)
    continue_elsewhere(old, new, 60 * SECOND, "b")
    check_intervals(old)
    assert old.state == "moved"
    assert old.position_m == pytest.approx((3.0, 0.0, 0.8), abs=0.02)
    assert old.n_observations == 8
    (change,) = track_changes(old, room_of=lambda p: "kitchen" if p[0] < 2 else "hall")
    assert (change.kind, change.after_ns, change.noticed_ns) == ("moved", 13 * SECOND, 40 * SECOND)
    assert (change.from_room, change.to_room) == ("kitchen", "hall")


def test_a_new_object_is_an_addition_only_where_its_place_was_seen_empty() -> None:
    track = seen(start_s=100, session="b")
    assert track_changes(track) == []
    track.place_was_empty_ns = 20 * SECOND
    (change,) = track_changes(track)
    assert (change.kind, change.after_ns, change.noticed_ns) == ("added", 20 * SECOND, 100 * SECOND)


def test_two_tracks_of_one_thing_become_one_with_the_evidence_of_both() -> None:
    keep, lose = seen("o1", n=2), seen("o2", n=5, start_s=5)
    absorb(keep, lose)
    assert keep.confirmed
    assert keep.n_observations == 7
    assert keep.first_seen_ns == 5 * SECOND
    check_intervals(keep)


def test_far_views_do_not_shape_the_box() -> None:
    track = seen()
    before = track.box
    observe(track, thing(x_m=1.5, distance_m=5.0), 20 * SECOND, "a", CONFIG)
    assert track.box == before


def test_the_best_views_are_from_different_sides() -> None:
    track = seen()

    def view(x_m: float, y_m: float, score: float) -> BestView:
        return BestView(
            session="a", stamp_ns=int(score), keyframe=0, camera_position_m=(x_m, y_m, 0.8), score=score, crop_jpeg=b""
        )

    assert offer_view(track, view(0.0, 0.0, 10.0), CONFIG)
    assert not offer_view(track, view(0.0, 0.05, 5.0), CONFIG)
    assert offer_view(track, view(0.0, 0.05, 20.0), CONFIG)
    assert offer_view(track, view(1.0, 2.0, 6.0), CONFIG)
    assert offer_view(track, view(1.0, -2.0, 4.0), CONFIG)
    assert not offer_view(track, view(3.0, 0.0, 3.0), CONFIG)
    assert [v.score for v in track.views] == [20.0, 6.0, 4.0]


def test_a_stored_track_comes_back_the_same() -> None:
    track = seen()
    track.seen_with, track.merged_ids = {"o9", "o3"}, ["o2"]
    offer_view(
        track,
        BestView(
            session="a", stamp_ns=1, keyframe=3, camera_position_m=(0.0, 0.0, 1.0), score=9.0, crop_jpeg=b"\xff\xd8"
        ),
        CONFIG,
    )
    vanish(track, 50)
    back = Track.from_bytes(track.to_bytes())
    assert back.to_bytes() == track.to_bytes()
    assert back.box == track.box
    assert back.intervals == track.intervals
    assert back.seen_with == track.seen_with
    assert np.array_equal(back.voxels.solid_points(), track.voxels.solid_points())


def test_damaged_or_foreign_bytes_are_a_store_error() -> None:
    data = seen().to_bytes()
    with pytest.raises(StoreError, match="damaged"):
        Track.from_bytes(data[:-7])
    fields = msgspec.msgpack.decode(data)
    with pytest.raises(StoreError, match="format"):
        Track.from_bytes(msgspec.msgpack.encode({**fields, "format": 99}))


def test_an_unconfirmed_track_leaves_no_history() -> None:
    track = seen(n=1)
    declare_gone(track, 20 * SECOND, "a")
    assert track.intervals == []
    check_intervals(track)
