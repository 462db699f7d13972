"""A vision-language-action policy with a working memory, in one file (MemoryVLA, arXiv 2508.19236).

    images ─ encoder ─ patches ─ bottleneck ─ perceptual tokens p ─┐ read ┌─ p~ ──────── keys of the head's attention
                          │                                        ├─ memory ─┤              │
    words ────────────────┴─ pooling ──────── cognitive token c ───┘ fuse └─ c~ ─ condition ─ denoise ─ actions

The head is told by p~ where, over the picture, the motion is to end, and how far the tool is from there; both are
learned from where demonstrated motions came to rest, which pulls what is remembered into use long before the noise in
actions would.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from memory_bank.agent.token_bank import TokenStream, TokenStreamConfig
from policies.vla.action_codec import n_network_actions
from policies.vla.action_head import ActionHead
from policies.vla.backbones.opening import open_backbone
from policies.vla.batch import TrainingBatch
from policies.vla.compact_vision import CompactEncoder
from policies.vla.config import WORDS_DIM, CompactVision, Interface, MemoryConfig, NetworkConfig
from policies.vla.diffusion import add_noise, clean_from_noise, ddim, signal_shares
from policies.vla.keypoints import Destination, ToolPositions, keypoint_losses
from policies.vla.memory import Entries, MemoryReader

MOST = 3.0
"""Standard deviations that a token may stand out by."""
SQUEEZE = 16
"""Of the bottleneck's gate."""


class Tokens(NamedTuple):
    """What is perceived at one call of each of a batch."""

    perceptual: Tensor
    """(batch, n_tokens, perceptual_width)."""
    cognitive: Tensor
    """(batch, 1, cognitive_width)."""


class Bottleneck(nn.Module):
    """Patches to perceptual tokens: a squeeze-and-excite gate between two projections (section 3.1)."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        hidden = 2 * width
        squeezed = max(8, hidden // SQUEEZE)
        self.widen = nn.Linear(width_in, hidden)
        self.gate = nn.Sequential(nn.Linear(hidden, squeezed), nn.ReLU(), nn.Linear(squeezed, hidden), nn.Sigmoid())
        self.narrow = nn.Linear(hidden, width)

    def forward(self, patches: Tensor) -> Tensor:
        """Map (batch, n_patches, width_in) to (batch, n_patches, width)."""
        z = torch.relu(self.widen(patches))
        return self.narrow(z * self.gate(z.mean(dim=1, keepdim=True)))


class CognitivePool(nn.Module):
    """One token for all: the words ask, the patches answer. For encoders that have no such token of their own."""

    def __init__(self, width: int, cognitive_width: int) -> None:
        super().__init__()
        self.query = nn.Linear(WORDS_DIM, width)
        self.key = nn.Linear(width, width)
        self.out = nn.Sequential(
            nn.Linear(width + WORDS_DIM, cognitive_width), nn.GELU(), nn.Linear(cognitive_width, cognitive_width)
        )

    def forward(self, perceptual: Tensor, words: Tensor) -> Tensor:
        """Map (batch, n_tokens, width) and (batch, 384) to (batch, 1, cognitive_width)."""
        scores = (self.key(perceptual) @ self.query(words)[:, :, None]) / math.sqrt(perceptual.shape[-1])
        pooled = (scores.softmax(dim=1) * perceptual).sum(dim=1)
        return self.out(torch.cat([pooled, words], dim=1))[:, None]


class MemoryPolicy(nn.Module):
    """The network. It keeps nothing between calls: what is remembered is handed in, and what to remember handed out."""

    def __init__(self, config: NetworkConfig, interface: Interface) -> None:
        """Make all layers, with random weights but for pretrained encoders.

        Args:
            config: Their sizes.
            interface: What goes in and out.

        Raises:
            ConfigurationError: An encoder's folder is missing or does not fit; or there is no rotation, see
                ``n_network_actions``.
            ValueError: The image cannot be divided into patches.
        """
        super().__init__()
        self.config, self.interface = config, interface
        n_cameras, stacked = len(interface.cameras), config.n_stacked_frames
        if isinstance(config.vision, CompactVision):
            self.encoder: nn.Module = CompactEncoder(config.vision, interface, stacked)
        else:
            self.encoder = open_backbone(config.vision, interface, stacked)
        self._side = math.isqrt(self.encoder.n_patches // n_cameras)
        if self._side % config.memory.pool:
            raise ValueError(f"memory.pool: expected a divisor of {self._side}, got {config.memory.pool}")
        width, cognitive_width = config.perceptual_width, config.cognitive_width
        self.bottleneck = Bottleneck(self.encoder.patch_width, width)
        self.places = nn.Parameter(torch.randn(self.encoder.n_patches, width))
        # Over all tokens of a batch: what is seen everywhere comes near zero, and what stands out far from it.
        self.norm = nn.BatchNorm1d(width, affine=False)
        if self.encoder.cognitive_width is None:
            self.to_cognitive: nn.Module = CognitivePool(width, cognitive_width)
        else:
            self.to_cognitive = nn.Linear(self.encoder.cognitive_width, cognitive_width)
        n_proprioception = len(interface.proprioception_names) if config.proprioception else 0
        self.proprioception = nn.Linear(n_proprioception, cognitive_width) if n_proprioception else None
        self.perceptual_memory = MemoryReader(width, config.memory, has_places=True)
        self.cognitive_memory = MemoryReader(cognitive_width, config.memory)
        self.destination = Destination(self._side, width, cognitive_width)
        self.tool_positions = ToolPositions(interface, stacked, self._side)
        n_actions = n_network_actions(config, interface)
        self.head = ActionHead(config.head, n_actions, interface.chunk_steps, width, cognitive_width)
        self.register_buffer("shares", signal_shares(config.head.n_diffusion_steps), persistent=False)

    # ---------------------------------------------------------------------------------------------- one call

    def encode(self, images: Tensor, words: Tensor, instructions: tuple[str, ...], proprioception: Tensor) -> Tokens:
        """Return what is perceived, without memory.

        Args:
            images: uint8 (batch, cameras * stacked frames, height, width, 3).
            words: float32 (batch, 384).
            instructions: One for each of the batch.
            proprioception: float32 (batch, n), normalised; read only if the configuration says so.
        """
        patches, cognitive = self.encoder(images, words, instructions)
        perceptual = self.norm(self.bottleneck(patches).transpose(1, 2)).transpose(1, 2)
        perceptual = MOST * torch.tanh(perceptual / MOST)
        cognitive = self.to_cognitive(perceptual, words) if cognitive is None else self.to_cognitive(cognitive)
        if self.proprioception is not None:
            cognitive = cognitive + self.proprioception(proprioception)[:, None]
        return Tokens(perceptual, cognitive)

    def read(self, tokens: Tokens, steps: Tensor, perceptual: Entries, cognitive: Entries) -> Tokens:
        """Return the tokens, fused with what is remembered.

        Args:
            tokens: Of now.
            steps: (batch,): now.
            perceptual: Entries of pooled perceptual tokens, see ``to_store``.
            cognitive: Entries of cognitive tokens.
        """
        return Tokens(
            self._read_perceptual(tokens.perceptual, steps, perceptual),
            self.cognitive_memory(tokens.cognitive, steps, cognitive),
        )

    def locate(self, images: Tensor) -> Tensor:
        """Return where the tool is, and where it would be if it came to rest at each token, (batch, 1 + n_tokens, 3).

        Args:
            images: As for ``encode``.
        """
        return self.tool_positions(images).joined()

    def sample(
        self, fused: Tokens, positions: Tensor, noise: Tensor, n_denoising: int = 10, guidance: float = 1.5
    ) -> Tensor:
        """Return actions within -1 to 1, (batch, chunk, n_actions).

        Args:
            fused: Of ``read``.
            positions: Of ``locate``.
            noise: Standard normal, of the same shape as the actions.
            n_denoising: Steps of DDIM.
            guidance: Of classifier-free guidance (arXiv 2207.12598); 1 does without.
        """
        placed = fused.perceptual + self.places
        perceived = self.head.perceived(placed)
        condition = self._condition(fused.cognitive, placed, self.destination(placed), positions)[:, 0]

        def predict(noisy: Tensor, time: Tensor) -> Tensor:
            if guidance == 1.0:
                return self.head(noisy, time, condition, perceived)
            both = torch.stack([condition, self.head.no_condition.expand_as(condition)], dim=1).flatten(0, 1)
            twice = self.head(noisy.repeat_interleave(2, 0), time.repeat_interleave(2, 0), both, perceived)
            with_condition, without = twice.unflatten(0, (-1, 2)).unbind(dim=1)
            return without + guidance * (with_condition - without)

        def predict_clean(noisy: Tensor, time: Tensor) -> Tensor:
            predicted = predict(noisy, time)
            if self.config.head.prediction == "sample":
                return predicted
            return clean_from_noise(noisy, predicted, self.shares[time])

        return ddim(predict_clean, noise, self.shares, n_denoising)

    def to_store(self, tokens: Tokens) -> Tokens:
        """Return what goes into the memory, (batch, n_stored, perceptual_width).

        Of each block of patches it is the one that stands out most.
        """
        return Tokens(self._most_outstanding(tokens.perceptual), tokens.cognitive)

    def _most_outstanding(self, perceptual: Tensor) -> Tensor:
        if self.config.memory.pool == 1:
            return perceptual
        blocks = self._blocks(perceptual)
        most = (blocks**2).sum(dim=-1).argmax(dim=2)[:, :, None, None].expand(-1, -1, 1, blocks.shape[-1])
        return blocks.gather(2, most)[:, :, 0]

    def _blocks(self, tokens: Tensor) -> Tensor:
        """Map (batch, n_tokens, dim) to (batch, n_stored, tokens of a block, dim), each camera's grid on its own."""
        pool, side = self.config.memory.pool, self._side
        grids = tokens.unflatten(1, (-1, side // pool, pool, side // pool, pool))
        return grids.transpose(3, 4).flatten(4, 5).flatten(1, 3)

    def _read_perceptual(self, perceptual: Tensor, steps: Tensor, entries: Entries) -> Tensor:
        places = self.places, self._blocks(self.places[None])[0].mean(dim=1)
        return self.perceptual_memory(perceptual, steps, entries, self._most_outstanding(perceptual), places)

    def _condition(self, cognitive: Tensor, placed: Tensor, destination: Tensor, positions: Tensor) -> Tensor:
        return cognitive + self.destination.summary(destination, placed, self.places, positions)

    # ---------------------------------------------------------------------------------------------- training

    def loss(self, batch: TrainingBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Return what to minimise as ``loss``, and its parts.

        Args:
            batch: Calls of several episodes; each call remembers those before it in its group.
            generator: Of all draws.
        """
        tokens = self.encode_all(batch)
        groups, calls = torch.nonzero(batch.present & (batch.weight > 0), as_tuple=True)
        fused = self.recall(tokens, batch, groups, calls)
        weight = batch.weight[groups, calls]
        weight = weight / weight.sum()
        placed = fused.perceptual + self.places
        located = self.tool_positions(batch.images[groups, calls], batch.view[groups])
        destination = self.destination(placed)
        condition = self._condition(fused.cognitive, placed, destination, located.joined())
        losses = {"action": (weight * self._action_loss(condition, placed, batch, groups, calls, generator)).sum()}
        losses["loss"] = losses["action"]
        if self.config.destination_weight > 0.0:
            labels = batch.keypoints[groups, calls], batch.has_keypoint[groups, calls], batch.positions[groups, calls]
            told = keypoint_losses(destination, located, *labels, weight)
            losses.update(told)
            losses["loss"] = losses["loss"] + self.config.destination_weight * sum(told.values())
        return losses

    def encode_all(self, batch: TrainingBatch) -> Tokens:
        """Return the tokens of all calls, (n_groups * n_calls, ...); padding is not looked at, and stays zero."""
        n_groups, n_calls = batch.steps.shape
        groups, calls = torch.nonzero(batch.present, as_tuple=True)
        texts = tuple(batch.instructions[group] for group in groups.tolist())
        seen = self.encode(batch.images[groups, calls], batch.words[groups], texts, batch.proprioception[groups, calls])
        if len(groups) == n_groups * n_calls:
            return seen
        at = groups * n_calls + calls
        return Tokens(*(x.new_zeros(n_groups * n_calls, *x.shape[1:]).index_copy(0, at, x) for x in seen))

    def _action_loss(
        self,
        condition: Tensor,
        placed: Tensor,
        batch: TrainingBatch,
        groups: Tensor,
        calls: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """Return the mean square error of what the head predicts of each chunk, (n_chosen,)."""
        config = self.config.head
        actions, is_action = batch.actions[groups, calls], batch.is_action[groups, calls]
        n, repeats = len(actions), config.n_repeats
        device = actions.device
        dropped = torch.rand(n, 1, 1, generator=generator, device=device) < config.p_drop_condition
        condition = torch.where(dropped, self.head.no_condition, condition)[:, 0]
        clean, condition = actions.repeat_interleave(repeats, 0), condition.repeat_interleave(repeats, 0)
        time = torch.randint(config.n_diffusion_steps, (n * repeats,), generator=generator, device=device)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        noisy = add_noise(clean, noise, self.shares[time])
        predicted = self.head(noisy, time, condition, self.head.perceived(placed))
        wanted = clean if config.prediction == "sample" else noise
        error = ((predicted - wanted) ** 2).mean(dim=-1).unflatten(0, (n, repeats)).mean(dim=1)
        return (error * is_action).sum(dim=1) / is_action.sum(dim=1).clamp(min=1)

    def recall(self, tokens: Tokens, batch: TrainingBatch, groups: Tensor, calls: Tensor) -> Tokens:
        """Return the fused tokens of the chosen calls, each of which remembers the calls before it in its group."""
        config = self.config.memory
        n_groups, n_calls = batch.steps.shape
        by_group = Tokens(*(each.unflatten(0, (n_groups, n_calls)) for each in tokens))
        now = Tokens(*(each[groups, calls] for each in by_group))
        steps = batch.steps[groups, calls]
        if config.kind == "memory" and config.store == "fused":
            stored = self._fused_in_turn(by_group, batch)
        else:
            stored = self.to_store(tokens)
            stored = Tokens(*(each.unflatten(0, (n_groups, n_calls)) for each in stored))
        entries = [
            entries_before(each, batch.steps, batch.present, groups, calls, config, name)
            for name, each in zip(("perceptual", "cognitive"), stored)
        ]
        return self.read(now, steps, *entries)

    def _fused_in_turn(self, tokens: Tokens, batch: TrainingBatch) -> Tokens:
        """Return what is stored where that is the fused tokens: each call's needs those of the calls before it."""
        n_groups, n_calls = batch.steps.shape
        everyone = torch.arange(n_groups, device=batch.steps.device)
        with torch.no_grad():
            raw = self.to_store(Tokens(*(each[:, 0] for each in tokens)))
            stored = Tokens(*(torch.zeros(n_groups, n_calls, *each.shape[1:], device=each.device) for each in raw))
            for call in range(n_calls):
                at = torch.full_like(everyone, call)
                entries = [
                    entries_before(each, batch.steps, batch.present, everyone, at, self.config.memory, name)
                    for name, each in zip(("perceptual", "cognitive"), stored)
                ]
                now = Tokens(*(each[:, call] for each in tokens))
                fused = self.to_store(self.read(now, batch.steps[:, call], *entries))
                for kept, new in zip(stored, fused):
                    kept[:, call] = new
        return stored

    def n_parameters(self) -> dict[str, int]:
        """Return how many numbers are learned, by part."""
        counts = {
            "encoder": _count(self.encoder, self.bottleneck, self.norm, self.to_cognitive) + self.places.numel(),
            "memory": _count(self.perceptual_memory, self.cognitive_memory),
            "head": _count(self.head, self.destination, self.tool_positions),
        }
        return {**counts, "total": sum(p.numel() for p in self.parameters())}


def _count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def entries_before(
    stored: Tensor, steps: Tensor, present: Tensor, groups: Tensor, calls: Tensor, config: MemoryConfig, name: str
) -> Entries:
    """Return what each chosen call remembers: the calls before it in its group, consolidated as the bank does it.

    Args:
        stored: (n_groups, n_calls, n_tokens, dim).
        steps: (n_groups, n_calls).
        present: bool (n_groups, n_calls).
        groups: int64 (n,): of each chosen call.
        calls: int64 (n,): its place in the group.
        config: How the memory forgets.
        name: Of the stream.
    """
    if config.kind == "none" or config.streams not in ("both", name):
        return Entries(stored.new_zeros(len(groups), 0), stored.new_zeros(len(groups), 0, *stored.shape[2:]),
                       present.new_zeros(len(groups), 0))  # fmt: skip
    if config.detach:
        stored = stored.detach()
    n_calls = steps.shape[1]
    if n_calls - 1 <= config.capacity:
        before = torch.arange(n_calls, device=calls.device)[None] < calls[:, None]
        return Entries(steps[groups].float(), stored[groups], before & present[groups])
    shares, when, there = _consolidated(stored.detach(), steps, present, config)
    chosen = shares[groups, calls].to(stored)
    tokens = torch.einsum("mlj,mjnd->mlnd", chosen, stored[groups])
    return Entries(when[groups, calls].to(stored), tokens, there[groups, calls].to(present.device))


def _consolidated(
    stored: Tensor, steps: Tensor, present: Tensor, config: MemoryConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Return how the entries before each call are made up of the calls, as the bank would have made them.

    Returns:
        Shares (n_groups, n_calls, capacity, n_calls), steps (n_groups, n_calls, capacity), and what is there.
    """
    n_groups, n_calls = steps.shape
    shares = torch.zeros(n_groups, n_calls, config.capacity, n_calls)
    when = torch.zeros(n_groups, n_calls, config.capacity)
    there = torch.zeros(n_groups, n_calls, config.capacity, dtype=torch.bool)
    settings = TokenStreamConfig(
        capacity=config.capacity, consolidation=config.consolidation, merged_step=config.merged_step
    )
    units = torch.eye(n_calls)
    for group in range(n_groups):
        stream = TokenStream(settings)
        made_of: list[Tensor] = []
        for call in range(int(present[group].sum())):
            if made_of:
                shares[group, call, : len(made_of)] = torch.stack(made_of)
                when[group, call, : len(made_of)] = torch.tensor(stream.steps)
                there[group, call, : len(made_of)] = True
            made_of.append(units[call])
            for change in stream.append(float(steps[group, call]), stored[group, call]):
                if change.merged >= 0:
                    made_of[change.merged] = 0.5 * (made_of[change.merged] + made_of[change.dropped])
                del made_of[change.dropped]
    return shares, when, there
