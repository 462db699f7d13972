"""One training: the steps of the optimiser, and all that is needed to go on later as if nothing had been between.

Every random number follows from seed, step and part alone, so nothing of generators has to be kept: on a processor,
two steps, a stop and two steps are bit for bit the four steps without the stop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from types import TracebackType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from embodied.errors import ConfigurationError
from policies.vla.batch import TrainingBatch
from policies.vla.checkpoint import fill_model, stored_tensors
from policies.vla.config import Interface, NetworkConfig
from policies.vla.ema import MovingAverage
from policies.vla.model import MemoryPolicy
from policies.vla.processes import Processes
from policies.vla.schedule import TrainingConfig, check_training, learning_rate_at

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""What AdamW keeps of each parameter."""


@runtime_checkable
class BatchSource(Protocol):
    """Where one part's batches come from."""

    def batch(self, step: int) -> TrainingBatch:
        """Return a batch that depends on nothing but the step's number; called in another thread."""
        ...


class StepResult(NamedTuple):
    """What a step of the optimiser told, as means over its parts."""

    values: dict[str, float]
    """``loss``, what the model tells beside it, ``gradient_norm`` and ``learning_rate``."""
    n_calls: int
    """Calls of the policy that were learned from."""
    stop: bool
    """Whether one of the processes was asked to stop."""


class Trainer:
    """A model on its way; a context manager."""

    def __init__(
        self,
        policy: nn.Module,
        parts: Sequence[BatchSource],
        config: TrainingConfig,
        *,
        seed: int = 0,
        device: torch.device = torch.device("cpu"),
        processes: Processes = Processes(),
        compile_model: bool = False,
    ) -> None:
        """Begin.

        Args:
            policy: Has ``loss(batch, generator)``, a dictionary of means with ``loss``.
            parts: Of each step's batch; as many as ``config.n_parts``, once that is resolved.
            config: How.
            seed: Of the noise.
            device: Where.
            processes: That train together.
            compile_model: Let torch compile the model first.

        Raises:
            ConfigurationError: A setting is out of its range.
        """
        check_training(config)
        self.config = resolved(config, processes, device)
        if len(parts) != self.config.n_parts:
            raise ValueError(f"parts: expected {self.config.n_parts}, got {len(parts)}")
        self.policy = policy.to(device).train()
        self.average = MovingAverage(policy, config.ema_decay)
        self.n_steps = 0
        self._parts, self._seed, self._device, self._processes = parts, seed, device, processes
        self._trained = {name: p for name, p in policy.named_parameters() if p.requires_grad}
        self._optimizer = _optimizer(list(self._trained.values()), config)
        objective: nn.Module = _Objective(policy)
        if compile_model:
            objective.compile()
        if processes.size > 1:
            # What a step does not need, a part of the network that is off, say, gets no gradient.
            objective = DistributedDataParallel(objective, broadcast_buffers=False, find_unused_parameters=True)
        self._objective = objective
        self._generator = torch.Generator(device)
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._next: tuple[int, int, Future[TrainingBatch]] | None = None
        """Step, part and batch."""

    def __enter__(self) -> Trainer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ahead.shutdown(wait=True, cancel_futures=True)

    def step(self, *, stop: bool = False) -> StepResult:
        """Do one step of the optimiser.

        Args:
            stop: Whether this process was asked to stop; all processes learn of it.

        Raises:
            ConfigurationError: The loss is not finite any more; the weights are those of the step before.
        """
        rate = learning_rate_at(self.config, self.n_steps)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        told, n_calls = self._gradients()
        parameters = list(self._trained.values())
        norm = nn.utils.clip_grad_norm_(parameters, self.config.max_gradient_norm)
        counted = [norm.detach().float(), torch.tensor([float(n_calls), float(stop)], device=self._device)]
        means = self._processes.mean(
            torch.cat([*(v.reshape(1) for v in told.values()), *(c.reshape(-1) for c in counted)])
        )
        *values, gradient_norm, mean_calls, any_stop = means.tolist()
        shown = dict(zip(told, values), gradient_norm=gradient_norm, learning_rate=rate)
        if not (math.isfinite(shown["loss"]) and math.isfinite(gradient_norm)):
            raise ConfigurationError(
                f"training.learning_rate: the loss is {shown['loss']} and its gradient {gradient_norm} after "
                f"{self.n_steps} steps; a lower rate than {self.config.learning_rate} may help"
            )
        self._optimizer.step()
        self.average.update(self.policy, self.n_steps)
        self.n_steps += 1
        return StepResult(shown, round(mean_calls * self._processes.size), any_stop > 0.0)

    def _gradients(self) -> tuple[dict[str, Tensor], int]:
        """Add up the gradients of this process's parts; return the means of what the model told, and the calls."""
        parts = range(self._processes.rank, self.config.n_parts, self._processes.size)
        told: dict[str, Tensor] = {}
        n_calls = 0
        for part in parts:
            batch = self._batch(part, parts)
            n_calls += int(batch.present.sum())
            self._seed_part(part)
            batch = TrainingBatch(*(_moved(each, self._device) for each in batch))
            # Processes exchange gradients with their last part.
            apart = part != parts[-1] and isinstance(self._objective, DistributedDataParallel)
            with self._objective.no_sync() if apart else nullcontext():
                with torch.autocast(self._device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
                    losses = self._objective(batch, self._generator)
                (losses["loss"] / len(parts)).backward()
            for name, value in losses.items():
                told[name] = told.get(name, 0.0) + value.detach().float() / len(parts)
        return told, n_calls

    def _batch(self, part: int, parts: range) -> TrainingBatch:
        """Return a batch, and let the next be made meanwhile."""
        step, following, made = self.n_steps, self.n_steps, self._next
        batch = made[2].result() if made is not None and made[:2] == (step, part) else self._parts[part].batch(step)
        if part == parts[-1]:
            following += 1
        after = parts[(parts.index(part) + 1) % len(parts)]
        self._next = None
        if following < self.config.n_steps:
            self._next = (following, after, self._ahead.submit(self._parts[after].batch, following))
        return batch

    def _seed_part(self, part: int) -> None:
        states = np.random.SeedSequence((self._seed, self.n_steps, part)).generate_state(2, np.uint64)
        torch.manual_seed(int(states[0]) >> 1)  # of dropout, which takes no generator
        self._generator.manual_seed(int(states[1]) >> 1)

    def policy_tensors(self) -> dict[str, Tensor]:
        """Return what to act with: averages, and what is not averaged."""
        return {**stored_tensors(self.policy), **self.average.tensors}

    def tensors(self) -> dict[str, Tensor]:
        """Return all that is needed to go on: weights, their average and the optimiser's moments, by name."""
        found = {f"model/{name}": tensor for name, tensor in stored_tensors(self.policy).items()}
        found.update((f"average/{name}", tensor) for name, tensor in self.average.tensors.items())
        for name, parameter in self._trained.items():
            state = self._optimizer.state.get(parameter, {})  # nothing of what never had a gradient
            found.update((f"{moment}/{name}", state[moment]) for moment in _MOMENTS if moment in state)
        return found

    def restore(self, tensors: dict[str, Tensor], n_steps: int, where: str) -> None:
        """Go on from what ``tensors`` returned.

        Raises:
            ConfigurationError: It belongs to another network; begins with ``where``.
        """
        by_kind: dict[str, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            kind, _, name = key.partition("/")
            by_kind.setdefault(kind, {})[name] = tensor
        fill_model(self.policy, by_kind.get("model", {}), where)
        for name, average in self.average.tensors.items():
            average.copy_(by_kind["average"][name])
        self._optimizer.state.clear()
        for name, parameter in self._trained.items():
            state = {
                moment: by_kind[moment][name].to(parameter.device)
                for moment in _MOMENTS
                if name in by_kind.get(moment, {})
            }
            if state:
                self._optimizer.state[parameter] = state
        self.n_steps = n_steps
        self._next = None


class _Objective(nn.Module):
    """The loss as a module, which is what torch compiles and shares out."""

    def __init__(self, policy: Any) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, batch: TrainingBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return self.policy.loss(batch, generator)


def new_policy(network: NetworkConfig, interface: Interface, seed: int) -> MemoryPolicy:
    """Return a policy with random weights.

    Raises:
        ConfigurationError: Network and interface do not fit, or a pretrained encoder is missing.
    """
    torch.manual_seed(seed)
    try:
        return MemoryPolicy(network, interface)
    except ValueError as error:
        raise ConfigurationError(f"network: {error}") from error


def resolved(config: TrainingConfig, processes: Processes, device: torch.device) -> TrainingConfig:
    """Return the settings with what is left open decided; this is what a training that goes on must have again.

    Raises:
        ConfigurationError: The parts cannot be shared out among the processes.
    """
    precision = config.precision
    if precision == "auto":
        precision = "bfloat16" if device.type == "cuda" else "float32"
    n_parts = config.n_parts or processes.size
    if n_parts % processes.size:
        raise ConfigurationError(f"training.n_parts: expected a multiple of {processes.size} processes, got {n_parts}")
    return msgspec.structs.replace(config, precision=precision, n_parts=n_parts)


def _optimizer(parameters: list[nn.Parameter], config: TrainingConfig) -> torch.optim.AdamW:
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    others = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True)


def _moved(value: Any, device: torch.device) -> Any:
    return value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
