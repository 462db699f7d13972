"""A whole vision-language model as the encoder: it reads the instruction beside the images.

As in MemoryVLA (Shi et al., arXiv 2508.19236, section 3.1): the hidden state at the end-of-sequence token is the
cognitive token, and the vision tower's features before they are projected into the language model are the patches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from embodied.errors import ConfigurationError
from policies.vla.backbones.folders import (
    first_line,
    import_transformers,
    load_network,
    open_pictures,
    read_description,
)
from policies.vla.backbones.protocol import PretrainedBackbone, prepared
from policies.vla.backbones.settings import VLMVision

PROMPT = "What action should the robot take to {}?"
"""OpenVLA's; the instruction comes in lower case."""


class VLMBackbone(PretrainedBackbone):
    """What Qwen's models and PaliGemma have in common: pictures, then the prompt, then the end of the sequence."""

    def __init__(self, settings: VLMVision, n_cameras: int, n_stacked: int) -> None:
        """Load model and tokenizer.

        Args:
            settings: Where they lie.
            n_cameras: At one instant.
            n_stacked: Frames of each.

        Raises:
            ConfigurationError: transformers, the folder, some weights or tokens are missing.
        """
        super().__init__(settings, n_cameras, n_stacked)
        folder = Path(settings.folder)
        transformers = import_transformers()
        # Its head over the vocabulary is not needed.
        network = load_network(transformers.AutoModelForImageTextToText, folder, settings.training).model
        try:
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:
            # A broken tokenizer shows in as many ways as a broken model.
            raise ConfigurationError(f"vision {folder}: tokenizer: {first_line(error)}") from error
        if self._tokenizer.eos_token_id is None:
            raise ConfigurationError(f"vision {folder}: tokenizer: expected an end-of-sequence token, got none")
        self.pictures = open_pictures(folder, settings.side_px)
        vision = network.config.vision_config
        self._patch_px, self._merged = vision.patch_size, getattr(vision, "spatial_merge_size", 1)
        cell_px = self._patch_px * self._merged
        if settings.side_px % cell_px:
            raise ConfigurationError(f"vision.side_px: expected a multiple of {cell_px} px, got {settings.side_px}")
        self._side = settings.side_px // self._patch_px
        self.cognitive_width = network.config.get_text_config().hidden_size
        self.network = prepared(network, settings)
        self._seen: Tensor | None = None
        self._projector().register_forward_pre_hook(self._note)

    def _encode(self, images: Tensor, instructions: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        ids, present = (each.to(images.device) for each in self._tokens(instructions))
        hidden = self._read(self.pictures(images), ids, present)
        patches, self._seen = self._seen, None
        assert patches is not None, "the projector was not called"
        last = present.sum(dim=1) - 1
        return self._raster(patches), hidden[torch.arange(len(ids), device=ids.device), last][:, None]

    def _tokens(self, instructions: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Return token ids (batch, length), padded at the end, and where they are no padding."""
        end = self._tokenizer.eos_token_id
        rows = []
        for instruction in instructions:
            prompt = self._prompt(PROMPT.format(instruction.strip().lower()))
            words = self._tokenizer(prompt, add_special_tokens=False)["input_ids"]
            rows.append([*self._image_tokens(), *words, end])
        length = max(len(row) for row in rows)
        ids = torch.tensor([row + [end] * (length - len(row)) for row in rows])
        present = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows])
        return ids, present

    def _note(self, _module: object, arguments: tuple[Tensor, ...]) -> None:
        self._seen = arguments[0]

    def _projector(self) -> Any:
        """Return the layer between vision tower and language model."""
        raise NotImplementedError

    def _image_tokens(self) -> list[int]:
        """Return what stands before the prompt: the places of all images."""
        raise NotImplementedError

    def _prompt(self, text: str) -> str:
        """Return the prompt in the form on which the model was trained."""
        return text

    def _read(self, pictures: Tensor, ids: Tensor, present: Tensor) -> Tensor:
        """Return the last hidden states, (batch, length, width)."""
        raise NotImplementedError

    def _raster(self, patches: Tensor) -> Tensor:
        """Return what the projector got as (images, patches row by row, width)."""
        raise NotImplementedError


class QwenBackbone(VLMBackbone):
    """Qwen2-VL and Qwen2.5-VL: each token of the language model stands for 2 x 2 patches."""

    def __init__(self, settings: VLMVision, n_cameras: int, n_stacked: int) -> None:
        """Do as ``VLMBackbone``."""
        super().__init__(settings, n_cameras, n_stacked)
        vision = self.network.config.vision_config
        # Qwen2-VL calls the width of its patches otherwise, and hidden_size what the projector makes of them.
        self._width = getattr(vision, "embed_dim", None) or vision.hidden_size
        self._finish(self._width, self._side)
        cells = self._side // self._merged
        window = getattr(vision, "window_size", 0) // self._merged // self._patch_px or cells
        order = sorted(
            range(cells * cells),
            key=lambda cell: (
                cell // cells // window, cell % cells // window, cell // cells % window, cell % cells % window
            ),
        )  # fmt: skip
        # Qwen2.5-VL's tower works window by window; this puts its cells back into rows.
        self.register_buffer("_cells", torch.tensor(order).argsort(), persistent=False)

    def _projector(self) -> Any:
        return self.network.visual.merger

    def _image_tokens(self) -> list[int]:
        config = self.network.config
        cells = (self._side // self._merged) ** 2
        one = [config.vision_start_token_id, *[config.image_token_id] * cells, config.vision_end_token_id]
        return one * self._n_images

    def _read(self, pictures: Tensor, ids: Tensor, present: Tensor) -> Tensor:
        grid = torch.tensor([[1, self._side, self._side]], device=ids.device).expand(len(pictures), 3)
        hidden: Tensor = self.network(
            input_ids=ids,
            attention_mask=present,
            pixel_values=self._flat(pictures).to(self.network.dtype),
            image_grid_thw=grid,
            mm_token_type_ids=(ids == self.network.config.image_token_id).int(),
            use_cache=False,
        ).last_hidden_state
        return hidden

    def _flat(self, pictures: Tensor) -> Tensor:
        """Cut (n, 3, side, side) into patches, cell by cell: (n * patches, 3 * times * patch * patch).

        The model was made for videos: a still image stands at all times of a patch.
        """
        cells, merged, patch = self._side // self._merged, self._merged, self._patch_px
        x = pictures.reshape(-1, 3, cells, merged, patch, cells, merged, patch).permute(0, 2, 5, 3, 6, 1, 4, 7)
        n_times = self.network.config.vision_config.temporal_patch_size
        x = x.unsqueeze(6).expand(-1, -1, -1, -1, -1, -1, n_times, -1, -1)
        return x.reshape(len(pictures) * self._side**2, -1)

    def _raster(self, patches: Tensor) -> Tensor:
        cells, merged = self._side // self._merged, self._merged
        x = patches.reshape(-1, cells * cells, merged, merged, self._width)[:, self._cells]
        x = x.reshape(-1, cells, cells, merged, merged, self._width).transpose(2, 3)
        return x.reshape(-1, self._side**2, self._width)


class PaliGemmaBackbone(VLMBackbone):
    """PaliGemma and PaliGemma 2: a token of the language model for each patch; all of the prompt sees all of it."""

    def __init__(self, settings: VLMVision, n_cameras: int, n_stacked: int) -> None:
        """Do as ``VLMBackbone``; also the size of the images is checked, which the model cannot change."""
        super().__init__(settings, n_cameras, n_stacked)
        vision = self.network.config.vision_config
        if settings.side_px != vision.image_size:
            raise ConfigurationError(f"vision.side_px: expected {vision.image_size}, got {settings.side_px}")
        if self._tokenizer.bos_token is None:
            raise ConfigurationError(f"vision {settings.folder}: tokenizer: expected a first token, got none")
        self._finish(vision.hidden_size, self._side)

    def _projector(self) -> Any:
        return self.network.multi_modal_projector

    def _image_tokens(self) -> list[int]:
        return [self.network.config.image_token_id] * (self._n_images * self._side**2)

    def _prompt(self, text: str) -> str:
        return f"{self._tokenizer.bos_token}{text}\n"

    def _read(self, pictures: Tensor, ids: Tensor, present: Tensor) -> Tensor:
        hidden: Tensor = self.network(
            input_ids=ids,
            attention_mask=present,
            pixel_values=pictures.to(self.network.dtype),
            token_type_ids=torch.zeros_like(ids),
            use_cache=False,
        ).last_hidden_state
        return hidden

    def _raster(self, patches: Tensor) -> Tensor:
        return patches


FAMILIES: dict[str, type[VLMBackbone]] = {
    "qwen2_vl": QwenBackbone,
    "qwen2_5_vl": QwenBackbone,
    "paligemma": PaliGemmaBackbone,
}
"""By what ``config.json`` calls the model."""


def open_vlm(settings: VLMVision, n_cameras: int, n_stacked: int) -> VLMBackbone:
    """Load the model of a folder.

    Raises:
        ConfigurationError: It is of no family that is known, or cannot be loaded.
    """
    kind = read_description(Path(settings.folder) / "config.json").get("model_type")
    if kind not in FAMILIES:
        raise ConfigurationError(f"vision {settings.folder}: expected one of {', '.join(FAMILIES)}, got {kind!r}")
    return FAMILIES[kind](settings, n_cameras, n_stacked)
