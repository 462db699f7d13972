"""The forms of questions: which words make which query. Pure; a table of patterns, the first that fits counts.

``grammar`` documents them with examples and does what is the same for all: spelling, times, nearness.
"""

from __future__ import annotations

import re
from typing import Any, Callable

from embodied.messages import RelationFilter
from memory_bank.recall.phrases import (
    HERE,
    PREPOSITION,
    Known,
    NotAQuery,
    bare,
    labels_of,
    places_of,
    room_of,
    split_places,
    thing_in_place,
)

MAX_LISTED = 1000
"""Things listed by questions for all that is somewhere."""
N_ORDERED = 5
"""Things listed by questions for the first or the last."""

Fields = dict[str, Any]
Build = Callable[["re.Match[str]", Known], Fields]

_CHANGE_OF = {
    "moved": "moved", "move": "moved", "displaced": "moved",
    "removed": "removed", "taken": "removed", "taken away": "removed",
    "missing": "removed", "gone": "removed", "disappeared": "removed", "disappear": "removed", "vanish": "removed",
    "vanished": "removed", "go missing": "removed", "gone missing": "removed",
    "lost": "removed", "stolen": "removed", "go": "removed",
    "added": "added", "new": "added", "appeared": "added", "appear": "added", "brought": "added", "put": "added",
    "changed": "", "change": "", "different": "",
}  # fmt: skip
_CHANGE = r"(?P<change>" + "|".join(sorted(_CHANGE_OF, key=len, reverse=True)) + r")"
_ANYTHING = r"(?:what|which (?:things|objects|ones)|anything|something|things|objects)"
_BE = r"(?:is|are|was|were)"
_HAVE = r"(?:has|have|had|did|was|were|is|are|got)"
_LAST_WORDS = re.compile(
    r" (?:located|kept|standing|lying|hidden|placed|to be found|be|seen|gone|anywhere|somewhere|found|first|last)$"
)


def _where(match: re.Match[str], known: Known) -> Fields:
    words, orders = match["thing"], {match.groupdict().get(name) for name in ("order", "order_2")}
    while (last := _LAST_WORDS.search(words)) is not None:
        words = words[: last.start()]
        orders.add(last[0].strip())
    return {"kind": "where", **({"moment": "first_seen"} if "first" in orders else {})} | thing_in_place(words, known)


def _which_latest(match: re.Match[str], known: Known) -> Fields:
    groups = match.groupdict()
    order = groups.get("order") or groups.get("order_2")
    ordered = {"order": "earliest" if order == "first" else "latest"} if order else {}
    return {"kind": "where", **ordered} | thing_in_place(match["thing"], known)


def _which_in(match: re.Match[str], known: Known) -> Fields:
    return {"kind": "where"} | thing_in_place(f"{match['thing']} {match['place']}", known)


def _what(match: re.Match[str], known: Known) -> Fields:
    place = (match["place"] or "").strip()
    name, places = split_places(place)
    if name and name not in HERE:
        raise NotAQuery(f"'{name}' does not say where to look")
    fields: Fields = {"kind": "what", "limit": MAX_LISTED}
    orders = {match.groupdict().get(name) for name in ("order", "order_2")} & {"first", "last"}
    if orders:
        fields |= {"order": "earliest" if "first" in orders else "latest", "limit": N_ORDERED}
    return fields | places_of(places, known)


def _what_thing(match: re.Match[str], known: Known) -> Fields:
    words = match["thing"]
    room = room_of(" ".join(bare(words)), known)
    fields: Fields = {"kind": "what", "limit": MAX_LISTED}
    return fields | ({"room": room} if room else thing_in_place(words, known))


def _told(source: str, kind: str = "what") -> Build:
    def build(match: re.Match[str], known: Known) -> Fields:
        fields: Fields = {"kind": kind, "source": source}
        words = (match.groupdict().get("thing") or "").strip()
        return fields | (thing_in_place(words, known) if words else {"limit": MAX_LISTED})

    return build


def _when(moment: str) -> Build:
    def build(match: re.Match[str], known: Known) -> Fields:
        groups = match.groupdict()
        first = "first" in (groups.get("order"), groups.get("order_2"))
        fields = {"kind": "when", "moment": "first_seen" if first else moment}
        return fields | thing_in_place(match["thing"], known)

    return build


def _when_there(match: re.Match[str], known: Known) -> Fields:
    room = room_of(" ".join(bare(match["room"])), known)
    if not room:
        raise NotAQuery(f"'{match['room']}' is no room")
    first = "first" in (match["order"], match["order_2"])
    return {"kind": "when", "moment": "first_seen" if first else "last_seen", "room": room}


def _when_changed(match: re.Match[str], known: Known) -> Fields:
    fields = {"kind": "when", "moment": "moved", "change": _CHANGE_OF[match["change"]]}
    return fields | thing_in_place(match["thing"], known)


def _changes(match: re.Match[str], known: Known) -> Fields:
    groups = match.groupdict()
    name, places = split_places((groups.get("place") or "").strip())
    fields: Fields = {"kind": "changes", "change": _CHANGE_OF[groups.get("change") or "changed"], "limit": MAX_LISTED}
    if groups.get("thing"):
        return fields | thing_in_place(groups["thing"] or "", known)
    if name and name not in HERE:
        raise NotAQuery(f"'{name}' does not say where to look")
    return fields | places_of(places, known)


def _count(match: re.Match[str], known: Known) -> Fields:
    words = re.sub(
        rf" (?:{_BE}|there|do you (?:see|know|remember|have)|(?:have|did) you (?:seen|see)|can you see|exist|"
        r"do we have)(?= |$)",
        " ",
        match["thing"],
    )
    return {"kind": "count", "limit": MAX_LISTED} | thing_in_place(" ".join(words.split()), known)


def _which_room(match: re.Match[str], known: Known) -> Fields:
    groups = match.groupdict()
    labels = labels_of(groups["things"], known) if groups.get("things") else ()
    return {"kind": "which_room", "labels": labels, "limit": MAX_LISTED}


def _room_beside(match: re.Match[str], known: Known) -> Fields:
    room = room_of(" ".join(bare(match["room"])), known)
    if not room:
        raise NotAQuery(f"'{match['room']}' is no room")
    return {"kind": "which_room", "relation": RelationFilter(kind="connects", label=room), "limit": MAX_LISTED}


def _room_here(match: re.Match[str], known: Known) -> Fields:
    return {"kind": "which_room", "near_m": "agent"}


def _views(match: re.Match[str], known: Known) -> Fields:
    fields: Fields = {"kind": "views"}
    order = match.groupdict().get("order")
    if order:
        fields["order"] = "earliest" if order == "first" else "latest"
        if not match["pictures"].endswith("s"):
            fields["limit"] = 1
    words = (match["thing"] or "").strip()
    room = room_of(" ".join(bare(words)), known)
    return fields | ({"room": room} if room else thing_in_place(words, known) if words else {})


def _show(match: re.Match[str], known: Known) -> Fields:
    return (_views if room_of(" ".join(bare(match["thing"])), known) else _where)(match, known)


def _form(pattern: str, build: Build) -> tuple[re.Pattern[str], Build]:
    return re.compile(pattern + "$"), build


_ORDER = r"(?:(?P<order>last|first) )?"
_ORDER_2 = r"(?: (?:for the )?(?P<order_2>last|first)(?: time)?)?"
_SEE = r"(?:see|seen|saw|spot|spotted|notice|noticed|find|found|observe|observed)"
_PLACE = rf"(?: there| here| around)?(?P<place>(?: {PREPOSITION}\b.*)?)"
_YOU = r"(?:you|i|we|the robot)"
_TOLD = r"(?:told|tell|informed|inform|said to|say to)"
_ANYONE = r"(?:you|anyone|anybody|someone|somebody|people|a person)"
_DETERMINERS = r"(?:the |an? |some |any |all |your )*"
_ROOM = r"(?:rooms?|part of the house)"

_NOTHING_YET = r"(?!there\b|here\b|on\b|in\b|near\b)"
_LOOKED = (
    rf"(?:{_BE}|stands|lies|do you (?:see|know|remember)|can you see|(?:did|have) you {_ORDER}(?:see|seen)|"
    r"(?:has|have|was|were) (?:been )?seen)"
)

FORMS: tuple[tuple[re.Pattern[str], Build], ...] = (
    # views
    _form(
        rf"(?:(?:show|give|list)(?: me)? |(?:do you have|have you got) )?{_DETERMINERS}"
        r"(?:(?P<order>last|latest|first|newest) )?"
        r"(?P<pictures>pictures?|images?|photos?|photographs?|views?|snapshots?|keyframes?)"
        r"(?: (?:of|from|in|with|that show|showing) (?P<thing>.+))?",
        _views,
    ),
    _form(r"(?:what|how) (?:does|do|did) (?P<thing>.+?) look(?: like)?", _views),
    # told or seen
    _form(
        rf"(?:who|which person) (?:has |have )?{_TOLD} (?:you|us)(?: (?:about|of|where|that))? ?(?P<thing>.*?)"
        rf"(?: {_BE})?",
        _told("told"),
    ),
    _form(
        rf"who (?:said|mentioned|reported|claimed)(?: that| where| there {_BE})? (?P<thing>.+?)(?: {_BE}\b.*)?",
        _told("told"),
    ),
    _form(
        rf"(?:what|which things|anything) (?:{_HAVE} )?(?:{_ANYONE}|i|we) (?:been )?{_TOLD}(?: you)?"
        r"(?: (?:about|of) (?P<thing>.+))?",
        _told("told"),
    ),
    _form(
        rf"{_HAVE} {_ANYONE} (?:been |only )*{_TOLD}(?: you)?(?: (?:about|of|where|that))? (?P<thing>.+?)(?: {_BE})?",
        _told("told"),
    ),
    _form(
        rf"(?:did|have) you (?:really |actually )?{_SEE} (?P<thing>.+?) (?:yourself|with your own eyes|for yourself)",
        _told("seen", "where"),
    ),
    _form(rf"what (?:did|have) you {_SEE} (?:yourself|with your own eyes)", _told("seen")),
    _form(rf"how do you know (?:about|of|where|that) (?P<thing>.+?)(?: (?:{_BE}\b.*|exists?))?", _what_thing),
    # when
    _form(
        rf"(?:when|how long ago|at what time) (?:did|have|had) {_YOU} {_ORDER}{_SEE} (?P<thing>.+?){_ORDER_2}",
        _when("last_seen"),
    ),
    _form(
        rf"(?:when|how long ago) (?:was|were) (?P<thing>.+?) {_ORDER}(?:seen|spotted|noticed|found|observed){_ORDER_2}",
        _when("last_seen"),
    ),
    _form(
        rf"(?:when|how long ago) (?:was|were|did|have|had) {_YOU} {_ORDER}"
        rf"(?:been |visit |enter |go )?(?:in|to|into|inside)? ?(?P<room>.+?){_ORDER_2}",
        _when_there,
    ),
    _form(rf"(?:(?:since )?when|how long|since what time) {_HAVE} (?P<thing>.+?) (?:been )?{_CHANGE}", _when_changed),
    # rooms
    _form(r"where (?:am i|are you|are we|is the robot)", _room_here),
    _form(rf"(?:in )?(?:which|what) {_ROOM} (?:(?:am i|are you|are we|is the robot|is this)(?: in)?)", _room_here),
    _form(
        rf"(?:which|what) {_ROOM} (?:{_BE} )?(?:connected to|connect to|adjacent to|next to|beside|"
        r"reached from|lead to|behind|"
        r"(?:can|do) (?:you|i|we|one) (?:reach|get to|enter) from) (?P<room>.+)",
        _room_beside,
    ),
    _form(r"(?:where|what|which rooms?) (?:does|do) (?P<room>.+?) (?:lead|connect)(?: to)?", _room_beside),
    _form(
        rf"(?:(?:which|what|list|name|count|how many|show)(?: me)?(?: the| all)*) {_ROOM}"
        rf"(?: {_BE} there| do (?:you|we) (?:know|have)|"
        rf"(?: have| did) you (?:seen|see|found|find|visited)|(?: {_BE})? known|(?: {_BE})?)(?: here| of)?",
        _which_room,
    ),
    _form(
        rf"(?:in )?(?:which|what) {_ROOM} (?:has|have|had|contains?|contained|holds?|held|with|{_BE} there|"
        rf"(?:did|have|do|can) you (?:see|seen|find)) (?P<things>.+)",
        _which_room,
    ),
    _form(rf"where {_BE} there (?:both )?(?P<things>.+ and .+)", _which_room),
    # changes
    _form(rf"{_ANYTHING} (?:{_HAVE} )?(?:been |got )?{_CHANGE}{_PLACE}", _changes),
    _form(rf"{_HAVE} (?:anything|something|things|objects|any objects) (?:been |got )?{_CHANGE}{_PLACE}", _changes),
    _form(rf"(?:what {_BE} |list |show )?(?:me )?(?:the |all )?changes{_PLACE}", _changes),
    _form(r"what (?:has |had )?happened (?:to|with) (?P<thing>.+)", _changes),
    _form(rf"what (?:has |had )?happened{_PLACE}", _changes),
    _form(r"what (?:has )?(?:changed|moved) (?:about|with) (?P<thing>.+)", _changes),
    _form(rf"{_HAVE} (?P<thing>.+?) (?:been )?{_CHANGE}", _changes),
    # count
    _form(r"how many (?P<thing>.+)", _count),
    _form(r"(?:count|the number of|what is the number of) (?P<thing>.+)", _count),
    # the first or the last
    _form(
        rf"(?:what|which) {_BE} the (?P<order>first|last)(?: (?:thing|object)s?)?(?: that)? {_YOU}(?: have)? {_SEE}"
        rf"(?P<order_2>){_PLACE}",
        _what,
    ),
    _form(rf"what (?:did|have) {_YOU} (?P<order>first|last) {_SEE}(?P<order_2>){_PLACE}", _what),
    _form(rf"what (?:did|have) {_YOU} (?P<order>){_SEE}{_PLACE} (?P<order_2>first|last)", _what),
    _form(rf"what (?:did|have) {_YOU} {_SEE} (?P<order>first|last){_PLACE}", _what),
    # where, asked as which or what
    _form(
        rf"(?:in |on |at )?(?:which|what) (?:rooms?|place|surface|spot) {_BE} (?P<thing>.+?)(?: in| on| at)?", _where
    ),
    _form(rf"what {_BE} (?P<thing>{_NOTHING_YET}.+?) (?:standing |lying |sitting )?(?:on|in|near|next to|at)", _where),
    # what
    _form(rf"(?:what|which) colou?rs? (?:{_BE}|does|do) (?P<thing>.+?)(?: have)?", _what_thing),
    _form(rf"(?:what|who|which (?:things|objects)|what (?:things|objects|else|all)) (?:all )?{_LOOKED}{_PLACE}", _what),
    _form(rf"(?:things?|objects?)(?: that you)?(?: have)? (?:seen|saw){_PLACE}", _what),
    _form(
        r"(?:list|show|name|describe)(?: me)?(?: all)?(?: the| all)? (?:things|objects|everything|contents)(?: of)?"
        rf"{_PLACE}",
        _what,
    ),
    _form(
        r"(?:(?:what|everything|all) (?:do )?you (?:know|remember)|what can you (?:tell me|say)|everything|"
        r"tell me)? ?(?:about|of) (?P<thing>.+)",
        _what_thing,
    ),
    _form(rf"(?:what do you know|everything you (?:know|remember|saw|have seen)){_PLACE}", _what),
    _form(
        rf"(?:(?:what|which|list|show|{_BE} there)(?: me)? )?(?:{_BE} )?{_DETERMINERS}"
        r"(?:history|notes?) (?:of|on|about|for|to) (?P<thing>.+)",
        _what_thing,
    ),
    _form(r"what does the note (?:on|about|of) (?P<thing>.+?) say", _what_thing),
    _form(r"describe (?P<thing>.+)", _what_thing),
    # where
    _form(rf"where(?: all)? {_BE} (?P<thing>.+)", _where),
    _form(
        rf"where (?:did|do|have|can|could|had|does) (?:you|i|we|one) {_ORDER}(?:{_SEE}|left|leave|put|get|have) "
        rf"(?P<thing>.+?){_ORDER_2}",
        _where,
    ),
    _form(rf"where (?P<thing>.+?) {_BE}", _where),
    _form(r"where (?:do|does|did) (?P<thing>.+?) (?:be|stand|lie|live|stay|sit|belong|go)", _where),
    _form(
        rf"which (?!rooms?\b)(?P<thing>.+?) (?:did|have|do|can) (?:you|i|we) {_ORDER}{_SEE}{_ORDER_2}", _which_latest
    ),
    _form(rf"which (?!rooms?\b)(?P<thing>.+?) (?:{_BE}|stands?|lies?) (?P<place>{PREPOSITION} .+)", _which_in),
    _form(r"which (?!rooms?\b)(?P<thing>.+?)(?: (?:is|are|was|were)(?: there| here)?)?", _which_latest),
    _form(r"(?:show|list|name)(?: me)?(?: all)?(?: of)?(?: the)? (?P<thing>.+)", _show),
    _form(r"(?:find|locate|search|look for|search for|go to|bring|fetch|get)(?: me)? (?P<thing>.+)", _where),
    _form(rf"{_BE} there (?P<thing>.+)", _where),
    _form(
        rf"(?:do|did|have|can|could|had) (?:you|i|we) {_ORDER}(?:{_SEE}|have|know(?: of)?|got) (?P<thing>.+)", _where
    ),
    _form(rf"{_BE} (?P<thing>.+? {PREPOSITION} .+)", _where),
    _form(rf"{_BE} (?P<thing>.+?)(?: there| here)?", _where),
)
"""The first that fits counts."""
