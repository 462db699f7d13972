"""Questions about past, present and future in English, as what has to be found out. A small grammar, no model. Pure.

========== ==========================================================================================================
asked for  examples
========== ==========================================================================================================
room       in which room was the mug on Monday morning · in which room is the mug now
carrier    which piece of furniture is the mug on or in now · … was the mug mostly on or in in the mornings · … will the
           mug most likely be on or in on Friday evening
same       was the mug on or in the desk on Monday morning · is the mug on or in the desk now · is the mug now where it
           was on Monday evening · … where it mostly was in the mornings · was the mug in the same place on Monday
           morning and on Tuesday evening · does the mug have to be moved before Friday evening, if it is to be where it
           usually is then
count      on how many of your earlier visits was the mug on or in the desk
========== ==========================================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from embodied.errors import NotUnderstood

Ask = Literal["room", "carrier", "same", "count"]


@dataclass(frozen=True)
class Moment:
    """When a thing is somewhere."""

    kind: Literal["visit", "mostly", "now", "future"]
    day: str = ""
    """Monday, Tuesday, …; of a visit and of the future."""
    part: str = ""
    """morning or evening; of all but now."""


@dataclass(frozen=True)
class Intent:
    """What has to be found out."""

    thing: str
    ask: Ask
    when: Moment | None = None
    """None where all visits count."""
    other: Moment | None = None
    """Of ``same``: the moment to compare with."""
    carrier: str = ""
    """Of ``same`` and ``count``: the piece of furniture to compare with."""
    is_negated: bool = False
    """Of ``same``: yes where it is not the same."""


NOW = Moment("now")
_DAY = r"(?P<{0}day>monday|tuesday|wednesday|thursday|friday|saturday|sunday) (?P<{0}part>morning|evening)"
_ON = r"(?:on or in|on|in)"
_THING = r"the (?P<thing>.+?)"
_PLACE = r"the (?P<carrier>.+?)"
_FURNITURE = r"which (?:piece of )?furniture"


def _visit(match: re.Match[str], prefix: str = "", kind: Literal["visit", "future"] = "visit") -> Moment:
    return Moment(kind, match[f"{prefix}day"].capitalize(), match[f"{prefix}part"])


def _day(prefix: str = "") -> str:
    return _DAY.format(prefix)


Build = Callable[["re.Match[str]"], Intent]
_FORMS: tuple[tuple[str, Build], ...] = (
    (
        rf"in which room was {_THING} on {_day()}",
        lambda m: Intent(m["thing"], "room", _visit(m)),
    ),
    (rf"in which room is {_THING}(?: now)?", lambda m: Intent(m["thing"], "room", NOW)),
    (
        rf"{_FURNITURE} was {_THING} mostly {_ON} in the (?P<part>morning|evening)s",
        lambda m: Intent(m["thing"], "carrier", Moment("mostly", part=m["part"])),
    ),
    (rf"{_FURNITURE} was {_THING} {_ON} on {_day()}", lambda m: Intent(m["thing"], "carrier", _visit(m))),
    (
        rf"{_FURNITURE} will {_THING} most likely be {_ON} on {_day()}",
        lambda m: Intent(m["thing"], "carrier", _visit(m, kind="future")),
    ),
    (rf"{_FURNITURE} is {_THING} {_ON}(?: now)?", lambda m: Intent(m["thing"], "carrier", NOW)),
    (
        rf"on how many of your (?:earlier |past )?visits was {_THING} {_ON} {_PLACE}",
        lambda m: Intent(m["thing"], "count", carrier=m["carrier"]),
    ),
    (
        rf"was {_THING} in the same place on {_day('a')} and on {_day('b')}",
        lambda m: Intent(m["thing"], "same", _visit(m, "a"), _visit(m, "b")),
    ),
    (
        rf"is {_THING} now where it was on {_day()}",
        lambda m: Intent(m["thing"], "same", NOW, _visit(m)),
    ),
    (
        rf"is {_THING} now where it (?:mostly|usually) (?:was|is) in the (?P<part>morning|evening)s",
        lambda m: Intent(m["thing"], "same", NOW, Moment("mostly", part=m["part"])),
    ),
    (
        rf"does {_THING} have to be moved before {_day()} if it is to be where it usually is then",
        lambda m: Intent(m["thing"], "same", NOW, _visit(m, kind="future"), is_negated=True),
    ),
    (
        rf"was {_THING} {_ON} {_PLACE} on {_day()}",
        lambda m: Intent(m["thing"], "same", _visit(m), carrier=m["carrier"]),
    ),
    (rf"is {_THING} {_ON} {_PLACE}(?: now)?", lambda m: Intent(m["thing"], "same", NOW, carrier=m["carrier"])),
)


def understand(question: str) -> Intent:
    """Return what a question asks for.

    Raises:
        NotUnderstood: It is beyond the grammar in this module's docstring.
    """
    words = " ".join(re.sub(r"[^\w\s]", " ", question.lower()).split())
    for pattern, build in _FORMS:
        match = re.fullmatch(pattern, words)
        if match is not None:
            return build(match)
    raise NotUnderstood(f"I did not understand {question!r}: expected a question for a room, a piece of furniture, ...")
