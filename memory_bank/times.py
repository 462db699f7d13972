"""Time phrases of questions: from words to a window of instants. Pure; "now" is handed in. Clock times are UTC.

Understood: ``yesterday``, ``today``, ``this morning`` (afternoon, evening; also of yesterday), ``overnight``,
``2026-01-05``, ``since X``, ``after X``, ``before X``, ``until X`` with X one of those, ``9:30``, a session's name or
``2026-01-05 9:30``; ``in the last 10 minutes`` (seconds, hours, days, weeks), ``10 minutes ago``, ``on day-1`` or
``during session day-1``.
"""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Sequence

import msgspec

from embodied.clock import NANOSECONDS
from embodied.messages import SessionRecord

DAY_NS = 86_400 * NANOSECONDS
HOUR_NS = 3_600 * NANOSECONDS
_UNIT_NS = {"second": NANOSECONDS, "minute": 60 * NANOSECONDS, "hour": HOUR_NS, "day": DAY_NS, "week": 7 * DAY_NS}
_PARTS = {"morning": (5, 12), "afternoon": (12, 18), "evening": (18, 24), "night": (20, 24)}
_CLOCK = r"\d{1,2}[:.]\d\d(?:[:.]\d\d)?"
_DATE = r"\d{4}-\d\d-\d\d"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time; None where it is open."""

    since_ns: int | None = None
    until_ns: int | None = None
    session: str = ""


def take_window(text: str, now_ns: int, sessions: Sequence[SessionRecord]) -> tuple[str, Window]:
    """Take the time phrases out of a question in lower case.

    Returns:
        The rest of the question, and the window that all the phrases leave.

    Raises:
        ValueError: A phrase names an instant that does not exist.
    """
    window = Window()
    names = "|".join(sorted((re.escape(s.session.lower()) for s in sessions), key=len, reverse=True)) or r"(?!)"
    instant = (
        rf"(?P<what>{_DATE}(?: (?:at )?{_CLOCK})?|(?:at )?{_CLOCK}|yesterday(?: (?:morning|afternoon|evening))?|"
        rf"today|last night|this (?:morning|afternoon|evening)|(?:the )?(?:session )?(?:{names}))"
    )
    patterns = (
        rf"\b(?P<bound>since|after|before|until|till) {instant}(?![\w-])",
        r"\b(?:in|during|within|over) the (?:last|past) (?:(?P<n>\d{1,6}) )?(?P<unit>second|minute|hour|day|week)s?\b",
        r"\b(?P<ago>\d{1,6}) (?P<ago_unit>second|minute|hour|day|week)s? ago\b",
        r"\b(?P<overnight>overnight|(?:during |over )?the night|last night)\b",
        rf"\b(?:on |in |during )?(?:the )?(?:session )?(?P<session>{names})(?![\w-])",
        rf"\b(?:on )?{instant}(?![\w-])",
    )
    for pattern in patterns:
        while (match := re.search(pattern, text)) is not None:
            window = _both(window, _window_of(match.groupdict(), now_ns, sessions))
            text = " ".join((text[: match.start()] + " " + text[match.end() :]).split())
    if window.since_ns is not None and window.until_ns is not None and window.since_ns >= window.until_ns:
        raise ValueError("the time phrases of the question leave no time between them")
    return text, window


def _both(a: Window, b: Window) -> Window:
    since = [w.since_ns for w in (a, b) if w.since_ns is not None]
    until = [w.until_ns for w in (a, b) if w.until_ns is not None]
    return Window(since_ns=max(since, default=None), until_ns=min(until, default=None), session=b.session or a.session)


def _window_of(found: dict[str, str | None], now_ns: int, sessions: Sequence[SessionRecord]) -> Window:
    today_ns = now_ns - now_ns % DAY_NS
    if found.get("unit"):
        return Window(since_ns=now_ns - int(found.get("n") or 1) * _UNIT_NS[found["unit"] or ""])
    if found.get("ago"):
        unit_ns = _UNIT_NS[found["ago_unit"] or ""]
        then_ns = now_ns - int(found["ago"] or 0) * unit_ns
        return Window(since_ns=then_ns - unit_ns // 2, until_ns=then_ns + unit_ns // 2)
    if found.get("overnight"):
        return Window(since_ns=today_ns)
    if found.get("session"):
        return Window(session=next(s.session for s in sessions if s.session.lower() == found["session"]))
    since_ns, until_ns = _stretch(found, now_ns, sessions)
    bound = found.get("bound")
    if bound == "since":
        return Window(since_ns=since_ns)
    if bound == "after":
        return Window(since_ns=until_ns)
    if bound in ("before", "until", "till"):
        return Window(until_ns=since_ns if bound == "before" else until_ns)
    if since_ns == until_ns:
        # "at 9:30" means about then.
        return Window(since_ns=since_ns - 60 * NANOSECONDS, until_ns=since_ns + 120 * NANOSECONDS)
    return Window(since_ns=since_ns, until_ns=until_ns)


def _stretch(found: dict[str, str | None], now_ns: int, sessions: Sequence[SessionRecord]) -> tuple[int, int]:
    """Return beginning and end of what a phrase names; both the same for an instant."""
    what = found["what"] or ""
    day_ns = now_ns - now_ns % DAY_NS
    date, clock = re.search(_DATE, what), re.search(rf"(?:^|\s){_CLOCK}$", what)
    if date:
        day_ns = _date_ns(*(int(number) for number in date[0].split("-")))
    if clock:
        hour, minute, second = (*(int(number) for number in re.split("[:.]", clock[0])), 0)[:3]
        if hour > 23 or minute > 59 or second > 59:
            raise ValueError(f"{what!r} is no time of day")
        at_ns = day_ns + hour * HOUR_NS + (minute * 60 + second) * NANOSECONDS
        # A time of day without a date that is still to come was meant of yesterday.
        at_ns -= DAY_NS if not date and at_ns > now_ns else 0
        return at_ns, at_ns
    if date:
        return day_ns, day_ns + DAY_NS
    named = {s.session.lower(): s for s in sessions}.get(what.removeprefix("the ").removeprefix("session "))
    if named is not None:
        end_ns = named.end_ns if named.end_ns is not None else now_ns
        return named.start_ns, max(end_ns, named.start_ns)
    if what.startswith("yesterday"):
        day_ns -= DAY_NS
    part = _PARTS.get(what.split()[-1])
    if what == "last night":
        return day_ns - 4 * HOUR_NS, day_ns + 6 * HOUR_NS
    return (day_ns + part[0] * HOUR_NS, day_ns + part[1] * HOUR_NS) if part else (day_ns, day_ns + DAY_NS)


def _date_ns(year: int, month: int, day: int) -> int:
    try:
        date = datetime.date(year, month, day)
    except ValueError as error:
        raise ValueError(f"{year:04}-{month:02}-{day:02} is no date: {error}") from None
    return calendar.timegm(date.timetuple()) * NANOSECONDS
