"""What was tried and how it ended: the memory of an agent's own tasks."""

from __future__ import annotations

from typing import Tuple

import msgspec

from embodied.messages.base import Message


class Experience(msgspec.Struct, frozen=True, kw_only=True):
    """One remembered attempt."""

    id: int
    intent: str
    """What was to be done."""
    text: str
    """What was done and learned."""
    succeeded: bool
    utility: float
    """Learned worth of recalling it."""
    n_rewarded: int
    stamp_ns: int


class AddExperience(Message, tag="add_experience"):
    """Remember an attempt. What the memory has already is updated instead, or left as it is."""

    intent: str
    text: str
    succeeded: bool
    stamp_ns: int


class AddExperienceReply(Message, tag="add_experience_reply"):
    """What became of it."""

    operation: str
    """``add``, ``update``, ``delete`` (of what it contradicts, then added) or ``noop``."""
    experience: Experience


class RecallExperiences(Message, tag="recall_experiences"):
    """Ask what was tried before for something alike."""

    intent: str
    limit: int = 5


class ExperiencesReply(Message, tag="experiences_reply"):
    """What helps, best first; failures apart, as warnings."""

    successes: Tuple[Experience, ...]
    failures: Tuple[Experience, ...]


class RewardExperiences(Message, tag="reward_experiences"):
    """Tell how a task ended for which these were recalled; their utilities learn from it. Answered with them."""

    ids: Tuple[int, ...]
    reward: float
    """-1 to 1."""
