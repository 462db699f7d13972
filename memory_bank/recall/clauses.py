"""Relative clauses about what the robot did: which act, with what, from where to where, and what they lack. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from memory_bank.recall.phrases import ARTICLES
from memory_bank.recall.words import COLOURS

Act = Literal["touch", "pick", "place"]


@dataclass(frozen=True)
class Thing:
    """What a noun phrase names."""

    label: str = ""
    """Without articles; empty for anything."""
    colour: str = ""
    """In the memory's words."""


@dataclass(frozen=True)
class Place:
    """Where an act happened: a room, or furniture."""

    act: Literal["pick", "place"]
    thing: Thing


@dataclass(frozen=True)
class Clause:
    """What was done."""

    acts: tuple[Act, ...] = ()
    is_negated: bool = False
    moved: Thing | None = None
    """With what, where the clause names it; an empty thing is anything."""
    places: tuple[Place, ...] = ()
    """From where, and to where."""
    lacks_place: bool = False
    """The clause lacks where it was done: it is about a place."""


ANYTHING = Thing()
NOTHING_DONE = Clause()

_ACTS: tuple[tuple[Act, str], ...] = (
    ("pick", r"pick(?:ed|ing)?(?: up)?|took|taken|take|grabb?(?:ed)?|lift(?:ed)?(?: up)?|grasp(?:ed)?|remov(?:ed|e)|"
             r"fetch(?:ed)?|collect(?:ed)?"),
    ("place", r"plac(?:ed|e|ing)|put(?:ting)?(?: down| away)?|set(?: down)?|laid(?: down)?|dropp?(?:ed)?(?: off)?|"
              r"deposit(?:ed)?|left|leave|deliver(?:ed)?|releas(?:ed|e)|returned"),
    ("touch", r"interact(?:ed|ing)?(?: with)?|handl(?:ed|e|ing)|rearrang(?:ed|e|ing)|mov(?:ed|e|ing)|"
              r"(?:un)?touch(?:ed|ing)?|manipulat(?:ed|e)|carr(?:ied|y|ying)|transport(?:ed)?|relocat(?:ed|e)|us(?:ed|e|ing)|displac(?:ed|e)|"
              r"work(?:ed|ing)? with|deal(?:t)? with|brought|held|h[eo]ld(?:ing)?"),
)  # fmt: skip
_ANY_ACT = re.compile("|".join(rf"\b(?P<{act}>{words})\b" for act, words in _ACTS))
_NEGATION = re.compile(r"\b(?:not|never|nothing|neither|nor|no|none|without|untouched|alone)\b")
_PREPOSITION = re.compile(r"\b(out of|from|off|onto|on top of|on|into|inside|in|upon|at|to|with)\b")
_ANY_WORDS = frozenset(
    "object objects thing things item items something anything one ones stuff it them nothing everything".split()
)


def thing_of(words: str) -> Thing:
    """Return what a noun phrase names: "the red mugs" is red, and mugs."""
    tokens = words.replace(",", " ").split()
    while tokens and (tokens[0] in ARTICLES or tokens[0] in ("to", "of", "another", "piece")):
        tokens.pop(0)
    colour = ""
    while len(tokens) > 1 and tokens[0] in COLOURS:
        colour = COLOURS[tokens.pop(0)]
    while tokens and tokens[-1] in ("up", "down", "away", "there"):
        tokens.pop()
    return Thing(" ".join(tokens), colour)


def read_clause(text: str, *, is_pied: bool = False) -> Clause:
    """Read a relative clause.

    Args:
        text: What follows "that" or "from which".
        is_pied: A preposition, or "where", came before it: the clause is about a place.
    """
    matches = list(_ANY_ACT.finditer(text))
    acts: list[Act] = []
    places: list[Place] = []
    moved: Thing | None = None
    lacks_place = is_pied and bool(matches)
    for number, match in enumerate(matches):
        act: Act = next(name for name, _ in _ACTS if match[name])
        stop = matches[number + 1].start() if number + 1 < len(matches) else len(text)
        rest = re.sub(r"\b(?:and|or|you|then|,)\s*$", "", text[match.end() : stop].strip()).strip()
        acts.append(act)
        direct, phrases = _arguments(rest)
        if direct:
            thing = thing_of(direct)
            moved = Thing("", thing.colour) if thing.label in _ANY_WORDS else thing
        for preposition, words in phrases:
            if preposition == "with":
                continue
            if not words:
                lacks_place = True
                continue
            taken = preposition in ("from", "off", "out of") or (act == "pick" and preposition != "to")
            places.append(Place("pick" if taken else "place", thing_of(words)))
    return Clause(
        acts=tuple(dict.fromkeys(acts)),
        is_negated=_NEGATION.search(text) is not None,
        moved=moved,
        places=tuple(places),
        lacks_place=lacks_place,
    )


def _arguments(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the direct object, and each preposition with what follows it."""
    parts = _PREPOSITION.split(text)
    direct = re.sub(r"\b(?:up|down|away|with|anything|else)\b$", "", parts[0].strip()).strip()
    direct = re.sub(r"^(?:up|down|away)\b", "", direct).strip()
    if parts[0].strip() in ("anything", "something", "nothing") or parts[0].strip().endswith(" anything"):
        direct = "something"
    phrases = []
    for index in range(1, len(parts), 2):
        words = re.sub(r"\b(?:or|and|,)\s*$", "", parts[index + 1].strip()).strip()
        phrases.append((parts[index], words))
    return direct, phrases
