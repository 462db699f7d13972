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


def by_definition(
    read: MemoryReader, now: torch.Tensor, steps: torch.Tensor, held: torch.Tensor, places: tuple[torch.Tensor, ...]
) -> torch.Tensor:
    """Return what one episode reads, one head after the other: now and held are (n, DIM) and (n_entries, n, DIM)."""
    layer = read.layers[0]
    assert isinstance(layer, ReadLayer)
    keys, values, weighed = held, held, held
    if places:
        values = weighed = held + places[1]
    if isinstance(read.step_encoder, StepEncoder):
        sinusoid = read.step_encoder.sinusoid(steps)
        keys = held + read.step_encoder(sinusoid)[:, None]
        weighed = torch.cat([values, sinusoid[:, None].expand(*held.shape[:2], -1)], dim=-1)
    query, key, value, matters = layer.query(now), layer.key(keys), layer.value(values), layer.salience(weighed)
    if places:
        query, key = query + layer.place_query(places[0]), key + layer.place_key(places[1])
    heads = []
    for head, scale in enumerate(layer.log_scale.exp().flatten()):
        q, k, v = (each.flatten(0, -2).unflatten(-1, (layer._n_heads, -1))[:, head] for each in (query, key, value))
        q, k = (each / (each.square().sum(dim=1, keepdim=True) + each.shape[1] / 3.0).sqrt() for each in (q, k))
        nothing = (scale * layer.nothing[head]).expand(len(q), 1)
        shares = torch.cat([scale * q @ k.T + matters[..., head].flatten(), nothing], dim=1).softmax(dim=1)[:, :-1]
        heads += [shares @ v, shares.sum(dim=1, keepdim=True)]
    x = layer.norm_read(now + layer.out(torch.cat(heads, dim=1)))
    return 0.5 * (now + layer.norm(x + layer.feed(x)))


@pytest.mark.parametrize("step_encoding", [True, False])
@pytest.mark.parametrize("has_places", [True, False])
@pytest.mark.parametrize("present", [((1, 1), (1, 1)), ((1, 1), (0, 1)), ((0, 0), (1, 0)), ((), ())])
def test_it_reads_by_its_definition_and_the_same_with_and_without_gradients(
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
    for row in range(2):
        of_entries, tokens = held.steps[row, there[row]], held.tokens[row, there[row]]
        if not len(tokens):
            of_entries, tokens = steps[row, None], stored[row, None]
        expected.append(by_definition(read, now[row], of_entries, tokens, places or ()))
    with_gradients = read(now, steps, held, stored, places)
    with torch.inference_mode():
        without = read(now, steps, held, stored, places)
    torch.testing.assert_close(with_gradients, torch.stack(expected), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(without, with_gradients.detach(), atol=1e-5, rtol=1e-5)
    weight = torch.randn_like(without)
    got, wanted = (
        torch.autograd.grad((weight * each).sum(), list(read.parameters()))
        for each in (with_gradients, torch.stack(expected))
    )
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)
