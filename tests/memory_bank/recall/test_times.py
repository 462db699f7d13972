"""Time phrases: from words to windows. Now is Tuesday 2026-01-06 09:05 UTC."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_bank.recall.times import Times
from memory_world import NOW_NS, SESSIONS

TIMES = Times(NOW_NS, SESSIONS)


def ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


@pytest.mark.parametrize(
    ("phrase", "since", "until"),
    [
        ("the day before yesterday", "2026-01-04", "2026-01-05"),
        ("on monday", "2026-01-05", "2026-01-06"),
        ("last tuesday", "2025-12-30", "2025-12-31"),
        ("this tuesday", "2026-01-06", "2026-01-07"),
        ("on 5 january", "2026-01-05", "2026-01-06"),
        ("on the 24th of december", "2025-12-24", "2025-12-25"),
        ("january 3rd 2025", "2025-01-03", "2025-01-04"),
        ("two days ago", "2026-01-04", "2026-01-05"),
        ("a week ago", "2025-12-30", "2025-12-31"),
        ("a month ago", "2025-12-06", "2025-12-07"),
        ("a year ago", "2025-01-06", "2025-01-07"),
        ("last week", "2025-12-29", "2026-01-05"),
        ("this week", "2026-01-05", "2026-01-12"),
        ("last weekend", "2026-01-03", "2026-01-05"),
        ("last month", "2025-12-01", "2026-01-01"),
        ("last year", "2025-01-01", "2026-01-01"),
        ("yesterday evening", "2026-01-05T18", "2026-01-06"),
        ("on the evening of 2026-01-03", "2026-01-03T18", "2026-01-04"),
        ("at lunch", "2026-01-05T12", "2026-01-05T13"),
        ("yesterday at 10:00", "2026-01-05T09:59", "2026-01-05T10:02"),
        ("at 10:00 on monday", "2026-01-05T09:59", "2026-01-05T10:02"),
        ("on day-1 at 9:05", "2026-01-05T09:04", "2026-01-05T09:07"),
        ("at 9:02 pm", "2026-01-05T21:01", "2026-01-05T21:04"),
        ("at 8 am", "2026-01-06T07:59", "2026-01-06T08:02"),
        ("at 12 am", "2026-01-05T23:59", "2026-01-06T00:02"),
        ("at noon", "2026-01-05T11:59", "2026-01-05T12:02"),
        ("at 10 o clock", "2026-01-05T09:59", "2026-01-05T10:02"),
        ("at 10", "2026-01-05T09:59", "2026-01-05T10:02"),
        ("half an hour ago", "2026-01-06T08:05", "2026-01-06T09:05"),
        ("between 9:00 and 9:04", "2026-01-06T09:00", "2026-01-06T09:04"),
        ("from monday to wednesday", "2026-01-05", "2026-01-08"),
        ("yesterday before lunch", "2026-01-05", "2026-01-05T12"),
        ("before lunch", None, "2026-01-05T12"),
        ("before breakfast", None, "2026-01-06T07"),
        ("after breakfast yesterday", "2026-01-05T08", None),
        ("since monday at 9:30", "2026-01-05T09:30", None),
        ("from monday on", "2026-01-05", None),
        ("since two days ago", "2026-01-04", None),
        ("over the past week", "2025-12-30T09:05", None),
        ("last night", "2026-01-05T20", None),
        ("by 8", None, "2026-01-06T08"),
        ("on day-1 before 9:05", None, "2026-01-05T09:05"),
        ("in the evening", "2026-01-05T18", "2026-01-06"),
        ("since the morning", "2026-01-06T05", None),
        ("earlier today", "2026-01-06", "2026-01-07"),
    ],
)
def test_a_phrase_is_a_window(phrase: str, since: str | None, until: str | None) -> None:
    rest, window = TIMES.take_window(f"where was it {phrase}")
    assert rest == "where was it"
    assert window.since_ns == (None if since is None else ns(since))
    assert window.until_ns == (None if until is None else ns(until))


@pytest.mark.parametrize(
    ("phrase", "since", "until"),
    [
        ("this afternoon", "2026-01-06T12", "2026-01-06T18"),
        ("since this afternoon", "2026-01-06T12", None),
        ("in the afternoon", "2026-01-06T12", "2026-01-06T18"),
        ("since noon", "2026-01-06T12", None),
        ("before lunch", None, "2026-01-06T12"),
        ("yesterday before lunch", "2026-01-05", "2026-01-05T12"),
        ("yesterday after lunch", "2026-01-05T13", "2026-01-06"),
        ("on 5 january after 10", "2026-01-05T10", "2026-01-06"),
        ("between 2 pm and 3 pm yesterday", "2026-01-05T14", "2026-01-05T15"),
        ("yesterday between breakfast and lunch", "2026-01-05T07", "2026-01-05T13"),
        ("between 9:00 yesterday and 10:00", "2026-01-05T09", "2026-01-05T10"),
        ("from yesterday to noon", "2026-01-05", "2026-01-06T12"),
        ("from noon to 5 pm", "2026-01-06T12", "2026-01-06T17"),
        ("from 10 pm to 2 am", "2026-01-05T22", "2026-01-06T02"),
    ],
)
def test_a_phrase_in_the_afternoon_is_a_window(phrase: str, since: str | None, until: str | None) -> None:
    rest, window = Times(ns("2026-01-06T15:30"), SESSIONS).take_window(f"where was it {phrase}")
    assert rest == "where was it"
    assert window.since_ns == (None if since is None else ns(since))
    assert window.until_ns == (None if until is None else ns(until))


@pytest.mark.parametrize("text", ["the wall clock near the lunch box", "dinner table", "night stand", "may pole"])
def test_names_of_things_are_no_times(text: str) -> None:
    assert TIMES.take_window(text)[0] == text


@pytest.mark.parametrize("phrase", ["at 25:00", "at 13 pm", "on 2026-02-30", "since 0001-01-01", "99999 years ago"])
def test_what_is_no_time_is_refused(phrase: str) -> None:
    with pytest.raises(ValueError, match=r"is no time of day|is no date|beyond"):
        TIMES.take_window(f"x {phrase}")


@pytest.mark.parametrize(
    ("text", "rest", "unseen"),
    [
        ("what have you not seen since yesterday", "what have you seen", "2026-01-06"),
        ("mugs not seen since monday", "mugs seen", "2026-01-06"),
        ("mugs not seen since last week", "mugs seen", "2026-01-05"),
        ("mugs not seen since breakfast", "mugs seen", "2026-01-06T08"),
        # What goes on has no end yet.
        ("mugs not seen since this morning", "mugs seen", "2026-01-06T05"),
        ("mugs not seen since day-1", "mugs seen", "2026-01-05T09:10"),
        ("mugs not seen since day-2", "mugs seen", "2026-01-06T09"),
        ("what was not seen today", "what was seen", "2026-01-06"),
        ("things not seen in the kitchen after monday", "things seen in the kitchen", "2026-01-06"),
        ("what has not been seen for two days", "what has been seen", "2026-01-04T09:05"),
        ("mugs not since 9:00", "mugs", "2026-01-06T09"),
    ],
)
def test_not_since_is_unseen_since(text: str, rest: str, unseen: str) -> None:
    assert TIMES.take_unseen(text) == (rest, ns(unseen))


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("where was it as you knew it on monday", "2026-01-06"),
        ("where was it as known at 9:01", "2026-01-06T09:01"),
        ("where was it as of day-1", "2026-01-05T09:10"),
    ],
)
def test_as_known_is_up_to_the_end_of_it(text: str, known: str) -> None:
    assert TIMES.take_known(text) == ("where was it", ns(known))


def test_a_named_time_is_told_from_a_bound() -> None:
    named = {
        phrase: TIMES.take_window(phrase)[1].is_named for phrase in ("yesterday", "at 9:00", "day-1", "last night")
    }
    bounds = {phrase: TIMES.take_window(phrase)[1].is_named for phrase in ("since yesterday", "in the last hour")}
    assert all(named.values())
    assert not any(bounds.values())
    assert TIMES.take_window("at 9:00")[1].end_ns == ns("2026-01-06T09:00")


@settings(max_examples=50)
@given(st.integers(0, 400), st.sampled_from(["days", "weeks", "months"]))
def test_a_day_so_long_ago_is_a_day(n: int, unit: str) -> None:
    window = TIMES.take_window(f"x {n} {unit} ago")[1]
    assert window.since_ns is not None
    assert window.until_ns is not None
    assert window.until_ns - window.since_ns == 86_400 * 10**9
    assert window.since_ns % (86_400 * 10**9) == 0
