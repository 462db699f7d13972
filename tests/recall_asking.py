"""Questions to the made-up house of ``memory_world``, as a person asks them."""

from __future__ import annotations

from embodied.messages import Answer, Query
from memory_bank.recall.answers import answer
from memory_bank.recall.grammar import parse
from memory_bank.recall.matching import MemoryView
from memory_world import house_view


def ask(question: str | Query, view: MemoryView | None = None) -> Answer:
    """Return the answer, by default of the house on the evening of day two."""
    view = view or house_view()
    if isinstance(question, str):
        rooms = frozenset(r.name for r in view.rooms)
        question = parse(
            question, labels=view.labels, rooms=rooms, sessions=view.sessions, now_ns=view.now_ns, agent_m=view.agent_m
        )
    return answer(question, view)


def ids(found: Answer) -> list[str]:
    """Return the ids of the objects in an answer."""
    return [o.id for o in found.objects]
