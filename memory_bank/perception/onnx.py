"""A detector that the user brings, as an ONNX file.

Layout of the file:

- one input, float32 (1, 3, height, width), RGB in [0, 1], fixed size; the image is scaled to fit and padded with gray
  at the right and bottom;
- outputs by name: ``boxes`` float32 (n, 4), x0 y0 x1 y1 in pixels of the input; ``scores`` float32 (n,) in [0, 1];
  ``classes`` int64 (n,); and, if the detector has them, ``masks`` float32 (n, h, w) in [0, 1] over the whole input;
- class names in the file's metadata under ``labels``, separated by newlines, or in a text file, one name a line.

Boxes without masks are cut out by depth: the thing is what lies within its own thickness of the box's middle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from embodied.arrays import Float, Image, Mask
from embodied.config import Config
from embodied.errors import ConfigurationError, PerceptionError
from memory_bank.perception.protocol import Detection, View

_GRAY = 114
_OUTPUTS = {"boxes": 2, "scores": 1, "classes": 1}


class OnnxConfig(Config):
    """A detector file."""

    model: str
    """Path of the ONNX file."""
    labels: str = ""
    """Text file with one class name a line; empty to read them from the model's metadata."""
    min_score: float = 0.35
    """Weaker detections are dropped."""
    thickness_m: float = 0.35
    """Without masks: how far behind or before its middle a thing may reach."""


class OnnxPerception:
    """Runs the detector with onnxruntime (extra ``onnx``) on one thread."""

    name = "onnx"

    def __init__(self, config: OnnxConfig) -> None:
        """Load the model.

        Raises:
            ConfigurationError: onnxruntime is not installed, or the file does not have the documented layout.
        """
        self.config = config
        self._session = _open(config.model)
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if inputs else []
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or not all(isinstance(n, int) for n in shape[1:]):
            raise ConfigurationError(
                f"detector {config.model}: expected one input of fixed shape (1, 3, height, width), got "
                f"{[(i.name, i.shape) for i in inputs]}"
            )
        self._input, self._height_px, self._width_px = inputs[0].name, int(shape[2]), int(shape[3])
        names = [output.name for output in self._session.get_outputs()]
        if not set(_OUTPUTS) <= set(names):
            raise ConfigurationError(f"detector {config.model}: expected outputs {sorted(_OUTPUTS)}, got {names}")
        self._names = [*_OUTPUTS, *(["masks"] if "masks" in names else [])]
        self._labels = _read_labels(config, self._session.get_modelmeta().custom_metadata_map)

    def detect(self, view: View) -> list[Detection]:
        """Return the detections above the least score, in the detector's order.

        Raises:
            PerceptionError: The detector failed, or what it returned does not have the documented layout.
        """
        image, scale = _letterbox(view.rgb, self._height_px, self._width_px)
        try:
            values = self._session.run(self._names, {self._input: image})
        except Exception as error:
            raise PerceptionError(f"detector {self.config.model}: {error}") from error
        outputs = dict(zip(self._names, (np.asarray(value) for value in values), strict=True))
        self._check(outputs)
        return [
            detection
            for index in np.flatnonzero(outputs["scores"] >= self.config.min_score)
            if (detection := self._detection(int(index), outputs, view, scale)) is not None
        ]

    def _check(self, outputs: dict[str, np.ndarray]) -> None:
        n = len(outputs["boxes"])
        for name, n_axes in {**_OUTPUTS, "masks": 3}.items():
            value = outputs.get(name)
            if value is None:
                continue
            if value.ndim != n_axes or len(value) != n or (name == "boxes" and value.shape[1] != 4):
                raise PerceptionError(
                    f"detector {self.config.model}: output {name}: expected {n} rows and {n_axes} axes, got shape "
                    f"{value.shape}"
                )
            if not np.isfinite(value).all():
                raise PerceptionError(f"detector {self.config.model}: output {name}: expected finite numbers")

    def _detection(self, index: int, outputs: dict[str, np.ndarray], view: View, scale: float) -> Detection | None:
        height, width = view.depth_m.shape
        x0, y0, x1, y1 = outputs["boxes"][index] / scale
        columns = slice(max(0, int(x0)), min(width, int(np.ceil(x1))))
        rows = slice(max(0, int(y0)), min(height, int(np.ceil(y1))))
        if columns.start >= columns.stop or rows.start >= rows.stop:
            return None
        mask = np.zeros((height, width), dtype=bool)
        if "masks" in outputs:
            mask[rows, columns] = self._mask(outputs["masks"][index], scale, (height, width))[rows, columns]
        else:
            mask[rows, columns] = foreground(view.depth_m[rows, columns], self.config.thickness_m)
        if not mask.any():
            return None
        number = int(outputs["classes"][index])
        if not 0 <= number < len(self._labels):
            raise PerceptionError(f"detector {self.config.model}: class {number}, but {len(self._labels)} labels")
        touches = columns.start == 0 or rows.start == 0 or columns.stop == width or rows.stop == height
        score = float(np.clip(outputs["scores"][index], 0.0, 1.0))
        return Detection(mask=mask, label=self._labels[number], score=score, touches_border=bool(touches))

    def _mask(self, mask: np.ndarray, scale: float, shape: tuple[int, int]) -> Mask:
        """Return a mask of the input at the size of the view."""
        to_mask = np.array(mask.shape) / (self._height_px, self._width_px)
        rows = np.minimum((np.arange(shape[0]) + 0.5) * scale * to_mask[0], mask.shape[0] - 1).astype(int)
        columns = np.minimum((np.arange(shape[1]) + 0.5) * scale * to_mask[1], mask.shape[1] - 1).astype(int)
        return mask[rows][:, columns] > 0.5


def foreground(depth_m: Float[np.ndarray, "rows columns"], thickness_m: float) -> Mask:
    """Return what lies within ``thickness_m`` of the nearest quarter of the middle of a box."""
    height, width = depth_m.shape
    middle = depth_m[
        height // 4 : max(height // 4 + 1, 3 * height // 4), width // 4 : max(width // 4 + 1, 3 * width // 4)
    ]
    valid = middle[middle > 0]
    if len(valid) == 0:
        return np.zeros(depth_m.shape, dtype=bool)
    near = float(np.percentile(valid, 25))
    return (depth_m > 0) & (np.abs(depth_m - near) <= thickness_m)


def _letterbox(rgb: Image, height_px: int, width_px: int) -> tuple[np.ndarray, float]:
    scale = min(height_px / rgb.shape[0], width_px / rgb.shape[1])
    size = (max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale)))
    resized = np.asarray(PillowImage.fromarray(rgb).resize(size, PillowImage.Resampling.BILINEAR))
    canvas = np.full((height_px, width_px, 3), _GRAY, dtype=np.uint8)
    canvas[: size[1], : size[0]] = resized
    return np.ascontiguousarray(canvas.transpose(2, 0, 1)[None], dtype=np.float32) / np.float32(255.0), scale


def _open(path: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigurationError("perception onnx: pip install 'embodied-memory[onnx]'") from error
    if not Path(path).is_file():
        raise ConfigurationError(f"detector {path}: no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ConfigurationError(f"detector {path}: {error}") from error


def _read_labels(config: OnnxConfig, metadata: dict[str, str]) -> list[str]:
    if config.labels:
        try:
            text = Path(config.labels).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"labels {config.labels}: {error}") from error
    else:
        text = metadata.get("labels", "")
    labels = [line.strip() for line in text.splitlines() if line.strip()]
    if not labels:
        raise ConfigurationError(f"detector {config.model}: no labels, neither in a file nor in its metadata")
    return labels
