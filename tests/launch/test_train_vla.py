"""Training from the command line: logs in, a policy out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, List

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "launch"))

import train_vla  # noqa: E402
from train import main as train_main  # noqa: E402

from demonstrations import demonstration, few_words, write_demonstrations  # noqa: E402
from embodied.config import save_config  # noqa: E402
from embodied.errors import ConfigurationError  # noqa: E402
from embodied.progress import Progress  # noqa: E402
from policies.vla.acting import Actor  # noqa: E402
from policies.vla.backbones.settings import TimmVision  # noqa: E402
from policies.vla.backend import TorchBackend  # noqa: E402
from policies.vla.checkpoint import load_policy  # noqa: E402
from policies.vla.config import PRESETS, NetworkConfig  # noqa: E402
from policies.vla.data.cache import open_cache  # noqa: E402
from policies.vla.record import read_record  # noqa: E402

FEW = ("--training.n-steps", "4", "--training.warmup-steps", "2", "--loader.n-groups", "4")
SMALL = ("--preset", "small", *FEW)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, str]:
    """Two folders of logs, decoded."""
    folder = tmp_path_factory.mktemp("data")
    logs = [
        write_demonstrations(folder / name, *(demonstration(i, 12 + i, size_px=32, instruction=name) for i in range(3)))
        for name in ("push", "pull")
    ]
    open_cache(logs, folder / "cache", encode=few_words)
    return {"push": str(logs[0]), "pull": str(logs[1]), "cache": str(folder / "cache")}


def arguments(data: Dict[str, str], out: Path, *more: str) -> List[str]:
    return ["--data", data["push"], data["pull"], "--cache", data["cache"], "--out", str(out), *SMALL, *more]


def losses(out: Path) -> List[Dict[str, Any]]:
    return [msgspec.json.decode(line) for line in (out / "metrics.jsonl").read_bytes().splitlines()]


def test_a_flag_changes_the_chosen_preset_and_nothing_else() -> None:
    given = ["--data", "a", "--out", "b", "--network.memory.kind", "none", "--preset", "small"]
    network = train_vla.parse("train vla", given).network
    memory = msgspec.structs.replace(PRESETS["small"].memory, kind="none")
    assert network == msgspec.structs.replace(PRESETS["small"], memory=memory)


def test_a_preset_may_be_a_file_with_another_encoder(tmp_path: Path) -> None:
    save_config(NetworkConfig(vision=TimmVision(model="dinov2"), cognitive_width=96), tmp_path / "big.json")
    given = ["--data", "a", "--out", "b", f"--preset={tmp_path / 'big.json'}", "--network.vision.model", "siglip"]
    network = train_vla.parse("train vla", given).network
    assert isinstance(network.vision, TimmVision)
    assert (network.vision.model, network.cognitive_width) == ("siglip", 96)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--preset", "huge"], "preset: expected compact, small or a JSON file, got 'huge'"),
        (["--execute-steps", "9"], "execute_steps: expected at most chunk_steps, 8, got 9"),
        (["--training.n-steps", "0"], "training.n_steps: expected at least 1, got 0"),
        (["--network.rotations.unit-rad", "0"], "network.rotations.unit_rad: expected above 0, got 0.0"),
        (["--loader.n-groups", "3", "--training.n-parts", "2"], "loader.n_groups: expected a multiple of 2"),
        (["--device", "cuda"], "device: expected a GPU"),
        (["--compile", "--device", "cpu"], "compile: expected a GPU"),
        (["--data", "/nowhere"], "data: /nowhere does not exist"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: List[str], message: str
) -> None:
    if "--device" in given and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert train_main(["vla", "--data", str(tmp_path), "--out", str(tmp_path / "out"), *given]) == 1
    assert capsys.readouterr().err.startswith(f"train vla: ConfigurationError: {message}")


def test_several_folders_make_one_policy_which_a_second_call_leaves_as_it_is(
    tmp_path: Path, data: Dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = train_vla.parse("train vla", arguments(data, tmp_path / "out"))
    train_vla.main(settings, Progress())
    _, record = load_policy(tmp_path / "out")
    assert (record.n_steps, record.data.n_episodes, record.data.instructions) == (4, 6, ("pull", "push"))
    assert record.interface.action_names == ("tool_forward", "tool_left", "tool_up", "gripper")
    before = (tmp_path / "out" / "policy.json").read_bytes()
    train_vla.main(settings, Progress())
    assert (tmp_path / "out" / "policy.json").read_bytes() == before
    assert "going on after step 4" in capsys.readouterr().out


def test_rotations_are_six_numbers_of_the_network_and_three_of_the_robot(
    tmp_path: Path, data: Dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("tool_roll", "tool_pitch", "tool_yaw", "gripper")
    logs = write_demonstrations(tmp_path / "logs", demonstration(0, 12, size_px=32, action_names=names))
    cache = open_cache([logs], tmp_path / "cache", encode=few_words)
    six = ("--network.rotations.form", "axis_angle", "--network.rotations.unit-rad", "0.1")
    given = ["--data", str(logs), "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), *SMALL, *six]
    train_vla.main(train_vla.parse("train vla", [*given, "--training.n-steps", "2"]), Progress())
    backend = TorchBackend(tmp_path / "out")
    assert backend.record.interface.action_names == names
    actor = Actor(backend, words=few_words)
    actor.begin("touch the cube", "a")
    actions = actor.act([np.zeros((32, 32, 3), dtype=np.uint8)], 0)
    bounds = cache.normaliser().actions
    assert actions.shape == (8, 4)
    np.testing.assert_array_equal(actions, np.clip(actions, np.float32(bounds.low), np.float32(bounds.high)))
    assert train_main(["vla", *arguments(data, tmp_path / "none", *six)]) == 1
    assert "ConfigurationError: network.rotations.form: axis_angle expects tool_roll" in capsys.readouterr().err


def test_other_settings_and_other_data_do_not_go_on(tmp_path: Path, data: Dict[str, str]) -> None:
    out = tmp_path / "out"
    train_vla.main(train_vla.parse("train vla", arguments(data, out)), Progress())
    for given, name in ((["--network.memory.kind", "none"], "network.memory.kind"), (["--seed", "1"], "seed")):
        with pytest.raises(ConfigurationError, match=f"^{name}: the training in .* was begun with"):
            train_vla.main(train_vla.parse("train vla", arguments(data, out, *given)), Progress())
    open_cache([Path(data["push"])], tmp_path / "cache", encode=few_words)
    fewer = ["--data", data["push"], "--cache", str(tmp_path / "cache"), "--out", str(out), *SMALL]
    with pytest.raises(ConfigurationError, match=r"^data\.sha256: the training in"):
        train_vla.main(train_vla.parse("train vla", fewer), Progress())


def _environment() -> Dict[str, str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path, data: Dict[str, str]) -> None:
    script = str(ROOT / "launch" / "train.py")
    parts = ("--training.n-parts", "2", "--device", "cpu")
    one = [sys.executable, script, "vla", *arguments(data, tmp_path / "one", *parts)]
    subprocess.run(one, env=_environment(), check=True, timeout=300)
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    two = [*start, script, "vla", *arguments(data, tmp_path / "two", *parts)]
    subprocess.run(two, env=_environment(), check=True, timeout=300)
    (alone,), (together,) = losses(tmp_path / "one"), losses(tmp_path / "two")
    for name in ("loss", "action", "destination", "gradient_norm"):
        assert together[name] == pytest.approx(alone[name], abs=1e-5), name
    expected = dict(load_policy(tmp_path / "one")[0].named_parameters())
    for name, tensor in load_policy(tmp_path / "two")[0].named_parameters():
        assert torch.allclose(tensor, expected[name], atol=1e-5), name


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_training_that_is_killed_goes_on(tmp_path: Path, data: Dict[str, str], number: signal.Signals) -> None:
    """It saves after each step, so that a kill often meets it while it does."""
    out = tmp_path / "out"
    given = arguments(data, out, "--training.n-steps", "100000", "--checkpoint-minutes", "0")
    command = [sys.executable, str(ROOT / "launch" / "train.py"), "vla", *given]
    log, reached = tmp_path / "log", 0
    for _ in range(2):
        with log.open("wb") as file:
            child = subprocess.Popen(command, env=_environment(), stdout=file, stderr=subprocess.STDOUT)
        try:
            deadline_s = time.monotonic() + 240.0
            while not (out / "policy.json").exists() or read_record(out).n_steps < reached + 3:
                assert time.monotonic() < deadline_s
                assert child.poll() is None, log.read_text()
                time.sleep(0.05)
            child.send_signal(number)
            assert child.wait(timeout=60.0) == (130 if number == signal.SIGTERM else -number)
        finally:
            child.kill()
            child.wait()
        now = load_policy(out)[1].n_steps
        assert now >= reached + 3
        reached = now
