from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from policies.vla.ema import MovingAverage  # noqa: E402


def test_the_average_starts_fast_and_leaves_what_is_frozen() -> None:
    model = nn.Linear(1, 1)
    model.bias.requires_grad_(False)
    nn.init.constant_(model.weight, 0.0)
    average = MovingAverage(model, 0.9)
    nn.init.constant_(model.weight, 1.0)
    average.update(model, 0)
    assert set(average.tensors) == {"weight"}
    assert average.tensors["weight"].item() == pytest.approx(0.9)  # 1 - (1 + 0) / (10 + 0)
    nn.init.constant_(model.weight, 2.0)
    average.update(model, 1000)
    assert average.tensors["weight"].item() == pytest.approx(0.9 * 0.9 + 0.1 * 2.0)
    assert model.weight.item() == 2.0
