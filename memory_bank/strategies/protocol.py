"""What strategies are given and what they decide: plain arrays, one row per remembered item, oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import msgspec
import numpy as np

from embodied.arrays import Bool, Float, Int, Shaped

Operation = Literal["add", "update", "delete", "noop"]


class FrameFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an encoder decides on: one moment of a stream."""

    session: str
    stamp_ns: int
    T_world_camera: np.ndarray
    n_new_tracks: int
    """Confirmed since the last moment that was kept."""
    vector: np.ndarray | None = None
    """float32 (dim,), of length one: what it looks like; None where nothing encodes images."""


@dataclass(frozen=True)
class Items:
    """What a memory holds, oldest first. Columns that a strategy does not use may be left out."""

    stamps: Shaped[np.ndarray, " n"]
    """Numbers that grow with time, in any unit."""
    places: Int[np.ndarray, " n"] | None = None
    """Which place each was stored at: any whole numbers."""
    positions_m: Float[np.ndarray, "n axes"] | None = None
    vectors: Float[np.ndarray, "n dim"] | None = None
    """What each means; compared by cosine."""
    values: Float[np.ndarray, " n"] | None = None
    """What each is worth: learned utilities."""

    def __len__(self) -> int:
        return len(self.stamps)

    def column(self, name: str) -> np.ndarray:
        """Return a column that a strategy cannot do without.

        Raises:
            ValueError: It was left out, or has another length than the stamps.
        """
        column = getattr(self, name)
        if column is None:
            raise ValueError(f"items.{name}: this strategy needs them, got none")
        if len(column) != len(self.stamps):
            raise ValueError(f"items.{name}: expected {len(self.stamps)} rows, got {len(column)}")
        found: np.ndarray = column
        return found


@dataclass(frozen=True)
class Facts:
    """Triplets (head, relation, tail) that items tell of: the semantic half of a memory graph."""

    ends: Int[np.ndarray, "n_facts 2"]
    """Head and tail of each, as indices of ``entities``."""
    vectors: Float[np.ndarray, "n_facts dim"]
    entities: Float[np.ndarray, "n_entities dim"]
    """What each entity means."""
    told: Int[np.ndarray, "n_told 2"]
    """Pairs of an item's index and the index of a fact that it tells."""


@dataclass(frozen=True)
class Cue:
    """What is sought. Fields that a strategy does not use may be left out."""

    vector: Float[np.ndarray, " dim"] | None = None
    place: int | None = None
    position_m: Float[np.ndarray, " axes"] | None = None
    stamp: float | None = None
    """In the unit of ``Items.stamps``."""
    facts: Facts | None = None
    """The graph to search."""


@dataclass(frozen=True)
class Notes:
    """Attempts that are remembered, oldest first; the last row is the new one that is to be decided on."""

    intents: Float[np.ndarray, "n dim"]
    """What each was for; compared by cosine."""
    texts: Float[np.ndarray, "n text_dim"]
    """What each says; compared by cosine."""
    succeeded: Bool[np.ndarray, " n"]
    utilities: Float[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.succeeded)


class Eviction(NamedTuple):
    """Which item leaves a full memory, as an index."""

    leaves: int
    into: int = -1
    """The item that becomes the average of the two; -1: it is dropped."""


class Ranking(NamedTuple):
    """Items that fit a cue, best first. Scores compare within one ranking only; higher is better."""

    indices: Int[np.ndarray, " k"]
    scores: Float[np.ndarray, " k"]


class Decision(NamedTuple):
    """What becomes of a new note, and which notes leave.

    ``add``: it stays beside the others. ``update``: it takes the place of the one that leaves, and that one's utility.
    ``delete``: those that leave are dropped and it stays. ``noop``: it is not kept, since another says the same.
    """

    operation: Operation
    leaves: tuple[int, ...] = ()
    """Indices, never that of the new note."""
    alike: int = -1
    """Of ``noop``: the one that says the same."""


@runtime_checkable
class Encode(Protocol):
    """Chooses the moments of a stream that are kept."""

    def __call__(self, now: FrameFacts, kept: Sequence[FrameFacts]) -> bool:
        """Tell whether to keep a moment, given those that were kept last, oldest first."""
        ...


@runtime_checkable
class Store(Protocol):
    """Chooses what leaves a memory that has one item too many."""

    def __call__(self, items: Items, n_seen: int, rng: np.random.Generator) -> Eviction:
        """Return what leaves.

        Args:
            items: Capacity and one more, two at least; the last one is new.
            n_seen: How many items there have been, the new one included.
            rng: Where chance comes from; most strategies use none.

        Raises:
            ValueError: A column that the strategy needs is missing.
        """
        ...


@runtime_checkable
class Retrieve(Protocol):
    """Chooses what is recalled."""

    def __call__(self, cue: Cue, items: Items, k: int) -> Ranking:
        """Return at most ``k`` items that fit, best first; ties go to the older one.

        Raises:
            ValueError: The cue or the items lack what the strategy needs.
        """
        ...


@runtime_checkable
class Manage(Protocol):
    """Decides what a new note does to those that are there."""

    def __call__(self, notes: Notes, capacity: int) -> Decision:
        """Decide on the last note; the others fit into the capacity."""
        ...
