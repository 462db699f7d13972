"""Time phrases of questions: from words to a window of instants. Pure; "now" is handed in. Clock times are UTC.

========= ===========================================================================================================
phrase    examples
========= ===========================================================================================================
day       today · yesterday · the day before yesterday · Monday, last Monday (the latest before today) · 2026-01-05 ·
          5 January, January 5th 2026 · two days ago · a week ago · a month ago · a year ago (all: that day)
time      9:30 · 9:30 pm · 3 pm · 10 o'clock · noon · midnight · at 10 · half an hour ago · 10 minutes ago
part      morning (5 to 12) · afternoon (12 to 18) · evening (18 to 24) · night (20 to 24) · breakfast (7 to 8) ·
          lunch (12 to 13) · dinner (18 to 19); "this morning", "yesterday evening", "at lunch", "Monday at 9:30"
longer    this week, last week (Monday to Sunday) · this weekend, last weekend · this month, last month · this year,
          last year · overnight, last night (20 to 6) · a session by its name: "on day-1", "during session day-1"
bound     since X, after X, from X on · before X, until X, by X · between X and Y · in the last 10 minutes, over the
          past week; X and Y are any of the above: "before lunch", "since Monday at 9:30", "in the afternoon"; a time
          of day is of the day beside it: "yesterday before lunch", "between 2 pm and 3 pm on Monday"
not since not seen since X (last seen in X or before it) · not seen after X · not seen for two days · not seen today
as known  as you knew it on X, as known at X · where did you *think* the mug was X: later knowledge does not count
========= ===========================================================================================================

A time of day without a day that is still to come is meant of yesterday. Where something *was* is answered as of the end
of the time named; what you *saw* then, from that time alone.
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
_MINUTE_NS = 60 * NANOSECONDS
_UNIT_NS = {"second": NANOSECONDS, "minute": _MINUTE_NS, "hour": HOUR_NS, "day": DAY_NS, "week": 7 * DAY_NS}
_PARTS = {
    "morning": (5, 12), "afternoon": (12, 18), "evening": (18, 24), "night": (20, 24),
    "breakfast": (7, 8), "lunch": (12, 13), "lunchtime": (12, 13), "dinner": (18, 19), "supper": (18, 19),
}  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "a couple of": 2, "half an": 0.5, "half a": 0.5,
}  # fmt: skip

_N = r"(?:\d{1,6}|" + "|".join(sorted(_NUMBERS, key=len, reverse=True)) + r")"
_UNIT = rf"(?:{'|'.join(_UNIT_NS)})"
_DATE = r"\d{4}-\d\d-\d\d"
_MONTH = rf"(?:{'|'.join(_MONTHS)})"
_WRITTEN = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?(?: of)? {_MONTH}|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?)(?:(?: of)? \d{{4}})?"
_DAYS_AGO = rf"{_N} (?:day|week|month|year)s? ago"
_CLOCK = r"(?:\d{1,2}[:.]\d\d(?:[:.]\d\d)?(?: ?[ap]\.?m\b\.?)?|\d{1,2} ?[ap]m\b|\d{1,2} o ?clock|noon|midday|midnight)"
_HOUR = r"at \d{1,2}(?= ?$| (?:on|yesterday|today)\b)"
_PART = rf"(?:{'|'.join(_PARTS)})"
_LONGER = r"(?:this|last|over the|at the|on the) weekend|(?:this|last) (?:week|month|year)"
_AGO = rf"{_N} (?:second|minute|hour)s? ago"
_END = r"(?![\w-])"


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time; None where it is open."""

    since_ns: int | None = None
    until_ns: int | None = None
    session: str = ""
    is_named: bool = False
    """A time was named ("yesterday", "at 9:30"), not a bound or a length ("since yesterday", "the last hour")."""
    at_ns: int | None = None
    """The instant that was meant, where it is not the end of the window."""

    @property
    def end_ns(self) -> int | None:
        """The instant as of which the world was then; None for now."""
        return self.at_ns if self.at_ns is not None else self.until_ns


class Times:
    """Reads time phrases, as of an instant."""

    def __init__(self, now_ns: int, sessions: Sequence[SessionRecord] = ()) -> None:
        """Prepare.

        Args:
            now_ns: What "today" is reckoned from.
            sessions: Known sessions, for "on day-1".
        """
        self._now_ns = now_ns
        self._today_ns = now_ns - now_ns % DAY_NS
        self._sessions = {session.session.lower(): session for session in sessions}
        names = "|".join(sorted((re.escape(name) for name in self._sessions), key=len, reverse=True)) or r"(?!)"
        self._name = rf"(?:the )?(?:session )?(?:{names})"
        self._day = (
            r"(?:(?:the )?day before yesterday|yesterday|today|"
            rf"(?:on )?(?:(?:last |this )?(?:{'|'.join(_WEEKDAYS)})|{_DATE}|(?:the )?{_WRITTEN})|{_DAYS_AGO})"
        )
        clock = rf"(?:(?:at |around |about )?{_CLOCK}|{_HOUR})"
        self._moment = (
            rf"(?:{self._day},? {clock}|{clock},? {self._day}|{self._day},? (?:at |in the |during )?{_PART}|"
            rf"(?:in |at |on )?(?:the )?{_PART} (?:of |on )?{self._day}|(?:on )?{self._name} {clock}|{self._name}|"
            rf"{self._day}|{_LONGER}|{_AGO}|last night|tonight|this {_PART}|{clock})"
        )
        self._bounded = rf"(?:{self._moment}|(?:the )?{_PART}|\d{{1,2}}(?= ?$))"
        """After a word such as "before", a part of the day needs no other words."""
        self._of_day = rf"(?:{clock}|(?:the )?{_PART}|\d{{1,2}}(?= ?$))"
        self._date = rf"(?<![\w-])(?:{self._day}|{self._name}){_END}"

    # -------------------------------------------------------------------------------------- what a question holds

    def take_window(self, text: str) -> tuple[str, Window]:
        """Take the time phrases out of a question in lower case.

        Returns:
            The rest of the question, and the window that all the phrases leave.

        Raises:
            ValueError: A phrase names an instant that does not exist, or the phrases leave no time between them.
        """
        window = Window()
        # Not where the day itself is a bound: "since yesterday, before 9:00".
        free = "".join(rf"(?<!\b{word} )" for word in ("since", "after", "before", "until", "till", "by", "from"))
        until = "to|until|till"
        dated = rf"{free}(?:on )?(?P<day>{self._day}|{self._name}),?"
        patterns = (
            rf"\b{dated} (?:between|from) (?P<first>{self._of_day}) (?:and|{until}) (?P<last>{self._of_day}){_END}",
            rf"\b{dated} (?P<bound>since|after|before|until|till|by) (?P<what>{self._of_day}){_END}",
            rf"\b(?:between|from) (?P<first>{self._bounded}) (?:and|{until}) (?P<last>{self._bounded}){_END}",
            rf"\b(?P<bound>from) (?P<what>{self._bounded}) on(?:wards?)?{_END}",
            rf"\b(?<!\bday )(?P<bound>since|after|before|until|till|by) (?P<what>{self._bounded}){_END}",
            rf"\b(?:in|during|within|over|for) the (?:last|past) (?:(?P<n>{_N}) )?(?P<unit>{_UNIT})s?\b",
            r"\b(?P<night>overnight|(?:during |over )?the night|last night)\b",
            rf"\b(?:on |in |during )?(?:the )?(?:session )?(?P<session>{self._name}){_END}(?!,? (?:at )?{_CLOCK})",
            rf"\b(?:earlier |later )?(?:on |during |from )?(?P<what>{self._moment}){_END}",
            rf"\b(?:at|during|over|around) (?P<what>{_PART}){_END}",
            rf"\b(?:in|during|over) the (?P<what>morning|afternoon|evening){_END}",
        )
        for pattern in patterns:
            while (match := re.search(pattern, text)) is not None:
                window = _both(window, self._window_of(match.groupdict()))
                text = _without(text, match)
        if window.since_ns is not None and window.until_ns is not None and window.since_ns >= window.until_ns:
            raise ValueError("the time phrases of the question leave no time between them")
        return text, window

    def take_known(self, text: str) -> tuple[str, int | None]:
        """Take out "as you knew it on Monday"; return the rest, and the instant up to which the memory knows."""
        knew = (
            r"\b(?:as (?:you|we|the robot) (?:knew|know|believed|thought|remembered|had)(?: it| this| that| then)?|"
            r"as (?:was |it was )?(?:known|believed|remembered)(?: then)?|as of)"
        )
        match = re.search(rf"{knew} (?:on |at |by |in |during |before |until )?(?P<what>{self._bounded}){_END}", text)
        if match is None:
            return text, None
        return _without(text, match), self.end_of(match["what"])

    def take_unseen(self, text: str) -> tuple[str, int | None]:
        """Take out "not since yesterday" and its like; return the rest, and since when it has not been seen.

        Of "what have you not seen since yesterday", "what have you seen" is left.
        """
        seen = r"(?P<kept>(?: (?:been|you|we|i|the robot|yet|again|seen|see|spotted|noticed|observed|looked at))*)"
        tail = rf"(?P<middle>(?: (?!since\b|for\b|in (?:the )?(?:last|past|{_N})\b|today\b|this\b)\S+){{0,6}}?)"
        phrase = (
            rf"(?: since (?P<since>{self._bounded})| after (?P<after>{self._bounded})|"
            rf" (?:for|in)(?: the)?(?: last| past)?(?: over| more than| at least)? (?P<n>{_N}) "
            rf"(?P<unit>{_UNIT})s?| (?P<during>today|this (?:week|month|year|{_PART})))"
        )
        match = re.search(rf"\b(?:not|never){seen}{tail}{phrase}{_END}", text)
        if match is None:
            return text, None
        if match["since"]:
            # Last seen in it, unless it goes on: "not seen since yesterday" is not seen today.
            since_ns, until_ns = self._stretch(match["since"])
            unseen_ns = until_ns if until_ns < self._now_ns else since_ns
        elif match["during"]:
            unseen_ns = self._stretch(match["during"])[0]
        elif match["after"]:
            unseen_ns = self._stretch(match["after"])[1]
        else:
            unseen_ns = self._now_ns - _length_ns(match["n"], match["unit"])
        rest = text[: match.start()] + (match["kept"] or "") + (match["middle"] or "") + text[match.end() :]
        return " ".join(rest.split()), unseen_ns

    def end_of(self, what: str) -> int:
        """Return the last instant of a moment in words.

        Raises:
            ValueError: The words name no moment.
        """
        return self._stretch(what)[1]

    # -------------------------------------------------------------------------------------- windows and stretches

    def _window_of(self, found: dict[str, str | None]) -> Window:
        if found.get("unit"):
            return Window(since_ns=self._now_ns - _length_ns(found["n"] or "1", found["unit"] or ""))
        if found.get("night"):
            # What happened by night is noticed in the morning.
            since_ns = self._today_ns - 4 * HOUR_NS if found["night"] == "last night" else self._today_ns
            return Window(since_ns=since_ns, is_named=True, at_ns=min(self._today_ns + 6 * HOUR_NS, self._now_ns))
        if found.get("session"):
            return Window(session=self._session(found["session"] or "").session, is_named=True)
        if found.get("first"):
            return self._between(found["first"] or "", found["last"] or "", found.get("day") or "")
        if found.get("day"):
            day, rest = found["day"] or "", dict(found, day=None, what=f"{found['day']} {found['what']}")
            is_session = re.fullmatch(self._name, day) is not None
            day_window = self._window_of({"session" if is_session else "what": day})
            return _both(day_window, self._window_of(rest))
        since_ns, until_ns = self._stretch(found["what"] or "")
        bound = found.get("bound")
        if bound in ("since", "from"):
            return Window(since_ns=since_ns)
        if bound == "after":
            return Window(since_ns=until_ns)
        if bound:
            return Window(until_ns=since_ns if bound in ("before", "by") else until_ns)
        if since_ns == until_ns:
            # "at 9:30" means about then; "two hours ago" more or less.
            slack = (_MINUTE_NS, 2 * _MINUTE_NS)
            if (found["what"] or "").endswith("ago"):
                unit = re.search(r"(second|minute|hour)s? ago$", found["what"] or "")
                slack = (_UNIT_NS[unit[1]] // 2,) * 2 if unit else slack
            return Window(since_ns=since_ns - slack[0], until_ns=until_ns + slack[1], is_named=True, at_ns=since_ns)
        return Window(since_ns=since_ns, until_ns=until_ns, is_named=True)

    def _between(self, first: str, last: str, day: str) -> Window:
        """Return a window from the beginning of one moment to the end of another; ``day``: of both, if it is named."""
        is_time = [re.fullmatch(self._of_day, what) is not None for what in (first, last)]
        if is_time[0]:
            first = f"{day or self._day_beside(last)} {first}"
        if is_time[1]:
            last = f"{day or self._day_beside(first)} {last}"
        since_ns, until_ns = self._stretch(first)[0], self._stretch(last)[1]
        if until_ns <= since_ns and (is_time[1] or (re.fullmatch(self._day, last) and last.endswith(_WEEKDAYS))):
            until_ns += DAY_NS if is_time[1] else 7 * DAY_NS
        return Window(since_ns=since_ns, until_ns=until_ns)

    def _day_beside(self, what: str) -> str:
        """Return the day that is named beside a time of day; empty if there is none."""
        day = re.search(self._date, what)
        return day[0] if day and _without(what, day) else ""

    def _stretch(self, what: str) -> tuple[int, int]:
        """Return beginning and end of what a phrase names; both the same for an instant."""
        what = what.strip()
        if re.fullmatch(_AGO, what):
            number, unit = re.fullmatch(r"(.+?) (second|minute|hour)s? ago", what).groups()  # type: ignore[union-attr]
            at_ns = self._now_ns - _length_ns(number, unit)
            return at_ns, at_ns
        if what == "last night":
            return self._today_ns - 4 * HOUR_NS, self._today_ns + 6 * HOUR_NS
        if re.fullmatch(self._name, what):
            session = self._session(what)
            end_ns = session.end_ns if session.end_ns is not None else self._now_ns
            return session.start_ns, max(end_ns, session.start_ns)
        if re.fullmatch(_LONGER, what):
            return self._longer(what)
        day = re.search(self._date, what)
        rest = _without(what, day) if day else what
        day_ns = self._day_ns(day[0]) if day else self._today_ns
        clock = re.search(rf"\b(?:{_CLOCK}|\d{{1,2}}$)", rest)
        if clock:
            at_ns = day_ns + _of_day_ns(clock[0])
            at_ns -= DAY_NS if not day and at_ns > self._now_ns else 0
            return at_ns, at_ns
        part = next((_PARTS[word] for word in reversed(rest.split()) if word in _PARTS), None)
        if what == "tonight":
            part = _PARTS["night"]
        if part is None:
            return day_ns, day_ns + DAY_NS
        named = day or what.startswith("this ") or what == "tonight"
        day_ns -= DAY_NS if not named and day_ns + part[0] * HOUR_NS > self._now_ns else 0
        return day_ns + part[0] * HOUR_NS, day_ns + part[1] * HOUR_NS

    def _session(self, words: str) -> SessionRecord:
        return self._sessions[words.removeprefix("the ").removeprefix("session ")]

    def _longer(self, what: str) -> tuple[int, int]:
        """Return a week, weekend, month or year."""
        today = _date_of(self._today_ns)
        last = what.startswith("last ")
        if what.endswith("week"):
            monday_ns = self._today_ns - today.weekday() * DAY_NS - (7 * DAY_NS if last else 0)
            return monday_ns, monday_ns + 7 * DAY_NS
        if what.endswith("weekend"):
            saturday_ns = self._today_ns - (today.weekday() - 5) * DAY_NS
            # On a weekday, a weekend that is spoken of as past or without a word is the latest.
            saturday_ns -= 7 * DAY_NS if today.weekday() < 5 and not what.startswith("this ") else 0
            saturday_ns -= 7 * DAY_NS if today.weekday() >= 5 and last else 0
            return saturday_ns, saturday_ns + 2 * DAY_NS
        if what.endswith("month"):
            first = _months_before(today.replace(day=1), 1 if last else 0)
            return _ns_of(first), _ns_of(_months_before(first, -1))
        year = today.year - 1 if last else today.year
        return _date_ns(year, 1, 1), _date_ns(year + 1, 1, 1)

    def _day_ns(self, words: str) -> int:
        """Return the beginning of a day."""
        words = words.removeprefix("on ").removeprefix("the ")
        if re.fullmatch(self._name, words) and words not in ("today", "yesterday"):
            start_ns = self._session(words).start_ns
            return start_ns - start_ns % DAY_NS
        fixed = {"today": 0, "yesterday": 1, "day before yesterday": 2}
        if words in fixed:
            return self._today_ns - fixed[words] * DAY_NS
        last_word = words.split()[-1]
        if last_word in _WEEKDAYS:
            back = (_date_of(self._today_ns).weekday() - _WEEKDAYS.index(last_word)) % 7
            back = 7 if back == 0 and not words.startswith("this ") else back
            return self._today_ns - back * DAY_NS
        if ago := re.fullmatch(rf"({_N}) (day|week|month|year)s? ago", words):
            return self._ago_ns(ago[1], ago[2])
        numbers = [int(number) for number in re.findall(r"\d+", words)]
        if re.fullmatch(_DATE, words):
            return _date_ns(*numbers)
        month = next(i for i, name in enumerate(_MONTHS, start=1) if name in words.split())
        if len(numbers) > 1:
            return _date_ns(max(numbers), month, min(numbers))
        year = _date_of(self._today_ns).year
        this_year_ns = _date_ns(year, month, numbers[0])
        return this_year_ns if this_year_ns <= self._now_ns else _date_ns(year - 1, month, numbers[0])

    def _ago_ns(self, number: str, unit: str) -> int:
        """Return the beginning of the day so many days, weeks, months or years ago."""
        n = int(_number(number))
        if unit in ("day", "week"):
            return self._today_ns - _length_ns(number, unit)
        return _ns_of(_months_before(_date_of(self._today_ns), n * (12 if unit == "year" else 1)))


def _without(text: str, match: re.Match[str]) -> str:
    return " ".join((text[: match.start()] + " " + text[match.end() :]).split())


def _both(a: Window, b: Window) -> Window:
    since = [w.since_ns for w in (a, b) if w.since_ns is not None]
    until = [w.until_ns for w in (a, b) if w.until_ns is not None]
    return Window(
        since_ns=max(since, default=None),
        until_ns=min(until, default=None),
        session=b.session or a.session,
        # A bound beside a named time makes bounds of both.
        is_named=b.is_named and (a.is_named or a == Window()),
        at_ns=b.at_ns if b.at_ns is not None else a.at_ns,
    )


def _number(words: str) -> float:
    return _NUMBERS[words] if words in _NUMBERS else float(words)


def _length_ns(number: str | None, unit: str) -> int:
    return min(int(_number(number or "1") * _UNIT_NS[unit]), 1 << 62)


def _of_day_ns(words: str) -> int:
    """Return a time of day, from midnight."""
    fixed = {"noon": 12, "midday": 12, "midnight": 0}
    if words in fixed:
        return fixed[words] * HOUR_NS
    hour, minute, second = (*(int(number) for number in re.findall(r"\d+", words)), 0, 0)[:3]
    half = re.search(r"([ap])\.?m\.?$", words)
    if hour > (12 if half else 23) or minute > 59 or second > 59 or (half and hour == 0):
        raise ValueError(f"{words!r} is no time of day")
    if half:
        hour = hour % 12 + (12 if half[1] == "p" else 0)
    return hour * HOUR_NS + (minute * 60 + second) * NANOSECONDS


def _date_of(stamp_ns: int) -> datetime.date:
    return datetime.date(1970, 1, 1) + datetime.timedelta(days=stamp_ns // DAY_NS)


def _months_before(day: datetime.date, n_months: int) -> datetime.date:
    """Return the same day of an earlier month, or its last day."""
    months = day.year * 12 + day.month - 1 - n_months
    year, month = divmod(months, 12)
    if not datetime.MINYEAR <= year <= datetime.MAXYEAR:
        raise ValueError(f"{n_months} months before {day} is beyond the calendar")
    return datetime.date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _ns_of(day: datetime.date) -> int:
    if not 1700 <= day.year <= 2250:
        raise ValueError(f"{day} is beyond the times that I can tell")
    return calendar.timegm(day.timetuple()) * NANOSECONDS


def _date_ns(year: int, month: int, day: int) -> int:
    try:
        date = datetime.date(year, month, day)
    except ValueError as error:
        raise ValueError(f"{year:04}-{month:02}-{day:02} is no date: {error}") from None
    return _ns_of(date)
