"""What a training tells while it runs: a line of JSON now and then, and TensorBoard's files where that is installed."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

METRICS_FILE = "metrics.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


class Metrics:
    """Means over the steps since the line before; a context manager."""

    def __init__(self, folder: Path, n_steps: int, every: int = 50) -> None:
        """Open the files.

        Args:
            folder: Where they go.
            n_steps: Done before; lines of later steps are from a training that was cut off, and are dropped.
            every: Steps a line.
        """
        self._every = every
        self._sums: dict[str, float] = {}
        self._n = 0
        path = folder / METRICS_FILE
        self._drop_after(path, n_steps)
        self._file = path.open("ab")
        self._board: Any = None
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / TENSORBOARD_FOLDER), purge_step=n_steps + 1)

    def __enter__(self) -> Metrics:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()

    def add(self, n_steps: int, values: dict[str, float], *, last: bool = False) -> None:
        """Take in the values of a step.

        Args:
            n_steps: Done by now.
            values: By name.
            last: Write what there is: no more will come.
        """
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._n += 1
        if not last and n_steps % self._every:
            return
        means = {name: total / self._n for name, total in self._sums.items()}
        self._file.write(msgspec.json.encode({"step": n_steps, **means}) + b"\n")
        self._file.flush()
        if self._board is not None:
            for name, value in means.items():
                self._board.add_scalar(f"training/{name}", value, n_steps)
        self._sums, self._n = {}, 0

    @staticmethod
    def _drop_after(path: Path, n_steps: int) -> None:
        if not path.exists():
            return
        kept = []
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                is_kept = line.endswith(b"\n") and msgspec.json.decode(line)["step"] <= n_steps
            except (msgspec.MsgspecError, KeyError, TypeError):
                is_kept = False
            if is_kept:
                kept.append(line)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(b"".join(kept))
        os.replace(partial, path)
