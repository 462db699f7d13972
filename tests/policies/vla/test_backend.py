"""A tiny network with random weights, from its folder to a robot."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest

from embodied.errors import ConfigurationError, PolicyError

torch = pytest.importorskip("torch")

from arm_line import LONG_S, ArmLine  # noqa: E402
from embodied.messages import Observation  # noqa: E402
from embodied.process import ProcessLink  # noqa: E402
from fake_policy import NETWORK, record_of, words_of  # noqa: E402
from memory_bank.agent.token_bank import EpisodeBank  # noqa: E402
from policies.vla.acting import Actor, open_actor  # noqa: E402
from policies.vla.backend import Backend, SamplingConfig, TorchBackend  # noqa: E402
from policies.vla.checkpoint import save_policy, stored_tensors  # noqa: E402
from policies.vla.config import MemoryConfig, NetworkConfig  # noqa: E402
from policies.vla.memory import Entries  # noqa: E402
from policies.vla.model import MemoryPolicy  # noqa: E402
from policies.vla.server import VlaServerConfig, main  # noqa: E402
from policies.vla.token_memory import stream_config  # noqa: E402


def save(folder: Path, network: NetworkConfig = NETWORK) -> MemoryPolicy:
    torch.manual_seed(0)
    record = record_of(network)
    policy = MemoryPolicy(network, record.interface).eval()
    save_policy(folder, stored_tensors(policy), record)
    return policy


def pictures(n: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 255, (n, 32, 32, 3), dtype=np.uint8))


@pytest.mark.parametrize("store", ["raw", "fused"])
def test_it_acts_as_the_network_does_with_the_bank_that_it_was_trained_with(tmp_path: Path, store: str) -> None:
    network = msgspec.structs.replace(NETWORK, memory=MemoryConfig(capacity=3, store=store))  # type: ignore[arg-type]
    policy = save(tmp_path, network)
    backend = TorchBackend(tmp_path, SamplingConfig(n_denoising=4, guidance=2.0))
    assert isinstance(backend, Backend)
    actor = Actor(backend, words=words_of)
    actor.begin("go", "a")
    bank, words = EpisodeBank(stream_config(network.memory)), torch.from_numpy(words_of(["go"]))
    for call, picture in enumerate(pictures(6)):
        got = actor.act([picture], 4 * call)
        with torch.inference_mode():
            seen = torch.from_numpy(picture)[None, None]
            tokens = policy.encode(seen, words, ("go",), torch.zeros(1, 0))
            entries = []
            for stream, now in zip((bank.perceptual, bank.cognitive), policy.to_store(tokens)):
                held = stream.values()[None] if len(stream) else now[:, :0, None].expand(-1, -1, *now.shape[1:])
                there = torch.ones(1, len(stream), dtype=torch.bool)
                entries.append(Entries(torch.tensor([stream.steps]), held.reshape(1, -1, *now.shape[1:]), there))
            fused = policy.read(tokens, torch.tensor([4 * call]), *entries)
            noise = torch.from_numpy(actor._noise(4 * call))[None]
            sampled = policy.sample(fused, policy.locate(seen), noise, 4, 2.0)[0].numpy()
            stored = policy.to_store(fused if store == "fused" else tokens)
            for stream, each in zip((bank.perceptual, bank.cognitive), stored):
                stream.append(4 * call, each[0])
        np.testing.assert_allclose(got, backend.record.normaliser.actions.denormalise(sampled), atol=1e-5)


def test_weights_that_are_spoilt_are_noticed_before_the_robot_moves(tmp_path: Path) -> None:
    policy = save(tmp_path)
    tensors = stored_tensors(policy)
    spoilt = {name: each * torch.nan for name, each in tensors.items() if each.is_floating_point()}
    save_policy(tmp_path, {**tensors, **spoilt}, record_of())
    actor = Actor(TorchBackend(tmp_path), words=words_of)
    actor.begin("go", "a")
    with pytest.raises(PolicyError, match="not finite"):
        actor.act(pictures(1), 0)


def test_a_folder_without_a_policy_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no policy's folder"):
        open_actor(tmp_path)


def test_the_process_serves_a_checkpoint(tmp_path: Path) -> None:
    save(tmp_path / "checkpoint")
    line = ArmLine(tmp_path)
    addresses = {name: line.addresses[name] for name in ("latest", "actions", "tasks")}
    config = VlaServerConfig(checkpoint=str(tmp_path / "checkpoint"), **addresses)
    link = ProcessLink(config.process)
    thread = threading.Thread(target=main, args=(config, link))
    thread.start()
    try:
        opening = line.start().opening
        assert opening is not None
        line.run_task(max_steps=8, instruction=opening.instruction, action_names=opening.action_names)
        observations: list[Observation] = line.wait_for(9)
        assert np.abs(np.array([o.action for o in observations[1:]])).max() > 0.0
    finally:
        link.stop()
        thread.join(LONG_S)
        line.close()
    names = {"encode_ms", "read_ms", "sample_ms", "memory_ms", "send_ms", "total_ms", "longest_ms"}
    assert names <= set(link._statistics)
