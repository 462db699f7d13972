from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from demonstrations import (
    FOV_RAD,
    SIZE_PX,
    T_base_camera,
    action,
    change,
    demonstration,
    few_words,
    position,
    shade,
    write_demonstrations,
)
from embodied.errors import ConfigurationError
from embodied.geometry import intrinsics_from_fov, invert, project, transform_points
from policies.vla.data.augmentation import AugmentationConfig
from policies.vla.data.cache import EpisodeCache, open_cache
from policies.vla.normaliser import Bounds, Normaliser

torch = pytest.importorskip("torch")

from policies.vla.batch import TrainingBatch  # noqa: E402
from policies.vla.data.loaders import Loader, LoaderConfig  # noqa: E402

N_OBSERVATIONS = (13, 6, 31)
LOOKS = AugmentationConfig(p_hue=0.5, brightness=0.3, contrast=0.2, crop=0.1, shift=0.1)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> EpisodeCache:
    folder = tmp_path_factory.mktemp("data")
    logs = write_demonstrations(
        folder / "logs",
        *(
            demonstration(index, n, cameras=("front", "wrist"), instruction="x" * index)
            for index, n in enumerate(N_OBSERVATIONS)
        ),
    )
    return open_cache([logs], folder / "cache", encode=few_words)


def loader(cache: EpisodeCache, **changes: Any) -> Loader:
    given = {name: changes.pop(name) for name in LoaderConfig.__struct_fields__ if name in changes}
    config = LoaderConfig(**{"n_groups": 3, "n_calls": 8, "n_decisions": 3, "onset_weight": 1.0, **given})
    normaliser = changes.pop("normaliser", cache.normaliser())
    return Loader(cache, normaliser, config, **{"seed": 0, "chunk_steps": 4, "execute_steps": 3, **changes})


def share_of(point: np.ndarray, T_base_camera: np.ndarray) -> np.ndarray:
    """Return where a camera shows a point, from the corner of the picture."""
    in_camera = transform_points(invert(T_base_camera), point[None].astype(np.float64))
    return (project(in_camera, intrinsics_from_fov(SIZE_PX, SIZE_PX, FOV_RAD))[0] + 0.5) / SIZE_PX


def episode_of(batch: TrainingBatch, row: int) -> int:
    return len(batch.instructions[row])


def same(one: TrainingBatch, other: TrainingBatch) -> bool:
    return all(a == b if isinstance(a, tuple) else torch.equal(a, b) for a, b in zip(one, other))


def calls_of(batch: TrainingBatch, row: int) -> list[int]:
    return batch.steps[row][batch.present[row]].tolist()


def test_a_call_has_the_frames_and_the_actions_of_its_step(cache: EpisodeCache) -> None:
    batch = loader(cache, proprioception=True).batch(0)
    assert batch.images.shape == (3, 8, 2, 16, 16, 3)
    assert sorted(batch.instructions) == ["", "x", "xx"]
    normaliser = cache.normaliser()
    for row in range(3):
        episode, n_frames = episode_of(batch, row), N_OBSERVATIONS[episode_of(batch, row)] - 1
        np.testing.assert_array_equal(batch.words[row], few_words([batch.instructions[row]])[0])
        calls = calls_of(batch, row)
        assert calls[0] == 0
        for call, step in enumerate(calls):
            assert batch.images[row, call, :, 0, 0, 0].tolist() == [shade(episode, step), shade(episode, step) + 1]
            n_actions = min(4, n_frames - step)
            assert batch.is_action[row, call].tolist() == [True] * n_actions + [False] * (4 - n_actions)
            wanted = normaliser.actions.normalise(np.array([action(step + 1 + k) for k in range(n_actions)]))
            np.testing.assert_array_equal(batch.actions[row, call, :n_actions], wanted)
            np.testing.assert_array_equal(batch.actions[row, call, n_actions:], 0.0)
            measured = normaliser.proprioception.normalise(position(episode, step))
            np.testing.assert_array_equal(batch.proprioception[row, call], measured)
            for camera in range(2 if step > 2 else 0):
                place = share_of(position(episode, n_frames - 1), T_base_camera(camera, step))
                np.testing.assert_allclose(batch.keypoints[row, call, camera, 0], place, atol=1e-5)
                place = share_of(position(episode, step), T_base_camera(camera, step))
                np.testing.assert_allclose(batch.keypoints[row, call, camera, 1], place, atol=1e-5)
            points = np.stack([position(episode, n_frames - 1), position(episode, step)])
            if step > 2:
                wanted = normaliser.proprioception.normalise(points)
                np.testing.assert_allclose(batch.positions[row, call], wanted, atol=1e-6)
        assert batch.has_keypoint[row].all(dim=(1, 2)).tolist() == batch.present[row].tolist()
        padding = ~batch.present[row]
        assert not batch.has_keypoint[row][padding].any()
        assert not batch.positions[row][padding].any()
        assert not batch.weight[row][padding].any()
        assert not batch.images[row][padding].any()
        assert not batch.is_action[row][padding].any()


def test_actions_are_learned_from_a_few_calls_or_from_all(cache: EpisodeCache) -> None:
    few, every = (loader(cache, n_calls=12, n_decisions=n).batch(0) for n in (2, 0))
    for row in range(3):
        assert sorted(few.weight[row].tolist()) == [0.0] * 10 + [1.0] * 2
        assert (every.weight[row] > 0.0).tolist() == every.present[row].tolist()
    # Where calls are left out, it is never one that is learned from.
    thinned = loader(cache, n_calls=3, execute_steps=1, n_decisions=2)
    assert all((thinned.batch(step).weight.sum(dim=1) == 2.0).all() for step in range(5))
    # What they are is drawn anew each time, and nothing else hangs on it.
    assert same(few._replace(weight=every.weight), every)
    alone = loader(cache, n_decisions=2, n_groups=1)
    assert len({tuple(alone.batch(step).weight[0].tolist()) for step in range(9)}) > 3


def test_stacked_frames_are_oldest_first_and_begin_with_the_first(cache: EpisodeCache) -> None:
    batch = loader(cache, n_stacked_frames=3).batch(1)
    for row in range(3):
        episode = episode_of(batch, row)
        for call, step in enumerate(calls_of(batch, row)):
            wanted = [shade(episode, max(step - back, 0)) + camera for camera in (0, 1) for back in (2, 1, 0)]
            assert batch.images[row, call, :, 0, 0, 0].tolist() == wanted


@pytest.mark.parametrize("kind", ["calls", "group", "stream"])
def test_a_batch_follows_from_seed_and_number_alone(cache: EpisodeCache, kind: str) -> None:
    first, second = (loader(cache, kind=kind, augmentation=LOOKS) for _ in range(2))
    batches = [first.batch(step) for step in range(5)]
    assert same(second.batch(4), batches[4])
    assert not same(batches[3], batches[4])
    assert not same(loader(cache, kind=kind, augmentation=LOOKS, seed=1).batch(4), batches[4])


@pytest.mark.parametrize("kind", ["calls", "group", "stream"])
def test_processes_draw_together_what_one_draws_alone(cache: EpisodeCache, kind: str) -> None:
    options: dict[str, Any] = {"kind": kind, "augmentation": LOOKS, "n_groups": 4}
    whole = loader(cache, **options).batch(7)
    parts = [loader(cache, rank=rank, world_size=2, **options).batch(7) for rank in range(2)]
    joined = [a + b if isinstance(a, tuple) else torch.cat([a, b]) for a, b in zip(*parts)]
    assert same(TrainingBatch(*joined), whole)


def test_a_stream_goes_on_where_the_batch_before_ended(cache: EpisodeCache) -> None:
    stream = loader(cache, kind="stream", n_calls=5, n_groups=2)
    ends: dict[int, tuple[int, int]] = {}
    for step in range(22):
        batch = stream.batch(step)
        for row in range(2):
            episode, calls = episode_of(batch, row), calls_of(batch, row)
            assert calls == list(range(calls[0], calls[0] + len(calls)))
            if row in ends:
                before, last = ends[row]
                is_over = last == N_OBSERVATIONS[before] - 2
                assert calls[0] == 0 if is_over else (episode, calls[0]) == (before, last + 1)
            ends[row] = (episode, calls[-1])


def test_an_episode_of_a_stream_looks_the_same_in_all_its_windows(cache: EpisodeCache) -> None:
    stream = loader(cache, kind="stream", n_calls=5, n_groups=1, augmentation=AugmentationConfig(brightness=0.1))
    offsets = []
    for batch in (stream.batch(step) for step in range(11)):
        # The longest episode, whose greys are bright enough not to be clipped.
        if episode_of(batch, 0) == 2:
            greys = batch.images[0, : len(calls_of(batch, 0)), 0, 0, 0, 0].tolist()
            offsets += [grey - shade(2, step) for grey, step in zip(greys, calls_of(batch, 0))]
    assert len(offsets) == 30
    assert len(set(offsets)) == 1
    assert offsets[0] != 0


def test_looks_change_pictures_and_nothing_else(cache: EpisodeCache) -> None:
    plain, varied = loader(cache).batch(0), loader(cache, augmentation=LOOKS).batch(0)
    assert not torch.equal(plain.images, varied.images)
    moved = {name: getattr(varied, name) for name in ("images", "keypoints", "has_keypoint", "view")}
    assert same(plain._replace(**moved), varied)
    colours = varied.images.float().mean(dim=(2, 3, 4))
    assert len({tuple(row[0].tolist()) for row in colours}) == 3


def test_a_keypoint_stays_with_what_is_there_in_the_picture(tmp_path: Path) -> None:
    # Colours tell the column and the row.
    rows, columns = np.mgrid[:SIZE_PX, :SIZE_PX]
    picture = np.stack([10 * columns, 10 * rows, np.full_like(rows, 80)], axis=2).astype(np.uint8)
    messages = demonstration(3, 8)
    for seq in range(8):
        (camera,) = messages[1 + seq].cameras  # type: ignore[union-attr]
        messages = change(messages, seq, cameras=(msgspec.structs.replace(camera, rgb=picture),))
    cache = open_cache([write_demonstrations(tmp_path / "logs", messages)], tmp_path / "cache", encode=few_words)
    plain = loader(cache, n_groups=1, n_decisions=0)
    varied = loader(cache, n_groups=1, n_decisions=0, augmentation=AugmentationConfig(shift=0.4))
    n_lost = 0
    for step in range(12):
        before, after = plain.batch(step), varied.batch(step)
        known = after.has_keypoint[0, :, 0, 0]
        seen = after.images[0, 0, 0, 8, 8, :2].numpy().astype(float)
        wanted = before.keypoints[0, :, 0, 0] - torch.from_numpy(np.rint(seen / 10.0) - 8.0) / SIZE_PX
        is_inside = ((wanted >= 0.0) & (wanted < 1.0)).all(dim=1) & after.present[0]
        assert known.tolist() == is_inside.tolist()
        np.testing.assert_allclose(after.keypoints[0, known, 0, 0], wanted[known], atol=1e-5)
        assert not after.keypoints[0, ~known, 0, 0].any()
        corner = after.view[0, :2].expand(int(known.sum()), 2)
        np.testing.assert_allclose(
            corner + after.keypoints[0, known, 0, 0], before.keypoints[0, known, 0, 0], atol=1e-5
        )
        n_lost += int((after.present[0] & ~known).any())
    assert 0 < n_lost < 12


def test_frames_where_the_action_changes_most_weigh_most(tmp_path: Path) -> None:
    messages = demonstration(0, 20, intended=lambda seq: action(0) if seq < 10 else action(5))
    cache = open_cache([write_demonstrations(tmp_path / "logs", messages)], tmp_path / "cache", encode=few_words)
    batch = loader(cache, onset_weight=5.0, execute_steps=1, n_calls=32, n_groups=1, n_decisions=0).batch(0)
    # Observation 10 is led to by the action taken at 9.
    assert batch.weight[0].tolist() == [1.0] * 9 + [5.0] + [1.0] * 9 + [0.0] * 13


def test_without_names_of_positions_there_are_no_keypoints(tmp_path: Path) -> None:
    logs = write_demonstrations(tmp_path / "logs", demonstration(action_names=("a", "b", "c", "d")))
    cache = open_cache([logs], tmp_path / "cache", encode=few_words)
    batch = loader(cache).batch(0)
    assert not batch.has_keypoint.any()
    assert not batch.keypoints.any()
    assert not batch.positions.any()
    assert batch.proprioception.shape == (3, 8, 0)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"n_calls": 0}, "loader.n_calls: expected 1 to inf, got 0"),
        ({"n_decisions": -1}, "loader.n_decisions: expected 0 to inf, got -1"),
        ({"onset_weight": 0.5}, "loader.onset_weight: expected 1 to inf, got 0.5"),
        ({"augmentation": AugmentationConfig(crop=1.0)}, "loader.augmentation.crop: expected 0 to 0.9, got 1.0"),
        (
            {"augmentation": AugmentationConfig(p_hue=float("nan"))},
            "loader.augmentation.p_hue: expected 0 to 1, got nan",
        ),
        ({"world_size": 2}, "loader.n_groups: expected a multiple of 2 processes, got 3"),
    ],
)
def test_settings_that_cannot_work_are_refused(cache: EpisodeCache, changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        loader(cache, **changes)


def test_a_normaliser_of_other_data_is_refused(cache: EpisodeCache) -> None:
    other = Normaliser(actions=cache.normaliser().actions)
    with pytest.raises(ValueError, match="proprioception: expected 0 numbers as the normaliser, got 3"):
        loader(cache, normaliser=other, proprioception=True)
    with pytest.raises(ValueError, match="actions: expected 1 numbers as the normaliser, got 4"):
        loader(cache, normaliser=Normaliser(actions=Bounds(low=(0.0,), high=(1.0,))))
