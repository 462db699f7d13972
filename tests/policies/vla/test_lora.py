from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from policies.vla.backbones.settings import LoraSettings  # noqa: E402
from policies.vla.lora import LoraLinear, add_lora, merge_lora  # noqa: E402


def some_network() -> Any:
    torch.manual_seed(0)
    network = torch.nn.Sequential()
    network.add_module("first", torch.nn.Linear(6, 8))
    network.add_module("attention", torch.nn.MultiheadAttention(8, 2, batch_first=True))
    network.add_module("second", torch.nn.Linear(8, 3, bias=False))
    return network


def run(network: Any, x: Any) -> Any:
    hidden = network.first(x)
    return network.second(network.attention(hidden, hidden, hidden, need_weights=False)[0])


def test_updates_begin_at_nothing_and_are_all_that_learns() -> None:
    network, x = some_network(), torch.randn(2, 5, 6)
    before, names = run(network, x), set(network.state_dict())
    # The attention uses the weights of its own layer past forward: it is left alone.
    assert add_lora(network, LoraSettings(rank=2)) == ["first", "second"]
    np.testing.assert_allclose(run(network, x).detach(), before.detach(), atol=1e-7)
    assert names <= set(network.state_dict())
    run(network, x).square().sum().backward()
    learning = {name for name, each in network.named_parameters() if each.grad is not None}
    assert learning == {"first.lora_down", "first.lora_up", "second.lora_down", "second.lora_up"}
    assert {name for name, each in network.named_parameters() if each.requires_grad} == learning
    assert bool(network.second.lora_up.grad.abs().sum() > 0)


def test_merged_weights_compute_the_same() -> None:
    network, x = some_network(), torch.randn(2, 5, 6)
    plain = run(network, x)
    add_lora(network, LoraSettings(rank=3, alpha=6.0, modules="first"))
    assert isinstance(network.first, LoraLinear)
    assert type(network.second) is torch.nn.Linear
    torch.nn.init.normal_(network.first.lora_up)
    expected = run(network, x)
    assert not np.allclose(expected.detach(), plain.detach(), atol=1e-2)
    merged = copy.deepcopy(network)
    assert merge_lora(merged) == 1
    assert type(merged.first) is torch.nn.Linear
    np.testing.assert_allclose(run(merged, x).detach(), expected.detach(), atol=1e-5)
    update = 2.0 * network.first.lora_up @ network.first.lora_down
    np.testing.assert_allclose((merged.first.weight - network.first.weight).detach(), update.detach(), atol=1e-5)
    assert merge_lora(merged) == 0


def test_updates_of_weights_of_16_bits_stay_in_32() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 4)).bfloat16()
    add_lora(network, LoraSettings(rank=2))
    y = network(torch.randn(3, 4).bfloat16())
    assert (y.dtype, network[0].lora_up.dtype) == (torch.bfloat16, torch.float32)
    merge_lora(network)
    assert network[0].weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (LoraSettings(rank=0), "lora.rank: expected at least 1, got 0"),
        (LoraSettings(modules="q_proj"), r"part of the name of a linear layer \(first, second, …\), got 'q_proj'"),
        (LoraSettings(modules="("), "expected a regular expression"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: LoraSettings, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        add_lora(some_network(), settings)
