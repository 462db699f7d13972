"""One view against the scene graph: associate, update, carve, miss, merge.

The work of a view is bounded by what is in it: the only step over the whole map is one pass over plain arrays of boxes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from embodied.arrays import DepthMetres, Float, Int, Transform
from embodied.config import Config
from embodied.messages import Intrinsics, Point
from memory_bank.appearance import similarity
from memory_bank.association import (
    Assignment,
    AssociationConfig,
    assign,
    boxes_touch,
    centre_score,
    forward_share,
    label_factor,
    place_score,
    same_thing_counts,
    share_in_box,
    shared_volume,
)
from memory_bank.detections import Measured, MeasuredFrame
from memory_bank.lifecycle import LifecycleConfig, absorb, miss, new_track, observe
from memory_bank.scene_graph import SceneGraph
from memory_bank.track import Track
from memory_bank.visibility import Sighting, VisibilityConfig, look_at, near_frustum


class TrackerConfig(Config):
    """Settings of the step from detections to tracks."""

    association: AssociationConfig = AssociationConfig()
    visibility: VisibilityConfig = VisibilityConfig()
    lifecycle: LifecycleConfig = LifecycleConfig()
    new_within_m: float = 4.5
    """New tracks begin with things nearer than this."""
    new_min_pixels: int = 20
    """… and larger than this."""
    match_points: int = 40
    """Points of a detection that are compared with a track's surface."""
    together_m: float = 0.6
    """Tracks this near each other remember that they were seen as two."""
    absent_share: float = 0.7
    """Share of the visible points that must be seen through to speak of absence."""
    absent_share_near: float = 0.5
    """The same from near, where depth and pose are exact …"""
    absent_near_m: float = 2.0
    """… which is nearer than this."""
    absent_points: int = 5
    """Fewest points that must be visible."""
    absent_px: float = 6.0
    """The thing must be expected this large …"""
    absent_breadth_px: float = 4.0
    """… and this broad, across its longer direction …"""
    absent_breadth: float = 0.25
    """… and no narrower than this share of its length."""
    flat_m: float = 0.07
    """Things this thin cannot be seen through; the mask of what they lay on, at their place, speaks of absence too."""
    uncovered_share: float = 0.8
    """Share of the visible points that must fall into masks of things seen beside it …"""
    uncovered_through: float = 0.2
    """… while, of a thing that is not flat, at least this share is seen through."""
    may_be_m: float = 0.1
    """A detection of the same label this near its box forbids to speak of absence."""
    merge_after: int = 3
    """Frames in which one thing's mask covers two tracks before they are one; twice as many if their labels differ."""
    merge_overlap: float = 0.6
    """Share of the one's surface that must lie on the other's."""
    merge_volume: float = 0.7
    """Share of the smaller one's box that must lie in the other's, if their labels are alike."""
    merge_share: float = 0.75
    """Share of the points that it must cover."""


@dataclass(frozen=True)
class ViewInput:
    """One view, measured."""

    session: str
    stamp_ns: int
    frame: MeasuredFrame
    depth_m: DepthMetres
    intrinsics: Intrinsics
    T_world_camera: Transform

    @property
    def camera_m(self) -> Point:
        """Where the camera is."""
        x, y, z = self.T_world_camera[:3, 3].tolist()
        return x, y, z


@dataclass
class ViewResult:
    """What one view changed."""

    observed: list[tuple[Track, Measured]] = field(default_factory=list)
    confirmed: list[Track] = field(default_factory=list)
    dirty_ids: set[str] = field(default_factory=set)
    removed_ids: set[str] = field(default_factory=set)
    n_gone: int = 0


class Tracker:
    """Holds the evidence about pairs of tracks that no single track can hold."""

    def __init__(self, config: TrackerConfig, graph: SceneGraph) -> None:
        self.config = config
        self._graph = graph
        self._doubles: dict[str, dict[str, int]] = {}
        """Of a track without a mask of its own: how often the mask of which other track covered it."""
        self._n_views = 0

    def step(self, view: ViewInput) -> ViewResult:
        """Bring the graph up to date with one view."""
        result = ViewResult()
        self._n_views += 1
        tracks = self._candidates(view)
        samples = [t.voxels.samples(self.config.visibility.n_samples, self._n_views) for t in tracks]
        sighting = look_at(
            [points for points, _ in samples],
            np.array([0.6 * t.voxels.size_m for t in tracks], dtype=np.float32),
            view.depth_m,
            view.frame.owner,
            len(view.frame.things) + 1,
            view.T_world_camera,
            view.intrinsics,
            self.config.visibility,
        )
        assignment = assign(self._scores(view, tracks, sighting), self.config.association)
        self._carve(tracks, [keys for _, keys in samples], sighting, assignment)
        self._observe(view, tracks, assignment, result)
        self._create(view, assignment, result)
        self._miss(view, tracks, sighting, assignment, result)
        self._merge(tracks, sighting, assignment, result)
        return result

    # ------------------------------------------------------------------------------------------- who is who

    def _candidates(self, view: ViewInput) -> list[Track]:
        """Return the tracks that may be in view, by id."""
        _, low, high = self._graph.bounds()
        radii = 0.5 * np.linalg.norm(high - low, axis=1)
        far_m = self.config.visibility.max_distance_m
        rows = near_frustum(0.5 * (low + high), radii + 0.1, view.T_world_camera, view.intrinsics, far_m)
        return self._graph.tracks_at(rows)

    def _scores(
        self, view: ViewInput, tracks: list[Track], sighting: Sighting
    ) -> Float[np.ndarray, "n_detections n_tracks"]:
        """Return how well each detection fits each track; 0 where their boxes are apart."""
        things, config = view.frame.things, self.config.association
        scores = np.zeros((len(things), len(tracks)))
        if not things or not tracks:
            return scores
        centers = np.array([t.box.center_m for t in tracks])
        halves = 0.5 * np.array([t.box.size_m for t in tracks])
        low, high = np.array([d.low_m for d in things]), np.array([d.high_m for d in things])
        slack = 0.1 + 0.02 * max(d.distance_m for d in things)
        near = boxes_touch(low, high, centers - halves, centers + halves, slack)
        for d, t in np.argwhere(near).tolist():
            inside, seen = int(sighting.n_surface[t, d + 1]), int(sighting.n_seen[t])
            scores[d, t] = self._score(things[d], tracks[t], inside, seen, config)
        return scores

    def _score(self, thing: Measured, track: Track, inside: int, seen: int, config: AssociationConfig) -> float:
        """Return how well one detection fits one track, ``inside`` of whose ``seen`` points fall into its mask."""
        lean = label_factor(thing.label, track.label_shares, config)
        forward = forward_share(inside, seen, thing.partial and lean > 0.7)
        if track.state == "gone":
            lean = lean * lean
        colour = similarity(thing.colour_shares, track.appearance.shares())
        lean *= config.other_colour + (1.0 - config.other_colour) * colour
        reach_m = config.near_m + config.near_relative * thing.distance_m + config.near_voxels * track.voxels.size_m
        step = max(1, len(thing.points) // self.config.match_points)
        backward = track.voxels.near_share(thing.points[::step], reach_m)
        centre = 0.0
        if max(thing.longest_m, track.longest_m) < config.compact_m:
            apart_m = float(np.linalg.norm(thing.center_m - np.array(track.box.center_m)))
            centre = 0.8 * centre_score(apart_m, thing.longest_m, track.longest_m, 0.02 + 0.01 * thing.distance_m)
        score = lean * max(place_score(forward, backward), centre)
        if track.state == "gone":
            return score
        # What lies on the surface of something known, or in the box of its like, is not new while that thing itself is
        # not accounted for.
        if lean > 0.7:
            backward = max(backward, share_in_box(thing.points[::step], track.box, config.near_m))
        return max(score, config.on_surface * backward)

    # ------------------------------------------------------------------------------------------- what follows

    def _carve(
        self, tracks: list[Track], keys: list[Int[np.ndarray, " _"]], sighting: Sighting, assignment: Assignment
    ) -> None:
        """Let tracks that are seen lose the voxels that are seen through."""
        ends = np.cumsum([len(k) for k in keys])
        blur_m = self.config.lifecycle.blur_m
        for _, t in assignment.pairs:
            through = sighting.point_through[ends[t] - len(keys[t]) : ends[t]]
            if not through.any():
                continue
            # Only some voxels are looked at in a frame; those count for the others.
            share = max(1.0, len(tracks[t].voxels.solid_keys()) / max(1, len(keys[t])))
            weight = share / (1.0 + (float(sighting.distance_m[t]) / blur_m) ** 2)
            tracks[t].voxels.carve(keys[t][through], weight)

    def _observe(self, view: ViewInput, tracks: list[Track], assignment: Assignment, result: ViewResult) -> None:
        """Give the matched tracks their detections."""
        for d, t in assignment.pairs:
            track, thing = tracks[t], view.frame.things[d]
            was_confirmed = track.confirmed
            observe(track, thing, view.stamp_ns, view.session, self.config.lifecycle)
            self._graph.touch(track)
            result.observed.append((track, thing))
            result.dirty_ids.add(track.id)
            if track.confirmed and not was_confirmed:
                result.confirmed.append(track)
        self._seen_together([tracks[t] for _, t in assignment.pairs])

    def _seen_together(self, tracks: list[Track]) -> None:
        """Remember that neighbours are two."""
        if len(tracks) < 2:
            return
        centers = np.array([t.box.center_m for t in tracks])
        halves = 0.5 * np.array([t.box.size_m for t in tracks])
        low, high = centers - halves, centers + halves
        for a, b in np.argwhere(np.triu(boxes_touch(low, high, low, high, self.config.together_m), 1)).tolist():
            tracks[a].seen_with.add(tracks[b].id)
            tracks[b].seen_with.add(tracks[a].id)

    def _create(self, view: ViewInput, assignment: Assignment, result: ViewResult) -> None:
        """Begin tentative tracks of what no track explains."""
        for d in assignment.new:
            thing = view.frame.things[d]
            if thing.distance_m > self.config.new_within_m or thing.n_pixels < self.config.new_min_pixels:
                continue
            track = new_track(self._graph.new_id(), thing, view.stamp_ns, view.session, self.config.lifecycle)
            self._graph.insert(track)
            result.observed.append((track, thing))
            result.dirty_ids.add(track.id)

    def _miss(
        self,
        view: ViewInput,
        tracks: list[Track],
        sighting: Sighting,
        assignment: Assignment,
        result: ViewResult,
    ) -> None:
        """Count evidence of absence against tracks that were expected and not seen."""
        matched = {t for _, t in assignment.pairs}
        owners = {d: tracks[t] for d, t in assignment.pairs}
        loose = [view.frame.things[d] for d in (*assignment.doubtful, *assignment.new)]
        for t, track in enumerate(tracks):
            if t in matched or track.state == "gone" or not self._is_absent(view, t, track, sighting, owners):
                continue
            if self._may_be(track, loose):
                continue
            result.dirty_ids.add(track.id)
            if miss(track, view.stamp_ns, view.session, view.camera_m, self.config.lifecycle):
                result.n_gone += 1
            if not track.confirmed and track.n_missed >= 2:
                self._graph.remove(track.id)
                result.removed_ids.add(track.id)

    def _may_be(self, track: Track, loose: list[Measured]) -> bool:
        """Tell whether a detection without a track may after all be this one: half hidden, or misplaced."""
        half = 0.5 * np.array(track.box.size_m) + self.config.may_be_m
        for thing in loose:
            if label_factor(thing.label, track.label_shares, self.config.association) < 0.7:
                continue
            reach = half + 0.5 * (thing.high_m - thing.low_m)
            if bool((np.abs(thing.center_m - np.array(track.box.center_m)) <= reach).all()):
                return True
        return False

    def _is_absent(self, view: ViewInput, t: int, track: Track, sighting: Sighting, owners: dict[int, Track]) -> bool:
        """Tell whether the view shows that a track's place is empty."""
        n_seen = int(sighting.n_seen[t])
        expected_px = track.longest_m * view.intrinsics.fx_px / max(float(sighting.distance_m[t]), 0.1)
        n_samples = min(self.config.visibility.n_samples, max(1, len(track.voxels.solid_keys())))
        if n_seen < min(self.config.absent_points, n_samples) or n_seen < 0.5 * n_samples:
            return False
        if expected_px < self.config.absent_px:
            return False
        if sighting.breadth_px(t) < max(self.config.absent_breadth_px, self.config.absent_breadth * expected_px):
            return False
        n_through = int(sighting.n_through[t])
        near = float(sighting.distance_m[t]) < self.config.absent_near_m
        if n_through >= (self.config.absent_share_near if near else self.config.absent_share) * n_seen:
            return True
        # What lies flat is hardly seen through, but what it lay on now shows in its place.
        flat = min(track.box.size_m) < self.config.flat_m
        if not flat and n_through < self.config.uncovered_through * n_seen:
            return False
        others = [d for d, owner in owners.items() if owner.confirmed and owner.id in track.seen_with]
        return sum(int(sighting.n_masked[t, d + 1]) for d in others) >= self.config.uncovered_share * n_seen

    def _merge(self, tracks: list[Track], sighting: Sighting, assignment: Assignment, result: ViewResult) -> None:
        """Join tracks that one mask covers again and again, unless they were ever seen as two."""
        config = self.config
        for _, t in assignment.pairs:
            self._forget_unlike(tracks[t])
        for a, b in same_thing_counts(sighting.n_surface, assignment.pairs, 3, config.merge_share):
            lose, keep = tracks[a], tracks[b]
            if lose.id in keep.seen_with or lose.state == "gone":
                continue
            counts = self._doubles.setdefault(lose.id, {})
            counts[keep.id] = counts.get(keep.id, 0) + 1
            needed = config.merge_after * (1 if self._alike(keep, lose) else 2)
            if counts[keep.id] < needed or not self._overlap(keep, lose):
                continue
            if lose.number < keep.number and lose.confirmed:
                lose, keep = keep, lose
            self.join(keep, lose, result)

    def _forget_unlike(self, track: Track) -> None:
        """Take back what speaks for a track being another kind of thing: it has been seen by itself."""
        counts = self._doubles.pop(track.id, {})
        others = {name: self._graph.get(name) for name in counts}
        alike = {n: counts[n] for n, other in others.items() if other is not None and self._alike(other, track)}
        if alike:
            self._doubles[track.id] = alike

    def merge_twins(self, result: ViewResult) -> None:
        """Join confirmed tracks of like labels that fill the same place and were never seen as two."""
        ids, low, high = (list(self._graph.bounds()[0]), *(corner.copy() for corner in self._graph.bounds()[1:]))
        for row, track_id in sorted(enumerate(ids), key=lambda item: int(item[1][1:])):
            keep = self._graph.get(track_id)
            if keep is None or keep.id != track_id or not keep.is_there:
                continue
            touching = boxes_touch(low[row : row + 1], high[row : row + 1], low, high, 0.0)[0]
            for name in sorted((ids[i] for i in np.flatnonzero(touching)), key=lambda name: int(name[1:])):
                lose = self._graph.get(name)
                if lose is None or lose.number <= keep.number or lose.id in keep.seen_with or not lose.is_there:
                    continue
                if self._alike(keep, lose) and shared_volume(keep.box, lose.box) >= self.config.merge_volume:
                    self.join(keep, lose, result)

    def _overlap(self, keep: Track, lose: Track) -> bool:
        """Tell whether the surface of one track lies on that of the other: what stands behind a thin wall does not.

        Things of like labels need only share their volume: from different sides one sees different surfaces.
        """
        if self._alike(keep, lose) and shared_volume(keep.box, lose.box) >= self.config.merge_volume:
            return True
        points, _ = lose.voxels.samples(self.config.match_points)
        reach_m = self.config.association.near_m + max(keep.voxels.size_m, lose.voxels.size_m)
        return keep.voxels.near_share(points, reach_m) >= self.config.merge_overlap

    def join(self, keep: Track, lose: Track, result: ViewResult) -> None:
        """Merge two tracks of one thing."""
        if self._graph.get(keep.id) is not keep or self._graph.get(lose.id) is not lose:
            return  # One of them was merged or dropped in this very view.
        absorb(keep, lose)
        self._graph.merge(keep.id, lose.id)
        result.dirty_ids.add(keep.id)
        result.removed_ids.add(lose.id)
        result.observed = [(keep if track is lose else track, thing) for track, thing in result.observed]

    def _alike(self, a: Track, b: Track) -> bool:
        """Tell whether labels allow two tracks to be one thing."""
        shares_a, shares_b = a.label_shares, b.label_shares
        if not shares_a or not shares_b:
            return True
        return sum(min(share, shares_b.get(name, 0.0)) for name, share in shares_a.items()) >= 0.4
