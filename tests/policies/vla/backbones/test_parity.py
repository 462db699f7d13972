"""That images and tokens reach a model as its own library would bring them there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import tiny_models  # noqa: E402
from policies.vla.backbones.pictures import Pictures  # noqa: E402
from policies.vla.backbones.settings import TransformersVision, VLMVision  # noqa: E402
from policies.vla.backbones.transformers_vision import TransformersBackbone  # noqa: E402
from policies.vla.backbones.vlm_vision import open_vlm  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
SIDE_PX = tiny_models.SIDE_PX


def some_images(n: int = 3, side: int = SIDE_PX) -> Any:
    return torch.randint(0, 256, (1, n, side, side, 3), generator=torch.Generator().manual_seed(0)).byte()


def test_images_are_resized_and_scaled_as_pillow_does_it() -> None:
    rows, columns = np.mgrid[0:60, 0:80]
    smooth = np.stack([3 * rows, 3 * columns, 128 + 60 * np.sin(rows / 5.0)], axis=-1).astype(np.uint8)
    for side in (24, 100):
        found = Pictures(side, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))(torch.from_numpy(smooth)[None, None])
        resized = np.asarray(PillowImage.fromarray(smooth).resize((side, side), PillowImage.Resampling.BICUBIC))
        expected = (resized / 255.0 - [0.5, 0.4, 0.3]) / [0.2, 0.3, 0.4]
        np.testing.assert_allclose(found[0].permute(1, 2, 0), expected, atol=1.5 / 255.0 / 0.2)


@pytest.mark.parametrize("with_text", [False, True])
def test_patches_are_the_last_hidden_state_of_siglip(with_text: bool, tmp_path: Path) -> None:
    model = tiny_models.save_siglip(tmp_path, with_text=with_text)
    images = some_images()
    backbone = TransformersBackbone(TransformersVision(folders=(str(tmp_path),), side_px=SIDE_PX), 3, 1)
    patches, _ = backbone(images, torch.zeros(1, 384), ("",))
    pixels = (images[0].permute(0, 3, 1, 2) / 255.0 - 0.5) / 0.5
    vision = model.vision_model if with_text else model
    with torch.no_grad():
        expected = vision(pixel_values=pixels).last_hidden_state
    np.testing.assert_allclose(patches[0], expected.flatten(0, 1), atol=1e-5)


@pytest.mark.parametrize("kind", ["qwen2", "qwen2_5"])
def test_qwen_gets_what_its_own_processor_makes(kind: str, tmp_path: Path) -> None:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    model = getattr(tiny_models, f"save_{kind}")(tmp_path)
    backbone: Any = open_vlm(VLMVision(folder=str(tmp_path), side_px=SIDE_PX), 3, 1)
    images = some_images()
    patches, cognitive = backbone(images, torch.zeros(1, 384), ("Touch the cube",))

    processor = Qwen2VLImageProcessorPil(
        patch_size=4, merge_size=2, size={"shortest_edge": 1, "longest_edge": SIDE_PX**2},
        image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip
    made = processor(images=list(images[0].numpy()), return_tensors="pt")
    words = ["What", "action", "should", "the", "robot", "take", "to", "touch", "the", "cube", "?", "</s>"]
    ids = torch.tensor([([4] + [6] * 16 + [5]) * 3 + [tiny_models.WORDS.index(word) for word in words]])
    with torch.no_grad():
        hidden = model(
            input_ids=ids, **made, mm_token_type_ids=(ids == 6).int(), output_hidden_states=True
        ).hidden_states[-1]
        features = model.model.get_image_features(**made)
    np.testing.assert_allclose(cognitive[0, 0], hidden[0, -1], atol=1e-4)
    # Our patches, cell by cell, are what the projector makes the images' tokens of.
    cells = patches.reshape(3, 4, 2, 4, 2, 16).transpose(2, 3).reshape(-1, 16)
    with torch.no_grad():
        tokens = model.model.visual.merger(cells)
    np.testing.assert_allclose(tokens, torch.cat(tuple(features.pooler_output)), atol=1e-4)


def test_paligemma_gets_images_then_the_prompt(tmp_path: Path) -> None:
    model = tiny_models.save_paligemma(tmp_path)
    images = some_images(2)
    backbone = open_vlm(VLMVision(folder=str(tmp_path), side_px=SIDE_PX), 2, 1)
    patches, cognitive = backbone(images, torch.zeros(1, 384), ("wait",))
    pixels = (images[0].permute(0, 3, 1, 2) / 255.0 - 0.5) / 0.5
    words = ["<s>", "What", "action", "should", "the", "robot", "take", "to", "wait", "?", "</s>"]
    ids = torch.tensor([[6] * 32 + [tiny_models.WORDS.index(word) for word in words]])
    with torch.no_grad():
        expected = model.model(input_ids=ids, pixel_values=pixels, token_type_ids=torch.zeros_like(ids))
        tower = model.model.vision_tower(pixels).last_hidden_state
    np.testing.assert_allclose(cognitive[0, 0], expected.last_hidden_state[0, -1], atol=1e-4)
    np.testing.assert_allclose(patches[0], tower.flatten(0, 1), atol=1e-5)
