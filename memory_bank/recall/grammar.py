"""English questions to structured queries: a small grammar, no model. Pure.

A question is a *form* with the *things* it asks about, *places* that narrow it down, and *time phrases* (``times``)
anywhere in it. Capital letters, punctuation, articles, "please" and "can you tell me" do not matter.

========= ===========================================================================================================
form      examples
========= ===========================================================================================================
where     where is the red mug · where are the books · where did you last see my keys · which room is the sofa in ·
          find the remote · is there a piano · have you seen a cat · is the mug in the kitchen · which book is on the
          table · where did you first see the laptop · where was the mug at 10:00
habits    where is the mug usually · where do you most often see the cat · where does the dog normally lie
what      what is on the table · what is in the kitchen · what do you see near the sofa · what colour is the mug ·
          list the things in the office · what did you see first · what was the last thing you saw in the kitchen
unseen    what have you not seen since yesterday · which mugs have you not seen for two days
about     what do you know about the mug · tell me about the red mug · describe the kitchen · is there a note on the
          fridge · what is the history of the mug
told      who told you about the keys · what were you told · did anyone tell you about the vase · did you see the keys
          yourself · how do you know that the mug is in the kitchen
when      when did you last see the mug · when did you first see the laptop · when was the mug last seen ·
          when did the chair move · when was the vase removed · since when is the vase gone · when were you last in the
          kitchen
changes   what changed (since yesterday) · what was moved (today) · what is missing in the kitchen · what is new ·
          was the mug moved · what happened to the mug · what is gone since Monday
count     how many chairs are there · how many books are on the shelf · count the mugs in the kitchen
rooms     which room has a stove and a kettle · which rooms do you know · how many rooms are there · what rooms are next
          to the kitchen · where am I
views     show me pictures of the red mug · show me the last picture of the kitchen · what does the office look like
========= ===========================================================================================================

*Things*: an optional colour and a label: "red mug", "books", "coffee table", "kitchen table". Plurals and synonyms
become the label that the memory knows ("couch" finds what a detector called "sofa"); "thing", "object", "anything" mean
all; ``o12`` is the object with this id; "something to drink from", "anything like a teapot" are compared by meaning,
where the memory has a model of words. *Places*: "in the kitchen", "in bedroom 2" (rooms); "on the table", "in the
bowl", "next to the red sofa" (relations, one a question; near, next to, beside, by, close to and at all mean near);
"near (1.5, 2.0)", "within 2 m of (1.5, 2.0)" (points); "near me", "within 3 m of me", "the nearest chair", "what is
closest to me" (where the robot is, or was last; near means 2 m).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from embodied.errors import NotUnderstood
from embodied.messages import Point, Query, SessionRecord
from memory_bank.recall.forms import FORMS, Fields
from memory_bank.recall.phrases import Known, NotAQuery, plain
from memory_bank.recall.times import Times, Window

MAX_CHARACTERS = 400
NEAR_AGENT_M = 2.0
"""What "near me" means."""
ANYWHERE_M = 1000.0
"""Within this, the nearest is sought."""

EXAMPLES = (
    "where is the red mug?",
    "what is on the kitchen table?",
    "when did you last see the laptop?",
    "what changed since yesterday?",
    "how many chairs are there?",
)

_UNSUPPORTED = re.compile(
    r"\b(under|underneath|beneath|below|above|over|behind|between|left of|right of|in front of|opposite)\b"
)
_NUMBER = r"[-+]?\d{1,6}(?:\.\d{1,9})?"
_POINT = re.compile(
    rf"\b(?:within ({_NUMBER}) ?m(?:et(?:er|re)s?)? (?:of|from|around)|near|at|around|close to|(nearest|closest) to) "
    rf"\(? ?({_NUMBER}) ?, ?({_NUMBER})(?: ?, ?({_NUMBER}))? ?\)?(?: ?m\b)?"
)
_ME = r"(?:me|you|us|the robot|yourself|where (?:i am|you are|we are))"
_NEAREST = re.compile(
    rf"\b(?:(?:the )?(?:closest|nearest)(?: (?:one|thing|object)s?)?(?: to {_ME}\b)?|closest by)(?! to\b)"
)
_NEAR_ME = re.compile(
    rf"\b(?:within ({_NUMBER}) ?m(?:et(?:er|re)s?)? (?:of|from|around) {_ME}|"
    rf"(?:near to|near|close to|next to|beside|around|by) (?:{_ME}|here)|nearby|close by)\b(?! (?:the|a|an)\b)"
)
_POLITE = re.compile(
    r"^(?:please|hey|hi|hello|ok|okay|so|and|robot|well|tell me(?: please)?(?! (?:about|everything)\b)|say|"
    r"show me(?= (?:where|what|when|how))|"
    r"(?:can|could|would|will) you(?: please)?(?= (?:tell|show|say|find|list|count|describe))|"
    r"do you (?:know|remember)(?= (?:where|what|when|how|which|who))|"
    r"i (?:want|would like|need) to know) "
)
_POLITELY_NOT = re.compile(r"^(can|could|would|will|have|has|did|do|does|is|are|was|were) not ")
_NEGATED = re.compile(r"\b(?:not|never)\b")
_FILLERS = re.compile(
    r"\b(?:right now|now|currently|at the moment|exactly|please|at all|again|ever|still|recently|lately|already)\b"
)
_OFTEN = re.compile(
    r"\b(?:usually|most often|most of the time|mostly|normally|typically|generally|as a rule|most frequently)\b"
)
_THOUGHT = re.compile(
    r"\b(?:did|had|have|would) (?:you|the robot|we) (?:think|thought|believe|believed|expect|expected|suppose|supposed|"
    r"say|said|assume|assumed)(?: that)?\b"
)
_SEEING = re.compile(r"\b(?:see|saw|seen|spot|spotted|notice|noticed|observe|observed|find|found)\b")
_AS_IT_WAS = ("where", "what", "count", "which_room")


@dataclass(frozen=True)
class _Near:
    """Around which point a question looks."""

    point_m: Point | None = None
    is_agent: bool = False
    radius_m: float = 1.0
    nearest: bool = False


def parse(
    text: str,
    *,
    labels: Collection[str] = (),
    rooms: Collection[str] = (),
    sessions: Sequence[SessionRecord] = (),
    now_ns: int = 0,
    agent_m: Point | None = None,
) -> Query:
    """Turn an English question into a query; the module's docstring is the grammar.

    Args:
        text: The question.
        labels: Labels that the memory knows, to map synonyms and plurals onto.
        rooms: Names of rooms that the memory knows.
        sessions: Known sessions, for "on day-1".
        now_ns: What "today" is reckoned from.
        agent_m: Where "me" is.

    Raises:
        NotUnderstood: The question is beyond the grammar; the text says what was not understood and gives examples.
        ValueError: The question is too long.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"question: expected at most {MAX_CHARACTERS} characters, got {len(text)}")
    try:
        known = Known({plain(label): label for label in sorted(labels)}, rooms)
        return _parse(text, known, Times(now_ns, sessions), agent_m, now_ns, sessions)
    except ValueError as error:
        examples = " · ".join(EXAMPLES)
        raise NotUnderstood(f"I did not understand {text!r}: {error}. Ask for example: {examples}") from None


def _parse(
    text: str, known: Known, times: Times, agent_m: Point | None, now_ns: int, sessions: Sequence[SessionRecord]
) -> Query:
    words, near = _take_near(_normalised(text))
    if re.match(r"(?:in )?(?:which|what) rooms? ", words):
        words = re.sub(r",(?: and)? ", " and ", words)
    words = re.sub(r"[^\w\s:.-]|(?<!\d)[.:]|[.:](?!\d)|(?<!\w)-|-(?!\w)", " ", words)
    words, known_ns = times.take_known(" ".join(words.split()))
    words, unseen_ns = times.take_unseen(words)
    words, window = times.take_window(words)
    words, n_thought = _THOUGHT.subn(" ", words)
    words, n_often = _OFTEN.subn(" ", words)
    words = _bare(" ".join(_FILLERS.sub(" ", words).split()))
    if not words:
        raise NotAQuery("there is no question in it")
    if _NEGATED.search(words):
        raise NotAQuery("of what is not so, I can only tell what was 'not seen since' a time")
    unsupported = _UNSUPPORTED.search(words)
    if unsupported:
        raise NotAQuery(f"'{unsupported[0]}' is not among the relations on, in and near")
    fields = _matched(words, known) | ({"unseen_since_ns": unseen_ns} if unseen_ns is not None else {})
    if unseen_ns is not None and fields["kind"] == "changes":
        raise NotAQuery("I can tell what changed, not what did not")
    fields |= {"known_ns": known_ns} if known_ns is not None else {}
    if n_thought and window != Window():
        fields["known_ns"] = _end_ns(window, now_ns, sessions)
    else:
        fields |= _window_fields(window, fields["kind"], bool(_SEEING.search(words)), now_ns, sessions)
    if n_often:
        if fields["kind"] != "where":
            raise NotAQuery("only where something is can be asked for 'most often'")
        fields["order"] = "most_often"
    return Query(**_placed(fields, near, agent_m))


def _bare(words: str) -> str:
    """Return a question without what is said for politeness: "hey, haven't you seen my keys" is "have you seen …"."""
    while True:
        words = _POLITELY_NOT.sub(r"\1 ", words)
        polite = _POLITE.match(words + " ")
        if polite is None:
            return words
        words = words[polite.end() :].strip()


def _matched(words: str, known: Known) -> Fields:
    for pattern, build in FORMS:
        match = pattern.match(words)
        if match is not None:
            return build(match, known)
    raise NotAQuery("it does not begin like a question that I know (where, what, when, how many, what changed)")


def _normalised(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("`", "'")
    text = re.sub(r"\b(where|what|when|who|there|it)'s\b", r"\1 is", text)
    text = re.sub(r"\b(where|what|when)'re\b", r"\1 are", text)
    text = re.sub(r"\b(i|you|we|they)'ve\b", r"\1 have", text).replace("'s ", " ")
    text = text.replace("can't", "can not").replace("won't", "will not").replace("n't", " not")
    return " ".join(text.split())


# ------------------------------------------------------------------------------------------ near what, and when


def _take_near(text: str) -> tuple[str, _Near]:
    """Take a point, or "near me", out of a question."""
    match = _POINT.search(text)
    if match is not None:
        radius, nearest, x, y, z = match.groups()
        point_m = (float(x), float(y), float(z or 0.0))
        radius_m = ANYWHERE_M if nearest else float(radius or 1.0)
        return _without(text, match), _Near(point_m, radius_m=radius_m, nearest=bool(nearest))
    match = _NEAREST.search(text)
    if match is not None:
        return _without(text, match), _Near(is_agent=True, radius_m=ANYWHERE_M, nearest=True)
    match = _NEAR_ME.search(text)
    if match is not None:
        return _without(text, match), _Near(is_agent=True, radius_m=float(match[1] or NEAR_AGENT_M))
    return text, _Near()


def _without(text: str, match: re.Match[str]) -> str:
    return " ".join((text[: match.start()] + " " + text[match.end() :]).split())


def _placed(fields: Fields, near: _Near, agent_m: Point | None) -> dict[str, Any]:
    """Add the point around which a question looks."""
    is_agent = near.is_agent or fields.get("near_m") == "agent"
    if is_agent and agent_m is None:
        raise NotAQuery("I do not know where I am")
    if is_agent:
        fields = fields | {"near_m": agent_m, "radius_m": near.radius_m}
    elif near.point_m is not None:
        fields = fields | {"near_m": near.point_m, "radius_m": near.radius_m}
    if near.nearest:
        if fields["kind"] not in ("where", "what"):
            raise NotAQuery("only things can be asked for the nearest")
        fields = fields | {"order": "nearest"}
    return fields


def _window_fields(
    window: Window, kind: str, is_seeing: bool, now_ns: int, sessions: Sequence[SessionRecord]
) -> Fields:
    """Return the times of a query.

    Where things *were* yesterday is told as of its end, whether they were seen then or not; what was *seen* yesterday
    must have been.
    """
    if window.is_named and kind in _AS_IT_WAS and not is_seeing:
        end_ns = _end_ns(window, now_ns, sessions)
        return {"until_ns": end_ns} if end_ns < now_ns else {}
    return {"since_ns": window.since_ns, "until_ns": window.until_ns, "session": window.session}


def _end_ns(window: Window, now_ns: int, sessions: Sequence[SessionRecord]) -> int:
    ends = [window.end_ns] if window.end_ns is not None else []
    ends += [s.end_ns for s in sessions if s.session == window.session and s.end_ns is not None]
    return min(ends, default=now_ns)
