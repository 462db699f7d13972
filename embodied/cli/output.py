"""The one place that writes to the terminal."""

from __future__ import annotations

import io
import sys
from typing import Any, Iterable, List, Sequence

import msgspec


def prepare() -> None:
    """Let no character of a label stop the output of a terminal that cannot show it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(lines: Iterable[str]) -> None:
    """Write lines to standard output."""
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))


def say_json(value: Any) -> None:
    """Write a value to standard output as indented JSON; pictures are replaced by their sizes."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(plain_data(value)), indent=2).decode() + "\n")


def plain_data(value: Any) -> Any:
    """Return dictionaries, lists, numbers and text for a value; pictures are replaced by their sizes."""
    return _without_bytes(msgspec.to_builtins(value, builtin_types=(bytes,)))


def note(text: str) -> None:
    """Write a line to standard error, where it disturbs no program that reads the output."""
    sys.stderr.write(f"{printable(text)}\n")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> List[str]:
    """Return lines whose columns are aligned, two spaces apart."""
    cells = [list(header), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def printable(text: str) -> str:
    """Return the text without control characters: labels come from afar, and a terminal obeys what it is sent."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _without_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            f"{key}_bytes" if isinstance(entry, bytes) else key: _without_bytes(entry) for key, entry in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_without_bytes(entry) for entry in value]
    return len(value) if isinstance(value, bytes) else value
