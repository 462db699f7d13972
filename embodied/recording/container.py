"""MCAP as a container: chunks that end where we say, and a reader that survives what a crash leaves behind."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType
from typing import IO, Iterator, List, Optional, Type, cast

from mcap.exceptions import EndOfFile, McapError
from mcap.records import Chunk, DataEnd, McapRecord
from mcap.stream_reader import MAGIC_SIZE, StreamReader, breakup_chunk
from mcap.writer import MCAP0_MAGIC, CompressionType, IndexType, Writer

from embodied.errors import LogError

MAX_RECORD_BYTES = 256 * 1024 * 1024
"""Bound on one record, before anything is allocated for it."""
_NEVER = 1 << 62


class ChunkWriter(Writer):
    """MCAP writer whose chunks end on demand, so that a chunk holds whole observations.

    A chunk is what survives: a file that was cut off is readable up to its last complete chunk.
    """

    def __init__(self, output: IO[bytes], library: str) -> None:
        super().__init__(output, chunk_size=_NEVER, compression=CompressionType.NONE, index_types=IndexType.ALL)
        self.start(library=library)

    def end_chunk(self) -> None:
        """Write what was added since the last chunk; nothing if there is nothing."""
        # The library has no public way to end a chunk; its own is reached by its mangled name, which a test holds.
        self._Writer__finalize_chunk()  # type: ignore[attr-defined]


class LogReader:
    """Reads a log from its beginning, without its index.

    After the reading ``complete`` says whether all was sound to the end, ``damage`` what was not, ``n_damaged_chunks``
    how many chunks had a wrong checksum.

    Raises:
        LogError: The file is missing, or is not an MCAP.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise LogError(f"cannot open the log {path}: {error.strerror}") from error
        try:
            magic = self._file.read(MAGIC_SIZE)
            if magic != MCAP0_MAGIC:
                raise LogError(f"{path} is not an MCAP: it begins with {magic!r}")
            self.n_bytes = path.stat().st_size
        except BaseException:
            self._file.close()
            raise
        self.complete = False
        self.damage = ""
        self.n_damaged_chunks = 0

    def groups(self, *, skip_damaged: bool = False) -> Iterator[List[McapRecord]]:
        """Yield the records of one chunk after the other, and alone those that are in none; stop where it is damaged.

        Args:
            skip_damaged: Pass over chunks whose checksum is wrong instead of stopping there.
        """
        source = _BoundedStream(self._file, self.n_bytes - MAGIC_SIZE)
        # The library asks for a whole file object and calls only ``read``.
        stream = StreamReader(
            cast("IO[bytes]", source), skip_magic=True, emit_chunks=True, record_size_limit=MAX_RECORD_BYTES
        )
        records = iter(stream.records)
        in_data = True
        while True:
            try:
                record = next(records)
            except StopIteration:
                self.complete = not self.damage
                return
            except (McapError, struct.error, ValueError) as error:
                self.damage = self.damage or self._describe(error)
                return
            if isinstance(record, DataEnd):
                in_data = False  # what follows is the index, which repeats schemas and channels
            elif isinstance(record, Chunk):
                group = self._break_up(record)
                if group is not None:
                    yield group
                elif not skip_damaged:
                    return
            elif in_data:
                yield [record]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> LogReader:
        return self

    def __exit__(
        self,
        exception_type: Optional[Type[BaseException]],
        exception: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def _break_up(self, chunk: Chunk) -> Optional[List[McapRecord]]:
        try:
            if chunk.compression:
                # Ours never are; decompression is the one place where a small file could ask for much memory.
                raise ValueError(f"chunk compressed by {chunk.compression}; logs of this stack are not")
            return breakup_chunk(chunk, validate_crc=True)
        except (McapError, struct.error, ValueError) as error:
            self.n_damaged_chunks += 1
            self.damage = self.damage or self._describe(error)
            return None

    def _describe(self, error: Exception) -> str:
        if isinstance(error, (EndOfFile, struct.error)):
            return f"cut off at {self.n_bytes} bytes"
        return f"damaged before byte {self._file.tell()}: {error}"


class _BoundedStream:
    """A file that is never asked for more than it has: a damaged length would be allocated first."""

    def __init__(self, file: IO[bytes], n_bytes: int) -> None:
        self._file = file
        self._n_left = n_bytes

    def read(self, n: int) -> bytes:
        data = self._file.read(min(n, self._n_left))
        self._n_left -= len(data)
        return data
