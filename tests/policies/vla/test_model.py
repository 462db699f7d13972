from __future__ import annotations

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from memory_bank.agent.token_bank import TokenStream, TokenStreamConfig  # noqa: E402
from policies.vla.batch import TrainingBatch  # noqa: E402
from policies.vla.config import PRESETS, MemoryConfig, NetworkConfig  # noqa: E402
from policies.vla.memory import Entries  # noqa: E402
from policies.vla.model import MemoryPolicy, Tokens, entries_before  # noqa: E402
from tiny_policy import INTERFACE, TinyBatches  # noqa: E402

KEYPOINT_LOSSES = ("destination", "tool", "position")


def policy(seed: int = 0, network: NetworkConfig = PRESETS["small"], **memory: object) -> MemoryPolicy:
    torch.manual_seed(seed)
    changed = msgspec.structs.replace(network.memory, **memory)
    return MemoryPolicy(msgspec.structs.replace(network, memory=changed), INTERFACE).eval()


def losses(made: MemoryPolicy, batch: TrainingBatch) -> dict[str, float]:
    with torch.no_grad():
        return {name: float(x) for name, x in made.loss(batch, torch.Generator().manual_seed(0)).items()}


def only_last_call(batch: TrainingBatch) -> TrainingBatch:
    weight = torch.zeros_like(batch.weight)
    weight[:, -1] = 1.0
    return batch._replace(weight=weight)


def other_picture(batch: TrainingBatch, call: int) -> TrainingBatch:
    images = batch.images.clone()
    images[:, call] = 255 - images[:, call]
    return batch._replace(images=images)


@pytest.mark.parametrize("capacity", [2, 3, 8])
@pytest.mark.parametrize("consolidation", ["merge", "fifo"])
@pytest.mark.parametrize("merged_step", ["earlier", "mean"])
def test_training_remembers_what_the_bank_would_hold(capacity: int, consolidation: str, merged_step: str) -> None:
    generator = torch.Generator().manual_seed(0)
    stored = torch.randn(2, 6, 4, 5, generator=generator)
    steps = torch.tensor([[0, 2, 4, 7, 9, 11], [0, 1, 3, 5, 0, 0]])
    present = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    config = MemoryConfig(capacity=capacity, consolidation=consolidation, merged_step=merged_step)
    settings = TokenStreamConfig(capacity=capacity, consolidation=consolidation, merged_step=merged_step)
    groups, calls = torch.nonzero(present, as_tuple=True)
    entries = entries_before(stored, steps, present, groups, calls, config, "perceptual")
    for at, (group, call) in enumerate(zip(groups.tolist(), calls.tolist())):
        bank = TokenStream(settings)
        for before in range(call):
            bank.append(float(steps[group, before]), stored[group, before])
        there = entries.present[at]
        assert int(there.sum()) == len(bank)
        if len(bank):
            torch.testing.assert_close(entries.tokens[at, there], bank.values())
            np.testing.assert_allclose(entries.steps[at, there].numpy(), bank.steps)


@pytest.mark.parametrize("store", ["raw", "fused"])
def test_what_it_saw_before_changes_what_it_does_and_what_comes_later_does_not(store: str) -> None:
    batch = TinyBatches().batch(0)
    made, last = policy(store=store), only_last_call(batch)
    first = batch._replace(weight=torch.zeros_like(batch.weight).index_fill_(1, torch.tensor([0]), 1.0))
    assert losses(made, last) != losses(made, other_picture(last, 0))
    assert losses(made, first) == losses(made, other_picture(first, 2))


def test_the_twin_sees_only_now() -> None:
    batch = only_last_call(TinyBatches().batch(0))
    twin = policy(kind="none")
    assert losses(twin, batch) == losses(twin, other_picture(batch, 0))
    assert losses(twin, batch) != losses(twin, other_picture(batch, 2))
    assert twin.n_parameters() == policy().n_parameters()


@pytest.mark.parametrize("stream", ["perceptual", "cognitive"])
def test_each_stream_remembers_on_its_own(stream: str) -> None:
    batch, made = TinyBatches().batch(0), policy(streams=stream)
    at = torch.tensor([0]), torch.tensor([2])
    with torch.no_grad():
        one, other = (made.recall(made.encode_all(b), b, *at) for b in (batch, other_picture(batch, 0)))
    changed = {name for name in Tokens._fields if not torch.equal(getattr(one, name), getattr(other, name))}
    assert changed == {stream}


def test_padding_is_not_looked_at() -> None:
    batch = TinyBatches().batch(0)
    present = batch.present.clone()
    present[1, -1] = False
    padded = batch._replace(present=present)
    assert losses(policy(), padded) == losses(policy(), other_picture(padded, 2)._replace(images=_blank(padded, 1, 2)))


def _blank(batch: TrainingBatch, group: int, call: int) -> torch.Tensor:
    images = batch.images.clone()
    images[group, call] = 0
    return images


def test_acting_reads_what_training_reads() -> None:
    batch, made = TinyBatches().batch(0), policy()
    with torch.no_grad():
        tokens = made.encode(batch.images[0], batch.words[:1].expand(3, -1), ("push",) * 3, torch.zeros(3, 0))
        stored = made.to_store(tokens)
        by_hand = made.read(
            Tokens(tokens.perceptual[2:], tokens.cognitive[2:]),
            batch.steps[0, 2:],
            *(
                Entries(batch.steps[:1, :2].float(), each[None, :2], torch.ones(1, 2, dtype=torch.bool))
                for each in stored
            ),
        )
        trained = made.recall(made.encode_all(batch), batch, torch.tensor([0]), torch.tensor([2]))
    torch.testing.assert_close(by_hand, trained)


def test_memory_is_learned_through_unless_it_is_cut_off() -> None:
    batch = only_last_call(TinyBatches().batch(0))
    grads = []
    for detach in (False, True):
        made = policy(detach=detach)
        tokens = made.encode_all(batch)
        tokens.perceptual.retain_grad()
        groups, calls = torch.nonzero(batch.weight > 0, as_tuple=True)
        made.recall(tokens, batch, groups, calls).perceptual.square().sum().backward()
        assert tokens.perceptual.grad is not None
        grads.append(float(tokens.perceptual.grad.unflatten(0, (2, 3))[:, :2].abs().sum()))
    assert grads[0] > 0.0
    assert grads[1] == 0.0


@pytest.mark.parametrize("prediction", ["noise", "sample"])
def test_actions_are_of_the_right_shape_within_bounds_and_follow_from_the_noise(prediction: str) -> None:
    small = PRESETS["small"]
    head = msgspec.structs.replace(small.head, prediction=prediction)
    made, batch = policy(network=msgspec.structs.replace(small, head=head)), TinyBatches().batch(0)
    with torch.no_grad():
        tokens = made.encode(batch.images[:, 0], batch.words, batch.instructions, torch.zeros(2, 0))
        noise = torch.randn(2, INTERFACE.chunk_steps, 2)
        actions = [
            made.sample(tokens, made.locate(batch.images[:, 0]), noise, 5, guidance) for guidance in (1.0, 1.0, 3.0)
        ]
    assert actions[0].shape == noise.shape
    assert float(actions[0].abs().max()) <= 1.0
    assert torch.equal(actions[0], actions[1])


def test_it_learns_where_the_tool_is_and_where_its_motion_ends() -> None:
    torch.manual_seed(0)
    made = MemoryPolicy(PRESETS["small"], INTERFACE).train()
    batch = TinyBatches().batch(0)
    optimiser = torch.optim.Adam(made.parameters(), lr=3e-3)
    told = []
    for step in range(60):
        loss = made.loss(batch, torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        loss["loss"].backward()
        optimiser.step()
        told.append({name: float(value.detach()) for name, value in loss.items()})
    for name in KEYPOINT_LOSSES:
        assert told[-1][name] < 0.3 * told[0][name], name
    unknown = losses(made, batch._replace(has_keypoint=torch.zeros_like(batch.has_keypoint)))
    assert [unknown[name] for name in KEYPOINT_LOSSES] == [0.0] * 3


def test_the_error_of_a_position_moves_nothing_of_what_chooses_and_remembers() -> None:
    made, batch = policy(), TinyBatches().batch(0)
    made.loss(batch, torch.Generator().manual_seed(0))["position"].backward()
    moved = {name.split(".")[0] for name, p in made.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == {"tool_positions"}


def test_the_memory_is_a_small_part_of_the_compact_network() -> None:
    interface = msgspec.structs.replace(INTERFACE, height_px=128, width_px=128, chunk_steps=8)
    counts = MemoryPolicy(PRESETS["compact"], interface).n_parameters()
    assert counts["memory"] < 0.05 * counts["total"]


def test_a_picture_that_cannot_be_pooled_is_refused() -> None:
    with pytest.raises(ValueError, match=r"memory.pool: expected a divisor of 4, got 3"):
        policy(pool=3)
    with pytest.raises(ValueError, match="image: expected a square of a multiple of 8 px, got 30 x 32"):
        MemoryPolicy(PRESETS["small"], msgspec.structs.replace(INTERFACE, height_px=30))
