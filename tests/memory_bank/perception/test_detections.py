from __future__ import annotations

import numpy as np
import pytest

from box_world import CHAIR, INTRINSICS, MUG, RED, T_BASE_CAMERA, TABLE, Thing, render
from embodied.geometry import pixel_rays, planar_pose
from memory_bank.perception.detections import DetectionConfig, MeasuredFrame, beside_edge, main_body, measure_frame
from memory_bank.perception.protocol import Detection

CONFIG = DetectionConfig()


def measure(things: tuple[Thing, ...], pose: tuple[float, float, float]) -> MeasuredFrame:
    T = planar_pose(*pose) @ T_BASE_CAMERA
    rgb, depth, index = render(things, T)
    found = []
    for number, thing in enumerate(things, start=1):
        mask = index == number
        edge = bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())
        found.append(Detection(mask=mask, label=thing.label, score=0.9, touches_border=edge))
    return measure_frame(found, rgb, depth.astype(np.float32), pixel_rays(INTRINSICS), T, CONFIG)


def test_a_thing_is_measured_where_it_stands_with_the_size_of_what_is_seen() -> None:
    box = Thing("box", (1.5, 0.2, 0.3), (0.4, 0.5, 0.6), RED)
    thing = measure((box,), (0.0, 0.0, 0.0)).things[0]
    assert thing.low_m == pytest.approx([1.3, -0.05, 0.0], abs=0.06)
    assert thing.high_m[1:] == pytest.approx([0.45, 0.6], abs=0.06)
    assert 1.5 < thing.high_m[0] <= 1.71
    assert not thing.partial
    assert int(np.argmax(thing.colour_shares)) == 0


def test_a_thing_behind_another_or_beyond_the_image_is_partial() -> None:
    behind = Thing("sofa", (2.6, 0.0, 0.4), (0.5, 2.0, 0.8))
    before = Thing("box", (1.6, 0.0, 0.5), (0.3, 0.6, 1.0))
    sofa, box = measure((behind, before), (0.0, 0.0, 0.0)).things
    assert sofa.partial
    assert not box.partial
    assert measure((CHAIR.at(1.0, 1.0),), (0.0, 0.0, 0.0)).things[0].partial


def test_the_owner_image_names_the_thing_at_each_pixel() -> None:
    frame = measure((TABLE, MUG), (0.3, 0.0, 0.0))
    assert [thing.label for thing in frame.things] == ["table", "mug"]
    for number, thing in enumerate(frame.things, start=1):
        assert np.count_nonzero(frame.owner == number) == thing.n_pixels


def test_masks_without_depth_are_left_out() -> None:
    mask = np.zeros((96, 96), dtype=bool)
    mask[20:40, 20:40] = True
    empty = np.zeros((96, 96), dtype=np.float32)
    rgb = np.zeros((96, 96, 3), dtype=np.uint8)
    found = [Detection(mask=mask, label="ghost", score=1.0)]
    assert measure_frame(found, rgb, empty, pixel_rays(INTRINSICS), np.eye(4), CONFIG).things == ()


def edges_of(depth: np.ndarray) -> np.ndarray:
    return beside_edge(depth, np.arange(depth.size), CONFIG).reshape(depth.shape)


def test_a_slanted_plane_has_no_edges_and_a_step_has() -> None:
    _, floor, _ = render((), planar_pose(0.0, 0.0, 0.0) @ T_BASE_CAMERA, room_m=50.0)
    assert not edges_of(floor[60:].astype(np.float32)).any()
    step = np.full((20, 20), 1.0, dtype=np.float32)
    step[:, 10:] = 1.5
    for image in (step, step.T):
        edges = edges_of(np.ascontiguousarray(image))
        edges = edges if image is step else edges.T
        assert edges[:, 9:11].all()
        assert edges.sum() == 40


def test_what_shows_through_a_mask_is_left_out() -> None:
    z = np.concatenate([np.linspace(1.0, 1.4, 50), np.linspace(2.5, 2.6, 12)])
    assert main_body(z, 0.25, 0.05).sum() == 50
