from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

torch = pytest.importorskip("torch")

import msgspec  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from embodied.errors import ConfigurationError  # noqa: E402
from embodied.progress import Progress  # noqa: E402
from policies.vla.batch import TrainingBatch  # noqa: E402
from policies.vla.checkpoint import load_policy  # noqa: E402
from policies.vla.config import PRESETS  # noqa: E402
from policies.vla.model import MemoryPolicy  # noqa: E402
from policies.vla.record import read_record  # noqa: E402
from policies.vla.schedule import TrainingConfig  # noqa: E402
from policies.vla.training import Trainer  # noqa: E402
from policies.vla.training_loop import TrainingRun, training_folder  # noqa: E402
from tiny_policy import INTERFACE, TinyBatches, TinyPolicy, tiny_record  # noqa: E402

CONFIG = TrainingConfig(n_steps=4, warmup_steps=2, learning_rate=0.01)
Losses = List[Dict[str, float]]


def tiny(config: TrainingConfig = CONFIG, *, seed: int = 3, small: bool = False) -> Trainer:
    torch.manual_seed(seed)
    policy = MemoryPolicy(PRESETS["small"], INTERFACE) if small else TinyPolicy()
    return Trainer(policy, [TinyBatches(part) for part in range(config.n_parts or 1)], config, seed=seed)


def train(folder: Path, stop_after: int = 0, *, small: bool = False, seed: int = 3) -> Tuple[Losses, Trainer]:
    """Train in a folder; ``stop_after`` so many steps, a SIGTERM comes."""
    losses: Losses = []

    def on_step(n_steps: int, values: Dict[str, float]) -> None:
        losses.append(values)
        if n_steps == stop_after:
            os.kill(os.getpid(), signal.SIGTERM)

    with tiny(small=small, seed=seed) as trainer, training_folder(folder):
        done = TrainingRun(trainer, folder, tiny_record(), on_step=on_step).train(Progress(every_s=1e9))
        assert done == (not stop_after)
    return losses, trainer


@pytest.mark.parametrize("small", [False, True])
def test_a_training_that_was_stopped_and_went_on_is_bit_for_bit_the_one_that_was_not(
    tmp_path: Path, small: bool
) -> None:
    straight, whole = train(tmp_path / "straight", small=small)
    # The signal comes after the first step, and all processes are told of it in the second.
    first, _ = train(tmp_path / "parts", stop_after=1, small=small)
    assert len(first) == 2
    second, resumed = train(tmp_path / "parts", small=small)
    assert first + second == straight
    assert len({values["loss"] for values in straight}) == 4
    expected = whole.tensors()
    assert resumed.tensors().keys() == expected.keys()
    for name, tensor in resumed.tensors().items():
        assert torch.equal(tensor, expected[name]), name
    assert {name.partition("/")[0] for name in expected} == {"model", "average", "exp_avg", "exp_avg_sq", "step"}


def test_what_is_trained_lowers_the_loss_and_acts_as_its_average_says(tmp_path: Path) -> None:
    with tiny(msgspec.structs.replace(CONFIG, n_steps=200, learning_rate=0.03)) as trainer:
        losses = [trainer.step().values["loss"] for _ in range(200)]
    assert sum(losses[-20:]) < 0.9 * sum(losses[:20])
    assert not torch.equal(trainer.policy_tensors()["layers.0.weight"], trainer.policy.layers[0].weight)
    assert "frozen" not in trainer.policy_tensors()
    assert torch.equal(trainer.policy_tensors()["scale"], trainer.policy.scale)


def test_a_folder_tells_what_was_done_in_lines_that_a_resumed_training_goes_on_with(tmp_path: Path) -> None:
    train(tmp_path / "out", stop_after=1)
    with (tmp_path / "out" / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 3, "loss": 1.0}\n{"step": 4, "lo')  # from after the last checkpoint
    train(tmp_path / "out")
    lines = [msgspec.json.decode(line) for line in (tmp_path / "out" / "metrics.jsonl").read_bytes().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert {"loss", "noise", "learning_rate", "gradient_norm", "steps_per_s", "calls_per_s"} <= lines[0].keys()
    assert read_record(tmp_path / "out").n_steps == 4


def test_the_policy_of_a_finished_training_can_be_loaded(tmp_path: Path) -> None:
    _, trainer = train(tmp_path / "out", small=True)
    policy, record = load_policy(tmp_path / "out")
    assert record.n_steps == 4
    assert record.trained_s > 0.0
    assert not any(module.training for module in policy.modules())
    assert not any(p.requires_grad for p in policy.parameters())
    assert torch.equal(policy.places, trainer.average.tensors["places"])


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    train(tmp_path / "out")
    changed = tiny_record(settings={"training": {"learning_rate": 0.02}, "seed": 0})
    with (
        tiny() as trainer,
        pytest.raises(ConfigurationError, match=r"^training\.learning_rate: .*0\.01, not with 0\.02"),
    ):
        TrainingRun(trainer, tmp_path / "out", changed)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    train(tmp_path / "out")
    with Trainer(TinyPolicy(width=7), [TinyBatches()], CONFIG) as trainer:
        with pytest.raises(ConfigurationError, match=r"layers\.0\.bias is \(6,\), expected \(7,\)"):
            TrainingRun(trainer, tmp_path / "out", tiny_record())


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all my work")
    with pytest.raises(ConfigurationError, match="not empty and holds no training"), training_folder(tmp_path):
        pass


def test_two_trainings_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with training_folder(tmp_path / "out"):
        with pytest.raises(ConfigurationError, match="is under way"), training_folder(tmp_path / "out"):
            pass


class _Diverging(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 2))

    def loss(self, batch: TrainingBatch, generator: torch.Generator) -> Dict[str, Tensor]:
        return {"loss": (self.weight * float("nan")).sum()}


def test_a_loss_that_is_no_number_ends_the_training_before_it_ruins_the_weights() -> None:
    with Trainer(_Diverging(), [TinyBatches()], CONFIG) as trainer:
        with pytest.raises(ConfigurationError, match=r"training\.learning_rate: the loss is nan"):
            trainer.step()
        assert torch.equal(trainer.policy.weight, torch.ones(2, 2))


def test_gradients_are_cut_and_parts_are_averaged() -> None:
    config = TrainingConfig(n_steps=1, warmup_steps=0, n_parts=2, max_gradient_norm=1e-4)
    with tiny(config) as trainer:
        done = trainer.step()
        gradients = torch.cat([p.grad.flatten() for p in trainer.policy.parameters() if p.grad is not None])
    assert done.n_calls == 2 * 6
    assert done.values["gradient_norm"] > 1e-3
    assert gradients.norm().item() == pytest.approx(1e-4, rel=1e-3)
    with tiny(msgspec.structs.replace(config, n_parts=1)) as one:
        assert one.step().values["loss"] != done.values["loss"]


def test_settings_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"^training\.ema_decay"):
        tiny(TrainingConfig(ema_decay=1.0))
