"""A moving average of the weights, which acts more steadily than the last weights themselves."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MovingAverage:
    """Follows a model: ``average = decay * average + (1 - decay) * weights``, with a faster start.

    What layers measure while they are trained, the means of a batch norm, say, is averaged with the weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self.tensors: dict[str, Tensor] = {name: tensor.clone() for name, tensor in _moving(model).items()}
        """By name; what is frozen does not move."""

    def decay_at(self, n_updates: int) -> float:
        """Return the decay after so many updates: at first the average is of the few weights there were.

        Source: ``min(decay, (1 + n) / (10 + n))``, as TensorFlow's moving averages have it.
        """
        return min(self._decay, (1.0 + n_updates) / (10.0 + n_updates))

    @torch.no_grad()
    def update(self, model: nn.Module, n_updates: int) -> None:
        """Take in the weights.

        Args:
            model: The one that is followed.
            n_updates: How many were taken in before.
        """
        now = _moving(model)
        averages = [self.tensors[name] for name in now]
        torch._foreach_lerp_(averages, list(now.values()), 1.0 - self.decay_at(n_updates))


def _moving(model: nn.Module) -> dict[str, Tensor]:
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {
        name: tensor.detach()
        for name, tensor in model.state_dict().items()
        if tensor.is_floating_point() and name not in frozen
    }
