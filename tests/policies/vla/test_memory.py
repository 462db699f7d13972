from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from policies.vla.config import MemoryConfig  # noqa: E402
from policies.vla.memory import Entries, MemoryReader, ReadLayer, StepEncoder  # noqa: E402

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
    layer(x, keys[:, None], torch.ones(1, 1, dtype=torch.bool))
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


Places = tuple[torch.Tensor, torch.Tensor]


def read_by_definition(read: MemoryReader, now: torch.Tensor, held: Entries, places: Places | None) -> torch.Tensor:
    """Return what the only layer reads for one episode, one head after the other, before it is fused."""
    layer = read.layers[0]
    assert isinstance(layer, ReadLayer)
    values = held.tokens[0][held.present[0]]
    keys, shape = values, values.shape[:2]
    seen = values if places is None else values + places[1]
    values = seen
    if isinstance(read.step_encoder, StepEncoder):
        sinusoid = read.step_encoder.sinusoid(held.steps[0][held.present[0]])
        keys = keys + read.step_encoder(sinusoid)[:, None]
        seen = torch.cat([seen, sinusoid[:, None].expand(*shape, -1)], dim=-1)
    query, key, value = layer.query(now), layer.key(keys), layer.value(values).flatten(0, 1)
    if places is not None:
        query, key = query + layer.place_query(places[0]), key + layer.place_key(places[1])
    matters = layer.salience(seen).flatten(0, 1)
    parts = []
    for head, scale in enumerate(layer.log_scale.exp().flatten()):
        q, k, v = (part.unflatten(-1, (layer._n_heads, -1))[..., head, :] for part in (query, key.flatten(0, 1), value))
        q, k = (part / (part.square().sum(-1, keepdim=True) + part.shape[-1] / 3.0).sqrt() for part in (q, k))
        logits = torch.cat([scale * q @ k.T + matters[:, head], (scale * layer.nothing[head]).expand(len(q), 1)], dim=1)
        shares = logits.softmax(dim=1)[:, :-1]
        parts.append(torch.cat([shares @ v, shares.sum(dim=1, keepdim=True)], dim=1))
    x = layer.norm_read(now + layer.out(torch.cat(parts, dim=1)))
    result: torch.Tensor = layer.norm(x + layer.feed(x))
    return result


@pytest.mark.parametrize("step_encoding", [True, False])
@pytest.mark.parametrize("has_places", [True, False])
@pytest.mark.parametrize("present", [((1, 1), (1, 1)), ((1, 1), (0, 1)), ((0, 0), (1, 0)), ((), ())])
def test_it_reads_by_its_definition_and_alike_while_learning_and_while_acting(
    present: tuple[tuple[int, ...], ...], has_places: bool, step_encoding: bool
) -> None:
    torch.manual_seed(0)
    read = MemoryReader(DIM, MemoryConfig(step_encoding=step_encoding, fusion="add"), has_places=has_places)
    with torch.no_grad():
        for parameter in read.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    there = torch.tensor(present, dtype=torch.bool)
    held = Entries(9.0 * torch.rand(there.shape), torch.randn(*there.shape, 3, DIM), there)
    now, stored, steps = torch.randn(2, 12, DIM), torch.randn(2, 3, DIM), torch.tensor([9.0, 10.0])
    places = (torch.randn(12, DIM), torch.randn(3, DIM)) if has_places else None
    expected = []
    for row, step, raw, each, is_there in zip(now, steps, stored, held.tokens, there):
        full = Entries(held.steps[len(expected)][None], each[None], is_there[None])
        if not is_there.any():
            full = Entries(step[None, None], raw[None, None], torch.ones(1, 1, dtype=torch.bool))
        expected.append(0.5 * (row + read_by_definition(read, row, full, places)))
    learning = read(now, steps, held, stored, places)
    with torch.inference_mode():
        acting = read(now, steps, held, stored, places)
    torch.testing.assert_close(learning, torch.stack(expected), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(acting, learning.detach(), atol=1e-5, rtol=1e-5)
    weight = torch.randn_like(learning)
    wanted = torch.autograd.grad((weight * torch.stack(expected)).sum(), list(read.parameters()), allow_unused=True)
    got = torch.autograd.grad((weight * learning).sum(), list(read.parameters()), allow_unused=True)
    for one, other in zip(got, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
