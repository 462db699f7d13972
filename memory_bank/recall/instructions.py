"""Instructions that refer to the robot's own past, as structures: a small grammar, no model. Pure.

"Go to …" what: an object ("the mug that you moved first", "a soft toy that you did not rearrange"), furniture ("that
on which you placed the red mug", "all the tables you picked something up from"), a room ("the room where you spent the
most time") or a moment ("back to where you were at 14:05").

What a relative clause asks for is told by its gap: "the object that you placed on a table" lacks what was placed,
"the table that you placed an object on" lacks where. Conditions may be combined: a day ("yesterday"), an order
("third", "second to last", "right after the mug", "between the mug and the book"), a time of day, how long or how far
it was carried, where it was taken or put, colour, size, and how far it is from here.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Literal

from embodied.errors import NotUnderstood
from memory_bank.recall.clauses import ANYTHING, NOTHING_DONE, Clause, Thing, read_clause, thing_of
from memory_bank.recall.words import ROOM_KINDS, singular

MAX_CHARACTERS = 400
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
            "twelfth")  # fmt: skip
EXAMPLES = (
    "go to the mug that you moved first",
    "visit all the furniture you placed objects on",
    "go back to where you were at 14:05",
)

Target = Literal["object", "furniture", "room", "moment"]
End = Literal["most", "least"]
Day = Literal["today", "yesterday"]


@dataclass(frozen=True)
class Instruction:
    """Where to go. Every filled field narrows it."""

    target: Target
    head: Thing = ANYTHING
    """What the target is called; empty for any object, furniture or room."""
    clause: Clause = NOTHING_DONE
    """What the robot did there, or with it."""
    every: bool = False
    """All that fit, rather than one."""
    ordered: bool = False
    """The goals are to be reached in the order in which they are told."""
    ordinals: tuple[int, ...] = ()
    """Places in the order of time, from 0; below 0 counted from the end."""
    after: Thing | None = None
    """Right after what was done with this."""
    before: Thing | None = None
    """Right before."""
    day: Day | None = None
    """On which day it was done; None is ever."""
    at_s: int | None = None
    """Time of day, seconds since midnight."""
    took: End | float | None = None
    """How long it was held: the most, the least, or about so many seconds."""
    carried: End | None = None
    """How far it was carried."""
    size: End | None = None
    distance: End | None = None
    """``most`` is the farthest …"""
    distance_to: Thing | None = None
    """… from this; None is where the robot is."""
    time_spent: End | None = None
    """Of rooms."""
    entered: End | None = None
    """How often a room was entered."""


def parse_instruction(text: str) -> Instruction:
    """Turn an English instruction into a structure; the module's docstring is the grammar.

    Raises:
        NotUnderstood: It is beyond the grammar; the text gives examples.
        ValueError: It is too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"instruction: expected at most {MAX_CHARACTERS} characters, got {len(text)}")
    words = _Words(_normalised(text))
    try:
        return _parse(words)
    except ValueError as error:
        examples = " · ".join(EXAMPLES)
        raise NotUnderstood(f"I did not understand {text!r}: {error}. Say for example: {examples}") from None


class _Words:
    """What is left of an instruction while parts of it are taken out."""

    def __init__(self, text: str) -> None:
        self.text = text

    def take(self, pattern: str, by: str = " ") -> re.Match[str] | None:
        """Return the first match, and put something else in its place."""
        match = re.search(pattern, self.text)
        if match is not None:
            self.text = " ".join((self.text[: match.start()] + by + self.text[match.end() :]).split())
        return match


_GO = (
    r"(?:(?:can|could|would|will) you |please |now |then )*"
    r"(?:go|head|navigate|drive|move|return|walk|get|come|travel|proceed|visit|revisit|find|stop|"
    r"(?:take|bring|lead|guide) (?:me|us)|make your way)(?: over| back| once more| again)?(?: to| at| by|)(?: |$)"
)
_HERE = (
    r"(?:your (?:current |present )?(?:location|position|place|pose)|here|you|yourself|me|the robot|"
    r"where you (?:are|stand|are standing)(?: right)?(?: now)?|where (?:we|i) are)"
)
_FAR = r"(?:farthest|furthest|most distant|most remote|remotest)"
_NEAR = r"(?:nearest|closest)"
_FROM_BEFORE = (
    r"(?: away)?(?: from (?:where (?:it|they) (?:was|were|lay|stood)(?: before| at first| originally)?|"
    r"its (?:original|old|first) (?:place|position|location)))?"
)
_CLOCK = r"(?P<clock>\d{1,2}[:.]\d{2}(?: ?[ap]\.?m\.?)?|\d{1,2} ?[ap]\.?m\.?|noon|midday|midnight)(?: o'?clock)?"
_SOON = r"(?:immediately |right |just |directly |straight )?"
_YOU_DID = (
    r"(?:(?:you )?(?:interacted with|picked up|put down|put away|placed|moved|handled|touched|rearranged|took|carried|"
    r"picking up|putting down|placing|moving|handling|interacting with|picked|put) )?"
)
_DOING = r"(?:to (?:rearrange|move|handle|carry|put away|relocate|be (?:rearranged|moved|handled|carried)|deal with))"
_SPENT = r"(?:rearranging|moving|carrying|handling|holding|on|with|interacting with|to rearrange|to move|to carry)"
_LONGEST = r"(?:the )?(?P<most>longest|most(?: time)?|slowest)(?: time)?"
_SHORTEST = r"(?:the )?(?P<least>shortest|least(?: time)?|quickest|fastest)(?: time)?"
_ORDINAL = r"(?:\d{1,2}(?:st|nd|rd|th)|" + "|".join(ORDINALS) + ")"


def _normalised(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("n't ", " not ")
    text = re.sub(r"\b(i|we|the robot)\b(?= (?:were|was|did|have|had|interact|pick|plac|put|mov|carr|took|handl))",
                  "you", text)  # fmt: skip
    text = re.sub(r"\byou (?:have|had)\b(?! to)", "you", text)
    text = re.sub(r"[^\w\s:,.'-]|[.](?!\d)", " ", text)
    return " ".join(text.split()).strip(" ,")


def _parse(words: _Words) -> Instruction:
    day = words.take(r",? ?\b(?:earlier |during )?(?:today|(?:on |in )?this day|(?P<past>yesterday))\b")
    in_order = words.take(r",? ?\b(?:in (?:this|that|the (?:given|same|stated|following)) order|one after the other)\b")
    words.take(r"^please(?:$| )")
    words.take(r"^(?:of|among|out of) (?:all )?the rooms (?:that )?you (?:were in|visited|went to|entered) ?,? ", "")
    if words.take(rf"^(?:{_GO})?(?:the )?(?:one|place) where (?=you (?:spent|stayed))", "the room where ") is None:
        words.take(rf"^{_GO}", "")
    if (moment := _moment(words)) is not None:
        return replace(Instruction("moment", at_s=moment), day=_day_of(day))
    words.take(r"^(?:any|some)?one of (?:the |all the )?(?=\w+)", "any one of ")
    words.take(r"^everything\b", "all objects")
    every = words.take(r"^(?:to )?(?:all|every|each|both)(?: one)?(?: of)?\b", "") is not None
    found = replace(Instruction("object", every=every), day=_day_of(day))
    found = _take_room_measure(words, found)
    found = _take_extent(words, found)
    found = _take_time(words, found)
    found, ordinals = _take_order(words, found)
    found = replace(found, ordinals=ordinals, ordered=bool(in_order) or len(ordinals) > 1)
    return _take_head(words, found)


def _day_of(match: re.Match[str] | None) -> Day | None:
    if match is None:
        return None
    return "yesterday" if match["past"] else "today"


def _moment(words: _Words) -> int | None:
    """Return the time of day of "where you were at 14:05"."""
    spot = r"(?:(?:the |that )?(?:place|spot|position|location|pose|point) )?"
    match = re.fullmatch(
        rf"(?:to )?(?:{spot}(?:where |at which |in which |that |)"
        r"you (?:were|stood|stayed|paused|rested|found yourself|had)(?: standing| staying| resting| at| in|)*"
        rf"|your (?:place|spot|position|location|pose)),? (?:at|around|about) (?:about )?{_CLOCK}",
        words.text,
    )
    return None if match is None else _of_day_s(match["clock"])


def _of_day_s(clock: str) -> int:
    fixed = {"noon": 12, "midday": 12, "midnight": 0}
    if clock in fixed:
        return fixed[clock] * 3600
    hour, minute = (*(int(number) for number in re.findall(r"\d+", clock)), 0)[:2]
    half = re.search(r"([ap])\.?m", clock)
    if hour > (12 if half else 23) or minute > 59:
        raise ValueError(f"{clock!r} is no time of day")
    if half:
        hour = hour % 12 + (12 if half[1] == "p" else 0)
    return hour * 3600 + minute * 60


def _take_room_measure(words: _Words, found: Instruction) -> Instruction:
    """Take out how long or how often the robot was in a room."""
    if not re.match(r"(?:the |a |any )?rooms?\b", words.text):
        return found
    been = r"(?:(?:in|where|that|which) )*(?:which )?you (?:spent|stayed|were|passed|remained)(?: in)?(?: for)?"
    match = words.take(rf"\b{been} (?:{_LONGEST}|{_SHORTEST})(?: in)?\b")
    if match is not None:
        return replace(found, target="room", time_spent="most" if match["most"] else "least")
    came = (
        r"(?:(?:in|into|where|that|which) )*(?:which )?"
        r"you (?:entered|visited|went(?: in| into)?|came(?: in| into)?|were in)"
    )
    match = words.take(rf"\b{came} (?:the )?(?P<end>most|least|fewest)(?: often| frequently| times)?\b")
    if match is not None:
        return replace(found, target="room", entered="most" if match["end"] == "most" else "least")
    return found


def _take_extent(words: _Words, found: Instruction) -> Instruction:
    """Take out how far and how long it was carried, how large it is, and how far from what it is now."""
    match = words.take(
        rf"\b(?P<verb>moved|carried|transported|took|brought|displaced|relocated)(?: away)? (?:(?:it|them) )?(?:the )?"
        rf"(?P<end>farthest|furthest|longest (?:way|distance)|greatest distance|most|"
        rf"shortest (?:way|distance)|least(?: far)?|smallest distance){_FROM_BEFORE}$",
        " moved ",
    )
    if match is not None:
        least = match["end"].startswith(("shortest", "least", "smallest"))
        found = replace(found, carried="least" if least else "most")
    is_ = r"(?:,? ?(?:that|which) )?(?:(?:is|are|was|lies|stands) )?(?:now |currently )?(?:lying |standing )?(?:the )?"
    match = words.take(rf"\b{is_}(?P<end>{_FAR}|{_NEAR})(?: away)?(?: from| to)? {_HERE}(?:$|(?= ))")
    if match is not None:
        found = replace(found, distance="least" if re.fullmatch(_NEAR, match["end"]) else "most")
    else:
        match = words.take(rf"\b{is_}(?P<end>{_FAR}|{_NEAR})(?: away)?(?: from| to) (?P<to>(?:the|a|an) [\w -]+)$")
        if match is not None:
            end: End = "least" if re.fullmatch(_NEAR, match["end"]) else "most"
            found = replace(found, distance=end, distance_to=thing_of(match["to"]))
    if found.distance is None:
        match = words.take(
            rf"^(?:the )?(?P<head>{_FAR}|{_NEAR}) (?=\w)"
            rf"|,? (?:that|which) (?:is|are|lies|stands)(?: now)?(?: the)? (?P<tail>{_FAR}|{_NEAR})(?: away)?$"
        )
        if match is not None:
            near = re.fullmatch(_NEAR, match["head"] or match["tail"])
            found = replace(found, distance="least" if near else "most")
    took = r"(?:,? ?(?:that|which|whose) )?(?:took|needed|required|lasted|cost)(?: you)?"
    number = r"(?:about |around |roughly )?(?P<n>\d{1,6}) ?(?P<unit>s|seconds?|min|minutes?)\b"
    for pattern in (
        rf"\b{took} (?:{number}|{_LONGEST}|{_SHORTEST})(?: {_DOING})?",
        rf"\byou (?:spent|needed|took) (?:{number}|{_LONGEST}|{_SHORTEST}) {_SPENT}",
        rf"\byou (?:carried|held|handled) (?:it )?(?:for )?(?:{number}|{_LONGEST}|{_SHORTEST})",
    ):
        match = words.take(pattern, " you moved ")
        if match is not None:
            seconds = float(match["n"]) * (60.0 if match["unit"].startswith("m") else 1.0) if match["n"] else 0.0
            found = replace(found, took=seconds if match["n"] else "most" if match["most"] else "least")
            break
    match = words.take(r"\b(?P<end>largest|biggest|smallest|tiniest|littlest)\b")
    if match is not None:
        found = replace(found, size="most" if match["end"] in ("largest", "biggest") else "least")
    return found


def _take_time(words: _Words, found: Instruction) -> Instruction:
    match = words.take(rf",? ?\b(?:at|around|about) (?:about )?{_CLOCK}(?=$| )")
    return found if match is None else replace(found, at_s=_of_day_s(match["clock"]))


def _take_order(words: _Words, found: Instruction) -> tuple[Instruction, tuple[int, ...]]:
    """Take out after and before what, and which in the order of time."""
    match = words.take(r"\b(?:in )?between (?P<a>(?:the|a|an) .+?) and (?P<b>(?:the|a|an) .+)$")
    if match is not None:
        return replace(found, after=thing_of(match["a"]), before=thing_of(match["b"])), ()
    match = words.take(
        rf"\b{_SOON}(?P<way>after|before|following|preceding) {_YOU_DID}(?P<thing>(?:the|a|an|your) .+?)"
        r"(?: (?:up|down|away))?$"
    )
    if match is not None:
        thing = thing_of(match["thing"])
        way = "after" if match["way"] in ("after", "following") else "before"
        found = replace(found, after=thing) if way == "after" else replace(found, before=thing)
    ordinals = []
    pattern = (
        rf",? ?\b(?:and |then |, )*(?:the )?(?:(?P<back>{_ORDINAL}|next)(?:[ -]to[ -](?:the[ -])?last)|"
        rf"(?P<but>last but (?:one|two))|(?P<pen>penultimate)|(?P<n>{_ORDINAL})|(?P<last>last|final|latest|most recent)"
        r"|(?P<early>earliest))\b(?! time)"
    )
    while (match := words.take(pattern)) is not None:
        ordinals.append(_place_in_order(match))
    return found, tuple(ordinals)


def _place_in_order(match: re.Match[str]) -> int:
    if match["back"]:
        return -2 if match["back"] == "next" else -_number(match["back"])
    if match["but"]:
        return -2 if match["but"].endswith("one") else -3
    if match["pen"]:
        return -2
    if match["n"]:
        return _number(match["n"]) - 1
    return 0 if match["early"] else -1


def _number(words: str) -> int:
    digits = re.match(r"\d+", words)
    return int(digits[0]) if digits else ORDINALS.index(words) + 1


_ROOM_WORDS = frozenset(("room", "rooms"))
_FURNITURE_WORDS = frozenset(
    "furniture receptacle receptacles surface surfaces place places spot spots location locations".split()
)
_OBJECT_WORDS = frozenset(
    "object objects thing things item items one ones something anything stuff what whatever".split()
)
_UNTOLD = frozenset("other another different single certain any one of".split())
"""Words before "object" that narrow nothing."""
_DONE_AFTER = re.compile(
    r"(?<=\w) (?=(?:(?:placed|put|dropped|deposited)(?: down)? (?:on|onto|in|into|inside|upon|by|at)|"
    r"(?:taken|picked|grabbed|lifted|removed|fetched)(?: up)? (?:from|off|out of|in|by)|"
    r"(?:handled|rearranged|moved|carried|touched|manipulated|transported)(?: (?:from|to|in|by|at|first|last)|$))\b)"
)
"""Where "the object placed on the table" goes on with what was done."""
_DONE_WITH = re.compile(
    r"^((?:the|a|an|all|every|each|any) )*(un)?(handled|moved|touched|rearranged|carried|displaced) "
)
_RELATIVE = re.compile(
    r"\b(?:(?P<pied>(?:from|off|on|onto|upon|in|into|inside|at|to) (?:which|where)|where)|that|which|(?=you\b))\b ?"
)


def _take_head(words: _Words, found: Instruction) -> Instruction:
    """Read what is left: a noun phrase, and a clause about it."""
    text = re.sub(r"\b(?:pieces? of furniture|furniture pieces?)\b", "furniture", words.text).strip(" ,")
    match = _RELATIVE.search(text)
    head, rest = (text, "") if match is None else (text[: match.start()], text[match.end() :])
    if match is None and (done_after := _DONE_AFTER.search(head)) is not None:
        head, rest = head[: done_after.start()], head[done_after.end() :]
    head = head.strip(" ,")
    clause = read_clause(rest, is_pied=bool(match and match["pied"]))
    done = _DONE_WITH.match(head)
    if done is not None and not clause.acts:
        # "the handled object"
        head, clause = head[done.end() :], Clause(acts=("touch",), is_negated=bool(done[2]))
    thing = thing_of(head)
    _check_meant(rest, thing, clause, is_narrowed=found != Instruction("object", every=found.every, day=found.day))
    last = thing.label.split()[-1] if thing.label else ""
    if last in _ROOM_WORDS and len(thing.label.split()) == 1:
        return replace(found, target="room", clause=clause)
    if thing.label in ROOM_KINDS or re.fullmatch(r"(.+) \d+", thing.label):
        return replace(found, target="room", head=thing, clause=clause)
    if last in _FURNITURE_WORDS:
        return replace(found, target="furniture", head=Thing("", thing.colour), clause=clause)
    if last in _OBJECT_WORDS or not thing.label:
        is_many = last in ("objects", "things", "items") and not (found.ordinals or head.startswith("any "))
        found = replace(found, every=found.every or is_many)
        if not thing.label and not (found.ordinals or clause.acts):
            raise ValueError("it does not say where to go")
        # "the third one that you placed something on"
        target: Target = "furniture" if clause.lacks_place else "object"
        return replace(found, target=target, head=Thing("", thing.colour), clause=clause)
    plural = thing.label != singular(thing.label)
    thing = Thing(singular(thing.label), thing.colour)
    target = "furniture" if clause.lacks_place else "object"
    return replace(found, target=target, head=thing, clause=clause, every=found.every and (plural or found.every))


def _check_meant(rest: str, thing: Thing, clause: Clause, *, is_narrowed: bool) -> None:
    """Refuse what would be understood by halves.

    Raises:
        ValueError: The clause tells of, or denies, something other than an act, or the noun has an unknown adjective.
    """
    if rest.strip() and not (clause.acts or clause.is_negated or is_narrowed):
        raise ValueError(f"I know what I did with things, not {rest.strip()!r}")
    if clause.is_negated and not clause.acts and not re.search(r"\b(?:nothing|anything)\b", rest):
        raise ValueError(f"I know what I did not do with things, not {rest.strip()!r}")
    label = thing.label.split()
    if label and label[-1] in _OBJECT_WORDS | _FURNITURE_WORDS | _ROOM_WORDS:
        unknown = [word for word in label[:-1] if word not in _UNTOLD]
        if unknown:
            raise ValueError(f"I cannot tell what is {' '.join(unknown)!r}")
