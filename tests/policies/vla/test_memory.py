from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from policies.vla.config import MemoryConfig  # noqa: E402
from policies.vla.memory import Entries, MemoryReader, ReadLayer  # noqa: E402

DIM = 64


def entries(*tokens: torch.Tensor, steps: tuple[float, ...] = ()) -> Entries:
    """Return the entries of one episode."""
    when = torch.tensor([steps or tuple(range(len(tokens)))], dtype=torch.float32)
    held = torch.stack(tokens)[None] if tokens else torch.zeros(1, 0, 3, DIM)
    return Entries(when.reshape(1, len(tokens)), held, torch.ones(1, len(tokens), dtype=torch.bool))


def random_tokens(n: int, seed: int, loudness: float = 2.0) -> torch.Tensor:
    return loudness * torch.randn(n, DIM, generator=torch.Generator().manual_seed(seed))


def reader(seed: int = 0, **given: object) -> MemoryReader:
    torch.manual_seed(seed)
    return MemoryReader(DIM, MemoryConfig(**given)).eval()


def amount_read(layer: ReadLayer, x: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    """Return how much each token reads, by replacing what comes behind the attention."""
    heard = []
    layer.out.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
    mask = torch.ones(1, keys.shape[1], dtype=torch.bool)
    layer(x, keys, keys, mask, None, None)
    amounts: torch.Tensor = heard[0].unflatten(-1, (layer._n_heads, -1))[0, :, :, -1].mean(dim=1)
    return amounts


def test_before_it_is_trained_it_reads_what_it_saw_before_and_nothing_else() -> None:
    torch.manual_seed(0)
    layer = ReadLayer(DIM, MemoryConfig(step_encoding=False), has_places=False)
    seen, new, common = random_tokens(1, 1), random_tokens(1, 2), random_tokens(1, 3, loudness=0.05)
    remembered = torch.cat([seen, common, random_tokens(20, 4)])[None]
    familiar, unfamiliar, dull = amount_read(layer, torch.cat([seen, new, common])[None], remembered).tolist()
    assert familiar > 0.9
    assert unfamiliar < 0.5
    assert dull < 0.3


def test_an_empty_memory_is_read_as_one_that_holds_now() -> None:
    read, now = reader(), random_tokens(3, 1)[None]
    step = torch.tensor([4.0])
    torch.testing.assert_close(read(now, step, entries()), read(now, step, entries(now[0], steps=(4.0,))))


def test_what_is_not_present_is_not_read() -> None:
    read, now, step = reader(), random_tokens(3, 1)[None], torch.tensor([9.0])
    one = entries(random_tokens(3, 2))
    padded = Entries(
        torch.tensor([[0.0, 5.0]]), torch.stack([one.tokens[0, 0], 50.0 * random_tokens(3, 3)])[None],
        torch.tensor([[True, False]]),
    )  # fmt: skip
    torch.testing.assert_close(read(now, step, one), read(now, step, padded))


def test_when_something_was_seen_matters_only_with_the_encoding_of_steps() -> None:
    now, step = random_tokens(3, 1)[None], torch.tensor([9.0])
    for step_encoding in (True, False):
        read = reader(step_encoding=step_encoding)
        early, late = (read(now, step, entries(now[0], steps=(at,))) for at in (0.0, 8.0))
        assert torch.equal(early, late) is not step_encoding


def test_the_order_of_entries_does_not_matter() -> None:
    read, now, step = reader(), random_tokens(3, 1)[None], torch.tensor([9.0])
    held = [random_tokens(3, seed) for seed in (2, 3, 4)]
    there = read(now, step, entries(*held, steps=(0.0, 3.0, 6.0)))
    back = read(now, step, entries(*held[::-1], steps=(6.0, 3.0, 0.0)))
    torch.testing.assert_close(there, back)


def test_the_gate_begins_half_open_whichever_way_it_is_hung_and_add_is_the_mean() -> None:
    now, step, held = random_tokens(3, 1)[None], torch.tensor([9.0]), entries(random_tokens(3, 2))
    by_gate, hung_otherwise, added = (
        reader(**given)(now, step, held) for given in ({}, {"gate_of": "seen"}, {"fusion": "add"})
    )
    torch.testing.assert_close(by_gate, added, atol=0.1, rtol=0.1)
    torch.testing.assert_close(0.5 * (by_gate + hung_otherwise), added)
