from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from embodied.messages import Box
from memory_bank.objects.association import (
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

CONFIG = AssociationConfig()


@given(arrays(float, st.tuples(st.integers(0, 6), st.integers(0, 6)), elements=st.floats(0.0, 1.0)))
def test_every_detection_is_matched_to_one_track_or_new_or_doubtful(scores: np.ndarray) -> None:
    result = assign(scores, CONFIG)
    matched = [d for d, _ in result.pairs]
    assert sorted([*matched, *result.new, *result.doubtful]) == list(range(scores.shape[0]))
    assert len({t for _, t in result.pairs}) == len(result.pairs)
    assert all(scores[d, t] >= CONFIG.accept for d, t in result.pairs)


def test_two_like_things_side_by_side_are_matched_each_to_its_own() -> None:
    assert assign(np.array([[0.9, 0.5], [0.8, 0.7]]), CONFIG).pairs == ((0, 0), (1, 1))


def test_what_hardly_fits_a_free_track_is_doubtful_and_beside_a_taken_one_new() -> None:
    assert assign(np.array([[0.22]]), CONFIG).doubtful == (0,)
    assert assign(np.array([[0.9], [0.22]]), CONFIG).new == (1,)


def test_dear_scores_are_asked_only_for_detections_without_a_track() -> None:
    asked = []

    def more(detection: int, track: int) -> float:
        asked.append((detection, track))
        return 0.19 if detection == 1 else 0.0

    result = assign(np.array([[0.9, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), CONFIG, more)
    assert result.pairs == ((0, 0),)
    assert (result.doubtful, result.new) == ((1,), (2,))
    assert {d for d, _ in asked} == {1, 2}
    assert all(t != 0 for _, t in asked)


def test_a_foreign_label_weakens_but_never_forbids() -> None:
    shares = {"mug": 0.9, "cup": 0.1}
    assert label_factor("mug", shares, CONFIG) == 1.0
    assert CONFIG.other_label < label_factor("cup", shares, CONFIG) < 1.0
    assert label_factor("sofa", shares, CONFIG) * place_score(1.0, 1.0) > CONFIG.accept


def test_things_without_labels_are_judged_by_place_alone() -> None:
    assert label_factor("", {"mug": 1.0}, CONFIG) == 1.0
    assert label_factor("mug", {}, CONFIG) == 1.0


def test_a_book_on_a_table_is_not_the_table() -> None:
    assert place_score(forward=0.05, backward=1.0) < CONFIG.doubt
    assert place_score(forward=1.0, backward=0.03) * CONFIG.other_label < CONFIG.doubt


def test_without_visible_points_only_a_partial_mask_may_be_the_track() -> None:
    inside, seen = np.array([0, 0, 30]), np.array([0, 0, 32])
    going_on, whole, full = forward_share(inside, seen, np.array([True, False, False])).tolist()
    assert place_score(going_on, 1.0) >= CONFIG.accept
    assert place_score(whole, 1.0) < CONFIG.doubt
    assert full > 0.85


def test_two_mugs_a_hand_apart_do_not_share_a_centre() -> None:
    size_m = np.array([0.1])
    near, apart = centre_score(np.array([0.02, 0.15]), size_m, size_m, np.array([0.03])).tolist()
    assert near > 0.8
    assert apart < 0.1


def test_boxes_touch_within_the_slack() -> None:
    low, high = np.array([[0.0, 0.0, 0.0]]), np.array([[1.0, 1.0, 1.0]])
    others = np.array([[1.05, 0.0, 0.0], [1.2, 0.0, 0.0]])
    assert boxes_touch(low, high, others, others + 1.0, 0.1).tolist() == [[True, False]]


def test_the_shared_volume_is_a_part_of_the_smaller_box() -> None:
    large = Box(center_m=(0.0, 0.0, 0.0), size_m=(2.0, 2.0, 2.0))
    small = Box(center_m=(1.0, 0.0, 0.0), size_m=(1.0, 1.0, 1.0))
    far = Box(center_m=(5.0, 5.0, 5.0), size_m=(1.0, 1.0, 1.0))
    assert shared_volume(large, small) == shared_volume(small, large) == pytest.approx(0.5)
    assert shared_volume(large, far) == 0.0
    assert share_in_box(np.array([[0.9, 0, 0], [1.5, 0, 0]]), large, 0.05) == 0.5


def test_a_mask_over_two_tracks_counts_for_their_being_one() -> None:
    n_surface = np.array([[0, 20], [1, 12], [9, 1]])
    assert same_thing_counts(n_surface, ((0, 0),), min_points=3, share=0.75) == [(1, 0)]
