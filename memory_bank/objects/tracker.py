"""One view against the scene graph: associate, update, carve, miss, merge.

The work of a view is bounded by what is near it: no step goes over the whole map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from embodied.arrays import DepthMetres, Float, Int, Transform
from embodied.config import Config
from embodied.messages import Intrinsics, Point
from memory_bank.geometry.boxes import box_bounds, share_within
from memory_bank.objects.absence import AbsenceConfig, Background, Looks, is_absent, may_be, telling_points
from memory_bank.objects.association import (
    Assignment,
    AssociationConfig,
    assign,
    boxes_touch,
    label_factor,
    same_thing_counts,
    shared_volume,
)
from memory_bank.objects.lifecycle import LifecycleConfig, absorb, miss, new_track, observe
from memory_bank.objects.pairing import MATCH_POINTS, Pairing
from memory_bank.objects.replacement import came_after
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.objects.track import Track
from memory_bank.objects.visibility import Sighting, VisibilityConfig, frustum_bounds, look_at, near_frustum
from memory_bank.perception.detections import Measured, MeasuredFrame
from memory_bank.person.edits import may_join

MERGE_GAP_M = 0.05
"""Parts of one thing that one mask covers may lie so far apart."""


class TrackerConfig(Config):
    """Settings of the step from detections to tracks."""

    association: AssociationConfig = AssociationConfig()
    visibility: VisibilityConfig = VisibilityConfig()
    lifecycle: LifecycleConfig = LifecycleConfig()
    absence: AbsenceConfig = AbsenceConfig()
    new_within_m: float = 4.5
    """New tracks begin with things nearer than this."""
    new_min_pixels: int = 20
    """… and larger than this."""
    together_m: float = 0.6
    """Tracks this near each other remember that they were seen as two."""
    doubt_frames: int = 1
    """Frames in which a detection may only perhaps be a track of another label; then it is a thing of its own."""
    merge_after: int = 3
    """Frames in which one thing's mask covers two tracks before they are one; twice as many if their labels differ."""
    merge_overlap: float = 0.6
    """Share of the one's surface that must lie on the other's."""
    merge_volume: float = 0.7
    """Share of the smaller one's box that must lie in the other's, if their labels are alike …"""
    merge_volume_at_once: float = 0.4
    """… and if both were first seen in one session, in which things stand still."""
    shadow_share: float = 0.6
    """What lies so much in the box of another thing, on its surface, and was never seen beside it, is that thing …"""
    shadow_size: float = 0.4
    """… if it is at least this share of its size: an apple in a bowl is not."""
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
        self.background: Background | None = None
        """Knows what lies behind things; None where nobody does."""
        self.spared: set[str] = set()
        """Tracks that the robot may just have taken: not to be seen is no evidence against them."""
        self._graph = graph
        self._doubles: dict[str, dict[str, int]] = {}
        """Of a track without a mask of its own: how often the mask of which other track covered it."""
        self._in_doubt: dict[str, int] = {}
        """Of a track that was not seen: how often something of another label was perhaps it."""
        self._n_views = 0

    def step(self, view: ViewInput) -> ViewResult:
        """Bring the graph up to date with one view."""
        result = ViewResult()
        self._n_views += 1
        tracks = self._candidates(view)
        samples = [t.voxels.samples(self.config.visibility.n_samples, self._n_views) for t in tracks]
        sighting = look_at(
            [points for points, _ in samples],
            _coarseness_m(tracks),
            view.depth_m,
            view.frame.owner,
            len(view.frame.things) + 1,
            view.T_world_camera,
            view.intrinsics,
            self.config.visibility,
        )
        bounds = self._graph.bounds_of(tracks)
        pairing = Pairing(view.frame.things, tracks, bounds, sighting, self.config.association)
        assignment = assign(pairing.scores, self.config.association, pairing.on_surface)
        assignment = self._insist(view, tracks, pairing, assignment)
        self._carve(tracks, [keys for _, keys in samples], sighting, assignment)
        self._observe(view, tracks, assignment, result)
        self._create(view, assignment, result)
        self._miss(view, tracks, [points for points, _ in samples], sighting, assignment, result)
        self._merge(tracks, sighting, assignment, result)
        return result

    # ------------------------------------------------------------------------------------------- who is who

    def _candidates(self, view: ViewInput) -> list[Track]:
        """Return the tracks that may be in view, by id."""
        far_m = self.config.visibility.max_distance_m
        near = self._graph.touching(*frustum_bounds(view.T_world_camera, view.intrinsics, far_m))
        low, high = self._graph.bounds_of(near)
        radii = 0.5 * np.linalg.norm(high - low, axis=1)
        rows = near_frustum(0.5 * (low + high), radii + 0.1, view.T_world_camera, view.intrinsics, far_m)
        return [near[row] for row in rows.tolist() if near[row].state != "held"]

    def _insist(self, view: ViewInput, tracks: list[Track], pairing: Pairing, assignment: Assignment) -> Assignment:
        """Let what was in doubt again and again be new, if nothing but its place says that it is something known.

        Otherwise what has taken the place of a known thing would stay in doubt as long as that is not known to be gone.
        """
        for _, t in assignment.pairs:
            self._in_doubt.pop(tracks[t].id, None)
        used, doubt = {t for _, t in assignment.pairs}, self.config.association.doubt
        insistent = []
        for d in assignment.doubtful:
            rivals = [
                track
                for t, track in enumerate(tracks)
                if t not in used and max(pairing.scores[d, t], pairing.on_surface(d, t)) >= doubt
            ]
            label = view.frame.things[d].label
            if any(label_factor(label, rival.label_shares, self.config.association) >= 0.7 for rival in rivals):
                continue
            for rival in rivals:
                self._in_doubt[rival.id] = self._in_doubt.get(rival.id, 0) + 1
            if all(self._in_doubt[rival.id] > self.config.doubt_frames for rival in rivals):
                insistent.append(d)
        if not insistent:
            return assignment
        return Assignment(
            pairs=assignment.pairs,
            new=tuple(sorted([*assignment.new, *insistent])),
            doubtful=tuple(d for d in assignment.doubtful if d not in insistent),
        )

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
        low, high = self._graph.bounds_of(tracks)
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
        samples: list[Float[np.ndarray, "_ 3"]],
        sighting: Sighting,
        assignment: Assignment,
        result: ViewResult,
    ) -> None:
        """Count evidence of absence against tracks that were expected and not seen."""
        config, matched = self.config, {t for _, t in assignment.pairs}
        loose = {d: view.frame.things[d] for d in (*assignment.doubtful, *assignment.new)}
        looks = Looks(
            sighting=sighting,
            telling=telling_points(
                samples,
                [track.box for track in tracks],
                _coarseness_m(tracks),
                view.T_world_camera,
                config.visibility,
                self.background,
            ),
            owners={d: tracks[t] for d, t in assignment.pairs},
            loose=loose,
            intrinsics=view.intrinsics,
            n_samples=config.visibility.n_samples,
        )
        for t, track in enumerate(tracks):
            if t in matched or track.state == "gone" or track.id in self.spared:
                continue
            if not is_absent(track, t, looks, config.absence):
                continue
            if may_be(track, list(loose.values()), config.absence):
                continue
            if any(self._are_twins(track, tracks[u]) and tracks[u].id not in track.seen_with for u in matched):
                continue  # It was seen, under the other's number.
            result.dirty_ids.add(track.id)
            if miss(track, view.stamp_ns, view.session, view.camera_m, config.lifecycle):
                result.n_gone += 1
            if not track.confirmed and track.n_missed >= 2:
                self._graph.remove(track.id)
                result.removed_ids.add(track.id)

    def _merge(self, tracks: list[Track], sighting: Sighting, assignment: Assignment, result: ViewResult) -> None:
        """Join tracks that one mask covers again and again, unless they were ever seen as two."""
        config = self.config
        for _, t in assignment.pairs:
            self._forget_unlike(tracks[t])
        for a, b in same_thing_counts(sighting.n_surface, assignment.pairs, 3, config.merge_share):
            lose, keep = tracks[a], tracks[b]
            if lose.id in keep.seen_with or lose.state == "gone" or came_after(keep, lose):
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
        for track_id in [track.id for track in self._graph]:
            keep = self._graph.get(track_id)
            if keep is None or keep.id != track_id or not keep.is_there:
                continue
            for lose in self._graph.touching(*box_bounds(keep.box)):
                if lose.number <= keep.number or lose.id in keep.seen_with or not lose.is_there:
                    continue
                if self._are_twins(keep, lose) or self._is_shadow(keep, lose):
                    self.join(keep, lose, result)

    def _overlap(self, keep: Track, lose: Track) -> bool:
        """Tell whether the surface of one track lies on that of the other: what stands behind a thin wall does not.

        Things of like labels need only touch: from different sides one sees different surfaces.
        """
        if self._are_twins(keep, lose):
            return True
        if self._alike(keep, lose) and keep.first_session == lose.first_session:
            # One mask has covered both again and again, so nothing stands between them; a neighbour of its own kind has
            # a mask of its own now and then.
            (low_a, high_a), (low_b, high_b) = box_bounds(keep.box), box_bounds(lose.box)
            if float(np.maximum(low_a - high_b, low_b - high_a).max()) <= MERGE_GAP_M:
                return True
        points, _ = lose.voxels.samples(MATCH_POINTS)
        reach_m = self.config.association.near_m + max(keep.voxels.size_m, lose.voxels.size_m)
        return keep.voxels.near_share(points, reach_m) >= self.config.merge_overlap

    def _are_twins(self, a: Track, b: Track) -> bool:
        """Tell whether two tracks of like labels fill one place.

        What was pushed aside since an earlier session overlaps with what it was: then they must be nearly in one place.
        """
        at_once = a.first_session == b.first_session
        needed = self.config.merge_volume_at_once if at_once else self.config.merge_volume
        return self._alike(a, b) and shared_volume(a.box, b.box) >= needed

    def _is_shadow(self, keep: Track, lose: Track) -> bool:
        """Tell whether a track of this session is what wrong labels made of a thing that was seen in turns with it."""
        if lose.first_session != keep.last_session or keep.last_seen_ns < lose.first_seen_ns:
            return False
        if lose.n_observations >= keep.n_observations or self._alike(keep, lose):
            return False
        least_m3 = self.config.shadow_size * math.prod(keep.box.size_m)
        if math.prod(lose.box.size_m) < least_m3 or share_within(lose.box, keep.box) < self.config.shadow_share:
            return False
        reach_m = self.config.association.near_m + max(keep.voxels.size_m, lose.voxels.size_m)
        points, _ = lose.voxels.samples(MATCH_POINTS)
        return keep.voxels.near_share(points, reach_m) >= self.config.merge_overlap

    def join(self, keep: Track, lose: Track, result: ViewResult) -> None:
        """Merge two tracks of one thing."""
        if self._graph.get(keep.id) is not keep or self._graph.get(lose.id) is not lose:
            return  # One of them was merged or dropped in this very view.
        if not may_join(keep, lose):
            if not may_join(lose, keep):
                return
            keep, lose = lose, keep
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


def _coarseness_m(tracks: list[Track]) -> Float[np.ndarray, " n_tracks"]:
    """Return how far from the surface the sampled points of each track may lie."""
    return np.array([0.6 * track.voxels.size_m for track in tracks], dtype=np.float32)
