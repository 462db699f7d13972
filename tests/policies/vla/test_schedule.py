from __future__ import annotations

import pytest

from embodied.errors import ConfigurationError
from policies.vla.schedule import TrainingConfig, check_training, learning_rate_at


def test_the_learning_rate_rises_to_its_height_and_falls_to_its_end() -> None:
    config = TrainingConfig(n_steps=111, warmup_steps=10, learning_rate=0.5, final_share=0.1)
    rates = [learning_rate_at(config, step) for step in range(111)]
    assert rates[0] == pytest.approx(0.05)
    assert rates[9:11] == pytest.approx([0.5, 0.5])
    assert rates[60] == pytest.approx(0.5 * 0.55)
    assert rates[-1] == pytest.approx(0.05)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_training_shorter_than_its_warm_up_is_all_rise() -> None:
    config = TrainingConfig(n_steps=5, warmup_steps=10, learning_rate=1.0)
    assert [learning_rate_at(config, step) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_steps", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("ema_decay", 1.0),
        ("final_share", -0.1),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=rf"^training\.{name}: expected"):
        check_training(TrainingConfig(**{name: value}))
