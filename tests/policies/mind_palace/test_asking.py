from __future__ import annotations

import pytest

from embodied.errors import NotUnderstood
from policies.mind_palace.asking import NOW, Intent, Moment, understand

MONDAY = Moment("visit", "Monday", "morning")


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("In which room was the red ball on Monday morning?", Intent("red ball", "room", MONDAY)),
        ("In which room is the mug now?", Intent("mug", "room", NOW)),
        ("Which piece of furniture was the mug on or in on Monday morning?", Intent("mug", "carrier", MONDAY)),
        ("Which furniture is the mug on?", Intent("mug", "carrier", NOW)),
        (
            "Which piece of furniture was the mug mostly on or in in the evenings?",
            Intent("mug", "carrier", Moment("mostly", part="evening")),
        ),
        (
            "Which piece of furniture will the mug most likely be on or in on Friday evening?",
            Intent("mug", "carrier", Moment("future", "Friday", "evening")),
        ),
        ("Was the mug on the coffee table on Monday morning?", Intent("mug", "same", MONDAY, carrier="coffee table")),
        ("Is the mug in the sink now?", Intent("mug", "same", NOW, carrier="sink")),
        ("Is the mug now where it was on Monday morning?", Intent("mug", "same", NOW, MONDAY)),
        (
            "Is the mug now where it mostly was in the mornings?",
            Intent("mug", "same", NOW, Moment("mostly", part="morning")),
        ),
        (
            "Was the mug in the same place on Monday morning and on Tuesday evening?",
            Intent("mug", "same", MONDAY, Moment("visit", "Tuesday", "evening")),
        ),
        (
            "Does the mug have to be moved before Friday evening, if it is to be where it usually is then?",
            Intent("mug", "same", NOW, Moment("future", "Friday", "evening"), is_negated=True),
        ),
        ("On how many of your earlier visits was the mug on or in the desk?", Intent("mug", "count", carrier="desk")),
    ],
)  # fmt: skip
def test_a_question_is_understood(question: str, intent: Intent) -> None:
    assert understand(question) == intent


@pytest.mark.parametrize("question", ["", "Who ate the apple?", "Is the mug where it was on Someday morning now?"])
def test_what_is_beyond_the_grammar_is_refused(question: str) -> None:
    with pytest.raises(NotUnderstood):
        understand(question)
