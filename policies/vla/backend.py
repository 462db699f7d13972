"""What runs a policy's network for a robot: numpy in, numpy out, one episode at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from embodied.arrays import Float, UInt8
from embodied.config import Config
from embodied.errors import ConfigurationError
from policies.vla.record import PolicyRecord


class SamplingConfig(Config):
    """How actions are drawn."""

    n_denoising: int = 10
    """Steps of DDIM."""
    guidance: float = 1.5
    """Of classifier-free guidance; 1 does without, in half the time."""


class TokenArrays(NamedTuple):
    """Tokens of one call."""

    perceptual: Float[np.ndarray, "n_tokens d_perceptual"]
    """float32."""
    cognitive: Float[np.ndarray, "1 d_cognitive"]
    """float32."""


class StoredStream(NamedTuple):
    """What one stream of the memory holds, oldest first."""

    steps: Float[np.ndarray, " n_entries"]
    """float64: when each was written."""
    tokens: Float[np.ndarray, "n_entries n_tokens dim"]
    """float32; ``n_entries`` may be 0."""


@runtime_checkable
class Backend(Protocol):
    """A network, whatever library it runs in. It keeps nothing between calls."""

    @property
    def record(self) -> PolicyRecord:
        """What it is, and what it was trained for."""
        ...

    def encode(
        self,
        images: UInt8[np.ndarray, "n_images height width 3"],
        words: Float[np.ndarray, " 384"],
        instruction: str,
        proprioception: Float[np.ndarray, " n_proprioception"],
    ) -> TokenArrays:
        """Return what is perceived.

        Args:
            images: For each camera its stacked frames, oldest first.
            words: The instruction's embedding.
            instruction: The instruction itself.
            proprioception: Normalised; of no numbers where it is no input.
        """
        ...

    def read(self, tokens: TokenArrays, step: int, perceptual: StoredStream, cognitive: StoredStream) -> TokenArrays:
        """Return the tokens, fused with what is remembered."""
        ...

    def to_store(self, tokens: TokenArrays) -> TokenArrays:
        """Return what of the tokens goes into the memory."""
        ...

    def locate(
        self, images: UInt8[np.ndarray, "n_images height width 3"]
    ) -> Float[np.ndarray, "n_positions n_coordinates"]:
        """Return where the tool is, and where it would be if it came to rest at each token."""
        ...

    def sample(
        self,
        fused: TokenArrays,
        positions: Float[np.ndarray, "n_positions n_coordinates"],
        noise: Float[np.ndarray, "n_steps n_actions"],
    ) -> np.ndarray:
        """Return a chunk of actions, float32 (n_steps, n_actions), of which -1 and 1 are the normaliser's bounds."""
        ...


class TorchBackend:
    """``Backend`` of a checkpoint, in torch."""

    def __init__(self, folder: Path, sampling: SamplingConfig = SamplingConfig(), device: str = "cpu") -> None:
        """Load it.

        Raises:
            ConfigurationError: There is no policy, or one that does not fit; or torch is not installed.
        """
        try:
            import torch

            from policies.vla.checkpoint import load_policy
            from policies.vla.lora import merge_lora
            from policies.vla.memory import Entries
            from policies.vla.model import Tokens
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"checkpoint {folder}: a policy needs {error.name}, which is not installed"
            ) from error
        self._torch, self._entries_type, self._tokens_type = torch, Entries, Tokens
        self._policy, self._record = load_policy(folder, device)
        merge_lora(self._policy)
        self._sampling = sampling
        self._device = device

    @property
    def record(self) -> PolicyRecord:
        """What it is, and what it was trained for."""
        return self._record

    def encode(
        self,
        images: UInt8[np.ndarray, "n_images height width 3"],
        words: Float[np.ndarray, " 384"],
        instruction: str,
        proprioception: Float[np.ndarray, " n_proprioception"],
    ) -> TokenArrays:
        """Return what is perceived."""
        with self._torch.inference_mode():
            return _arrays(
                self._policy.encode(
                    self._tensor(images), self._tensor(words), (instruction,), self._tensor(proprioception)
                )
            )

    def read(self, tokens: TokenArrays, step: int, perceptual: StoredStream, cognitive: StoredStream) -> TokenArrays:
        """Return the tokens, fused with what is remembered."""
        with self._torch.inference_mode():
            now = self._tensor(np.array(step))
            entries = (self._entries(stream) for stream in (perceptual, cognitive))
            return _arrays(self._policy.read(self._tokens(tokens), now, *entries))

    def to_store(self, tokens: TokenArrays) -> TokenArrays:
        """Return what of the tokens goes into the memory."""
        with self._torch.inference_mode():
            return _arrays(self._policy.to_store(self._tokens(tokens)))

    def locate(
        self, images: UInt8[np.ndarray, "n_images height width 3"]
    ) -> Float[np.ndarray, "n_positions n_coordinates"]:
        """Return where the tool is, and where it would be if it came to rest at each token."""
        with self._torch.inference_mode():
            return np.asarray(self._policy.locate(self._tensor(images))[0].cpu().numpy(), dtype=np.float32)

    def sample(
        self,
        fused: TokenArrays,
        positions: Float[np.ndarray, "n_positions n_coordinates"],
        noise: Float[np.ndarray, "n_steps n_actions"],
    ) -> np.ndarray:
        """Return a chunk of actions."""
        with self._torch.inference_mode():
            n, guidance = self._sampling.n_denoising, self._sampling.guidance
            given = self._tokens(fused), self._tensor(positions), self._tensor(noise)
            actions = self._policy.sample(*given, n, guidance)
            return np.asarray(actions[0].cpu().numpy(), dtype=np.float32)

    def _tensor(self, array: np.ndarray) -> Any:
        """Return a batch of one."""
        whole = np.asarray(array, order="C")
        # What came off a wire is read-only, which torch does not know.
        owned = whole if whole.flags.writeable else whole.copy()
        return self._torch.from_numpy(owned)[None].to(self._device)

    def _tokens(self, tokens: TokenArrays) -> Any:
        return self._tokens_type(*(self._tensor(each) for each in tokens))

    def _entries(self, stream: StoredStream) -> Any:
        present = np.ones(len(stream.steps), dtype=bool)
        parts = (stream.steps.astype(np.float32), stream.tokens.astype(np.float32, copy=False), present)
        return self._entries_type(*(self._tensor(part) for part in parts))


def _arrays(tokens: Any) -> TokenArrays:
    """Return the only one of a batch."""
    return TokenArrays(*(np.asarray(each[0].cpu().numpy(), dtype=np.float32) for each in tokens))
