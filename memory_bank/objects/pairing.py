"""How well each detection of a view fits each track near it: ``association``'s rules, for all pairs at once.

Comparing surfaces is the dear part. It is done only where it can decide something: for pairs that could be one thing,
and later, by ``on_surface``, for detections that found no track.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.arrays import Bool, Float, Points
from memory_bank.objects.association import (
    AssociationConfig,
    boxes_touch,
    centre_score,
    forward_share,
    label_factor,
    place_score,
    share_in_box,
)
from memory_bank.objects.track import Track
from memory_bank.objects.visibility import Sighting
from memory_bank.perception.detections import Measured

DELETED_LEAN = 0.9
"""Of two tracks at one place, one deleted as a double, the other one is meant."""
MATCH_POINTS = 40
"""Points of a detection that are compared with a track's surface."""

Table = Float[np.ndarray, "n_detections n_tracks"]


class Pairing:
    """The pairs of one view. ``scores`` is what an assignment needs."""

    def __init__(
        self,
        things: Sequence[Measured],
        tracks: Sequence[Track],
        bounds: tuple[Points, Points],
        sighting: Sighting,
        config: AssociationConfig,
    ) -> None:
        """Compare all that is cheap to compare.

        Args:
            things: Detections, by column - 1 of the sighting's tables.
            tracks: Candidates, by row of the sighting.
            bounds: Lower and upper corners of the tracks.
            sighting: Where points of the tracks fall in the view.
            config: Weights and thresholds.
        """
        self._things, self._tracks, self._config = things, tracks, config
        self._backward: dict[tuple[int, int], float] = {}
        shape = (len(things), len(tracks))
        self._near = np.zeros(shape, dtype=bool)
        if not things or not tracks:
            self.scores: Table = np.zeros(shape)
            return
        self._distance_m = np.array([thing.distance_m for thing in things])
        self._near = self._touching(*bounds)
        label = self._labels()
        partial = np.array([thing.partial for thing in things])[:, None]
        forward = forward_share(sighting.n_surface[:, 1:].T, sighting.n_seen[None], partial & (label > 0.7))
        gone = np.array([track.state == "gone" for track in tracks])
        self._lean = np.where(gone[None], label * label, label) * self._leanings()
        centre = self._centres()
        # A surface can only add to what the mask says, up to this; without a match it is no evidence here.
        may_be = self._near & (self._lean * np.maximum(forward, centre) >= config.doubt)
        place = np.zeros(shape)
        for d, t in np.argwhere(may_be & (forward > centre)).tolist():
            place[d, t] = place_score(forward[d, t], self._on_track(d, t))
        self.scores = np.where(may_be, self._lean * np.maximum(place, centre), 0.0)

    def on_surface(self, detection: int, track: int) -> float:
        """Return the score of what lies on the surface of something known, or in the box of its like.

        It is not new while that thing itself is not accounted for.
        """
        if not self._near[detection, track] or self._tracks[track].state == "gone":
            return 0.0
        share = self._on_track(detection, track)
        if self._lean[detection, track] > 0.7:
            points = _thinned(self._things[detection])
            share = max(share, share_in_box(points, self._tracks[track].box, self._config.near_m))
        return self._config.on_surface * share

    # ------------------------------------------------------------------------------------------- inside

    def _touching(self, low_m: Points, high_m: Points) -> Bool[np.ndarray, "n_detections n_tracks"]:
        """Tell which pairs come near each other at all."""
        low, high = (np.array([getattr(thing, name) for thing in self._things]) for name in ("low_m", "high_m"))
        near = boxes_touch(low, high, low_m, high_m, 0.1 + 0.02 * float(self._distance_m.max()))
        # What was told has no shape yet; ``told`` joins it with what turns out to be it.
        near[:, [track.source == "told" for track in self._tracks]] = False
        return near

    def _labels(self) -> Table:
        """Return how well labels fit the label histograms; 0 for pairs that are not near."""
        shares = [track.label_shares for track in self._tracks]
        factors = np.zeros(self._near.shape)
        for d, t in np.argwhere(self._near).tolist():
            factors[d, t] = label_factor(self._things[d].label, shares[t], self._config)
        tentative = np.array([not track.confirmed for track in self._tracks])
        return np.where(self._near & tentative[None], np.maximum(factors, self._config.other_label_tentative), factors)

    def _leanings(self) -> Table:
        """Return the factors of colours and of deleted tracks."""
        seen = np.array([thing.colour_shares for thing in self._things])
        known = np.array([track.appearance.shares() for track in self._tracks])
        alike = np.sqrt(seen) @ np.sqrt(known).T
        alike[(seen.sum(axis=1) <= 0)[:, None] | (known.sum(axis=1) <= 0)[None]] = 0.5
        lean = self._config.other_colour + (1.0 - self._config.other_colour) * alike
        lean[:, [track.deleted for track in self._tracks]] *= DELETED_LEAN
        return lean

    def _centres(self) -> Table:
        """Return how well small things agree by centre and size."""
        center = np.array([thing.center_m for thing in self._things])
        longest_m = np.array([thing.longest_m for thing in self._things])[:, None]
        known_m = np.array([track.longest_m for track in self._tracks])[None]
        apart_m = np.linalg.norm(center[:, None] - np.array([t.box.center_m for t in self._tracks])[None], axis=2)
        scores = 0.8 * centre_score(apart_m, longest_m, known_m, 0.02 + 0.01 * self._distance_m[:, None])
        return np.where(np.maximum(longest_m, known_m) < self._config.compact_m, scores, 0.0)

    def _on_track(self, d: int, t: int) -> float:
        """Return the share of a detection's points on a track's surface."""
        if (d, t) not in self._backward:
            thing, cloud, config = self._things[d], self._tracks[t].voxels, self._config
            reach_m = config.near_m + config.near_relative * thing.distance_m + config.near_voxels * cloud.size_m
            self._backward[d, t] = cloud.near_share(_thinned(thing), reach_m)
        return self._backward[d, t]


def _thinned(thing: Measured) -> Points:
    """Return the points of a detection that are compared."""
    return thing.points[:: max(1, len(thing.points) // MATCH_POINTS)]
