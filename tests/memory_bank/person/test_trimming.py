"""What is left of a track when some of its sightings are forgotten."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.messages import Box, Interval, Note, Point
from memory_bank.objects.scene_graph import check_intervals
from memory_bank.objects.track import BestView, Track
from memory_bank.person.trimming import Mark, Memories, trim
from memory_world import box, interval, make_track

HERE, THERE, ELSEWHERE = (1.0, 1.0, 0.5), (4.0, 1.0, 0.5), (8.0, 1.0, 0.5)
DAYS = {"a": (0, 100), "b": (200, 300), "c": (400, 500)}


def session_at(stamp_ns: int) -> str:
    return next((name for name, (start, end) in DAYS.items() if start <= stamp_ns <= end), "")


def stay(at_m: Point, from_ns: int, to_ns: int | None, cause: str = "seen_first", **fields: Any) -> Interval:
    states = {"missed": "gone", "seen_elsewhere": "moved", "picked": "held", "placed": "moved"}
    state = states.get(cause, "present")
    values = {"state": state, "session": session_at(from_ns), "cause": cause, "room": ""} | fields
    return interval("o1", at_m, from_ns, to_ns, **values)


def track_of(*intervals: Interval, last_ns: int, **fields: Any) -> Track:
    values: dict[str, Any] = {
        "intervals": list(intervals),
        "box": intervals[-1].box,
        "state": intervals[-1].state,
        "first_seen_ns": intervals[0].valid_from_ns,
        "first_session": intervals[0].session,
        "last_seen_ns": last_ns,
        "last_session": session_at(last_ns),
        "views": [],
    }
    return make_track(1, np.random.default_rng(0), **(values | fields))


def view(stamp_ns: int) -> BestView:
    return BestView(
        session=session_at(stamp_ns), stamp_ns=stamp_ns, keyframe=0, camera_position_m=HERE, score=1.0, crop_jpeg=b"x"
    )


def without(track: Track, gone: Callable[[int, str, Box], bool], *seen_ns: int) -> Track | None:
    """Return the track after forgetting; None if nothing is left."""
    marks = tuple(Mark(stamp_ns, session_at(stamp_ns)) for stamp_ns in seen_ns)
    found = trim(track, gone, lambda v: gone(v.stamp_ns, v.session, track.box), Memories(marks, session_at))
    if found.values is None:
        return None
    for name, value in found.values.items():
        setattr(track, name, value)
    check_intervals(track)
    return track


def session(name: str) -> Callable[[int, str, Box], bool]:
    return lambda stamp_ns, session, place: session == name


def told_by(track: Track | None) -> list[tuple[str, Point, int, int | None]]:
    assert track is not None
    return [(i.cause, i.position_m, i.valid_from_ns, i.valid_to_ns) for i in track.intervals]


def test_what_was_seen_in_no_other_session_is_forgotten() -> None:
    assert without(track_of(stay(HERE, 10, None), last_ns=90), session("a")) is None


def test_what_is_not_meant_stays_as_it_is() -> None:
    track = track_of(stay(HERE, 10, None), last_ns=290, views=[view(20)])
    before = track.to_bytes()
    assert without(track, session("c"), 20, 50, 250) is track
    assert track.to_bytes() == before


def test_a_stay_begins_with_the_first_sighting_that_is_left() -> None:
    track = without(track_of(stay(HERE, 10, None), last_ns=290, views=[view(20), view(250)]), session("a"), 50, 220)
    assert told_by(track) == [("seen_first", HERE, 220, None)]
    assert track is not None
    assert (track.first_seen_ns, track.first_session) == (220, "b")
    assert (track.last_seen_ns, track.state) == (290, "present")
    assert [v.stamp_ns for v in track.views] == [250]
    assert track.intervals[0].known_from_ns == 220


def test_the_last_sighting_goes_with_its_session_and_takes_its_labels_along() -> None:
    labels = {"label_weights": {"mug": 4.0, "cup": 9.0}, "session_label_weights": {"mug": 1.0, "cup": 9.0}}
    track = without(track_of(stay(HERE, 10, None), last_ns=290, **labels), session("b"), 90, 250)
    assert track is not None
    assert (track.last_seen_ns, track.last_session, track.state) == (90, "a", "present")
    assert (track.label_weights, track.session_label_weights) == ({"mug": 3.0}, {})


def test_where_a_thing_went_is_forgotten_and_where_it_was_is_left_in_doubt() -> None:
    moved = track_of(stay(HERE, 10, 90), stay(THERE, 210, None, "seen_elsewhere"), last_ns=290, notes=[])
    track = without(moved, lambda stamp_ns, session, place: place.center_m == THERE)
    assert told_by(track) == [("seen_first", HERE, 10, None)]
    assert track is not None
    assert (track.state, track.position_m) == ("unknown", HERE)
    assert np.abs(track.voxels.solid_points().mean(axis=0) - HERE).max() < 0.02
    assert track.existence <= 0.5


def test_where_a_thing_was_is_forgotten_and_where_it_is_stays() -> None:
    moved = track_of(stay(HERE, 10, 90), stay(THERE, 210, None, "seen_elsewhere"), last_ns=290)
    track = without(moved, lambda stamp_ns, session, place: place.center_m == HERE)
    assert told_by(track) == [("seen_first", THERE, 210, None)]
    assert track is not None
    assert (track.state, track.first_seen_ns, track.first_session) == ("present", 210, "b")


def test_an_excursion_that_is_forgotten_leaves_one_stay() -> None:
    track = track_of(
        stay(HERE, 10, 90),
        stay(THERE, 210, 290, "seen_elsewhere"),
        stay(HERE, 410, None, "seen_elsewhere"),
        last_ns=490,
    )
    assert told_by(without(track, session("b"))) == [("seen_first", HERE, 10, None)]


def test_two_moves_of_which_the_first_is_forgotten_are_one() -> None:
    track = track_of(
        stay(HERE, 10, 90),
        stay(THERE, 210, 290, "seen_elsewhere"),
        stay(ELSEWHERE, 410, None, "seen_elsewhere"),
        last_ns=490,
    )
    found = told_by(without(track, session("b")))
    assert found == [("seen_first", HERE, 10, 90), ("seen_elsewhere", ELSEWHERE, 410, None)]


def test_an_absence_that_is_forgotten_was_none() -> None:
    track = track_of(
        stay(HERE, 10, 90), stay(HERE, 210, 410, "missed"), stay(HERE, 410, None, "seen_again"), last_ns=490
    )
    assert told_by(without(track, session("b"))) == [("seen_first", HERE, 10, None)]


def test_an_absence_stays_when_the_return_is_forgotten() -> None:
    track = track_of(
        stay(HERE, 10, 90), stay(HERE, 210, 410, "missed"), stay(HERE, 410, None, "seen_again"), last_ns=490
    )
    found = without(track, session("c"))
    assert told_by(found) == [("seen_first", HERE, 10, 90), ("missed", HERE, 210, None)]
    assert found is not None
    assert found.state == "gone"


def carried() -> Track:
    return track_of(stay(HERE, 10, 240), stay(HERE, 240, 260, "picked"), stay(THERE, 260, None, "placed"), last_ns=450)


def test_what_was_carried_keeps_its_history_when_something_else_is_forgotten() -> None:
    before = told_by(carried())
    assert told_by(without(carried(), lambda ns, session, place: 20 <= ns <= 90, 50, 420)) == before


def test_a_carrying_that_is_half_forgotten_is_a_move_that_was_not_seen() -> None:
    for instant in (240, 260):
        track = without(carried(), lambda ns, session, place, instant=instant: ns == instant, 50, 420)
        assert [cause for cause, *_ in told_by(track)] == ["seen_first", "seen_elsewhere"]


def test_what_is_still_held_stays_held() -> None:
    track = track_of(stay(HERE, 10, 240), stay(HERE, 240, None, "picked"), last_ns=280)
    assert told_by(without(track, session("c"), 50)) == told_by(track)


def test_of_what_was_only_missed_nothing_is_left() -> None:
    track = track_of(stay(HERE, 10, 90), stay(HERE, 210, None, "missed"), last_ns=90)
    assert without(track, session("a")) is None


def test_a_time_within_a_stay_leaves_the_stay() -> None:
    track = track_of(stay(HERE, 10, None), last_ns=490)
    found = without(track, lambda stamp_ns, session, place: 200 <= stamp_ns <= 300, 50, 220, 450)
    assert told_by(found) == [("seen_first", HERE, 10, None)]


def test_a_closed_stay_ends_with_the_last_sighting_that_is_left() -> None:
    track = track_of(stay(HERE, 10, 290), stay(THERE, 410, None, "seen_elsewhere"), last_ns=490)
    found = without(track, session("b"), 30, 70, 250)
    assert told_by(found) == [("seen_first", HERE, 10, 70), ("seen_elsewhere", THERE, 410, None)]


def test_notes_and_doubts_of_the_time_are_forgotten() -> None:
    notes = [Note(text=text, author="", stamp_ns=stamp) for text, stamp in (("old", 50), ("new", 250))]
    track = track_of(
        stay(HERE, 10, None), last_ns=90, notes=notes, n_missed=2, missed_from=[THERE], seen_empty_ns=220,
        place_was_empty_ns=5,
    )  # fmt: skip
    found = without(track, session("b"))
    assert found is not None
    assert [note.text for note in found.notes] == ["old"]
    assert (found.n_missed, found.missed_from, found.seen_empty_ns, found.place_was_empty_ns) == (0, [], None, 5)


def test_a_tentative_track_goes_or_stays_with_its_sightings() -> None:
    def tentative() -> Track:
        return make_track(
            1, np.random.default_rng(0), confirmed=False, intervals=[], views=[], first_seen_ns=90, last_seen_ns=210,
            first_session="a", last_session="b",
        )  # fmt: skip

    left = without(tentative(), session("a"))
    assert left is not None
    assert (left.first_seen_ns, left.first_session, left.last_seen_ns) == (210, "b", 210)
    assert without(tentative(), lambda stamp_ns, session, place: True) is None


EVENTS = st.tuples(
    st.sets(st.integers(0, 500), min_size=2, max_size=10), st.lists(st.integers(0, 2), min_size=10, max_size=10)
)


def life(times: set[int], choices: list[int]) -> Track:
    """Return a life over three days: stays, moves, absences."""
    ordered = sorted(times)
    intervals = [stay(HERE, ordered[0], None)]
    last_ns = ordered[0]
    for start, following, choice in zip(ordered[1::2], ordered[2::2], choices):
        last = intervals[-1]
        was_gone = last.state == "gone"
        cause = ("seen_again" if was_gone else "missed") if choice == 0 else "seen_elsewhere"
        place = last.position_m if choice == 0 else (THERE, ELSEWHERE)[choice - 1]
        intervals[-1] = stay(last.position_m, last.valid_from_ns, following if was_gone else start, last.cause)
        intervals.append(stay(place, following, None, cause))
        last_ns = start if cause == "missed" else following
    return track_of(*intervals, last_ns=last_ns)


@settings(max_examples=50, deadline=None)
@given(EVENTS, st.sampled_from(sorted(DAYS)), st.lists(st.integers(0, 500), max_size=8))
def test_nothing_of_a_forgotten_session_is_told_any_more(
    events: tuple[set[int], list[int]], name: str, seen_ns: list[int]
) -> None:
    track = life(*events)
    found = without(track, session(name), *seen_ns)
    if found is None:
        return
    assert found.first_session != name
    assert session_at(found.last_seen_ns) != name
    assert found.intervals[0].cause == "seen_first"
    for told in found.intervals:
        assert told.session != name
        assert session_at(told.valid_from_ns) != name
        assert told.valid_to_ns is None or told.state == "gone" or session_at(told.valid_to_ns) != name
    again = found.to_bytes()
    assert without(found, session(name), *(s for s in seen_ns if session_at(s) != name)) is found
    assert found.to_bytes() == again


def test_the_box_of_a_region_is_what_decides() -> None:
    track = track_of(stay(HERE, 10, None), last_ns=90)
    assert without(track, lambda stamp_ns, session, place: place == box(HERE)) is None
