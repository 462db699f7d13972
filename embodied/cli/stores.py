"""Commands on memories as a whole: memory copy, check."""

from __future__ import annotations

import argparse
from typing import Any

from embodied.cli.output import note
from embodied.client import installed_function


def add_commands(commands: Any) -> None:
    """Add the parsers of these commands."""
    parser = commands.add_parser("memory", help="Copy and check memories, in files and in databases.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    memory = "a memory file, or postgresql://USER@HOST/DATABASE?memory=NAME"

    def add(name: str, run: Any, summary: str) -> argparse.ArgumentParser:
        action: argparse.ArgumentParser = actions.add_parser(name, help=summary, description=summary)
        action.set_defaults(run=run)
        return action

    copying = add("copy", copy, "Copy a memory to where there is none yet, and compare the two.")
    copying.add_argument("source", metavar="FROM", help=memory)
    copying.add_argument("target", metavar="TO", help=memory)
    add("check", check, "Read all of a memory, and find whatever is damaged.").add_argument(
        "target", metavar="MEMORY", help=memory
    )


def copy(arguments: argparse.Namespace) -> None:
    """Copy a memory."""
    installed_function("copy")(arguments.source, arguments.target, note)
    note("done: the copy, read back, is the same")


def check(arguments: argparse.Namespace) -> None:
    """Check a memory."""
    installed_function("check")(arguments.target)
    note("whole: every row matches its checksum")
