"""Whether a view shows that a known thing's place is empty, or taken by something else. Pure functions of one view.

That a thing was not detected is no evidence; that its surface is seen through is. Points so close above what the thing
stands on that depth could not tell the difference are not asked, so that low things count as well as tall ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from embodied.arrays import Bool, Float, Int, Points, Transform
from embodied.config import Config
from embodied.messages import Box, Intrinsics
from memory_bank.objects.association import AssociationConfig, label_factor
from memory_bank.objects.track import Track
from memory_bank.objects.visibility import Sighting, VisibilityConfig
from memory_bank.perception.detections import Measured


class AbsenceConfig(Config):
    """What is evidence of absence."""

    share: float = 0.7
    """Share of the visible points that must be seen through to speak of absence."""
    share_near: float = 0.4
    """The same from near, where depth and pose are exact …"""
    near_m: float = 2.0
    """… which is nearer than this."""
    share_telling: float = 0.8
    """The same, of the points that depth can tell from what the thing stands on …"""
    n_telling: int = 6
    """… if there are so many of them …"""
    through_least: float = 0.3
    """… and so much of all visible points is seen through."""
    n_points: int = 5
    """Fewest points that must be visible."""
    seen_share: float = 0.5
    """Share of the sampled points that must be visible."""
    longest_px: float = 6.0
    """The thing must be expected this large …"""
    breadth_px: float = 4.0
    """… and this broad, across its longer direction …"""
    breadth_share: float = 0.25
    """… and no narrower than this share of its length."""
    flat_m: float = 0.07
    """Things this thin cannot be seen through; the mask of what they lay on, at their place, speaks of absence too."""
    covered_share: float = 0.8
    """Share of the visible points that must fall into masks of other things …"""
    covered_through: float = 0.2
    """… while, of a thing that is not flat, at least this share is seen through …"""
    taken_share: float = 0.3
    """… or this share falls into masks of what came after it was last seen."""
    other_label: float = 0.7
    """A detection that no track explains is another thing if its label fits the track's less than this."""
    may_be_m: float = 0.1
    """A detection of the same label this near its box forbids to speak of absence."""


@runtime_checkable
class Background(Protocol):
    """Knows, from earlier, what a camera would measure where things stand if they were gone."""

    def behind_m(
        self, points: Points, boxes: Sequence[Box], lengths: Sequence[int], T_world_camera: Transform
    ) -> Float[np.ndarray, " n_points"]:
        """Return how far behind each point, along z of the camera, a surface lies; inf where nobody knows.

        Args:
            points: World points on several things.
            boxes: Of each thing.
            lengths: How many of the points are each thing's.
            T_world_camera: Where the camera is.
        """
        ...


@dataclass(frozen=True)
class Looks:
    """One view, as far as absence is concerned."""

    sighting: Sighting
    telling: Bool[np.ndarray, " n_points"]
    """Of the sampled points, those that depth can tell from what the thing stands on."""
    owners: Mapping[int, Track]
    """By detection, the track that it was matched to."""
    loose: Mapping[int, Measured]
    """The detections that no track explains."""
    intrinsics: Intrinsics
    n_samples: int
    """Points drawn of a track at most."""


def telling_points(
    samples: Sequence[Float[np.ndarray, "_ 3"]],
    boxes: Sequence[Box],
    coarseness_m: Float[np.ndarray, " n_tracks"],
    T_world_camera: Transform,
    config: VisibilityConfig,
    background: Background | None = None,
) -> Bool[np.ndarray, " n_samples"]:
    """Tell for each sampled point whether depth could tell it from what it hides.

    That is the level surface on which its thing stands, or what is known to lie nearer behind it.

    Args:
        samples: World points of each track.
        boxes: Of each track; the lower side is where it stands.
        coarseness_m: How far from the surface the points of each track may lie, beyond noise.
        T_world_camera: Pose of the camera.
        config: Margins of the ray test.
        background: Knows what lies behind things; None where nobody does.
    """
    lengths = [len(points) for points in samples]
    if not sum(lengths):
        return np.zeros(0, dtype=bool)
    points = np.concatenate(samples).astype(float)
    bottom_m = np.repeat([box.center_m[2] - 0.5 * box.size_m[2] for box in boxes], lengths)
    depth_m = (points - T_world_camera[:3, 3]) @ T_world_camera[:3, 2]
    drop_m = T_world_camera[2, 3] - points[:, 2]
    # A ray goes on behind the point until it has come down to the surface. One that does not come down sees far.
    behind_m = np.where(drop_m > 1e-6, depth_m * (points[:, 2] - bottom_m) / np.maximum(drop_m, 1e-6), np.inf)
    if background is not None:
        behind_m = np.minimum(behind_m, background.behind_m(points, boxes, lengths, T_world_camera))
    margin_m = config.margin_m + config.margin_relative * depth_m + config.margin_quadratic * depth_m * depth_m
    telling: Bool[np.ndarray, " n_samples"] = behind_m > 1.2 * (margin_m + np.repeat(coarseness_m, lengths))
    return telling


def is_absent(track: Track, row: int, looks: Looks, config: AbsenceConfig) -> bool:
    """Tell whether a view shows that a track's place is empty or taken.

    Args:
        track: A track without a detection in this view.
        row: Its row in the sighting.
        looks: The view.
        config: Thresholds.
    """
    sighting = looks.sighting
    n_seen, distance_m = int(sighting.n_seen[row]), float(sighting.distance_m[row])
    expected_px = track.longest_m * looks.intrinsics.fx_px / max(distance_m, 0.1)
    n_samples = min(looks.n_samples, max(1, len(track.voxels.solid_keys())))
    if n_seen < min(config.n_points, n_samples) or n_seen < config.seen_share * n_samples:
        return False
    if expected_px < config.longest_px:
        return False
    if sighting.breadth_px(row) < max(config.breadth_px, config.breadth_share * expected_px):
        return False
    n_through = int(sighting.n_through[row])
    if n_through >= (config.share_near if distance_m < config.near_m else config.share) * n_seen:
        return True
    own = (sighting.point_track == row) & looks.telling & sighting.point_exposed
    n_telling = int(np.count_nonzero(own))
    if n_telling >= config.n_telling and n_through >= config.through_least * n_seen:
        if np.count_nonzero(own & sighting.point_through) >= config.share_telling * n_telling:
            return True
    return _is_covered(track, sighting.n_masked[row], n_seen, n_through, looks, config)


def _is_covered(
    track: Track,
    n_masked: Int[np.ndarray, " n_owners"],
    n_seen: int,
    n_through: int,
    looks: Looks,
    config: AbsenceConfig,
) -> bool:
    """Tell whether what shows at a track's place is what it stood on, or what took its place."""
    newer = {d for d, owner in looks.owners.items() if owner.confirmed and owner.arrived_ns > track.last_seen_ns}
    newer |= {d for d, thing in looks.loose.items() if _is_other(thing, track, config)}
    beside = {d for d, owner in looks.owners.items() if owner.confirmed and owner.id in track.seen_with}
    n_newer = sum(int(n_masked[d + 1]) for d in newer)
    n_covered = sum(int(n_masked[d + 1]) for d in newer | beside)
    if n_covered < config.covered_share * n_seen:
        return False
    flat = min(track.box.size_m) < config.flat_m
    return flat or n_through >= config.covered_through * n_seen or n_newer >= config.taken_share * n_seen


def _is_other(thing: Measured, track: Track, config: AbsenceConfig) -> bool:
    """Tell whether a detection's label says that it is another thing."""
    return label_factor(thing.label, track.label_shares, AssociationConfig()) < config.other_label


def may_be(track: Track, loose: Sequence[Measured], config: AbsenceConfig) -> bool:
    """Tell whether a detection without a track may after all be this one: half hidden, or misplaced."""
    half = 0.5 * np.array(track.box.size_m) + config.may_be_m
    for thing in loose:
        if _is_other(thing, track, config):
            continue
        reach = half + 0.5 * (thing.high_m - thing.low_m)
        if bool((np.abs(thing.center_m - np.array(track.box.center_m)) <= reach).all()):
            return True
    return False
