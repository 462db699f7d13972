"""What holds for all pretrained encoders, tried with tiny ones whose weights are random."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import tiny_models  # noqa: E402
from embodied.errors import ConfigurationError  # noqa: E402
from policies.vla.backbones.opening import open_backbone  # noqa: E402
from policies.vla.backbones.protocol import Backbone  # noqa: E402
from policies.vla.backbones.settings import LoraSettings, TimmVision, TransformersVision, VLMVision  # noqa: E402
from policies.vla.config import Interface  # noqa: E402
from policies.vla.lora import merge_lora  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SIDE_PX = tiny_models.SIDE_PX
INTERFACE = Interface(
    cameras=("front", "wrist"), height_px=SIDE_PX, width_px=SIDE_PX, action_names=("tool_forward",),
    proprioception_names=(), control_period_s=0.05, chunk_steps=4, execute_steps=4,
)  # fmt: skip
N_STACKED = 2
N_IMAGES = len(INTERFACE.cameras) * N_STACKED
WORDS = torch.zeros(2, 384)
INSTRUCTIONS = ("touch the red cube and wait", "Wait")
KINDS = ("siglip", "dinov2", "qwen2", "qwen2_5", "paligemma")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One folder for each kind of model."""
    made = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        getattr(tiny_models, f"save_{kind}")(folder)
        made[kind] = str(folder)
    return made


def settings_of(kind: str, folders: dict[str, str], **options: Any) -> Any:
    if kind in ("siglip", "dinov2"):
        return TransformersVision(folders=(folders[kind],), side_px=SIDE_PX, **options)
    return VLMVision(folder=folders[kind], side_px=SIDE_PX, **options)


def opened(kind: str, folders: dict[str, str], **options: Any) -> Any:
    return open_backbone(settings_of(kind, folders, **options), INTERFACE, N_STACKED)


def some_images() -> Any:
    return torch.randint(0, 256, (2, N_IMAGES, SIDE_PX, SIDE_PX, 3), generator=torch.Generator().manual_seed(0)).byte()


@pytest.mark.parametrize("kind", KINDS)
def test_patches_lie_where_the_image_shows_them(kind: str, folders: dict[str, str]) -> None:
    backbone = opened(kind, folders)
    assert isinstance(backbone, Backbone)
    images = some_images()
    patches, cognitive = backbone(images, WORDS, INSTRUCTIONS)
    side = {"qwen2": 8, "qwen2_5": 8}.get(kind, 4)
    # A grid for each camera, with the features of both its frames in each patch.
    assert patches.shape == (2, 2 * side * side, 2 * 16) == (2, backbone.n_patches, backbone.patch_width)
    assert patches.dtype == torch.float32
    assert not patches.requires_grad
    if cognitive is not None:
        assert cognitive.shape == (2, 1, 32) == (2, 1, backbone.cognitive_width)
    patch_px = SIDE_PX // side
    for image, place in ((3, (0, 1)), (2, (2, 3)), (1, (side - 1, side - 2))):
        changed = images.clone()
        rows, columns = (slice(patch_px * i, patch_px * (i + 1)) for i in place)
        changed[1, image, rows, columns] = 255 - changed[1, image, rows, columns]
        found, _ = backbone(changed, WORDS, INSTRUCTIONS)
        difference = (found - patches).unflatten(2, (2, 16)).norm(dim=-1)
        assert bool((difference[0] == 0).all())
        camera, frame = divmod(image, 2)
        assert bool((difference[1, :, 1 - frame] == 0).all())
        assert int(difference[1, :, frame].argmax()) == camera * side * side + place[0] * side + place[1]


@pytest.mark.parametrize("kind", ["qwen2", "qwen2_5", "paligemma"])
def test_the_cognitive_token_knows_images_and_instruction(kind: str, folders: dict[str, str]) -> None:
    backbone, images = opened(kind, folders), some_images()
    _, both = backbone(images, WORDS, INSTRUCTIONS)
    for i, instruction in enumerate(INSTRUCTIONS):
        # Alone there is no padding.
        _, alone = backbone(images[i : i + 1], WORDS[:1], (instruction.upper(),))
        np.testing.assert_allclose(alone, both[i : i + 1], atol=1e-4)
    _, swapped = backbone(images, WORDS, INSTRUCTIONS[::-1])
    _, darker = backbone(images // 2, WORDS, INSTRUCTIONS)
    for other in (swapped, darker):
        assert float((other - both).norm(dim=-1).min()) > 1e-3


@pytest.mark.parametrize("kind", ["siglip", "qwen2_5"])
def test_low_rank_updates_begin_at_nothing_and_merge(kind: str, folders: dict[str, str]) -> None:
    images = some_images()
    frozen = opened(kind, folders)
    torch.manual_seed(0)
    backbone = opened(kind, folders, training="lora", lora=LoraSettings(rank=2, modules="q_proj|attn|mlp")).train()
    assert not backbone.network.training if kind == "qwen2_5" else not backbone.towers[0].training
    expected = frozen(images, WORDS, INSTRUCTIONS)
    found = backbone(images, WORDS, INSTRUCTIONS)
    for ours, theirs in zip(found, expected):
        if ours is not None:
            np.testing.assert_allclose(ours.detach(), theirs, atol=1e-6)
    sum(each.square().sum() for each in found if each is not None).backward()
    learning = {name for name, each in backbone.named_parameters() if each.grad is not None}
    assert learning
    assert all("lora_" in name for name in learning)
    assert learning == {name for name, each in backbone.named_parameters() if each.requires_grad}
    for name, each in backbone.named_parameters():
        if name.endswith("lora_up"):
            torch.nn.init.normal_(each, std=0.1)
    merged = copy.deepcopy(backbone)
    assert merge_lora(merged) == len(learning) // 2
    with torch.no_grad():
        learned, again = backbone(images, WORDS, INSTRUCTIONS), merged(images, WORDS, INSTRUCTIONS)
    assert not np.allclose(learned[0], expected[0], atol=1e-2)
    np.testing.assert_allclose(again[0], learned[0], rtol=1e-3, atol=1e-3)


def test_what_is_trained_is_said_by_the_settings(folders: dict[str, str]) -> None:
    images = some_images()
    frozen = opened("dinov2", folders).train()
    assert not any(each.requires_grad for each in frozen.parameters())
    assert not frozen.towers[0].training
    trained = opened("dinov2", folders, training="all").train()
    assert trained.towers[0].training
    trained(images, WORDS, INSTRUCTIONS)[0].sum().backward()
    # With several devices, a parameter that never gets its gradient is waited for.
    assert [name for name, each in trained.named_parameters() if each.requires_grad and each.grad is None] == []


def test_a_checkpoint_of_other_frozen_weights_is_refused(folders: dict[str, str], tmp_path: Path) -> None:
    stored = opened("siglip", folders, training="lora").state_dict()
    opened("siglip", folders, training="lora").load_state_dict(stored)
    tiny_models.save_siglip(tmp_path, seed=9)
    with pytest.raises(ConfigurationError, match="other weights than those the policy was trained with"):
        opened("siglip", {"siglip": str(tmp_path)}, training="lora").load_state_dict(stored)


def test_features_of_two_folders_are_joined_patch_by_patch(folders: dict[str, str]) -> None:
    images = some_images()
    both = open_backbone(
        TransformersVision(folders=(folders["dinov2"], folders["siglip"]), side_px=SIDE_PX), INTERFACE, N_STACKED
    )
    assert (both.patch_width, both.n_patches) == (64, 32)
    found, _ = both(images, WORDS, INSTRUCTIONS)
    for i, kind in enumerate(("dinov2", "siglip")):
        alone, _ = opened(kind, folders)(images, WORDS, INSTRUCTIONS)
        joined = found.unflatten(2, (2, 32))[..., 16 * i : 16 * (i + 1)]
        np.testing.assert_array_equal(joined, alone.unflatten(2, (2, 16)))


def test_other_numbers_of_images_or_instructions_are_refused(folders: dict[str, str]) -> None:
    backbone = opened("siglip", folders)
    with pytest.raises(ValueError, match="images: expected 4 of an instant, got 1"):
        backbone(some_images()[:, :1], WORDS, INSTRUCTIONS)
    with pytest.raises(ValueError, match="instructions: expected 2, got 1"):
        backbone(some_images(), WORDS, INSTRUCTIONS[:1])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (TransformersVision(folders=()), "vision.folders: expected at least one"),
        (TransformersVision(folders=("/nowhere",)), "vision /nowhere: holds no model"),
        (VLMVision(folder="/nowhere"), "vision /nowhere: holds no model"),
        (TimmVision(model="/nowhere"), "no folder|pip install"),
    ],
)
def test_a_missing_folder_is_said_in_one_line(settings: Any, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected) as caught:
        open_backbone(settings, INTERFACE, 1)
    assert "\n" not in str(caught.value)


def test_a_folder_that_does_not_fit_is_said_in_one_line(folders: dict[str, str], tmp_path: Path) -> None:
    def refused(settings: Any, expected: str) -> None:
        with pytest.raises(ConfigurationError, match=expected) as caught:
            open_backbone(settings, INTERFACE, 1)
        assert "\n" not in str(caught.value)

    refused(VLMVision(folder=folders["siglip"]), "expected one of qwen2_vl, .*, got 'siglip_vision_model'")
    refused(TransformersVision(folders=(folders["qwen2"],)), "expected one of siglip, .*, got 'qwen2_vl'")
    refused(TransformersVision(folders=(folders["siglip"],), side_px=30), "a multiple of the 8 px of a patch")
    refused(VLMVision(folder=folders["qwen2"], side_px=36), "a multiple of 8 px, got 36")
    refused(VLMVision(folder=folders["paligemma"], side_px=64), "expected 32, got 64")
    lora = LoraSettings(modules="nothing")
    refused(
        settings_of("siglip", folders, training="lora", lora=lora), "vision lora.modules: expected part of the name"
    )
    tiny_models.save_siglip(tmp_path, image_size=32, patch_size=16)
    refused(
        TransformersVision(folders=(folders["siglip"], str(tmp_path)), side_px=32),
        r"grids of one size, got \[4, 2\] patches a side",
    )
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.5]}')
    refused(TransformersVision(folders=(str(tmp_path),), side_px=32), "mean and deviation of images")


def test_missing_and_damaged_weights_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tiny_models.save_siglip(tmp_path)
    weights, settings = tmp_path / "model.safetensors", TransformersVision(folders=(str(tmp_path),), side_px=SIDE_PX)
    held = load_file(weights)
    name = next(name for name in held if name.endswith("q_proj.weight"))
    save_file({key: each for key, each in held.items() if key != name}, weights, metadata={"format": "pt"})
    with pytest.raises(ConfigurationError, match=r"lacks 1 weights, such as .*q_proj.weight"):
        open_backbone(settings, INTERFACE, 1)
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        open_backbone(settings, INTERFACE, 1)
    # Weights in torch's own format are never opened.
    weights.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"not opened")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        open_backbone(settings, INTERFACE, 1)
