"""Train the vision-language-action policy with a working memory.

``--preset`` chooses the network, and each ``--network.…`` changes one thing of it: ``--network.memory.kind none`` is
the twin that remembers nothing, ``--network.n-stacked-frames 8`` sees the last frames instead. A preset that is a JSON
file may also name another image encoder, of ``timm`` or ``transformers``. Several folders after ``--data`` are one
training set. Ctrl-C saves; the same command goes on, and refuses settings that would make it another training.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import msgspec
import tyro

from embodied.config import Config, git_hash, load_config
from embodied.errors import ConfigurationError
from embodied.progress import Progress
from policies.vla.action_codec import check_rotations
from policies.vla.config import PRESETS, Interface, NetworkConfig
from policies.vla.data.cache import EpisodeCache, open_cache
from policies.vla.data.loaders import Loader, LoaderConfig, check_loader
from policies.vla.processes import Processes, chosen_device, joined_processes
from policies.vla.record import DataRecord, PolicyRecord, package_versions
from policies.vla.schedule import TrainingConfig, check_training
from policies.vla.training import Trainer, new_policy, resolved
from policies.vla.training_loop import TrainingRun, training_folder

DEFAULT_PRESET = "compact"


class Settings(Config):
    """What to train, on what, and where."""

    data: tuple[str, ...]
    """Runs, folders of MCAP logs, logs, and LeRobot v3 datasets; together they are the training set."""
    out: str
    """Folder of the policy; a training that was stopped there goes on."""
    preset: str = DEFAULT_PRESET
    """The network to begin with: compact, small, or a JSON file with settings of a network."""
    network: NetworkConfig = PRESETS[DEFAULT_PRESET]
    """What to change of the preset."""
    cameras: tuple[str, ...] = ()
    """Whose images the policy sees, in this order; all of the data by default."""
    chunk_steps: int = 8
    """Actions in an answer of the policy."""
    execute_steps: int = 2
    """Of which so many are carried out before it is asked again."""
    loader: LoaderConfig = LoaderConfig()
    """How batches are drawn."""
    training: TrainingConfig = TrainingConfig()
    """How weights are learned."""
    seed: int = 0
    """Of the first weights, the order of the data and the noise."""
    half: bool = False
    """Save the policy's weights in 16 bits: half the size."""
    cache: str | None = None
    """Folder for the decoded data, which several trainings may share; by default in --out."""
    checkpoint_minutes: float = 10.0
    """Between two checkpoints; there is always one at the end."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto: on a GPU if there is one."""
    threads: int = 1
    """Of the processor, where there is no GPU; the sums of more threads differ in their last digits."""
    compile: bool = False
    """Let torch compile the network first; on a GPU only."""


def parse(prog: str, arguments: Sequence[str]) -> Settings:
    """Return the settings of a command line; what the preset says is what is not given.

    Raises:
        ConfigurationError: There is no such preset.
    """
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--preset", default=DEFAULT_PRESET)
    preset = finder.parse_known_args(arguments)[0].preset
    defaults = Settings(data=tyro.MISSING, out=tyro.MISSING, preset=preset, network=preset_network(preset))
    # Another encoder comes with another preset: its settings are flags like all others, not a subcommand.
    kind = tyro.conf.AvoidSubcommands[Settings]
    return tyro.cli(kind, prog=prog, description=__doc__, default=defaults, args=list(arguments))


def preset_network(name: str) -> NetworkConfig:
    """Return the network of a preset or a JSON file.

    Raises:
        ConfigurationError: There is neither.
    """
    if name in PRESETS:
        return PRESETS[name]
    if not name.endswith(".json"):
        raise ConfigurationError(f"preset: expected {', '.join(PRESETS)} or a JSON file, got {name!r}")
    return load_config(Path(name), NetworkConfig)


def check(settings: Settings) -> None:
    """Refuse what cannot work before anything is made.

    Raises:
        ConfigurationError: A setting is out of its range.
    """
    check_training(settings.training)
    check_loader(settings.loader, settings.training.n_parts or 1)
    check_rotations(settings.network.rotations)
    if not settings.data:
        raise ConfigurationError("data: expected at least one folder, got none")
    for name, least in (("chunk_steps", 1), ("execute_steps", 1), ("threads", 1), ("checkpoint_minutes", 0.0)):
        if not getattr(settings, name) >= least:
            raise ConfigurationError(f"{name}: expected at least {least}, got {getattr(settings, name)}")
    if settings.execute_steps > settings.chunk_steps:
        raise ConfigurationError(
            f"execute_steps: expected at most chunk_steps, {settings.chunk_steps}, got {settings.execute_steps}"
        )


def interface_of(settings: Settings, cache: EpisodeCache) -> Interface:
    """Return what goes in and out of the policy."""
    layout = cache.layout
    return Interface(
        cameras=layout.cameras,
        height_px=layout.height_px,
        width_px=layout.width_px,
        action_names=layout.action_names,
        proprioception_names=layout.proprioception_names if settings.network.proprioception else (),
        control_period_s=layout.control_period_s,
        chunk_steps=settings.chunk_steps,
        execute_steps=settings.execute_steps,
    )


def record_of(settings: Settings, training: TrainingConfig, cache: EpisodeCache) -> PolicyRecord:
    """Return what will be known of the policy.

    Args:
        settings: As given.
        training: Resolved.
        cache: The data.
    """
    kept = {"loader": settings.loader, "training": training, "half": settings.half}
    statistics = cache.statistics()
    return PolicyRecord(
        network=settings.network,
        interface=interface_of(settings, cache),
        normaliser=cache.normaliser(),
        data=DataRecord(
            folders=settings.data,
            sha256=cache.data_hash,
            n_episodes=cache.n_episodes,
            n_observations=cache.n_frames,
            instructions=tuple(sorted(statistics.tasks)),
        ),
        settings=msgspec.json.decode(msgspec.json.encode(kept)),
        seed=settings.seed,
        n_steps=0,
        trained_s=0.0,
        git=git_hash(),
        packages=package_versions(),
    )


def loaders_of(settings: Settings, record: PolicyRecord, cache: EpisodeCache, n_parts: int) -> list[Loader]:
    """Return a loader for each part of a batch."""
    return [
        Loader(
            cache,
            record.normaliser,
            settings.loader,
            seed=settings.seed,
            chunk_steps=settings.chunk_steps,
            execute_steps=settings.execute_steps,
            n_stacked_frames=settings.network.n_stacked_frames,
            proprioception=settings.network.proprioception,
            rotations=settings.network.rotations,
            rank=part,
            world_size=n_parts,
        )
        for part in range(n_parts)
    ]


def train(settings: Settings, processes: Processes, device: Any, progress: Progress) -> bool:
    """Train; return whether all steps are done."""
    folder = Path(settings.out)
    cache = open_cache(
        [Path(path) for path in settings.data],
        Path(settings.cache) if settings.cache else folder / "data",
        cameras=settings.cameras,
        report=progress.update,
    )
    progress.done(str(cache.statistics()))
    training = resolved(settings.training, processes, device)
    record = record_of(settings, training, cache)
    policy = new_policy(settings.network, record.interface, settings.seed)
    sizes = ", ".join(f"{name} {n / 1e6:.2f} M" for name, n in policy.n_parameters().items())
    progress.done(f"learned numbers: {sizes}")
    with Trainer(
        policy,
        loaders_of(settings, record, cache, training.n_parts),
        training,
        seed=settings.seed,
        device=device,
        processes=processes,
        compile_model=settings.compile,
    ) as trainer:
        run = TrainingRun(
            trainer,
            folder,
            record,
            checkpoint_s=60.0 * settings.checkpoint_minutes,
            half=settings.half,
            is_first=processes.is_first,
        )
        if run.resumed:
            progress.done(f"going on after step {trainer.n_steps}")
        done = run.train(progress)
        later = "" if done else "; the same command goes on"
        progress.done(f"{trainer.n_steps} of {training.n_steps} steps done and saved{later}")
    return done


def main(settings: Settings, progress: Progress) -> None:
    """Train a policy, or go on training it.

    Raises:
        KeyboardInterrupt: Somebody stopped it; everything is saved.
    """
    check(settings)
    device = chosen_device(settings.device, settings.threads)
    if settings.compile and device.type != "cuda":
        raise ConfigurationError("compile: expected a GPU, found none")
    with joined_processes(device) as processes, ExitStack() as stack:
        if processes.is_first:
            stack.enter_context(training_folder(Path(settings.out)))
        else:
            progress = Progress(io.StringIO())
        if not train(settings, processes, device, progress):
            raise KeyboardInterrupt
    if processes.is_first:
        print(f"\npolicy   {settings.out}")
