"""Trains until the last step or until somebody stops it, saves now and then, and goes on with what is in a folder."""

from __future__ import annotations

import fcntl
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from embodied.errors import ConfigurationError
from embodied.progress import Progress
from policies.vla.checkpoint import TrainingState, load_training, read_training, save_policy, save_training
from policies.vla.metrics import Metrics
from policies.vla.record import POLICY_FILE, PolicyRecord, read_record
from policies.vla.training import Trainer

LOCK_FILE = "training.lock"


class StopRequest:
    """Whether somebody asked to stop: Ctrl-C and SIGTERM end a training after a step, not in the middle of one."""

    def __init__(self) -> None:
        self.requested = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal; the second one interrupts at once.

        Raises:
            KeyboardInterrupt: It is the second.
        """
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Take the signals, if this is the main thread, which alone gets them."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self.ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def training_folder(folder: Path) -> Iterator[None]:
    """Make a training's folder, or go on in it; one process at a time writes there.

    Raises:
        ConfigurationError: Something else is there, or a training is under way.
    """
    lock = folder / LOCK_FILE
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"out: {folder} is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()) and not lock.exists():
        raise ConfigurationError(f"out: {folder} is not empty and holds no training; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = lock.open("ab")
    except OSError as error:
        raise ConfigurationError(f"out: cannot write to {folder}: {error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(f"out: a training in {folder} is under way") from error
        yield


def _lasting(record: PolicyRecord) -> dict[str, Any]:
    """Return what must be the same when a training goes on, by the names that its settings have."""
    chosen = {
        "data.sha256": record.data.sha256,
        "seed": record.seed,
        **msgspec.to_builtins(record.interface),
        "network": record.network,
        **record.settings,
    }
    return msgspec.json.decode(msgspec.json.encode(chosen))


def check_same(settings: Mapping[str, Any], before: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with other settings than a training was begun with.

    Raises:
        ConfigurationError: The text names the first setting that differs.
    """
    new, old = _flat(settings), _flat(before)
    for name in [*old, *(name for name in new if name not in old)]:
        if new.get(name) != old.get(name):
            raise ConfigurationError(
                f"{name}: the training in {folder} was begun with {old.get(name)!r}, not with {new.get(name)!r}; "
                "set it again, or name another --out"
            )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found.update(_flat(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value
    return found


class TrainingRun:
    """A trainer with its folder. Only the first of several processes writes."""

    def __init__(
        self,
        trainer: Trainer,
        folder: Path,
        record: PolicyRecord,
        *,
        checkpoint_s: float = 600.0,
        half: bool = False,
        is_first: bool = True,
        on_step: Callable[[int, dict[str, float]], None] = lambda n_steps, values: None,
    ) -> None:
        """Begin, or go on where the training in the folder stopped.

        Args:
            trainer: With new weights.
            folder: Where everything is kept.
            record: What the policy is; its data, network and settings must not change in between.
            checkpoint_s: Seconds of training between two checkpoints.
            half: Save the policy's weights in 16 bits.
            is_first: Whether this process writes.
            on_step: Is told of each step.

        Raises:
            ConfigurationError: The training in the folder was begun with other settings, or is damaged.
        """
        self._trainer, self._folder, self._record = trainer, folder, record
        self._checkpoint_s, self._half, self._is_first = checkpoint_s, half, is_first
        self._on_step = on_step
        self._trained_s = 0.0
        state = read_training(folder)
        self.resumed = state is not None
        if state is not None:
            check_same(_lasting(record), state.settings, folder)
            trainer.restore(load_training(folder, state), state.n_steps, f"checkpoint {folder}")
            self._trained_s = state.trained_s
        self._saved_steps = trainer.n_steps if self.resumed else -1

    def train(self, progress: Progress) -> bool:
        """Do the steps that are left; return whether all are done, or somebody stopped it. Either way all is saved.

        Raises:
            ConfigurationError: The loss is not finite any more.
        """
        trainer, n_steps = self._trainer, self._trainer.config.n_steps
        with ExitStack() as stack:
            stop = stack.enter_context(StopRequest().listening())
            metrics = stack.enter_context(Metrics(self._folder, trainer.n_steps)) if self._is_first else None
            pace = _Pace(trainer.n_steps, n_steps)
            begun_s, saved_s = time.monotonic() - self._trained_s, time.monotonic()
            stopped = False
            while trainer.n_steps < n_steps and not stopped:
                done = trainer.step(stop=stop.requested)
                stopped = done.stop
                now_s = time.monotonic()
                self._trained_s = now_s - begun_s
                pace.add(done.n_calls, now_s)
                values = {**done.values, **pace.rates()}
                self._on_step(trainer.n_steps, done.values)
                if metrics is not None:
                    metrics.add(trainer.n_steps, values, last=stopped or trainer.n_steps == n_steps)
                progress.update(pace.line(trainer.n_steps, done.values))
                if now_s - saved_s >= self._checkpoint_s:
                    self.save()
                    saved_s = time.monotonic()
            self.save()
        return trainer.n_steps == n_steps

    def save(self) -> None:
        """Write training and policy, unless they are written."""
        if not self._is_first:
            return
        n_steps = self._trainer.n_steps
        # The training first: what goes on after a crash between the two then makes up for the other.
        if self._saved_steps != n_steps:
            state = TrainingState(n_steps=n_steps, trained_s=self._trained_s, settings=_lasting(self._record))
            save_training(self._folder, self._trainer.tensors(), state)
            self._saved_steps = n_steps
        if not (self._folder / POLICY_FILE).is_file() or read_record(self._folder).n_steps != n_steps:
            record = msgspec.structs.replace(self._record, n_steps=n_steps, trained_s=self._trained_s)
            save_policy(self._folder, self._trainer.policy_tensors(), record, half=self._half)


class _Pace:
    """How fast it goes: means over the last minute or so."""

    def __init__(self, n_steps: int, n_all: int) -> None:
        self._n_all = n_all
        self._n_steps = n_steps
        self._at: deque[tuple[float, int, int]] = deque([(time.monotonic(), n_steps, 0)])
        """Time, steps and calls until then; the oldest first."""

    def add(self, n_calls: int, now_s: float) -> None:
        self._n_steps += 1
        self._at.append((now_s, self._n_steps, self._at[-1][2] + n_calls))
        while len(self._at) > 2 and self._at[1][0] < now_s - 60.0:
            self._at.popleft()

    def rates(self) -> dict[str, float]:
        (from_s, from_steps, from_calls), (to_s, to_steps, to_calls) = self._at[0], self._at[-1]
        took_s = max(to_s - from_s, 1e-9)
        return {"steps_per_s": (to_steps - from_steps) / took_s, "calls_per_s": (to_calls - from_calls) / took_s}

    def line(self, n_steps: int, values: Mapping[str, float]) -> str:
        rates = self.rates()
        left_s = (self._n_all - n_steps) / max(rates["steps_per_s"], 1e-9)
        shown = ["loss", *(name for name in values if name not in _NOT_SHOWN)]
        losses = ", ".join(f"{name} {values[name]:.4f}" for name in shown)
        left = f"{left_s / 60.0:.0f} min left" if left_s >= 120.0 else f"{left_s:.0f} s left"
        return (
            f"step {n_steps} of {self._n_all}: {losses}, {rates['steps_per_s']:.2f} steps/s, "
            f"{rates['calls_per_s']:.0f} calls/s, {left}"
        )


_NOT_SHOWN = ("loss", "gradient_norm", "learning_rate")
