from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

from embodied.errors import ConfigurationError  # noqa: E402
from policies.vla.backbones.settings import TimmVision  # noqa: E402
from policies.vla.backbones.timm_vision import TimmBackbone  # noqa: E402

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2}
WORDS = torch.zeros(1, 384)


def some_images() -> Any:
    return torch.randint(0, 256, (1, 2, 64, 64, 3), generator=torch.Generator().manual_seed(0)).byte()


def save(folder: Path, name: str, **arguments: Any) -> Any:
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=5, **arguments)
    timm.models.save_for_hf(model, str(folder), model_args=arguments or None, safe_serialization=True)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "arguments", "side_px", "width", "side"),
    [
        ("vit_tiny_patch16_224", VIT, 32, 24, 4),
        ("vit_tiny_patch16_224", VIT, 64, 24, 8),
        ("test_resnet", {}, 128, 96, 4),
    ],
)
def test_a_folder_gives_the_last_grid_of_features(
    name: str, arguments: dict[str, int], side_px: int, width: int, side: int, tmp_path: Path
) -> None:
    model = save(tmp_path, name, **arguments)
    backbone = TimmBackbone(TimmVision(model=str(tmp_path), side_px=side_px), 2, 1).train()
    assert (backbone.patch_width, backbone.n_patches, backbone.cognitive_width) == (width, 2 * side * side, None)
    images = some_images()
    patches, cognitive = backbone(images, WORDS, ("",))
    assert cognitive is None
    assert patches.shape == (1, 2 * side * side, width)
    if side_px == arguments.get("img_size"):
        pixels = backbone.pictures(images)
        with torch.no_grad():
            expected = model.forward_features(pixels)[:, model.num_prefix_tokens :]
        np.testing.assert_allclose(patches[0], expected.flatten(0, 1), atol=1e-5)
    cell_px = 64 // side
    changed = images.clone()
    changed[0, 1, cell_px : 2 * cell_px, 3 * cell_px : 4 * cell_px] = 255
    difference = (backbone(changed, WORDS, ("",))[0] - patches).norm(dim=-1)[0]
    assert int(difference.argmax()) == side * side + side + 3


def test_a_name_needs_weights_and_both_must_fit(tmp_path: Path) -> None:
    save(tmp_path, "test_resnet")
    weights = tmp_path / "model.safetensors"
    backbone = TimmBackbone(TimmVision(model="test_resnet", weights=str(weights), side_px=128), 1, 1)
    by_folder = TimmBackbone(TimmVision(model=str(tmp_path), side_px=128), 1, 1)
    np.testing.assert_array_equal(
        backbone(some_images()[:, :1], WORDS, ("",))[0], by_folder(some_images()[:, :1], WORDS, ("",))[0]
    )

    def refused(settings: TimmVision, expected: str) -> None:
        with pytest.raises(ConfigurationError, match=expected) as caught:
            TimmBackbone(settings, 1, 1)
        assert "\n" not in str(caught.value)

    refused(TimmVision(model="test_resnet"), "test_resnet is no folder, and vision.weights names no file")
    refused(TimmVision(model="hf-hub:x/y", weights=str(weights)), "expected a network that timm knows")
    refused(TimmVision(model="test_vit", weights=str(weights)), "lacks [0-9]+ weights|cannot be loaded")
    refused(TimmVision(model="test_resnet", weights=str(tmp_path / "config.json")), "expected a safetensors file")
    refused(TimmVision(model="test_resnet", weights=str(tmp_path / "no.safetensors")), "cannot be loaded")
    (tmp_path / "config.json").unlink()
    refused(TimmVision(model=str(tmp_path)), "holds no model")
