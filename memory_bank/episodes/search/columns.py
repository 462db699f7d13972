"""Growing arrays: appended to in amortised constant time, read as one contiguous view."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from embodied.arrays import Bool, Shaped


class Column:
    """Rows of one type and shape."""

    def __init__(self, dtype: DTypeLike, shape: tuple[int, ...] = ()) -> None:
        self._data = np.zeros((0, *shape), dtype=dtype)
        self._n = 0

    def __len__(self) -> int:
        return self._n

    @property
    def rows(self) -> Shaped[np.ndarray, "n ..."]:
        """All rows. A view: it is outdated by the next ``extend``."""
        return self._data[: self._n]

    @property
    def n_bytes(self) -> int:
        """Memory taken, with what is kept free to grow into."""
        return self._data.nbytes

    def reserve(self, n_rows: int) -> None:
        """Make room for so many rows in all."""
        if n_rows > len(self._data):
            # Not zeros: numpy asks for large pages only for memory that it need not clear.
            grown = np.empty((n_rows, *self._data.shape[1:]), dtype=self._data.dtype)
            grown[: self._n] = self._data[: self._n]
            self._data = grown

    def extend(self, rows: ArrayLike) -> None:
        """Append rows."""
        new = np.asarray(rows, dtype=self._data.dtype)
        new = new.reshape(len(new), *self._data.shape[1:])  # a column may have no width
        n = self._n + len(new)
        if n > len(self._data):
            self.reserve(max(n, 64, self._n + self._n // 4))
        self._data[self._n : n] = new
        self._n = n

    def keep(self, kept: Bool[np.ndarray, " n"]) -> None:
        """Drop all rows but those marked."""
        self._data = self._data[: self._n][kept]
        self._n = len(self._data)
