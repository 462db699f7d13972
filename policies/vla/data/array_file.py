"""Writes an array to an .npy file row by row: how many rows there are is known at the end."""

from __future__ import annotations

import io
from pathlib import Path
from types import TracebackType

import numpy as np


class ArrayFile:
    """An .npy file that grows. It is one that can be read once it is closed."""

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: str) -> None:
        """Create the file, for an array of no rows."""
        self.n_rows = 0
        self._row_shape, self._dtype = row_shape, np.dtype(dtype)
        self._file = path.open("wb")
        self._file.write(self._header())

    def __enter__(self) -> ArrayFile:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def append(self, row: np.ndarray) -> None:
        """Write one row.

        Raises:
            ValueError: It is of another shape.
        """
        if row.shape != self._row_shape:
            raise ValueError(f"row: expected shape {self._row_shape}, got {row.shape}")
        self._file.write(np.ascontiguousarray(row, dtype=self._dtype).data)
        self.n_rows += 1

    def close(self) -> None:
        """Write how many rows there are."""
        if not self._file.closed:
            self._file.seek(0)
            self._file.write(self._header())
            self._file.close()

    def _header(self) -> bytes:
        # numpy leaves room for the first axis to grow, so the header's length stays.
        header = io.BytesIO()
        description = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.n_rows, *self._row_shape),
        }
        np.lib.format.write_array_header_1_0(header, description)
        return header.getvalue()
