"""English questions to structured queries: a small grammar, no model. Pure.

A question is a *form* with the *things* it asks about, *places* that narrow it down, and *time phrases* (``times``)
anywhere in it. Capital letters, punctuation, articles, "please" and "can you tell me" do not matter.

========= ===========================================================================================================
form      examples
========= ===========================================================================================================
where     where is the red mug · where are the books · where did you last see my keys · which room is the sofa in ·
          find the remote · is there a piano · have you seen a cat · is the mug in the kitchen
what      what is on the table · what is in the kitchen · what do you see near the sofa · what colour is the mug ·
          list the things in the office
when      when did you last see the mug · when did you first see the laptop · when was the mug last seen ·
          when did the chair move · when was the vase removed · when did the clock appear
changes   what changed (since yesterday) · what was moved (today) · what is missing in the kitchen · what is new ·
          was the mug moved · what happened to the mug
count     how many chairs are there · how many books are on the shelf · count the mugs in the kitchen
========= ===========================================================================================================

*Things*: an optional colour and a label: "red mug", "books", "coffee table", "kitchen table". Plurals and synonyms
become the label that the memory knows ("couch" finds what a detector called "sofa"); "thing", "object", "anything" mean
all. *Places*: "in the kitchen", "in bedroom 2" (rooms); "on the table", "in the bowl", "next to the red sofa"
(relations, one a question; near, next to, beside, by, close to and at all mean near); "near (1.5, 2.0)", "within 2 m of
(1.5, 2.0)" (points).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable

from embodied.messages import Point, Query, RelationFilter, RelationKind, SessionRecord
from memory_bank.times import take_window
from memory_bank.words import COLOURS, ROOM_KINDS, known_as, singular

MAX_CHARACTERS = 400
MAX_LABEL_WORDS = 4
MAX_LISTED = 1000
"""Things listed by questions for all that is somewhere."""

EXAMPLES = (
    "where is the red mug?",
    "what is on the kitchen table?",
    "when did you last see the laptop?",
    "what changed since yesterday?",
    "how many chairs are there?",
)

_ARTICLES = frozenset(
    "the a an my your our his her their any some all every each this that these those of both".split()
)
_ALL = frozenset("thing things object objects item items stuff everything anything something one ones else".split())
_HERE = frozenset(
    ("here", "there", "house", "home", "flat", "apartment", "world", "place", "room", "rooms", "map", "memory")
)
_SHADES = frozenset("light dark bright pale deep".split())
_PREPOSITIONS: tuple[tuple[str, RelationKind], ...] = (
    ("on top of", "on"), ("onto", "on"), ("upon", "on"), ("on", "on"), ("inside of", "in"), ("inside", "in"),
    ("within", "in"), ("into", "in"), ("in", "in"), ("from", "in"),
    ("near to", "near"), ("nearby", "near"), ("near", "near"), ("close to", "near"), ("next to", "near"),
    ("beside", "near"), ("around", "near"),
    ("by", "near"), ("at", "near"),
)  # fmt: skip
_KIND_OF: dict[str, RelationKind] = dict(_PREPOSITIONS)
_PREPOSITION = r"(?:" + "|".join(word for word, _ in _PREPOSITIONS) + r")"
_UNSUPPORTED = re.compile(
    r"\b(under|underneath|beneath|below|above|over|behind|between|left of|right of|in front of|opposite)\b"
)
_NUMBER = r"[-+]?\d{1,6}(?:\.\d{1,9})?"
_POINT = re.compile(
    rf"\b(?:within ({_NUMBER}) ?m(?:et(?:er|re)s?)? (?:of|from|around)|near|at|around|close to) "
    rf"\(? ?({_NUMBER}) ?, ?({_NUMBER})(?: ?, ?({_NUMBER}))? ?\)?(?: ?m\b)?"
)
_POLITE = re.compile(
    r"^(?:please|hey|hi|hello|ok|okay|so|and|robot|well|tell me(?: please)?|say|show me(?= (?:where|what|when|how))|"
    r"(?:can|could|would|will) you(?: please)?(?= (?:tell|show|say|find|list|count))|"
    r"do you (?:know|remember)(?= (?:where|what|when|how|which))|"
    r"i (?:want|would like|need) to know) "
)


@dataclass(frozen=True)
class _Place:
    room: str = ""
    relation: RelationFilter | None = None


@dataclass(frozen=True)
class _Known:
    """The vocabulary of the memory."""

    labels: Collection[str]
    rooms: Collection[str]


class _NotUnderstood(ValueError):
    """Why a question cannot be a query, in words."""


def parse(
    text: str,
    *,
    labels: Collection[str] = (),
    rooms: Collection[str] = (),
    sessions: Sequence[SessionRecord] = (),
    now_ns: int = 0,
) -> Query:
    """Turn an English question into a query; the module's docstring is the grammar.

    Args:
        text: The question.
        labels: Labels that the memory knows, to map synonyms and plurals onto.
        rooms: Names of rooms that the memory knows.
        sessions: Known sessions, for "on day-1".
        now_ns: What "today" is reckoned from.

    Raises:
        ValueError: The question is beyond the grammar; the text says what was not understood and gives examples.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"question: expected at most {MAX_CHARACTERS} characters, got {len(text)}")
    try:
        return _parse(text, _Known(labels, rooms), sessions, now_ns)
    except ValueError as error:
        examples = " · ".join(EXAMPLES)
        raise ValueError(f"I did not understand {text!r}: {error}. Ask for example: {examples}") from None


def _parse(text: str, known: _Known, sessions: Sequence[SessionRecord], now_ns: int) -> Query:
    words = _normalised(text)
    words, point, radius_m = _take_point(words)
    words = re.sub(r"[^\w\s:.-]|(?<!\d)[.:]|[.:](?!\d)|(?<!\w)-|-(?!\w)", " ", words)
    words = " ".join(words.split())
    words, window = take_window(words, now_ns, sessions)
    words = re.sub(
        r"\b(?:right now|now|currently|at the moment|exactly|please|at all|again|ever|still|recently|lately)\b",
        " ",
        words,
    )
    words = " ".join(words.split())
    while (polite := _POLITE.match(words + " ")) is not None:
        words = words[polite.end() :].strip()
    if not words:
        raise _NotUnderstood("there is no question in it")
    fields: dict[str, Any] = {"since_ns": window.since_ns, "until_ns": window.until_ns, "session": window.session}
    if point is not None:
        fields |= {"near_m": point, "radius_m": radius_m}
    unsupported = _UNSUPPORTED.search(words)
    if unsupported:
        raise _NotUnderstood(f"'{unsupported[0]}' is not among the relations on, in and near")
    for pattern, build in _FORMS:
        match = pattern.match(words)
        if match is not None:
            return Query(**(fields | build(match, known)))
    raise _NotUnderstood("it does not begin like a question that I know (where, what, when, how many, what changed)")


def _normalised(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("`", "'")
    text = re.sub(r"\b(where|what|when|who|there|it)'s\b", r"\1 is", text)
    text = re.sub(r"\b(where|what|when)'re\b", r"\1 are", text)
    text = re.sub(r"\b(i|you|we|they)'ve\b", r"\1 have", text).replace("'s ", " ").replace("n't", " not")
    text = re.sub(r"\b(?:have not|has not|did not|do not)\b", lambda m: m[0].split()[0], text)
    return " ".join(text.split())


def _take_point(text: str) -> tuple[str, Point | None, float]:
    match = _POINT.search(text)
    if match is None:
        return text, None, 1.0
    radius, x, y, z = match.groups()
    rest = text[: match.start()] + " " + text[match.end() :]
    return rest, (float(x), float(y), float(z or 0.0)), float(radius or 1.0)


# ------------------------------------------------------------------------------------------ things and places


def _split_places(words: str) -> tuple[str, list[tuple[RelationKind, str]]]:
    """Split "mug on the table in the kitchen" into the thing and its places."""
    parts = re.split(rf"(?:^|\s)({_PREPOSITION})(?=\s|$)", words)
    places = [(_KIND_OF[parts[i]], parts[i + 1].strip()) for i in range(1, len(parts), 2)]
    return parts[0].strip(), places


def _bare(words: str) -> list[str]:
    tokens = words.split()
    while tokens and tokens[0] in _ARTICLES:
        tokens.pop(0)
    return tokens


def _room(words: str, known: _Known) -> str:
    """Return the name of the room that the words mean, empty if they mean none."""
    if words in known.rooms:
        return words
    match = re.fullmatch(r"(.+?)(?: (?:number )?(\d{1,4}))?", words)
    if match is None:
        return ""
    name, number = match.groups()
    kind = ROOM_KINDS.get(name) or ROOM_KINDS.get(singular(name)) or ("room" if name == "room" and number else "")
    if not kind:
        return ""
    # "bedroom 1" is the one with the plain name.
    numbered = f"{kind} {number}" if number else kind
    return kind if number == "1" and kind != "room" and numbered not in known.rooms else numbered


def _thing(words: str, known: _Known, *, needed: bool = True) -> dict[str, Any]:
    """Return label, colour and perhaps room of a noun phrase: "the red kitchen chairs"."""
    tokens = _bare(words)
    colour = ""
    while len(tokens) > 1 and (tokens[0] in COLOURS or (tokens[0] in _SHADES and tokens[1] in COLOURS)):
        colour = COLOURS.get(tokens[0], colour)
        tokens.pop(0)
    while tokens and tokens[0] in _ALL | {"other", "more", "different"}:
        tokens.pop(0)
        if not tokens:
            return {"label": "", "colour": colour}
    if not tokens:
        if needed:
            raise _NotUnderstood("it names nothing to look for")
        return {"label": "", "colour": colour}
    phrase = " ".join(tokens)
    if not re.fullmatch(r"[^\W_][\w-]*(?: [\w-]+)*", phrase) or len(tokens) > MAX_LABEL_WORDS:
        raise _NotUnderstood(f"'{phrase}' is not a thing that I could have seen")
    if phrase in COLOURS and phrase != "orange":
        return {"label": "", "colour": COLOURS[phrase]}
    label = known_as(phrase, known.labels)
    if label is None:
        for n in (2, 1):
            room = _room(" ".join(tokens[:n]), known) if len(tokens) > n else ""
            if room:
                return {"label": _label(" ".join(tokens[n:]), known), "colour": colour, "room": room}
    return {"label": label or singular(phrase), "colour": colour}


def _label(phrase: str, known: _Known) -> str:
    return known_as(phrase, known.labels) or singular(phrase)


def _places(places: Sequence[tuple[RelationKind, str]], known: _Known) -> dict[str, Any]:
    """Return room and relation that the places of a question name."""
    place = _Place()
    for kind, words in places:
        phrase = " ".join(_bare(words))
        if not phrase or phrase in _HERE:
            continue
        room = _room(phrase, known)
        if room:
            found = _Place(room=room)
        else:
            thing = _thing(phrase, known)
            relation = RelationFilter(kind=kind, label=thing["label"], colour=thing["colour"])
            found = _Place(room=thing.get("room", ""), relation=relation)
        if (found.room and place.room) or (found.relation and place.relation):
            raise _NotUnderstood("only one room and one relation fit into a question")
        place = replace(place, room=found.room or place.room, relation=found.relation or place.relation)
    return {name: value for name, value in (("room", place.room), ("relation", place.relation)) if value}


def _thing_in_place(words: str, known: _Known, *, needed: bool = True) -> dict[str, Any]:
    thing, places = _split_places(words)
    narrowed = _places(places, known)
    found = _thing(thing, known, needed=needed)
    if found.get("room") and narrowed.get("room"):
        raise _NotUnderstood("only one room fits into a question")
    return found | narrowed


# ------------------------------------------------------------------------------------------ forms

_Build = Callable[["re.Match[str]", _Known], dict[str, Any]]

_CHANGE_OF = {
    "moved": "moved", "move": "moved", "displaced": "moved",
    "removed": "removed", "taken": "removed", "taken away": "removed",
    "missing": "removed", "gone": "removed", "disappeared": "removed", "disappear": "removed", "vanish": "removed",
    "vanished": "removed", "go missing": "removed", "lost": "removed", "stolen": "removed",
    "added": "added", "new": "added", "appeared": "added", "appear": "added", "brought": "added", "put": "added",
    "changed": "", "change": "", "different": "",
}  # fmt: skip
_CHANGE = r"(?P<change>" + "|".join(sorted(_CHANGE_OF, key=len, reverse=True)) + r")"
_ANYTHING = r"(?:what|which (?:things|objects|ones)|anything|something|things|objects)"
_BE = r"(?:is|are|was|were)"
_HAVE = r"(?:has|have|had|did|was|were|is|are|got)"


def _where(match: re.Match[str], known: _Known) -> dict[str, Any]:
    thing = re.sub(
        r" (?:located|kept|standing|lying|hidden|placed|to be found|be|last seen|gone|anywhere|somewhere)$",
        "",
        match["thing"],
    )
    return {"kind": "where"} | _thing_in_place(thing, known)


def _what(match: re.Match[str], known: _Known) -> dict[str, Any]:
    place = (match["place"] or "").strip()
    thing, places = _split_places(place)
    if thing and thing not in _HERE:
        raise _NotUnderstood(f"'{thing}' does not say where to look")
    return {"kind": "what", "limit": MAX_LISTED} | _places(places, known)


def _what_thing(match: re.Match[str], known: _Known) -> dict[str, Any]:
    return {"kind": "what", "limit": MAX_LISTED} | _thing_in_place(match["thing"], known)


def _when(moment: str) -> _Build:
    def build(match: re.Match[str], known: _Known) -> dict[str, Any]:
        groups = match.groupdict()
        first = "first" in (groups.get("order"), groups.get("order_2"))
        fields = {"kind": "when", "moment": "first_seen" if first else moment}
        return fields | _thing_in_place(match["thing"], known)

    return build


def _when_changed(match: re.Match[str], known: _Known) -> dict[str, Any]:
    fields = {"kind": "when", "moment": "moved", "change": _CHANGE_OF[match["change"]]}
    return fields | _thing_in_place(match["thing"], known)


def _changes(match: re.Match[str], known: _Known) -> dict[str, Any]:
    groups = match.groupdict()
    thing, places = _split_places((groups.get("place") or "").strip())
    fields: dict[str, Any] = {
        "kind": "changes",
        "change": _CHANGE_OF[groups.get("change") or "changed"],
        "limit": MAX_LISTED,
    }
    if groups.get("thing"):
        return fields | _thing_in_place(groups["thing"] or "", known)
    if thing and thing not in _HERE:
        raise _NotUnderstood(f"'{thing}' does not say where to look")
    return fields | _places(places, known)


def _count(match: re.Match[str], known: _Known) -> dict[str, Any]:
    words = re.sub(
        rf" (?:{_BE}|there|do you (?:see|know|remember|have)|(?:have|did) you (?:seen|see)|can you see|exist|"
        r"do we have)(?= |$)",
        " ",
        match["thing"],
    )
    return {"kind": "count", "limit": MAX_LISTED} | _thing_in_place(" ".join(words.split()), known)


def _form(pattern: str, build: _Build) -> tuple[re.Pattern[str], _Build]:
    return re.compile(pattern + "$"), build


_ORDER = r"(?:(?P<order>last|first) )?"
_ORDER_2 = r"(?: (?:for the )?(?P<order_2>last|first)(?: time)?)?"
_SEE = r"(?:see|seen|saw|spot|spotted|notice|noticed|find|found|observe|observed)"
_PLACE = rf"(?: there| here| around)?(?P<place>(?: {_PREPOSITION}\b.*)?)"

_CALLED = r"(?:last |first )?"
_NOTHING_YET = r"(?!there\b|here\b|on\b|in\b|near\b)"
_LOOKED = rf"(?:{_BE}|stands|lies|do you (?:see|know|remember)|can you see|(?:did|have) you (?:see|seen))"

_FORMS: tuple[tuple[re.Pattern[str], _Build], ...] = (
    # when
    _form(
        rf"(?:when|how long ago|at what time) (?:did|have|had) (?:you|i|we|the robot) {_ORDER}{_SEE} (?P<thing>.+?)"
        rf"{_ORDER_2}",
        _when("last_seen"),
    ),
    _form(
        rf"(?:when|how long ago) (?:was|were) (?P<thing>.+?) {_ORDER}(?:seen|spotted|noticed|found|observed){_ORDER_2}",
        _when("last_seen"),
    ),
    _form(rf"when {_HAVE} (?P<thing>.+?) (?:been )?{_CHANGE}", _when_changed),
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
    # where, asked as which or what
    _form(
        rf"(?:in |on |at )?(?:which|what) (?:rooms?|place|surface|spot) {_BE} (?P<thing>.+?)(?: in| on| at)?", _where
    ),
    _form(rf"what {_BE} (?P<thing>{_NOTHING_YET}.+?) (?:standing |lying |sitting )?(?:on|in|near|next to|at)", _where),
    # what
    _form(rf"(?:what|which) colou?rs? (?:{_BE}|does|do) (?P<thing>.+?)(?: have)?", _what_thing),
    _form(rf"(?:what|who|which (?:things|objects)|what (?:things|objects|else|all)) (?:all )?{_LOOKED}{_PLACE}", _what),
    _form(
        r"(?:list|show|name|describe)(?: me)?(?: all)?(?: the| all)? (?:things|objects|everything|contents)(?: of)?"
        rf"{_PLACE}",
        _what,
    ),
    _form(rf"(?:what do you know|everything you (?:know|remember|saw|have seen)){_PLACE}", _what),
    # where
    _form(rf"where(?: all)? {_BE} (?P<thing>.+)", _where),
    _form(
        rf"where (?:did|do|have|can|could|had|does) (?:you|i|we|one) {_CALLED}(?:{_SEE}|left|leave|put|get|have) "
        r"(?P<thing>.+)",
        _where,
    ),
    _form(rf"where (?P<thing>.+?) {_BE}", _where),
    _form(r"(?:find|locate|search|look for|search for|go to|bring me|fetch|get|show|show me) (?P<thing>.+)", _where),
    _form(rf"{_BE} there (?P<thing>.+)", _where),
    _form(
        rf"(?:do|did|have|can|could|had) (?:you|i|we) {_CALLED}(?:{_SEE}|have|know(?: of)?|got) (?P<thing>.+)", _where
    ),
    _form(rf"{_BE} (?P<thing>.+? {_PREPOSITION} .+)", _where),
)
"""The first that fits counts."""
