"""Does episodes: one after the other in this process, or several at a time in those of Ray.

Ray runs on this machine, or on a cluster whose machines have this tree at the same path and commit. Results come back
as they are finished; each depends on its episode alone, so that their order does not matter.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from evaluation_rows import Episode, EpisodeResult

from embodied.config import Config, git_hash
from embodied.errors import ConfigurationError, ProcessError

Done = tuple[Episode, EpisodeResult, float]
"""An episode, what came out of it, and the seconds that it took."""
OBJECT_STORE_BYTES = 128 << 20
"""Results are small; Ray would take a third of the machine's memory."""


def results(
    run: Callable[[Any, Episode], EpisodeResult],
    settings: Config,
    episodes: Sequence[Episode],
    *,
    workers: int = 1,
    cluster: str | None = None,
) -> Iterator[Done]:
    """Do episodes and yield each as soon as it is finished.

    Raises:
        ConfigurationError: Ray is needed and not installed, or the cluster is not reached.
        ProcessError: A worker died, or has another version of the project.
    """
    if workers == 1 and cluster is None:
        for episode in episodes:
            started_s = time.perf_counter()
            result = run(settings, episode)
            yield episode, result, time.perf_counter() - started_s
    elif episodes:
        yield from _with_ray(_Job(run, settings), episodes, workers, cluster)


class _Job:
    """What workers are told: names that they import, never code."""

    def __init__(self, run: Callable[[Any, Episode], EpisodeResult], settings: Config) -> None:
        module = sys.modules[run.__module__]
        if run.__qualname__ != run.__name__ or run.__module__ == "__main__":
            raise ValueError(f"run: expected a function of a module, got {run.__qualname__} of {run.__module__}")
        kind = type(settings)
        self.names = (run.__module__, run.__name__, kind.__module__, kind.__qualname__)
        self.settings = msgspec.json.encode(settings)
        self.folder = os.getcwd()
        folders = (Path(__file__).parent, Path(str(module.__file__)).parent, Path(__file__).parents[1])
        self.path = os.pathsep.join(dict.fromkeys(str(folder.resolve()) for folder in folders))


def do_episode(
    names: tuple[str, str, str, str], settings: bytes, folder: str, episode: tuple[str, int, str], git: str
) -> bytes:
    """Do one episode in a worker; return the result as MessagePack, with the seconds that it took.

    Args:
        names: Module and name of the function that does it, module and name of the type of the settings.
        settings: As JSON.
        folder: Where relative paths begin.
        episode: Key, seed and source.
        git: What ``git_hash`` must say here; empty on the machine that asks.

    Raises:
        ProcessError: The worker has another version of the project.
    """
    if git and git_hash() != git:
        raise ProcessError(f"a worker has another version of the project: expected {git}, got {git_hash()}")
    if os.path.isdir(folder):
        os.chdir(folder)
    run_module, run_name, settings_module, settings_name = names
    run = getattr(importlib.import_module(run_module), run_name)
    kind = getattr(importlib.import_module(settings_module), settings_name)
    key, seed, source = episode
    started_s = time.perf_counter()
    result = run(msgspec.json.decode(settings, type=kind), Episode(key=key, seed=seed, source=source))
    return msgspec.msgpack.encode((result, time.perf_counter() - started_s))


def _with_ray(job: _Job, episodes: Sequence[Episode], workers: int, cluster: str | None) -> Iterator[Done]:
    ray = _start_ray(job, workers, cluster)
    try:
        remote = ray.remote(num_cpus=1, max_retries=0)(do_episode)
        git = git_hash() if cluster else ""
        waiting, running = list(reversed(episodes)), {}
        while waiting or running:
            while waiting and len(running) < workers:
                episode = waiting.pop()
                reference = remote.remote(
                    job.names, job.settings, job.folder, (episode.key, episode.seed, episode.source), git
                )
                running[reference] = episode
            finished, _ = ray.wait(list(running), num_returns=1)
            for reference in finished:
                episode = running.pop(reference)
                result, took_s = msgspec.msgpack.decode(
                    _fetch(ray, reference, episode), type=tuple[EpisodeResult, float]
                )
                yield episode, result, took_s
    finally:
        ray.shutdown()


def _start_ray(job: _Job, workers: int, cluster: str | None) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ConfigurationError(
            f"workers: {workers} at a time need Ray: pip install 'embodied-memory[ray]', or leave out --workers"
        ) from error
    here = {} if cluster else {"num_cpus": workers, "object_store_memory": OBJECT_STORE_BYTES}
    # Ray takes SIGTERM for itself; the script's own way of ending stays.
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address=cluster,
            include_dashboard=False if not cluster else None,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": {"PYTHONPATH": job.path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}},
            **here,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigurationError(f"cluster: cannot use {cluster or 'Ray on this machine'}: {error}") from error
    finally:
        signal.signal(signal.SIGTERM, on_terminate)
    return ray


def _fetch(ray: Any, reference: Any, episode: Episode) -> bytes:
    try:
        contents: bytes = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        # What the episode raised, as it would have been raised here.
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise ProcessError(f"the worker of {episode.key} died: {error}") from error
    return contents
