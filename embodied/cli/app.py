"""Reads the command line, runs the command, and turns an error of the world into one clear line.

Exit codes: 0 done, 1 an error, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import List, Optional, Sequence

import embodied
from embodied.cli import ask, doctor, edits, keys, logs, stores
from embodied.cli.output import note, prepare
from embodied.errors import EmbodiedError

_OF_NUMBERS = ("--at", "--region", "--size")
_NEGATIVE = re.compile(r"-[\d.]+,")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = argparse.ArgumentParser(prog="embodied", description="A memory for robots. Times are UTC, lengths metres.")
    parser.add_argument("--version", action="version", version=f"embodied-memory {embodied.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (ask, edits, logs, stores, keys, doctor):
        module.add_commands(commands)
    return parser


def _with_negative_numbers(arguments: Sequence[str]) -> List[str]:
    """Return arguments in which "--at -1,2,0" is "--at=-1,2,0": else -1,2,0 would be taken for an option."""
    joined: List[str] = []
    for argument in arguments:
        if joined and joined[-1] in _OF_NUMBERS and _NEGATIVE.match(argument):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command that ``arguments``, by default the program's own, ask for; return the exit code."""
    prepare()
    parsed = build_parser().parse_args(_with_negative_numbers(sys.argv[1:] if arguments is None else arguments))
    try:
        return parsed.run(parsed) or 0
    except EmbodiedError as error:
        note(f"embodied: {type(error).__name__}: {error}")
        return 1
    except ValueError as error:  # says what was expected; its name would say nothing more
        note(f"embodied: {error}")
        return 1
    except BrokenPipeError:
        # The reader, such as head, has seen enough. Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
