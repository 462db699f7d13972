from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from demonstrations import change, demonstration, few_words, write_demonstrations
from fake_policy import INTERFACE, NETWORK, FakeBackend, record_of, words_of

torch = pytest.importorskip("torch")

from scipy.spatial.transform import Rotation  # noqa: E402

from policies.vla import rotations  # noqa: E402
from policies.vla.acting import Actor  # noqa: E402
from policies.vla.action_codec import ActionCodec  # noqa: E402
from policies.vla.config import RotationConfig  # noqa: E402
from policies.vla.data.cache import open_cache  # noqa: E402
from policies.vla.data.loaders import Loader, LoaderConfig  # noqa: E402
from policies.vla.normaliser import Bounds  # noqa: E402
from policies.vla.rotations import (  # noqa: E402
    ActionRotations,
    axis_angle_from_matrix,
    matrix_from_axis_angle,
    matrix_from_roll_pitch_yaw,
    matrix_from_six,
    roll_pitch_yaw_from_matrix,
    six_from_matrix,
)

NAMES = ("tool_forward", "tool_left", "tool_up", "tool_roll", "tool_pitch", "tool_yaw", "gripper")
HAS_PYTORCH3D = importlib.util.find_spec("pytorch3d") is not None
BACKENDS = [
    "own",
    pytest.param("pytorch3d", marks=pytest.mark.skipif(not HAS_PYTORCH3D, reason="pytorch3d is not installed")),
]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs with pytorch3d, where it is installed, and without."""
    if request.param == "own":
        monkeypatch.setattr(rotations, "_pytorch3d", lambda: None)


def some_vectors() -> np.ndarray:
    """Rotation vectors: random ones, none, hardly any, and close to half a turn about several axes."""
    generator = np.random.default_rng(3)
    random = generator.normal(size=(200, 3))
    axes = np.concatenate([np.eye(3), -np.eye(3), generator.normal(size=(20, 3))])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    special = [np.zeros((1, 3)), 1e-9 * axes, 1e-4 * axes, (math.pi - 1e-4) * axes, 1.5707 * axes]
    return np.concatenate([random, *special])


@pytest.mark.usefixtures("backend")
def test_matrices_are_those_of_scipy_and_go_back() -> None:
    vectors = some_vectors()
    expected = Rotation.from_rotvec(vectors)
    matrices = matrix_from_axis_angle(torch.from_numpy(vectors))
    np.testing.assert_allclose(matrices, expected.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(axis_angle_from_matrix(matrices), expected.as_rotvec(), atol=1e-6)
    angles = torch.from_numpy(np.random.default_rng(4).uniform(-1.5, 1.5, size=(300, 3)))
    matrices = matrix_from_roll_pitch_yaw(angles)
    np.testing.assert_allclose(matrices, Rotation.from_euler("xyz", angles).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(roll_pitch_yaw_from_matrix(matrices), angles, atol=1e-9)


@pytest.mark.usefixtures("backend")
def test_half_a_turn_comes_back_as_the_same_rotation() -> None:
    axes = torch.from_numpy(some_vectors()[:50])
    matrices = matrix_from_axis_angle(math.pi * torch.nn.functional.normalize(axes, dim=-1))
    again = axis_angle_from_matrix(matrices)
    np.testing.assert_allclose(again.norm(dim=-1), math.pi, atol=1e-6)
    np.testing.assert_allclose(matrix_from_axis_angle(again), matrices, atol=1e-6)


@pytest.mark.usefixtures("backend")
def test_six_numbers_become_a_rotation_whatever_they_are() -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = matrix_from_six(torch.randn(40, 5, 6, generator=generator))
    assert matrices.shape == (40, 5, 3, 3)
    np.testing.assert_allclose(matrices @ matrices.mT, np.broadcast_to(np.eye(3), matrices.shape), atol=1e-5)
    np.testing.assert_allclose(torch.linalg.det(matrices), 1.0, atol=1e-5)
    np.testing.assert_allclose(matrix_from_six(six_from_matrix(matrices)), matrices, atol=1e-5)
    # Scaling a row changes nothing, and what spans no plane is no rotation.
    six = six_from_matrix(matrices)
    np.testing.assert_allclose(matrix_from_six(3.0 * six), matrices, atol=1e-5)
    for flat in ([0.0] * 6, [1.0, 2.0, 0.0, 2.0, 4.0, 0.0]):
        np.testing.assert_array_equal(matrix_from_six(torch.tensor(flat)), np.eye(3))


@pytest.mark.skipif(not HAS_PYTORCH3D, reason="pytorch3d is not installed")
def test_both_ways_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = torch.from_numpy(some_vectors()).float()
    angles = vectors.clamp(-1.5, 1.5)
    matrices = matrix_from_axis_angle(vectors)
    noisy = six_from_matrix(matrices) + 0.1 * torch.randn(len(vectors), 6, generator=torch.Generator().manual_seed(1))
    cases = [
        (matrix_from_axis_angle, vectors),
        (axis_angle_from_matrix, matrices),
        (matrix_from_roll_pitch_yaw, angles),
        (roll_pitch_yaw_from_matrix, matrices),
        (six_from_matrix, matrices),
        (matrix_from_six, noisy),
    ]
    theirs = [function(given) for function, given in cases]
    monkeypatch.setattr(rotations, "_pytorch3d", lambda: None)
    for (function, given), expected in zip(cases, theirs):
        found = function(given)
        assert found.dtype == expected.dtype == torch.float32
        np.testing.assert_allclose(found, expected, atol=2e-3 if function is axis_angle_from_matrix else 2e-5)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("form", ["axis_angle", "roll_pitch_yaw"])
def test_actions_go_to_six_numbers_and_back(form: str) -> None:
    rotation = ActionRotations(NAMES, form, unit_rad=0.1)
    assert rotation.names[:3] + rotation.names[9:] == ("tool_forward", "tool_left", "tool_up", "gripper")
    actions = 2.0 * torch.rand(3, 4, 7, generator=torch.Generator().manual_seed(2)) - 1.0
    targets = rotation.encode(actions)
    assert targets.shape == (3, 4, 10) == (3, 4, len(rotation.names))
    np.testing.assert_allclose(rotation.decode(targets), actions, atol=1e-5)
    np.testing.assert_array_equal(rotation.encode(torch.zeros(7)), [0, 0, 0, 1, 0, 0, 0, 1, 0, 0])
    # A share of 1 about the vertical axis is a tenth of a radian.
    turned = rotation.encode(torch.tensor([0.0, 0, 0, 0, 0, 1, 0]))
    np.testing.assert_allclose(turned[3:5], [math.cos(0.1), -math.sin(0.1)], atol=1e-6)


def test_actions_without_a_rotation_stay_as_they_are() -> None:
    rotation = ActionRotations(("tool_forward", "gripper"))
    actions = torch.rand(5, 2)
    assert rotation.names == ("tool_forward", "gripper")
    np.testing.assert_array_equal(rotation.decode(rotation.encode(actions)), actions)


def test_half_a_rotation_and_other_numbers_are_refused() -> None:
    for names in (("tool_roll", "gripper"), ("tool_yaw", "tool_pitch", "tool_roll")):
        with pytest.raises(ValueError, match="together or not at all"):
            ActionRotations(names)
    with pytest.raises(ValueError, match="unit_rad"):
        ActionRotations(NAMES, unit_rad=0.0)
    with pytest.raises(ValueError, match="actions: expected 7 numbers each, got 6"):
        ActionRotations(NAMES).encode(torch.zeros(6))
    with pytest.raises(ValueError, match="targets: expected 10 numbers each, got 7"):
        ActionRotations(NAMES).decode(torch.zeros(7))


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("form", ["axis_angle", "roll_pitch_yaw"])
def test_the_robot_decodes_as_torch_does(form: str) -> None:
    rotation = ActionRotations(NAMES, form, unit_rad=0.1)
    wide = Bounds(low=(-100.0,) * 7, high=(100.0,) * 7)
    codec = ActionCodec(NAMES, wide, RotationConfig(form=form, unit_rad=0.1))  # type: ignore[arg-type]
    targets = 2.0 * torch.rand(50, 8, 10, generator=torch.Generator().manual_seed(5)) - 1.0
    targets[0, 0, 3:9] = 0.0
    expected = rotation.decode(targets)
    expected[..., [0, 1, 2, 6]] *= 100.0
    # Close to half a turn a rotation vector has its angle from a small number, in 32 bits.
    np.testing.assert_allclose(codec.decode(targets.numpy()), expected, atol=2e-2)


@pytest.mark.parametrize("form", ["axis_angle", "roll_pitch_yaw"])
def test_what_was_demonstrated_comes_out_of_loader_and_actor(form: str, tmp_path: Path) -> None:
    n, unit_rad = 200, 0.1
    generator = np.random.default_rng(6)
    actions = generator.uniform(-1.0, 1.0, (n, 7)).astype(np.float32)
    if form == "axis_angle":
        axes = generator.normal(size=(n, 3))
        actions[:, 3:6] = generator.uniform(0.0, 3.0, (n, 1)) * axes / np.linalg.norm(axes, axis=1, keepdims=True)
    else:
        actions[:, 3:6] *= (3.1, 1.5, 3.1)
    actions[:, 3:6] /= unit_rad
    messages = demonstration(0, n + 1, action_names=NAMES)
    for seq in range(n):
        messages = change(messages, seq + 1, action=actions[seq])
    cache = open_cache([write_demonstrations(tmp_path / "logs", messages)], tmp_path / "cache", encode=few_words)
    config = RotationConfig(form=form, unit_rad=unit_rad)  # type: ignore[arg-type]
    settings = LoaderConfig(n_groups=1, n_calls=n, n_decisions=0)
    chunk_steps = INTERFACE.chunk_steps
    given, six = (
        Loader(
            cache, cache.normaliser(), settings, seed=0, chunk_steps=chunk_steps, execute_steps=1, rotations=each
        ).batch(0)
        for each in (RotationConfig(), config)
    )
    assert (given.actions.shape[3], six.actions.shape[3]) == (7, 10)
    assert torch.equal(given.weight, six.weight)
    np.testing.assert_array_equal(six.actions[..., [0, 1, 2, 9]], given.actions[..., [0, 1, 2, 6]])

    class Copying(FakeBackend):
        def sample(self, fused: object, positions: object, noise: np.ndarray) -> np.ndarray:
            assert noise.shape == (chunk_steps, 10)
            return six.actions[0, self._n_answers].numpy()

    record = record_of(
        msgspec.structs.replace(NETWORK, rotations=config), msgspec.structs.replace(INTERFACE, action_names=NAMES)
    )
    backend = Copying(msgspec.structs.replace(record, normaliser=cache.normaliser()))
    actor = Actor(backend, words=words_of)
    actor.begin("go", "a")
    low, high = (np.array(each) for each in msgspec.structs.astuple(cache.normaliser().actions))
    for step in range(0, n - chunk_steps, chunk_steps):
        backend._n_answers = step
        got = actor.act([np.zeros((32, 32, 3), dtype=np.uint8)], step)
        np.testing.assert_allclose(got, np.clip(actions[step : step + chunk_steps], low, high), atol=2e-4)
