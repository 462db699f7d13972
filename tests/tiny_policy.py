"""A policy and batches so small that hundreds of training steps take a second, for tests of training."""

from __future__ import annotations

from typing import Dict

import torch
from torch import Tensor, nn

from policies.vla.batch import TrainingBatch
from policies.vla.config import PRESETS, Interface
from policies.vla.normaliser import Bounds, Normaliser
from policies.vla.record import DataRecord, PolicyRecord

INTERFACE = Interface(
    cameras=("front",),
    height_px=32,
    width_px=32,
    action_names=("x", "y"),
    proprioception_names=(),
    control_period_s=0.1,
    chunk_steps=4,
    execute_steps=2,
)


class TinyPolicy(nn.Module):
    """Has all that training can trip over: noise, dropout, a buffer, a frozen and an unused parameter."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.frozen = nn.Parameter(torch.ones(3), requires_grad=False)
        self.unused = nn.Linear(2, 2)
        self.layers = nn.Sequential(nn.Linear(8, width), nn.Tanh(), nn.Dropout(0.1), nn.Linear(width, 8))
        self.register_buffer("scale", torch.full((8,), 0.5))

    def loss(self, batch: TrainingBatch, generator: torch.Generator) -> Dict[str, Tensor]:
        actions = batch.actions.flatten(2)
        noise = torch.randn(actions.shape, generator=generator, device=actions.device)
        error = ((self.layers(actions + noise * self.scale) - noise) ** 2).mean()
        return {"noise": error, "loss": 2.0 * error}


class TinyBatches:
    """Two groups of three calls; every number follows from the part and the step."""

    def __init__(self, part: int = 0) -> None:
        self._part = part

    def batch(self, step: int) -> TrainingBatch:
        generator = torch.Generator().manual_seed(1000 + 10 * step + self._part)
        groups, calls, chunk = 2, 3, INTERFACE.chunk_steps
        return TrainingBatch(
            images=torch.randint(256, (groups, calls, 1, 32, 32, 3), generator=generator, dtype=torch.uint8),
            steps=torch.arange(calls).expand(groups, calls) * 2,
            present=torch.ones(groups, calls, dtype=torch.bool),
            words=torch.randn(groups, 384, generator=generator),
            instructions=("push",) * groups,
            proprioception=torch.zeros(groups, calls, 0),
            actions=torch.rand(groups, calls, chunk, 2, generator=generator) * 2.0 - 1.0,
            is_action=torch.ones(groups, calls, chunk, dtype=torch.bool),
            weight=torch.ones(groups, calls),
            keypoints=torch.rand(groups, calls, 1, 2, 2, generator=generator),
            has_keypoint=torch.ones(groups, calls, 1, 2, dtype=torch.bool),
            positions=torch.rand(groups, calls, 2, 3, generator=generator) * 2.0 - 1.0,
            view=torch.tensor([[0.0, 0.0, 1.0]]).expand(groups, 3),
        )


def tiny_record(**changes: object) -> PolicyRecord:
    """Return the record of a small policy, as a training would write it."""
    fields = {
        "network": PRESETS["small"],
        "interface": INTERFACE,
        "normaliser": Normaliser(actions=Bounds(low=(-1.0, -1.0), high=(1.0, 1.0))),
        "data": DataRecord(folders=("a",), sha256="0", n_episodes=1, n_observations=9, instructions=("push",)),
        "settings": {"training": {"learning_rate": 0.01}, "seed": 0},
        "seed": 0,
        "n_steps": 0,
        "trained_s": 0.0,
        "git": "unknown",
        "packages": {},
        **changes,
    }
    return PolicyRecord(**fields)  # type: ignore[arg-type]
