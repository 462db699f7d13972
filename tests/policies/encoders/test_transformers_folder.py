from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied.errors import ConfigurationError
from memory_bank.features.protocol import ImageEncoder, TextEncoder
from policies.encoders.transformers_folder import FolderImageEncoder, open_encoder

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

TEXT = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 12}
VISION = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = ["<pad>", "<unk>", "</s>", "a", "red", "mug", "blue", "sofa"]
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="</s>", model_max_length=8
    )
    fast.save_pretrained(folder)


@pytest.fixture(params=["clip", "siglip"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny model with random weights, saved as the library saves real ones."""
    torch.manual_seed(0)
    text = TEXT | {"max_position_embeddings": 8, "pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 1}
    vision = VISION | {"image_size": 32, "patch_size": 16}
    if request.param == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
        model, images = transformers.CLIPModel(config), transformers.CLIPImageProcessor
        processor = images(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    else:
        config = transformers.SiglipConfig(text_config=text | {"projection_size": 16}, vision_config=vision)
        model, images = transformers.SiglipModel(config), transformers.SiglipImageProcessor
        processor = images(size={"height": 32, "width": 32})
    model.save_pretrained(tmp_path, safe_serialization=True)
    processor.save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    return tmp_path


def test_a_folder_gives_pictures_and_words_in_one_space(folder: Path) -> None:
    encoder = open_encoder(str(folder))
    assert isinstance(encoder, ImageEncoder)
    assert isinstance(encoder.text_encoder, TextEncoder)
    pictures = [np.full((40, 50, 3), value, dtype=np.uint8) for value in (0, 90, 200)]
    images, texts = encoder.encode(pictures), encoder.text_encoder.encode(["a red mug", "a blue sofa"])
    assert images.shape == (3, encoder.dim)
    assert texts.shape == (2, encoder.dim)
    for vectors in (images, texts):
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    # Order and batching do not matter, and different things differ.
    np.testing.assert_allclose(encoder.encode(pictures[::-1])[::-1], images, atol=1e-5)
    np.testing.assert_allclose(encoder.text_encoder.encode(["a blue sofa"])[0], texts[1], atol=1e-5)
    assert not np.allclose(texts[0], texts[1], atol=1e-3)
    assert encoder.encode([]).shape == encoder.text_encoder.encode([]).shape == (0, encoder.dim)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no model"):
        FolderImageEncoder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ConfigurationError, match=r"expected one of .*, got 'bert'"):
        FolderImageEncoder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        FolderImageEncoder(tmp_path)
    with pytest.raises(ConfigurationError, match="name the folder"):
        open_encoder("")
