"""How a policy is trained: the settings, and the learning rate at each step. No torch in here."""

from __future__ import annotations

import math
from typing import Literal

from embodied.config import Config
from embodied.errors import ConfigurationError


class TrainingConfig(Config):
    """What the trained weights depend on, beside data, network and seed."""

    n_steps: int = 2_500
    """Steps of the optimiser in all."""
    learning_rate: float = 1.5e-3
    """At its highest, after the warm-up."""
    warmup_steps: int = 50
    """Over which the learning rate rises; then it falls as half a cosine until the end."""
    final_share: float = 0.01
    """Of the highest learning rate, at the end."""
    weight_decay: float = 0.01
    """Of matrices; biases, norms and single vectors are not pulled to zero (AdamW, arXiv 1711.05101)."""
    beta1: float = 0.9
    """Of AdamW: how slowly its mean gradient moves."""
    beta2: float = 0.999
    """Of AdamW: how slowly its mean squared gradient moves."""
    max_gradient_norm: float = 1.0
    """Longer gradients are cut to this length."""
    ema_decay: float = 0.995
    """Of the moving average of the weights, which is what is saved to be used; it starts faster."""
    n_parts: int = 0
    """Parts that a batch is cut into, whose gradients are averaged; they are shared out among torchrun's processes: one
    or many processes with as many parts train alike, and more parts need less memory. 0: one for each process."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of most operations; auto: bfloat16 (mixed with float32) on a GPU, float32 elsewhere."""


def check_training(config: TrainingConfig) -> None:
    """Refuse what cannot work.

    Raises:
        ConfigurationError: A setting is out of its range; the text names it.
    """
    least = {"n_steps": 1, "warmup_steps": 0, "n_parts": 0, "weight_decay": 0.0}
    for name, low in least.items():
        if not getattr(config, name) >= low:
            raise ConfigurationError(f"training.{name}: expected at least {low}, got {getattr(config, name)}")
    for name in ("learning_rate", "max_gradient_norm"):
        if not 0.0 < getattr(config, name) < math.inf:
            raise ConfigurationError(f"training.{name}: expected more than 0, got {getattr(config, name)}")
    for name in ("final_share", "beta1", "beta2", "ema_decay"):
        if not 0.0 <= getattr(config, name) <= 1.0 or (name != "final_share" and getattr(config, name) == 1.0):
            raise ConfigurationError(f"training.{name}: expected from 0 to under 1, got {getattr(config, name)}")


def learning_rate_at(config: TrainingConfig, step: int) -> float:
    """Return the learning rate of a step, the first of which is 0: a linear rise, then half a cosine.

    Source: SGDR (arXiv 1608.03983), equation 5, without restarts, after a warm-up.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.n_steps - 1 - config.warmup_steps)
    low = config.final_share
    return config.learning_rate * (low + (1.0 - low) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done))))
