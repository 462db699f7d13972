from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied.errors import ConfigurationError, PerceptionError
from embodied.messages import Intrinsics
from memory_bank.perception.onnx import OnnxConfig, OnnxPerception, foreground
from memory_bank.perception.protocol import View

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def write_detector(path: Path, outputs: dict[str, np.ndarray], *, labels: str = "mug\nbook", size: int = 32) -> Path:
    """Write a model that says the same of every image: real ONNX, read by the real runtime."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
        for name, value in outputs.items()
    ]
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in outputs.items()
    ]
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, size, size))
    model = helper.make_model(
        helper.make_graph(nodes, "fixed", [image], infos), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    if labels:
        helper.set_model_props(model, {"labels": labels})
    onnx.save(model, str(path))
    return path


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def make_view() -> View:
    depth_m = np.full((64, 64), 3.0, dtype=np.float32)
    depth_m[20:40, 20:40] = 1.0
    return View(
        session="s",
        seq=0,
        stamp_ns=0,
        rgb=np.zeros((64, 64, 3), dtype=np.uint8),
        depth_m=depth_m,
        intrinsics=Intrinsics(width_px=64, height_px=64, fx_px=60, fy_px=60, cx_px=31.5, cy_px=31.5),
        T_world_camera=np.eye(4),
    )


FIXED = {
    "boxes": boxes((9, 9, 21, 21), (0, 0, 5, 5)),
    "scores": np.array([0.9, 0.1], dtype=np.float32),
    "classes": np.array([0, 1], dtype=np.int64),
}


def test_a_box_is_cut_out_by_depth_at_the_size_of_the_view(tmp_path: Path) -> None:
    model = write_detector(tmp_path / "d.onnx", FIXED)
    (detection,) = OnnxPerception(OnnxConfig(model=str(model))).detect(make_view())
    expected = np.zeros((64, 64), dtype=bool)
    expected[20:40, 20:40] = True
    assert detection.label == "mug"
    assert detection.score == pytest.approx(0.9)
    np.testing.assert_array_equal(detection.mask, expected)


def test_a_mask_wins_over_the_box(tmp_path: Path) -> None:
    masks = np.zeros((2, 16, 16), dtype=np.float32)
    masks[0, 5:8, 5:8] = 1.0
    model = write_detector(tmp_path / "d.onnx", {**FIXED, "masks": masks})
    (detection,) = OnnxPerception(OnnxConfig(model=str(model))).detect(make_view())
    rows, columns = np.nonzero(detection.mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 31, 20, 31)


def test_labels_may_come_from_a_text_file(tmp_path: Path) -> None:
    model = write_detector(tmp_path / "d.onnx", FIXED, labels="")
    labels = tmp_path / "labels.txt"
    labels.write_text("cup\n\nbook\n")
    (detection,) = OnnxPerception(OnnxConfig(model=str(model), labels=str(labels))).detect(make_view())
    assert detection.label == "cup"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"classes": np.array([7, 1], dtype=np.int64)}, "class 7"),
        ({"scores": np.array([0.9], dtype=np.float32)}, "scores"),
        ({"boxes": boxes((np.nan, 0, 5, 5), (0, 0, 5, 5))}, "finite"),
    ],
)
def test_what_breaks_the_layout_is_an_error_not_an_empty_list(
    tmp_path: Path, change: dict[str, np.ndarray], text: str
) -> None:
    model = write_detector(tmp_path / "d.onnx", {**FIXED, **change})
    with pytest.raises(PerceptionError, match=text):
        OnnxPerception(OnnxConfig(model=str(model))).detect(make_view())


def test_a_model_without_the_named_outputs_is_refused_at_the_start(tmp_path: Path) -> None:
    model = write_detector(tmp_path / "d.onnx", {"boxes": FIXED["boxes"]})
    with pytest.raises(ConfigurationError, match="scores"):
        OnnxPerception(OnnxConfig(model=str(model)))


def test_a_missing_broken_or_unlabelled_model_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        OnnxPerception(OnnxConfig(model=str(tmp_path / "none.onnx")))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(ConfigurationError, match="broken.onnx"):
        OnnxPerception(OnnxConfig(model=str(broken)))
    unlabelled = write_detector(tmp_path / "u.onnx", FIXED, labels="")
    with pytest.raises(ConfigurationError, match="no labels"):
        OnnxPerception(OnnxConfig(model=str(unlabelled)))


def test_foreground_is_empty_where_the_middle_has_no_depth() -> None:
    assert not foreground(np.zeros((8, 8), dtype=np.float32), 0.3).any()
