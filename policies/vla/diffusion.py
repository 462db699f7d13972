"""Denoising diffusion over actions: the schedule, and the way back without noise of its own (DDIM)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

_MAX_BETA = 0.999
_OFFSET = 0.008


def signal_shares(n_steps: int) -> Tensor:
    """Return the share of signal left after each step, float32 (n_steps,), falling.

    Source: the squared-cosine schedule (Nichol and Dhariwal 2021, arXiv 2102.09672, equation 17).
    """
    times = torch.arange(n_steps + 1, dtype=torch.float64) / n_steps
    shares = torch.cos((times + _OFFSET) / (1.0 + _OFFSET) * math.pi / 2) ** 2
    betas = (1.0 - shares[1:] / shares[:-1]).clamp(max=_MAX_BETA)
    return torch.cumprod(1.0 - betas, dim=0).float()


def add_noise(clean: Tensor, noise: Tensor, share: Tensor) -> Tensor:
    """Return actions with noise: sqrt(share) of the signal and sqrt(1 - share) of the noise.

    Args:
        clean: (batch, n_steps, n_actions).
        noise: The same shape, standard normal.
        share: (batch,).
    """
    share = share[:, None, None]
    return share.sqrt() * clean + (1.0 - share).sqrt() * noise


def clean_from_noise(noisy: Tensor, noise: Tensor, share: Tensor) -> Tensor:
    """Return the actions that ``add_noise`` made noisy; same arguments."""
    share = share[:, None, None]
    return (noisy - (1.0 - share).sqrt() * noise) / share.sqrt()


def ddim(predict_clean: Callable[[Tensor, Tensor], Tensor], noise: Tensor, shares: Tensor, n_steps: int) -> Tensor:
    """Return actions from noise (Song et al. 2021, arXiv 2010.02502, equation 12 with sigma 0).

    Args:
        predict_clean: From noisy actions and the step of each (batch,), int64, to the actions without noise.
        noise: (batch, n_steps, n_actions), standard normal.
        shares: What is left of the signal at each training step.
        n_steps: How many steps to take.

    Returns:
        Actions within -1 to 1.

    Raises:
        ValueError: There are not so many steps.
    """
    if not 1 <= n_steps <= len(shares):
        raise ValueError(f"n_steps: expected 1 to {len(shares)}, got {n_steps}")
    # Not from the very last step: of its signal so little is left that any error of the prediction saturates.
    times = torch.arange(n_steps - 1, -1, -1) * (len(shares) // n_steps)
    noisy, clean = noise, noise
    for index, time in enumerate(times.tolist()):
        share = shares[time]
        clean = predict_clean(noisy, torch.full((len(noise),), time, dtype=torch.long, device=noise.device))
        clean = clean.clamp(-1.0, 1.0)
        if index + 1 < n_steps:
            # The noise that explains the clipped estimate.
            epsilon = (noisy - share.sqrt() * clean) / (1.0 - share).sqrt()
            after = shares[int(times[index + 1])]
            noisy = after.sqrt() * clean + (1.0 - after).sqrt() * epsilon
    return clean
