"""Finds keyframes by what they show, what they look like, and where and when they were taken."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simplejpeg

from embodied.arrays import Float, Image, Int
from embodied.config import Config
from embodied.errors import ConfigurationError
from embodied.messages import Point, Query, ViewHit
from memory_bank.episodes.archive import Columns, KeyframeArchive
from memory_bank.features.protocol import ImageEncoder, TextEncoder
from memory_bank.objects.records import RoomIndex
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.recall.meaning import Meaning
from memory_bank.strategies import registry
from memory_bank.strategies.protocol import Cue, Items

MAX_HITS = 100
"""Of one answer: each carries a picture."""
MAX_IMAGE_BYTES = 16 << 20
MAX_IMAGE_PX = 8192
"""Longest side of a picture to compare with."""
MIN_LIKENESS = 0.3
"""Cosine from which a thing may be meant by free words."""


class ViewsConfig(Config):
    """How pictures that fit are ranked."""

    retrieve: str = ""
    """Empty: by likeness where a picture or words are given. Or the name of a strategy
    (``memory_bank.strategies.retrieve``), such as ``fused``: by likeness, by nearness to ``near_m`` and in time to
    ``until_ns``, as far as they are given. ``place`` and ``time`` rank only where theirs is given; ``graph`` and
    ``two_phase`` are refused: pictures have no facts and no utilities."""
    n_candidates: int = 200
    """The most alike ones, which the strategy then ranks."""


_RANKS_BY = {"place": "near_m", "time": "until_ns"}
"""What of a query a strategy cannot do without."""


def check_retrieve(config: ViewsConfig) -> None:
    """Find out whether pictures can be ranked as the settings say.

    Raises:
        ConfigurationError: There is no such strategy, or it needs what pictures do not have.
    """
    if not config.retrieve:
        return
    one = np.ones((1, 3))
    try:
        strategy = registry.get("retrieve", config.retrieve)
        strategy(Cue(vector=one[0], position_m=one[0], stamp=0.0), Items(np.zeros(1), positions_m=one, vectors=one), 1)
    except ValueError as error:
        raise ConfigurationError(f"views.retrieve: {error}") from error


@dataclass(frozen=True)
class Views:
    """The keyframes of one map frame, and what is needed to tell of them."""

    archive: KeyframeArchive
    sessions: Collection[str]
    """Those of the frame."""
    graph: SceneGraph
    rooms: RoomIndex
    images: ImageEncoder | None = None
    """What made the keyframes' vectors."""
    texts: TextEncoder | None = None
    """Compares words with labels where ``images`` knows no words."""
    config: ViewsConfig = field(default_factory=ViewsConfig)

    def find(self, query: Query) -> tuple[ViewHit, ...]:
        """Return the keyframes that fulfil a query, best first.

        With a picture or words they come by likeness, and their score is its cosine; otherwise the latest comes first,
        and each has the score 1. ``order`` sorts the chosen ones by time or by distance to ``near_m``.

        Raises:
            ValueError: The picture cannot be read, there is no such object or session, or the limit is not positive.
            ConfigurationError: There is no model for the picture or the words.
        """
        if query.limit < 1:
            raise ValueError(f"limit: expected at least 1, got {query.limit}")
        limit = min(query.limit, MAX_HITS)
        vector, conditions = self._vector(query), self._conditions(query)
        if vector is not None and not self.archive.dim:
            return ()
        if vector is not None:
            among = self._in_room(query.room, self.archive.indices(**conditions)) if query.room else None
            needed = _RANKS_BY.get(self.config.retrieve)
            ranks = bool(self.config.retrieve) and (needed is None or getattr(query, needed) is not None)
            n = max(limit, self.config.n_candidates) if ranks else limit
            indices, scores = self.archive.search(vector, n, **conditions, among=among)
            if ranks:
                indices, scores = self._ranked(query, vector, np.sort(indices), limit)
            return self._hits(query, indices, scores)
        among = self.archive.indices(**conditions)
        if query.room:
            among = self._in_room(query.room, among)
        if query.text:
            return self._hits(query, *self._by_labels(query.text, among, limit))
        indices = self._first(query, among, limit)
        return self._hits(query, indices, np.ones(len(indices)))

    # ------------------------------------------------------------------------------------------ conditions

    def _conditions(self, query: Query) -> dict[str, Any]:
        """Return what the archive is to look for: everything but likeness and rooms."""
        sessions = self.sessions
        if query.session:
            if query.session not in sessions:
                raise ValueError(f"session: expected one of this map frame, got {query.session!r}")
            sessions = (query.session,)
        track_ids = None
        if query.object_id:
            track = self.graph.get(query.object_id)
            if track is None:
                raise ValueError(f"object_id: expected the id of an object that I know, got {query.object_id!r}")
            track_ids = (track.id, *track.merged_ids)
        return {
            "since_ns": query.since_ns,
            "until_ns": query.until_ns,
            "box": query.box,
            "near_m": query.near_m,
            "radius_m": query.radius_m,
            "sessions": sessions,
            "track_ids": track_ids,
        }

    def _in_room(self, room: str, indices: Int[np.ndarray, " n"]) -> Int[np.ndarray, " found"]:
        ids = {room_id for room_id, name in self.rooms.names.items() if name == room}
        positions_m = self.archive.positions_of(indices).astype(float)
        # Robots stand still and come back: few places are distinct, and each is looked up once.
        places, which = np.unique(np.round(positions_m[:, :2] / 0.05), axis=0, return_inverse=True)
        inside = np.array([found in ids for found in self.rooms.ids_at(places * 0.05)], dtype=bool)
        here: np.ndarray = indices[inside[which.reshape(-1)]]
        return here

    def _first(self, query: Query, indices: Int[np.ndarray, " n"], limit: int) -> Int[np.ndarray, " found"]:
        """Return those that come first where nothing is compared."""
        if query.order == "nearest" and query.near_m is not None:
            offsets = self.archive.positions_of(indices) - np.array(query.near_m)
            chosen: np.ndarray = indices[np.argsort(np.linalg.norm(offsets, axis=1), kind="stable")[:limit]]
            return chosen
        stamps_ns = self.archive.stamps_of(indices)
        in_time: np.ndarray = indices[np.lexsort((indices, stamps_ns))]
        return in_time[:limit] if query.order == "earliest" else in_time[::-1][:limit]

    # ------------------------------------------------------------------------------------------ likeness

    def _vector(self, query: Query) -> Float[np.ndarray, " dim"] | None:
        """Return what the pictures sought are like; None if nothing says so, or only labels can tell."""
        if query.image_jpeg:
            if self.images is None:
                raise ConfigurationError("image_jpeg: this memory compares no pictures; set features.image")
            return self.images.encode([_decoded(query.image_jpeg)])[0]
        if query.text and self.images is not None and self.images.text_encoder is not None:
            return self.images.text_encoder.encode([query.text])[0]
        return None

    def _ranked(
        self, query: Query, vector: Float[np.ndarray, " dim"], among: Int[np.ndarray, " n"], limit: int
    ) -> tuple[Int[np.ndarray, " found"], Float[np.ndarray, " found"]]:
        """Return those that the strategy of the settings puts first, and its scores."""
        among = among[np.argsort(self.archive.stamps_of(among), kind="stable")]
        columns = self.archive.columns(among)
        ages_s = (columns.stamps_ns - columns.stamps_ns.max(initial=0)) * 1e-9
        items = Items(stamps=ages_s, positions_m=columns.positions_m, vectors=columns.vectors())
        cue = Cue(
            vector=vector,
            position_m=None if query.near_m is None else np.array(query.near_m),
            stamp=None if query.until_ns is None else (query.until_ns - int(columns.stamps_ns.max(initial=0))) * 1e-9,
        )
        ranking = registry.get("retrieve", self.config.retrieve)(cue, items, limit)
        return among[ranking.indices], ranking.scores

    def _by_labels(
        self, text: str, among: Int[np.ndarray, " n"], limit: int
    ) -> tuple[Int[np.ndarray, " found"], Float[np.ndarray, " found"]]:
        """Return keyframes that show things whose label or notes mean what some words mean, the latest first."""
        if self.texts is None:
            raise ConfigurationError("text: this memory has no model of words; set features.text")
        tracks = [track for track in self.graph.confirmed(include_gone=True) if not track.deleted]
        said = [(track, words) for track in tracks for words in (track.label, *(note.text for note in track.notes))]
        said = [(track, words) for track, words in said if words]
        likeness = Meaning(self.texts).likeness(text, [words for _, words in said]) if said else np.zeros(0)
        of_track: dict[str, float] = {}
        for (track, _), value in zip(said, likeness.tolist(), strict=True):
            if value >= MIN_LIKENESS:
                for track_id in (track.id, *track.merged_ids):
                    of_track[track_id] = max(value, of_track.get(track_id, 0.0))
        found: dict[int, float] = {}
        for value in sorted(set(of_track.values()), reverse=True):
            alike = [track_id for track_id, its in of_track.items() if its == value]
            shown = np.intersect1d(self.archive.indices(track_ids=alike), among, assume_unique=True)
            for index in shown[::-1].tolist():
                found.setdefault(index, value)
            if len(found) >= limit:
                break
        chosen = list(found)[:limit]
        return np.array(chosen, dtype=np.int64), np.array([found[index] for index in chosen])

    # ------------------------------------------------------------------------------------------ telling

    def _hits(self, query: Query, indices: Int[np.ndarray, " n"], scores: np.ndarray) -> tuple[ViewHit, ...]:
        columns = self.archive.columns(indices)
        wholes = list(self.archive.whole(indices.tolist()))
        hits = [
            self._hit(columns, place, float(scores[place]), wholes[place].thumbnail_jpeg)
            for place in range(len(wholes))
        ]
        if query.order in ("latest", "earliest"):
            hits.sort(key=lambda hit: hit.stamp_ns, reverse=query.order == "latest")
        elif query.order == "nearest" and query.near_m is not None:
            near = np.array(query.near_m)
            hits.sort(key=lambda hit: float(np.linalg.norm(np.array(hit.position_m) - near)))
        return tuple(hits)

    def _hit(self, columns: Columns, place: int, score: float, thumbnail_jpeg: bytes) -> ViewHit:
        x, y, z = columns.positions_m[place].tolist()
        position_m: Point = (x, y, z)
        seen = [self.graph.get(track_id) for track_id in columns.track_ids[place]]
        shown = dict.fromkeys(t.id for t in seen if t is not None and t.confirmed and not t.deleted)
        return ViewHit(
            keyframe=int(columns.indices[place]),
            session=columns.sessions[place],
            stamp_ns=int(columns.stamps_ns[place]),
            position_m=position_m,
            room=self.rooms.name_at(position_m),
            score=score,
            object_ids=tuple(shown),
            thumbnail_jpeg=thumbnail_jpeg,
        )


def _decoded(jpeg: bytes) -> Image:
    """Return a picture, or refuse it before it takes memory."""
    if len(jpeg) > MAX_IMAGE_BYTES:
        raise ValueError(f"image_jpeg: expected at most {MAX_IMAGE_BYTES} bytes, got {len(jpeg)}")
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
        if max(height, width) > MAX_IMAGE_PX:
            raise ValueError(f"at most {MAX_IMAGE_PX} pixels a side, got {width}x{height}")
        image: Image = simplejpeg.decode_jpeg(jpeg, colorspace="RGB")
    except ValueError as error:
        raise ValueError(f"image_jpeg: expected a JPEG that can be read: {error}") from error
    return image
