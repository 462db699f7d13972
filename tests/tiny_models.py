"""Tiny models with random weights, saved as the libraries save real ones. Imported only where these are installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers

SIDE_PX = 32
VISION = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "vocab_size": 64, "pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2,
}  # fmt: skip
WORDS = ["<pad>", "</s>", "<s>", "<unk>", "<vision>", "</vision>", "<image>", "What", "action", "should", "the",
         "robot", "take", "to", "?", "touch", "red", "cube", "and", "wait"]  # fmt: skip


def save_siglip(
    folder: Path, with_text: bool = False, image_size: int = SIDE_PX, patch_size: int = 8, seed: int = 1
) -> Any:
    torch.manual_seed(seed)
    vision = VISION | {"image_size": image_size, "patch_size": patch_size}
    if with_text:
        text = VISION | {"vocab_size": 12, "max_position_embeddings": 8, "projection_size": 16}
        text |= {"pad_token_id": 0, "eos_token_id": 2, "bos_token_id": 1}
        model: Any = transformers.SiglipModel(transformers.SiglipConfig(text_config=text, vision_config=vision))
    else:
        model = transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**vision))
    model.save_pretrained(folder)
    _save_scaling(folder, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return model.eval()


def save_dinov2(folder: Path, patch_size: int = 8) -> Any:
    torch.manual_seed(2)
    # Trained at another size, as the real one.
    config = transformers.Dinov2Config(**VISION, image_size=56, patch_size=patch_size)
    model = transformers.Dinov2Model(config)
    model.save_pretrained(folder)
    _save_scaling(folder, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    return model.eval()


def save_qwen2(folder: Path) -> Any:
    torch.manual_seed(3)
    config = transformers.Qwen2VLConfig(
        text_config=TEXT | {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}},
        vision_config={"depth": 2, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 4},
        **_tokens(),
    )
    return _save_vlm(folder, transformers.Qwen2VLForConditionalGeneration(config))


def save_qwen2_5(folder: Path) -> Any:
    torch.manual_seed(4)
    config = transformers.Qwen2_5_VLConfig(
        text_config=TEXT | {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}},
        vision_config={
            "depth": 2, "hidden_size": 16, "intermediate_size": 24, "out_hidden_size": 32, "num_heads": 2,
            "patch_size": 4, "window_size": 24, "fullatt_block_indexes": [1],
        },
        **_tokens(),
    )  # fmt: skip
    return _save_vlm(folder, transformers.Qwen2_5_VLForConditionalGeneration(config))


def save_paligemma(folder: Path) -> Any:
    torch.manual_seed(5)
    config = transformers.PaliGemmaConfig(
        text_config=TEXT | {"model_type": "gemma", "head_dim": 16},
        vision_config=VISION | {
            "model_type": "siglip_vision_model", "image_size": SIDE_PX, "patch_size": 8, "projection_dim": 32,
            "vision_use_head": False,
        },
        image_token_id=6, projection_dim=32, hidden_size=32,
    )  # fmt: skip
    return _save_vlm(folder, transformers.PaliGemmaForConditionalGeneration(config))


def _tokens() -> dict[str, int]:
    return {
        "vision_start_token_id": 4, "vision_end_token_id": 5, "image_token_id": 6, "video_token_id": 63,
    }  # fmt: skip


def _save_vlm(folder: Path, model: Any) -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", bos_token="<s>", unk_token="<unk>"
    ).save_pretrained(folder)
    model.save_pretrained(folder)
    _save_scaling(folder, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return model.eval()


def _save_scaling(folder: Path, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
    import msgspec

    described = {"image_mean": mean, "image_std": deviation}
    (folder / "preprocessor_config.json").write_bytes(msgspec.json.encode(described))
