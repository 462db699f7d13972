"""What was tried and how it ended: kept apart by success, recalled by likeness and by what it was worth before.

Experiences are data for whoever plans. They are never carried out, and nothing in them is an instruction to the
memory. Strategies (``memory_bank.strategies``) decide what a new one does to the others, which one leaves when there
are too many, and what is recalled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import msgspec
import numpy as np

from embodied.arrays import Float
from embodied.config import Config
from embodied.errors import ConfigurationError
from embodied.messages import (
    AddExperience,
    AddExperienceReply,
    Experience,
    ExperiencesReply,
    RecallExperiences,
    RewardExperiences,
)
from memory_bank.agent.word_vectors import word_vectors
from memory_bank.features.protocol import TextEncoder
from memory_bank.stores.rows import read_struct
from memory_bank.strategies import registry
from memory_bank.strategies.protocol import Cue, Items, Notes
from memory_bank.strategies.retrieve.two_phase import rewarded

logger = logging.getLogger(__name__)

MAX_INTENT_LENGTH = 500
MAX_TEXT_LENGTH = 4000
MAX_LIMIT = 100
WORDS_THRESHOLD = 0.3
"""Least cosine of a candidate where texts are compared by words: fewer agree than with an encoder of meaning."""
_ROWS = "experience/"
_NEXT_ID = "experiences/next_id"

_UNLIKE = Notes(np.eye(3), np.eye(3), np.ones(3, dtype=bool), np.zeros(3))
"""Three notes that have nothing in common."""

PutRow = Callable[[str, "bytes | None"], None]
"""Lets a row be stored under a name, or taken out (None), at the next commit."""


class ExperienceConfig(Config):
    """How experiences are kept and recalled."""

    capacity: int = 1000
    """Experiences kept at most."""
    decide: str = "operations"
    """The ``manage`` strategy that compares a new one with those that are there."""
    decide_settings: dict[str, registry.Setting] = {}
    """Its settings."""
    prune: str = "failures_apart"
    """The ``manage`` strategy that chooses what leaves when there are too many."""
    prune_settings: dict[str, registry.Setting] = {}
    """Its settings."""
    retrieve: str = "two_phase"
    """The ``retrieve`` strategy. Given are the intent's vector, utilities as values, stamps, and the latest stamp."""
    retrieve_settings: dict[str, registry.Setting] = {}
    """Its settings."""
    learning_rate: float = 0.3
    """How far a reward moves a utility (MemRL: 0.3)."""


class _Stored(msgspec.Struct, frozen=True):
    """An experience with its vectors, which are worth keeping: encoding takes milliseconds."""

    experience: Experience
    encoder: str = ""
    """Name of the encoder; empty where words are compared."""
    intent_vector: bytes = b""
    text_vector: bytes = b""


class ExperienceService:
    """Holds the experiences of a memory, and answers for them."""

    def __init__(self, config: ExperienceConfig, put: PutRow, encoder: TextEncoder | None = None) -> None:
        """Begin with nothing.

        Args:
            config: Settings.
            put: Where changed rows go.
            encoder: Compares texts by meaning; None to compare their words.

        Raises:
            ConfigurationError: A strategy or one of its settings does not exist, a strategy needs what experiences do
                not have, or a bound makes no sense.
        """
        if config.capacity < 2 or not 0.0 < config.learning_rate <= 1.0:
            raise ConfigurationError(
                f"experiences: expected a capacity from 2 and a learning rate in (0, 1], got {config.capacity} and "
                f"{config.learning_rate:g}"
            )
        try:
            self._decide = registry.get("manage", config.decide, config.decide_settings)
            self._prune = registry.get("manage", config.prune, config.prune_settings)
            settings = dict(config.retrieve_settings)
            if encoder is None and "threshold" in registry.settings_of("retrieve", config.retrieve):
                settings.setdefault("threshold", WORDS_THRESHOLD)
            self._retrieve = registry.get("retrieve", config.retrieve, settings)
            one = np.ones((1, 1))
            self._retrieve(Cue(vector=one[0], stamp=0.0), Items(np.zeros(1), vectors=one, values=np.zeros(1)), 1)
        except ValueError as error:
            raise ConfigurationError(f"experiences: {error}") from error
        if not self._prune(_UNLIKE, 2).leaves:
            raise ConfigurationError(
                f"experiences: manage strategy {config.prune!r} makes no room; set another as prune"
            )
        self._config, self._put, self._encoder = config, put, encoder
        self._held: dict[int, _Stored] = {}
        self._next_id = 0

    def restore(self, rows: Mapping[str, bytes]) -> None:
        """Go on with what was stored. Rows of other names are passed over.

        Raises:
            StoreError: A row is damaged.
        """
        stored = [read_struct(key, body, _Stored) for key, body in rows.items() if key.startswith(_ROWS)]
        self._held = {one.experience.id: one for one in stored}
        self._next_id = int(rows.get(_NEXT_ID, b"0"))
        self._sort()
        name = self._encoder.name if self._encoder else ""
        others = [one.experience for one in self._held.values() if one.encoder != name]
        if others and self._encoder:
            logger.info("encoding %d experiences anew with %s", len(others), name)
            for one in others:
                self._keep(self._encoded(one))

    @property
    def experiences(self) -> tuple[Experience, ...]:
        """All of them, oldest first."""
        return tuple(stored.experience for stored in self._held.values())

    # ------------------------------------------------------------------------------------------ requests

    def add(self, request: AddExperience) -> AddExperienceReply:
        """Remember an attempt, as the strategy decides.

        Raises:
            ValueError: The intent or the text is empty or too long, or the instant is negative. Nothing was changed.
        """
        _check_text("intent", request.intent, MAX_INTENT_LENGTH)
        _check_text("text", request.text, MAX_TEXT_LENGTH)
        if request.stamp_ns < 0:
            raise ValueError(f"stamp_ns: expected nanoseconds since 1970, got {request.stamp_ns}")
        new = self._encoded(
            Experience(
                id=self._next_id, intent=request.intent, text=request.text, succeeded=request.succeeded, utility=0.0,
                n_rewarded=0, stamp_ns=request.stamp_ns,
            )
        )  # fmt: skip
        ids = list(self._held)
        notes = self._notes([*self._held.values(), new])
        decision = self._decide(notes, self._config.capacity)
        if decision.operation == "noop":
            return AddExperienceReply(operation="noop", experience=self._held[ids[decision.alike]].experience)
        if decision.operation == "update":
            old = self._held[ids[decision.leaves[0]]].experience
            told = msgspec.structs.replace(new.experience, id=old.id, utility=old.utility, n_rewarded=old.n_rewarded)
            self._keep(msgspec.structs.replace(new, experience=told))
            return AddExperienceReply(operation="update", experience=told)
        for index in self._leaving(notes, decision.leaves):
            self._drop(ids[index])
        self._next_id += 1
        self._put(_NEXT_ID, str(self._next_id).encode())
        self._keep(new)
        return AddExperienceReply(operation=decision.operation, experience=new.experience)

    def recall(self, request: RecallExperiences) -> ExperiencesReply:
        """Return what was tried for something alike: successes, and failures as warnings, at most ``limit`` of each.

        Raises:
            ValueError: The intent is empty or too long, or the limit is not between 1 and 100.
        """
        _check_text("intent", request.intent, MAX_INTENT_LENGTH)
        if not 1 <= request.limit <= MAX_LIMIT:
            raise ValueError(f"limit: expected 1 to {MAX_LIMIT}, got {request.limit}")
        held = list(self._held.values())
        texts = [stored.experience.intent for stored in held]
        if self._encoder is None:
            *rows, cue = word_vectors([*texts, request.intent])
        else:
            rows, (cue,) = (
                [self._vector(stored.intent_vector) for stored in held],
                self._encoder.encode([request.intent]),
            )
        found = []
        for succeeded in (True, False):
            inside = [index for index, stored in enumerate(held) if stored.experience.succeeded == succeeded]
            found.append(
                self._best([held[index].experience for index in inside], [rows[i] for i in inside], cue, request)
            )
        return ExperiencesReply(successes=found[0], failures=found[1])

    def reward(self, request: RewardExperiences) -> ExperiencesReply:
        """Let the utilities of experiences that were used learn how the task ended; return these experiences.

        Raises:
            ValueError: The reward is not in -1 to 1, or an id is unknown. Nothing was changed.
        """
        if not -1.0 <= request.reward <= 1.0:
            raise ValueError(f"reward: expected -1 to 1, got {request.reward}")
        ids = list(dict.fromkeys(request.ids))
        unknown = [each for each in ids if each not in self._held]
        if unknown:
            raise ValueError(f"ids: expected experiences that I have, got {', '.join(map(str, unknown))}")
        for each in ids:
            stored = self._held[each]
            old = stored.experience
            learned = msgspec.structs.replace(
                old,
                utility=rewarded(old.utility, request.reward, self._config.learning_rate),
                n_rewarded=old.n_rewarded + 1,
            )
            self._keep(msgspec.structs.replace(stored, experience=learned))
        now = [self._held[each].experience for each in ids]
        return ExperiencesReply(
            successes=tuple(one for one in now if one.succeeded),
            failures=tuple(one for one in now if not one.succeeded),
        )

    # ------------------------------------------------------------------------------------------ keeping

    def _leaving(self, notes: Notes, leaving: tuple[int, ...]) -> list[int]:
        """Return the indices of the notes that leave, and of as many more as have to, for the new one to fit."""
        stays = np.setdiff1d(np.arange(len(notes)), leaving)
        while len(stays) > self._config.capacity:
            rows = Notes(notes.intents[stays], notes.texts[stays], notes.succeeded[stays], notes.utilities[stays])
            gone = self._prune(rows, self._config.capacity).leaves
            assert gone, self._config.prune
            stays = np.delete(stays, gone)
        return np.setdiff1d(np.arange(len(notes)), stays).tolist()

    def _keep(self, stored: _Stored) -> None:
        self._held[stored.experience.id] = stored
        self._put(f"{_ROWS}{stored.experience.id}", msgspec.msgpack.encode(stored))
        self._sort()

    def _drop(self, number: int) -> None:
        del self._held[number]
        self._put(f"{_ROWS}{number}", None)

    def _sort(self) -> None:
        """Order by time, so that a memory that was opened again decides as the one before."""
        by_time = sorted(self._held.items(), key=lambda item: (item[1].experience.stamp_ns, item[0]))
        self._held = dict(by_time)

    # ------------------------------------------------------------------------------------------ comparing

    def _best(
        self,
        experiences: list[Experience],
        vectors: list[Float[np.ndarray, " dim"]],
        cue: Float[np.ndarray, " dim"],
        request: RecallExperiences,
    ) -> tuple[Experience, ...]:
        if not experiences:
            return ()
        stamps = np.array([one.stamp_ns for one in experiences])
        items = Items(
            stamps,
            vectors=np.stack(vectors),
            values=np.array([one.utility for one in experiences]),
        )
        ranking = self._retrieve(Cue(vector=cue, stamp=float(stamps.max())), items, request.limit)
        return tuple(experiences[index] for index in ranking.indices)

    def _notes(self, stored: list[_Stored]) -> Notes:
        experiences = [one.experience for one in stored]
        if self._encoder is None:
            intents = word_vectors([one.intent for one in experiences])
            texts = word_vectors([one.text for one in experiences])
        else:
            intents = np.stack([self._vector(one.intent_vector) for one in stored])
            texts = np.stack([self._vector(one.text_vector) for one in stored])
        return Notes(
            intents=intents,
            texts=texts,
            succeeded=np.array([one.succeeded for one in experiences]),
            utilities=np.array([one.utility for one in experiences]),
        )

    def _encoded(self, experience: Experience) -> _Stored:
        if self._encoder is None:
            return _Stored(experience)
        intent, text = self._encoder.encode([experience.intent, experience.text]).astype("<f4")
        return _Stored(experience, self._encoder.name, intent.tobytes(), text.tobytes())

    def _vector(self, data: bytes) -> Float[np.ndarray, " dim"]:
        return np.frombuffer(data, dtype="<f4")


def _check_text(name: str, text: str, longest: int) -> None:
    if not text.strip() or len(text) > longest:
        raise ValueError(f"{name}: expected 1 to {longest} characters, got {len(text)}")
