"""What the noun phrases of a question mean: things, rooms, places. Pure; used by the forms of the grammar."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from embodied.messages import RelationFilter, RelationKind
from memory_bank.recall.words import COLOURS, ROOM_KINDS, known_as, singular

MAX_LABEL_WORDS = 4

ARTICLES = frozenset("the a an my your our his her their any some all every each this that these those of both".split())
ALL = frozenset("thing things object objects item items stuff everything anything something one ones else".split())
HERE = frozenset(
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
PREPOSITION = r"(?:" + "|".join(word for word, _ in _PREPOSITIONS) + r")"
_MEANT = re.compile(
    r"(?:an? |some |any |the )?(?:something|anything|somewhere|things?|stuff|objects?|one) "
    r"(?:(?:(?:that|which) )?(?:i|you|we|one) (?:can|could) (?:use to |use for )?|"
    r"(?:that|which) (?:is|are) |used (?:to|for) |made (?:of|for) |to |for |like |similar to |that |which )(?P<text>.+)"
)
OBJECT_ID = re.compile(r"o\d{1,9}")


def plain(name: str) -> str:
    """Return a name as the words of a question are spelled: "Ann's mug" becomes "ann mug"."""
    return " ".join(re.sub(r"[^\w-]+", " ", re.sub(r"['’]s\b", "", name.lower())).split())


class NotAQuery(ValueError):
    """Why a question cannot be a query, in words."""


@dataclass(frozen=True)
class Known:
    """The vocabulary of the memory."""

    labels: Mapping[str, str]
    """By their spelling in questions (``plain``), as the memory writes them."""
    rooms: Collection[str]

    def label(self, phrase: str) -> str | None:
        """Return the label that a phrase means; None if it means none that is known."""
        found = known_as(phrase, self.labels)
        return None if found is None else self.labels.get(found, found)


@dataclass(frozen=True)
class _Place:
    room: str = ""
    relation: RelationFilter | None = None


def split_places(words: str) -> tuple[str, list[tuple[RelationKind, str]]]:
    """Split "mug on the table in the kitchen" into the thing and its places."""
    parts = re.split(rf"(?:^|\s)({PREPOSITION})(?=\s|$)", words)
    places = [(_KIND_OF[parts[i]], parts[i + 1].strip()) for i in range(1, len(parts), 2)]
    return parts[0].strip(), places


def bare(words: str) -> list[str]:
    """Return the words without the articles that they begin with."""
    tokens = words.split()
    while tokens and tokens[0] in ARTICLES:
        tokens.pop(0)
    return tokens


def room_of(words: str, known: Known) -> str:
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


def thing(words: str, known: Known, *, needed: bool = True) -> dict[str, Any]:
    """Return label, colour and perhaps room of a noun phrase: "the red kitchen chairs".

    Raises:
        NotAQuery: The phrase names nothing, or nothing that can be seen.
    """
    tokens = bare(words)
    colour = ""
    while len(tokens) > 1 and (tokens[0] in COLOURS or (tokens[0] in _SHADES and tokens[1] in COLOURS)):
        colour = COLOURS.get(tokens[0], colour)
        tokens.pop(0)
    while tokens and tokens[0] in ALL | {"other", "more", "different"}:
        tokens.pop(0)
        if not tokens:
            return {"label": "", "colour": colour}
    if not tokens:
        if needed:
            raise NotAQuery("it names nothing to look for")
        return {"label": "", "colour": colour}
    phrase = " ".join(tokens)
    if OBJECT_ID.fullmatch(phrase):
        return {"object_id": phrase}
    if not re.fullmatch(r"[^\W_][\w-]*(?: [\w-]+)*", phrase) or len(tokens) > MAX_LABEL_WORDS:
        raise NotAQuery(f"'{phrase}' is not a thing that I could have seen")
    if phrase in COLOURS and phrase != "orange":
        return {"label": "", "colour": COLOURS[phrase]}
    label = known.label(phrase)
    if label is None:
        for n in (2, 1):
            room = room_of(" ".join(tokens[:n]), known) if len(tokens) > n else ""
            if room:
                return {"label": label_of(" ".join(tokens[n:]), known), "colour": colour, "room": room}
        if len(tokens) > 1 and tokens[-1] in COLOURS and not colour:
            # "is the mug red"
            return {"label": label_of(" ".join(tokens[:-1]), known), "colour": COLOURS[tokens[-1]]}
    return {"label": label or singular(phrase), "colour": colour}


def label_of(phrase: str, known: Known) -> str:
    """Return the label that the memory uses for a phrase; the phrase's singular if it uses none."""
    return known.label(phrase) or singular(phrase)


def places_of(places: Sequence[tuple[RelationKind, str]], known: Known) -> dict[str, Any]:
    """Return room and relation that the places of a question name.

    Raises:
        NotAQuery: They name two rooms, two relations, or nothing that can be seen.
    """
    place = _Place()
    for kind, words in places:
        phrase = " ".join(bare(words))
        if not phrase or phrase in HERE:
            continue
        room = room_of(phrase, known)
        if room:
            found = _Place(room=room)
        else:
            anchor = thing(phrase, known)
            if "object_id" in anchor:
                raise NotAQuery("an id can be asked for, but nothing can be sought beside one")
            relation = RelationFilter(kind=kind, label=anchor["label"], colour=anchor["colour"])
            found = _Place(room=anchor.get("room", ""), relation=relation)
        if (found.room and place.room) or (found.relation and place.relation):
            raise NotAQuery("only one room and one relation fit into a question")
        place = replace(place, room=found.room or place.room, relation=found.relation or place.relation)
    return {name: value for name, value in (("room", place.room), ("relation", place.relation)) if value}


def thing_in_place(words: str, known: Known, *, needed: bool = True) -> dict[str, Any]:
    """Return what "the red mug on the table in the kitchen" or "something to drink from" means.

    Raises:
        NotAQuery: It means nothing that a query can ask for.
    """
    meant = _MEANT.fullmatch(words)
    if meant is not None:
        return {"label": "", "colour": ""} | _meaning(meant["text"], known)
    name, places = split_places(words)
    narrowed = places_of(places, known)
    found = thing(name, known, needed=needed)
    if found.get("room") and narrowed.get("room"):
        raise NotAQuery("only one room fits into a question")
    return found | narrowed


def _meaning(text: str, known: Known) -> dict[str, Any]:
    """Return free words, without the room at their end."""
    for match in re.finditer(r" in (?=\S)", text):
        room = room_of(" ".join(bare(text[match.end() :])), known)
        if room:
            return {"text": text[: match.start()], "room": room}
    return {"text": text}


def labels_of(words: str, known: Known) -> tuple[str, ...]:
    """Return the labels, with their colours, of "a stove, a red kettle and two chairs".

    Raises:
        NotAQuery: One of them is nothing that can be seen.
    """
    found = []
    for part in re.split(r" (?:and|or|with|as well as|plus) ", f" {words} "):
        named = thing(part.strip(), known)
        if not named.get("label"):
            raise NotAQuery(f"'{part.strip()}' names nothing that stands in a room")
        found.append(" ".join(word for word in (named["colour"], named["label"]) if word))
    return tuple(dict.fromkeys(found))
