"""A trained policy as an evaluation plays it: what its folder says, and what it does in an episode."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from manipulation_figures import Kind

from embodied.arrays import Float
from embodied.errors import ConfigurationError
from policies.vla.acting import ActingConfig, Actor, open_actor
from policies.vla.config import NetworkConfig
from policies.vla.record import PolicyRecord, read_record
from sim.rollout import EpisodeBegun, Instant

if TYPE_CHECKING:
    from embodied.arrays import Image

_TRAINING = re.compile(r"(?P<method>.+?)-(?P<training>seed\d+)")


class Checkpoint(NamedTuple):
    """A policy on disk."""

    folder: str
    method: str
    """What it is called; one name for several trainings of it."""
    training: str
    """Which of these: ``seed0``; empty where there is one."""
    record: PolicyRecord

    @property
    def name(self) -> str:
        """Of this one training."""
        return f"{self.method}-{self.training}" if self.training else self.method

    @property
    def kind(self) -> Kind:
        """What it remembers with."""
        return kind_of(self.record.network)


def kind_of(network: NetworkConfig) -> Kind:
    """Return what a network remembers with."""
    if network.memory.kind == "memory":
        return "memory"
    return "frames" if network.n_stacked_frames > 1 else "memoryless"


def read_checkpoints(folders: Sequence[str], names: Sequence[str]) -> list[Checkpoint]:
    """Return what the folders hold; several trainings of one method are called ``METHOD-seed0``, ``METHOD-seed1``, ….

    Args:
        folders: Of policies.
        names: One for each, or none: then they are called as their folders.

    Raises:
        ConfigurationError: A folder holds no policy, two have one name, or they see pictures of different sizes.
    """
    if names and len(names) != len(folders):
        raise ConfigurationError(f"names: expected one for each of {len(folders)} checkpoints, got {len(names)}")
    found = []
    for folder, name in zip(folders, names or [Path(folder).resolve().name for folder in folders], strict=True):
        parts = _TRAINING.fullmatch(name)
        method, training = (parts["method"], parts["training"]) if parts else (name, "")
        found.append(Checkpoint(folder, method, training, read_record(Path(folder))))
    called = [checkpoint.name for checkpoint in found]
    twice = sorted({name for name in called if called.count(name) > 1})
    if twice:
        raise ConfigurationError(f"names: expected different ones, got {', '.join(twice)} more than once")
    for method in {checkpoint.method for checkpoint in found}:
        kinds = {checkpoint.kind for checkpoint in found if checkpoint.method == method}
        if len(kinds) > 1:
            raise ConfigurationError(f"names: {method} stands for policies of different kinds: {', '.join(kinds)}")
    sizes = {(c.record.interface.width_px, c.record.interface.height_px) for c in found}
    if len(sizes) > 1:
        raise ConfigurationError(f"checkpoint: expected policies that see pictures of one size, got {sorted(sizes)}")
    return found


class CheckpointPolicy:
    """``Acting`` with the policy of a checkpoint."""

    def __init__(self, actor: Actor, name: str) -> None:
        self._actor = actor
        self._name = name
        self._record = actor.backend.record
        self._felt: list[int] = []

    @property
    def execute_steps(self) -> int:
        """Actions that are carried out between two calls."""
        return self._record.interface.execute_steps

    @property
    def n_frames(self) -> int:
        """Instants that a call looks at."""
        return self._record.network.n_stacked_frames

    def begin(self, begun: EpisodeBegun, episode: str) -> None:
        """Begin an episode with a memory that is empty.

        Raises:
            ConfigurationError: The policy is for another robot.
        """
        interface = self._record.interface
        first = begun.instants[0]
        self._check("actions", interface.action_names, begun.action_names)
        self._check("control period, s", interface.control_period_s, begun.control_period_s)
        for camera in interface.cameras:
            if camera not in first.images:
                raise ConfigurationError(
                    f"checkpoint {self._name}: trained with camera {camera}, the task has {', '.join(first.images)}"
                )
            size = (interface.height_px, interface.width_px, 3)
            self._check(f"pictures of {camera}", size, first.images[camera].shape)
        missing = [name for name in interface.proprioception_names if name not in begun.proprioception_names]
        if missing:
            raise ConfigurationError(f"checkpoint {self._name}: the task does not measure {', '.join(missing)}")
        self._felt = [begun.proprioception_names.index(name) for name in interface.proprioception_names]
        self._actor.begin(begun.instruction, episode)
        self._actor.forget()

    def act(self, instants: tuple[Instant, ...]) -> Float[np.ndarray, "n_steps n_actions"]:
        """Return what to do."""
        *before, now = instants
        for instant in before:
            self._actor.see(self._frames(instant), instant.step)
        return self._actor.act(self._frames(now), now.step, now.proprioception[self._felt] if self._felt else None)

    def _frames(self, instant: Instant) -> list[Image]:
        return [instant.images[camera] for camera in self._record.interface.cameras]

    def _check(self, what: str, trained: object, given: object) -> None:
        if trained != given:
            raise ConfigurationError(f"checkpoint {self._name}: trained for {what} {trained}, the task has {given}")


@cache
def open_policy(folder: str, weights_sha256: str, acting: ActingConfig) -> CheckpointPolicy:
    """Return the policy of a folder, ready to act; once it is open it stays so.

    Raises:
        ConfigurationError: There is none, its weights are others by now, or torch is not installed.
    """
    actor = open_actor(folder, acting)
    found = actor.backend.record.weights_sha256
    if found != weights_sha256:
        raise ConfigurationError(f"checkpoint {folder}: expected weights {weights_sha256[:12]}, got {found[:12]}")
    return CheckpointPolicy(actor, folder)
