"""Low-rank updates of linear layers: W + (alpha / rank) B A, of which only A and B are trained.

Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685, section 4.1. A begins random and
B zero, so that the network begins as it was.
"""

from __future__ import annotations

import math
import re

import torch
from torch import Tensor, nn
from torch.nn import functional

from policies.vla.backbones.settings import LoraSettings


class LoraLinear(nn.Linear):
    """A linear layer with a low-rank update. Its weight and bias keep their names, so that checkpoints still fit."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        """Take over the weights of a layer and freeze them.

        Args:
            base: The layer; its parameters are shared, not copied.
            rank: At least 1.
            alpha: The update counts ``alpha / rank`` times.
        """
        super().__init__(base.in_features, base.out_features, bias=base.bias is not None, device="meta")
        self.weight, self.bias = base.weight.requires_grad_(False), base.bias
        if self.bias is not None:
            self.bias.requires_grad_(False)
        self.scale = alpha / rank
        device = base.weight.device
        # Always float32: what is learned is small beside weights of 16 bits.
        self.lora_down = nn.Parameter(torch.empty(rank, base.in_features, device=device))
        self.lora_up = nn.Parameter(torch.zeros(base.out_features, rank, device=device))
        nn.init.kaiming_uniform_(self.lora_down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        kept = functional.linear(x, self.weight, self.bias)
        update = functional.linear(functional.linear(x.to(self.lora_down.dtype), self.lora_down), self.lora_up)
        return kept + (self.scale * update).to(kept.dtype)

    def merged(self) -> nn.Linear:
        """Return a plain layer that computes the same; it shares the bias."""
        plain = nn.Linear(self.in_features, self.out_features, bias=self.bias is not None, device="meta")
        update = self.scale * (self.lora_up.detach() @ self.lora_down.detach())
        merged = (self.weight.detach().to(update.dtype) + update).to(self.weight.dtype)
        plain.weight, plain.bias = nn.Parameter(merged, requires_grad=False), self.bias
        return plain.train(self.training)


def add_lora(network: nn.Module, settings: LoraSettings) -> list[str]:
    """Freeze a network and give its linear layers low-rank updates; return the names of those layers.

    Layers of another class that only derives from ``nn.Linear`` stay as they are: their owners use their weights past
    ``forward`` (``nn.MultiheadAttention`` does).

    Raises:
        ValueError: A rank below 1, no regular expression, or no layer of such a name.
    """
    if settings.rank < 1:
        raise ValueError(f"lora.rank: expected at least 1, got {settings.rank}")
    try:
        wanted = re.compile(settings.modules)
    except re.error as error:
        raise ValueError(f"lora.modules: expected a regular expression, got {settings.modules!r} ({error})") from error
    network.requires_grad_(False)
    layers = {name: each for name, each in network.named_modules() if type(each) is nn.Linear}
    chosen = [name for name in layers if wanted.search(name)]
    if not chosen:
        raise ValueError(
            f"lora.modules: expected part of the name of a linear layer ({', '.join(list(layers)[:3])}, …), got "
            f"{settings.modules!r}"
        )
    for name in chosen:
        _replace(network, name, LoraLinear(layers[name], settings.rank, settings.alpha))
    return chosen


def merge_lora(network: nn.Module) -> int:
    """Work all updates into the weights, so that they cost nothing any more; return how many there were."""
    layers = [(name, each) for name, each in network.named_modules() if isinstance(each, LoraLinear)]
    for name, layer in layers:
        _replace(network, name, layer.merged())
    return len(layers)


def _replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, layer)
