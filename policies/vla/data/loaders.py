"""Draws batches from a cache. Each batch follows from the seed and its number alone, so that training can be resumed.

Three ways to choose the calls of a group, each group of one episode:

- ``calls``: as the policy is called when it acts, from the episode's beginning, always as far apart.
- ``group``: frames of the whole episode at random, in the order of time (MemoryVLA's loader for LIBERO and MIKASA).
- ``stream``: consecutive frames; a group goes on where the same row of the batch before ended, and where an episode
  ends the next begins with the next batch (its Bridge loader). A memory that is kept between batches has to be emptied
  for the rows whose ``steps`` begin with 0.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from embodied.arrays import Bool, Float, Int, UInt8
from embodied.config import Config
from embodied.errors import ConfigurationError
from policies.vla.action_codec import ActionCodec
from policies.vla.batch import TrainingBatch
from policies.vla.config import RotationConfig
from policies.vla.data.augmentation import AugmentationConfig, Look, apply_look, draw_look, move_places, view_of
from policies.vla.data.cache import Episode, EpisodeCache
from policies.vla.data.labels import POSITIONS, columns_of, onset_weights
from policies.vla.data.recorded import Layout
from policies.vla.data.sampling import (
    call_steps,
    decisions,
    group_steps,
    remembered_calls,
    shuffled_episode,
    stream_window,
)
from policies.vla.normaliser import Bounds, Normaliser
from policies.vla.rotations import ActionRotations


class LoaderConfig(Config):
    """How batches are drawn."""

    kind: Literal["calls", "group", "stream"] = "calls"
    """How the calls of a group are chosen: as when the policy acts, at random, or consecutive frames."""
    n_groups: int = 32
    """Episodes of a batch, over all processes."""
    n_calls: int = 6
    """Calls of each, at most."""
    n_decisions: int = 4
    """Calls of each group that the actions are learned from, drawn with the chance of their weight; the others are only
    remembered, which is cheap. 0: all, each with its weight."""
    onset_weight: float = 20.0
    """Of the frames of an episode at which the action has changed most; the others' weights lie between 1 and this."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """How the looks of episodes are varied."""


class _Group(NamedTuple):
    """One row of a batch, as many calls as were drawn."""

    images: UInt8[np.ndarray, "n_calls n_frames height width 3"]
    steps: Int[np.ndarray, " n_calls"]
    present: Bool[np.ndarray, " n_calls"]
    proprioception: Float[np.ndarray, "n_calls n_proprioception"]
    actions: Float[np.ndarray, "n_calls n_chunk n_actions"]
    """As the network has them."""
    is_action: Bool[np.ndarray, "n_calls n_chunk"]
    weight: Float[np.ndarray, " n_calls"]
    keypoints: Float[np.ndarray, "n_calls n_cameras 2 2"]
    has_keypoint: Bool[np.ndarray, "n_calls n_cameras 2"]
    positions: Float[np.ndarray, "n_calls 2 3"]


class Loader:
    """Makes any batch of a training."""

    def __init__(
        self,
        cache: EpisodeCache,
        normaliser: Normaliser,
        config: LoaderConfig,
        *,
        seed: int,
        chunk_steps: int,
        execute_steps: int,
        n_stacked_frames: int = 1,
        proprioception: bool = False,
        rotations: RotationConfig = RotationConfig(),
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Make a loader.

        Args:
            cache: The demonstrations.
            normaliser: Fitted to them, or that of a policy which is trained on.
            config: How batches are drawn.
            seed: Of all draws.
            chunk_steps: Actions after each call.
            execute_steps: Of which so many are carried out before the next call. An action that changed so many steps
                ago or less is at its onset.
            n_stacked_frames: Frames that a call sees of each camera, the newest last.
            proprioception: Whether calls see the robot's own measurements.
            rotations: How the network has the rotation of an action.
            rank: Which process this is.
            world_size: How many share each batch; together they draw what one alone would.

        Raises:
            ConfigurationError: See ``check_loader`` and ``action_codec.rotation_start``.
            ValueError: The normaliser does not fit the data, or there is no such process.
        """
        check_loader(config, world_size)
        _check_fit(normaliser, cache.layout, proprioception)
        if not 0 <= rank < world_size:
            raise ValueError(f"rank: expected 0 to {world_size - 1}, got {rank}")
        self._cache, self._normaliser, self._config, self._seed = cache, normaliser, config, seed
        self._execute_steps = execute_steps
        self._chunk_steps, self._n_stacked, self._proprioception = chunk_steps, n_stacked_frames, proprioception
        names = cache.layout.action_names
        self._network_bounds = ActionCodec(names, normaliser.actions, rotations).bounds
        self._rotations = None
        if rotations.form != "as_given":
            self._rotations = ActionRotations(names, rotations.form, rotations.unit_rad)
        n_rows = config.n_groups // world_size
        self._rows = range(rank * n_rows, (rank + 1) * n_rows)
        self._n_windows = -(-cache.lengths // config.n_calls)

    def batch(self, step: int) -> TrainingBatch:
        """Return this process's part of a batch, by the number of the batch."""
        drawn = [(row, *self._draw(step, row)) for row in self._rows]
        episodes = [self._cache.episode(episode) for _, episode, _, _ in drawn]
        size_px = self._cache.layout.height_px, self._cache.layout.width_px
        looks = [draw_look(self._config.augmentation, rng, *size_px) for *_, rng in drawn]
        groups = [
            self._group(episode, steps, look, np.random.default_rng((self._seed, 4, step, row)))
            for episode, (row, _, steps, _), look in zip(episodes, drawn, looks, strict=True)
        ]
        return TrainingBatch(
            view=torch.from_numpy(np.stack([view_of(look, *size_px) for look in looks])),
            words=torch.from_numpy(np.stack([episode.words for episode in episodes])),
            instructions=tuple(episode.instruction for episode in episodes),
            **{
                name: _padded([getattr(group, name) for group in groups], self._config.n_calls)
                for name in groups[0]._fields
            },
        )

    def _draw(self, step: int, row: int) -> tuple[int, Int[np.ndarray, " n_calls_drawn"], np.random.Generator]:
        """Return which calls of which episode a row has, and the generator of its looks."""
        config, lengths = self._config, self._cache.lengths
        if config.kind == "stream":
            epoch, episode, first = stream_window(self._seed, row, self._n_windows, config.n_calls, step)
            steps = np.arange(first, min(first + config.n_calls, int(lengths[episode])))
            # An episode looks the same in all its windows.
            return episode, steps, np.random.default_rng((self._seed, 2, row, epoch, episode))
        rng = np.random.default_rng((self._seed, 3, step, row))
        episode = shuffled_episode(self._seed, self._cache.n_episodes, step * config.n_groups + row)
        if config.kind == "group":
            return episode, group_steps(rng, int(lengths[episode]), config.n_calls), rng
        return episode, call_steps(rng, int(lengths[episode]), self._execute_steps), rng

    def _group(
        self,
        episode: Episode,
        steps: Int[np.ndarray, " n_calls"],
        look: Look,
        rng: np.random.Generator,
    ) -> _Group:
        n_frames, layout, config = len(episode.actions), self._cache.layout, self._config
        actions = self._as_in_network(episode.actions)
        # By the robot's own numbers: how the network has them does not change what is drawn.
        given = self._normaliser.actions.normalise(episode.actions)
        weights = onset_weights(given, config.onset_weight, self._execute_steps)[steps]
        if config.n_decisions:
            weights = decisions(rng, weights, config.n_decisions)
        kept = remembered_calls(rng, weights, config.n_calls)
        steps, weights = steps[kept], weights[kept]
        targets = steps[:, None] + np.arange(self._chunk_steps)
        is_action = targets < n_frames
        measured = np.zeros((len(steps), 0), dtype=np.float32)
        if self._proprioception:
            measured = self._normaliser.proprioception.normalise(episode.proprioception[steps])
        keypoints = move_places(episode.keypoints[steps], look, layout.height_px, layout.width_px)
        return _Group(
            images=self._images(episode, steps, look),
            steps=steps.astype(np.int64),
            present=np.ones(len(steps), dtype=bool),
            proprioception=measured,
            actions=np.where(is_action[:, :, None], actions[np.minimum(targets, n_frames - 1)], np.float32(0.0)),
            is_action=is_action,
            weight=weights,
            keypoints=np.nan_to_num(keypoints),
            has_keypoint=np.isfinite(keypoints).all(axis=3),
            positions=np.nan_to_num(self._shares(episode.positions[steps])),
        )

    def _as_in_network(self, actions: Float[np.ndarray, "n_frames n_given"]) -> Float[np.ndarray, "n_frames n_actions"]:
        """Return actions normalised, their rotations as six numbers where that is asked for."""
        if self._rotations is not None:
            actions = self._rotations.encode(torch.from_numpy(np.array(actions))).numpy()
        return self._network_bounds.normalise(actions)

    def _shares(self, positions: Float[np.ndarray, "n_calls 2 3"]) -> Float[np.ndarray, "n_calls 2 3"]:
        """Return positions as shares of the range in the demonstrations; NaN where none is known."""
        columns = columns_of(self._cache.layout.proprioception_names, POSITIONS)
        if columns is None:
            return positions
        bounds = self._normaliser.proprioception
        low, high = (np.array(each)[columns] for each in (bounds.low, bounds.high))
        return Bounds(low=tuple(low), high=tuple(high)).normalise(positions)

    def _images(
        self, episode: Episode, steps: Int[np.ndarray, " n_calls"], look: Look
    ) -> UInt8[np.ndarray, "n_calls n_frames height width 3"]:
        # Before the beginning, the first frame is all there is.
        seen = np.maximum(steps[:, None] - np.arange(self._n_stacked)[::-1], 0)
        frames, places = np.unique(seen, return_inverse=True)
        cameras = [apply_look(images[frames], look)[places.reshape(seen.shape)] for images in episode.images]
        return cameras[0] if len(cameras) == 1 else np.concatenate(cameras, axis=1)


def _padded(groups: list[np.ndarray], n_calls: int) -> Tensor:
    """Return the groups' rows as (n_groups, n_calls, ...), with zeros behind those of a shorter group."""
    # Zeros that are never touched are no work: the system hands them out.
    padded = np.zeros((len(groups), n_calls, *groups[0].shape[1:]), dtype=groups[0].dtype)
    for row, group in zip(padded, groups, strict=True):
        row[: len(group)] = group
    return torch.from_numpy(padded)


def check_loader(config: LoaderConfig, world_size: int = 1) -> None:
    """Refuse settings that cannot work.

    Raises:
        ConfigurationError: One is out of its range, or the batch cannot be shared by so many processes.
    """
    ranges: dict[str, tuple[float, float]] = {
        "n_groups": (1, np.inf),
        "n_calls": (1, np.inf),
        "n_decisions": (0, np.inf),
        "onset_weight": (1.0, np.inf),
        **{f"augmentation.{name}": (0.0, 1.0) for name in AugmentationConfig.__struct_fields__},
        "augmentation.crop": (0.0, 0.9),
    }
    for path, (low, high) in ranges.items():
        value = attrgetter(path)(config)
        if not low <= value <= high:
            raise ConfigurationError(f"loader.{path}: expected {low:g} to {high:g}, got {value}")
    if config.n_groups % world_size:
        raise ConfigurationError(
            f"loader.n_groups: expected a multiple of {world_size} processes, got {config.n_groups}"
        )


def _check_fit(normaliser: Normaliser, layout: Layout, proprioception: bool) -> None:
    pairs = [("actions", normaliser.actions, layout.action_names)]
    if proprioception:
        pairs.append(("proprioception", normaliser.proprioception, layout.proprioception_names))
    for name, bounds, names in pairs:
        if len(bounds.low) != len(names):
            raise ValueError(f"{name}: expected {len(bounds.low)} numbers as the normaliser, got {len(names)}")
