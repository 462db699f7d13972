from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from policies.vla.diffusion import add_noise, clean_from_noise, ddim, signal_shares  # noqa: E402


def test_the_signal_fades_as_a_squared_cosine() -> None:
    shares = signal_shares(100)
    assert (shares.diff() < 0).all()
    # Equation 17 at the middle, up to the clipping at the end, which is not reached there.
    expected = math.cos((0.5 + 0.008) / 1.008 * math.pi / 2) ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    assert float(shares[49]) == pytest.approx(expected, rel=1e-4)
    assert float(shares[-1]) < 1e-5


def test_noise_keeps_the_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(2000, 4, 3, generator=generator) for _ in range(2))
    for share in (0.0, 0.3, 1.0):
        assert float(add_noise(clean, noise, torch.full((2000,), share)).std()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("n_steps", [1, 10, 100])
def test_who_knows_the_noise_gets_the_actions_back(n_steps: int) -> None:
    shares = signal_shares(100)
    clean = torch.rand(3, 5, 2, generator=torch.Generator().manual_seed(1)) * 1.8 - 0.9

    def predict(noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        share = shares[time]
        noise = (noisy - share[:, None, None].sqrt() * clean) / (1.0 - share[:, None, None]).sqrt()
        torch.testing.assert_close(add_noise(clean, noise, share), noisy)
        return clean_from_noise(noisy, noise, share)

    noise = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(ddim(predict, noise, shares, n_steps), clean, atol=1e-4, rtol=0.0)


def test_actions_stay_within_bounds_whatever_is_predicted() -> None:
    actions = ddim(lambda noisy, time: 100.0 * noisy, torch.randn(2, 3, 4), signal_shares(100), 10)
    assert bool((actions.abs() <= 1.0).all())


@pytest.mark.parametrize("n_steps", [0, 101])
def test_more_steps_than_there_are_is_refused(n_steps: int) -> None:
    with pytest.raises(ValueError, match=f"n_steps: expected 1 to 100, got {n_steps}"):
        ddim(lambda noisy, time: noisy, torch.randn(1, 1, 1), signal_shares(100), n_steps)
