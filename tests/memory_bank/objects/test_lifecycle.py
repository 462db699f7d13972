"""What changes a track, and what a person is told has changed."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from memory_bank.objects.appearance import COLOURS
from memory_bank.objects.lifecycle import (
    LifecycleConfig,
    absorb,
    continue_elsewhere,
    declare_gone,
    doubt,
    miss,
    new_track,
    observe,
)
from memory_bank.objects.track import Track
from memory_bank.perception.detections import Measured

CONFIG = LifecycleConfig()
FROM = ((0.0, 0.0, 1.2), (0.5, 0.0, 1.2))


def look(label: str = "mug", n_pixels: int = 200, x_m: float = 0.0) -> Measured:
    points = np.random.default_rng(0).uniform(-0.05, 0.05, (100, 3)).astype(np.float32) + np.float32([x_m, 0.0, 0.8])
    return Measured(
        label=label, score=0.9, points=points, low_m=points.min(axis=0), high_m=points.max(axis=0), distance_m=1.0,
        n_pixels=n_pixels, partial=False, bounds_px=(0, 9, 0, 9), colour_shares=np.eye(len(COLOURS))[0],
    )  # fmt: skip


def seen(name: str = "o0", session: str = "a", start_ns: int = 0, x_m: float = 0.0, label: str = "mug") -> Track:
    track = new_track(name, look(label, x_m=x_m), start_ns, session, CONFIG)
    for i in range(1, 4):
        observe(track, look(label, x_m=x_m), start_ns + i, session, CONFIG)
    return track


def test_first_seen_is_when_there_was_something_to_see() -> None:
    track = new_track("o0", look(n_pixels=14), 10, "a", CONFIG)
    observe(track, look(n_pixels=22), 20, "a", CONFIG)
    observe(track, look(n_pixels=300), 30, "a", CONFIG)
    observe(track, look(n_pixels=14), 40, "a", CONFIG)
    assert track.first_seen_ns == 30
    assert track.intervals[0].valid_from_ns == 30
    clear = new_track("o1", look(n_pixels=40), 10, "a", CONFIG)
    observe(clear, look(), 20, "a", CONFIG)
    assert clear.first_seen_ns == 10


def test_the_epoch_grows_with_what_a_person_would_want_to_know_and_with_nothing_else() -> None:
    track = seen()
    epochs = [track.epoch]

    def note() -> bool:
        epochs.append(track.epoch)
        return epochs[-1] > epochs[-2]

    observe(track, look(), 50, "a", CONFIG)
    assert not note()
    miss(track, 60, "a", FROM[0], CONFIG)
    assert not note()
    doubt(track)
    assert note()
    doubt(track)
    assert not note()
    observe(track, look(), 70, "a", CONFIG)
    assert note()
    assert track.state == "present"
    declare_gone(track, 80, "a")
    assert note()
    continue_elsewhere(track, seen("o1", "b", 90, x_m=1.0), 95, "b")
    assert note()
    absorb(track, seen("o2", "b", 100, x_m=1.0))
    assert note()
    for i in range(40):
        observe(track, look("cup", x_m=1.0), 200 + i, "b", CONFIG)
    assert track.label == "cup"
    assert note()


@pytest.mark.parametrize("field", ["pinned", "deleted"])
def test_what_a_person_has_decided_is_never_declared_gone(field: str) -> None:
    track = seen()
    setattr(track, field, True)
    for i in range(8):
        miss(track, 50 + i, "b", FROM[i % 2], CONFIG)
    assert track.state == "unknown"
    assert [interval.state for interval in track.intervals] == ["present"]
    observe(track, look(), 100, "b", CONFIG)
    assert (track.state, track.deleted) == ("present", field == "deleted")


def test_what_is_pinned_keeps_the_label_it_had() -> None:
    track, named = seen(), seen()
    track.pinned = True
    named.pinned, named.name = True, "Ada's mug"
    for i in range(40):
        observe(track, look("cup"), 50 + i, "a", CONFIG)
        observe(named, look("cup"), 50 + i, "a", CONFIG)
    assert track.label == "mug"
    assert named.label == "Ada's mug"


def test_a_session_has_its_own_label_histogram() -> None:
    track = seen()
    assert set(track.session_label_weights) == {"mug"}
    observe(track, look("cup"), 50, "b", CONFIG)
    assert set(track.session_label_weights) == {"cup"}
    assert set(track.label_weights) == {"cup", "mug"}
    other = seen("o1", "b", 60, label="box")
    absorb(track, other)
    assert set(track.session_label_weights) == {"cup", "box"}
    older = seen("o2", "a", 10)
    absorb(older, seen("o3", "b", 70, label="box"))
    assert set(older.session_label_weights) == {"box"}


def test_what_it_was_before_the_session_is_remembered_until_it_is_joined_with_something_older() -> None:
    track = seen()
    assert track.before is None
    observe(track, look(), 50, "b", CONFIG)
    assert track.before is not None
    assert (track.before.since_ns, track.before.track.n_observations) == (50, 4)
    absorb(track, seen("o1", "b", 60))
    assert track.before is not None
    absorb(track, seen("o2", "a", 5))
    assert track.before is None


def test_a_track_is_stored_without_what_it_was_before() -> None:
    track = seen()
    observe(track, look(), 50, "b", CONFIG)
    back = Track.from_bytes(track.to_bytes())
    assert back.before is None
    assert (back.largest_px, back.session_label_weights) == (200, {"mug": pytest.approx(0.9)})
    assert msgspec.msgpack.decode(track.to_bytes())["epoch"] == track.epoch


def test_what_is_pinned_keeps_its_label_when_another_is_joined_to_it() -> None:
    for join in (absorb, lambda keep, lose: continue_elsewhere(keep, lose, 99, "b")):
        keep, lose = seen(), seen("o1", "b", 20, 1.0, "cup")
        keep.pinned = True
        for i in range(20):
            observe(lose, look("cup", x_m=1.0), 30 + i, "b", CONFIG)
        join(keep, lose)
        assert keep.label == "mug"
        assert keep.n_observations == 28
