"""That nothing is lost by comparing surfaces only where it matters: against all pairs compared in full."""

from __future__ import annotations

import numpy as np
import pytest

from box_world import BLUE, GREEN, INTRINSICS, RED, T_BASE_CAMERA, Thing, render
from embodied.geometry import pixel_rays, planar_pose
from memory_bank.geometry.boxes import box_bounds
from memory_bank.objects.appearance import similarity
from memory_bank.objects.association import (
    Assignment,
    AssociationConfig,
    assign,
    centre_score,
    forward_share,
    label_factor,
    place_score,
    share_in_box,
)
from memory_bank.objects.lifecycle import LifecycleConfig, new_track
from memory_bank.objects.pairing import DELETED_LEAN, Pairing
from memory_bank.objects.track import Track
from memory_bank.objects.visibility import Sighting, VisibilityConfig, look_at
from memory_bank.perception.detections import DetectionConfig, Measured, measure_frame
from memory_bank.perception.protocol import Detection

CONFIG = AssociationConfig()
LABELS = ("mug", "box", "book")


def world(rng: np.random.Generator) -> tuple[Thing, ...]:
    """A table with flat books on it, and a dozen boxes that stand close together, some in each other."""
    books = tuple(
        Thing("book", (1.0 + 0.3 * i, float(rng.uniform(-0.3, 0.3)), 0.41), (0.2, 0.15, 0.02), BLUE) for i in range(3)
    )
    table = Thing("table", (1.3, 0.0, 0.38), (1.0, 0.9, 0.04), (130, 85, 45))
    others = tuple(
        Thing(
            str(rng.choice(LABELS)),
            (float(rng.uniform(1.2, 2.2)), float(rng.uniform(-0.8, 0.8)), float(rng.uniform(0.2, 1.0))),
            tuple(rng.uniform(0.08, 0.5, 3).tolist()),
            (RED, GREEN, BLUE)[int(rng.integers(3))],
        )
        for _ in range(9)
    )
    return (*others, table, *books)


def measured(
    things: tuple[Thing, ...], pose: tuple[float, float, float], overlooked: str = ""
) -> tuple[tuple[Measured, ...], np.ndarray, np.ndarray, np.ndarray]:
    T = planar_pose(*pose) @ T_BASE_CAMERA
    rgb, depth, index = render(things, T)
    found = [
        Detection(mask=index == i, label=thing.label, score=0.9)
        for i, thing in enumerate(things, start=1)
        if (index == i).any() and thing.label != overlooked
    ]
    frame = measure_frame(found, rgb, depth.astype(np.float32), pixel_rays(INTRINSICS), T, DetectionConfig())
    return frame.things, frame.owner, depth.astype(np.float32), T


def tracks_of(things: tuple[Measured, ...], rng: np.random.Generator) -> list[Track]:
    tracks = [new_track(f"o{i}", thing, 0, "a", LifecycleConfig()) for i, thing in enumerate(things)]
    for track in tracks:
        fate = rng.random()
        track.confirmed = True
        if fate < 0.15:
            track.state = "gone"
        elif fate < 0.3:
            track.deleted = True
        elif fate < 0.45:
            track.source = "told"
        elif fate < 0.6:
            track.label_weights = {"lamp": 2.0, track.label: 0.5}
    return tracks


def in_full(things: tuple[Measured, ...], tracks: list[Track], sighting: Sighting) -> Assignment:
    """Compare everything with everything."""
    scores = np.zeros((len(things), len(tracks)))
    slack = 0.1 + 0.02 * max(thing.distance_m for thing in things)
    for d, thing in enumerate(things):
        for t, track in enumerate(tracks):
            low, high = box_bounds(track.box)
            apart = np.maximum(thing.low_m - high, low - thing.high_m).max() > slack
            if not apart and track.source != "told":
                scores[d, t] = score(thing, track, int(sighting.n_surface[t, d + 1]), int(sighting.n_seen[t]))
    return assign(scores, CONFIG)


def score(thing: Measured, track: Track, inside: int, seen: int) -> float:
    lean = label_factor(thing.label, track.label_shares, CONFIG)
    expected = np.array([thing.partial and lean > 0.7])
    forward = float(forward_share(np.array([inside]), np.array([seen]), expected)[0])
    lean *= lean if track.state == "gone" else 1.0
    lean *= DELETED_LEAN if track.deleted else 1.0
    colour = similarity(thing.colour_shares, track.appearance.shares())
    lean *= CONFIG.other_colour + (1.0 - CONFIG.other_colour) * colour
    points = thing.points[:: max(1, len(thing.points) // 40)]
    reach_m = CONFIG.near_m + CONFIG.near_relative * thing.distance_m + CONFIG.near_voxels * track.voxels.size_m
    backward = track.voxels.near_share(points, reach_m)
    centre = 0.0
    if max(thing.longest_m, track.longest_m) < CONFIG.compact_m:
        apart_m = np.array([np.linalg.norm(thing.center_m - np.array(track.box.center_m))])
        sizes = np.array([thing.longest_m]), np.array([track.longest_m])
        centre = 0.8 * float(centre_score(apart_m, *sizes, np.array([0.02 + 0.01 * thing.distance_m]))[0])
    best = lean * max(place_score(forward, backward), centre)
    if track.state == "gone":
        return best
    if lean > 0.7:
        backward = max(backward, share_in_box(points, track.box, CONFIG.near_m))
    return max(best, CONFIG.on_surface * backward)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("overlooked", ["", "table"])
def test_the_assignment_is_that_of_all_pairs_compared_in_full(seed: int, overlooked: str) -> None:
    rng = np.random.default_rng(seed)
    things = world(rng)
    known, _, _, _ = measured(things[:10], (0.0, 0.0, 0.0))
    tracks = tracks_of(known, rng)
    seen, owner, depth, T = measured(things[3:], (0.1, 0.1, 0.05), overlooked)
    sighting = look_at(
        [track.voxels.samples(32)[0] for track in tracks],
        np.array([0.6 * track.voxels.size_m for track in tracks], dtype=np.float32),
        depth, owner, len(seen) + 1, T, INTRINSICS, VisibilityConfig(),
    )  # fmt: skip
    low, high = (np.array(corners) for corners in zip(*(box_bounds(track.box) for track in tracks)))
    pairing = Pairing(seen, tracks, (low, high), sighting, CONFIG)
    assert assign(pairing.scores, CONFIG, pairing.on_surface) == in_full(seen, tracks, sighting)


def test_no_tracks_and_no_things_pair_with_nothing() -> None:
    known, owner, depth, T = measured(world(np.random.default_rng(0)), (0.0, 0.0, 0.0))
    sighting = look_at([], np.zeros(0), depth, owner, len(known) + 1, T, INTRINSICS, VisibilityConfig())
    nowhere = np.zeros((0, 3), dtype=np.float32)
    pairing = Pairing(known, [], (nowhere, nowhere), sighting, CONFIG)
    assert assign(pairing.scores, CONFIG, pairing.on_surface).new == tuple(range(len(known)))
