"""Commands on keys: keys new, allow, trust, list."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from embodied.cli.output import say, table
from embodied.errors import ConfigurationError
from embodied.security import allow_client, machine_name, new_keys, trust_server


def add_commands(commands: Any) -> None:
    """Add the parsers of these commands."""
    parser = commands.add_parser("keys", help="Make and list keys, which addresses beyond this machine need.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--directory", default="keys", metavar="DIR", help="where the keys are; by default keys")

    def add(name: str, run: Any, summary: str) -> argparse.ArgumentParser:
        action: argparse.ArgumentParser = actions.add_parser(name, parents=[common], help=summary, description=summary)
        action.set_defaults(run=run)
        return action

    add("new", new, "Make a pair of keys.").add_argument(
        "name", metavar="NAME", nargs="?", default=machine_name(), help="of the machine or the person"
    )
    add("allow", allow, "Let a client in whose public key this is.").add_argument(
        "file", metavar="FILE", help="a .pub file from the client"
    )
    add("trust", trust, "Talk only to the server whose public key this is.").add_argument(
        "file", metavar="FILE", help="a .pub file from the server"
    )
    add("list", show, "List the keys and the clients that are let in.")


def new(arguments: argparse.Namespace) -> None:
    """Make keys."""
    try:
        public, secret = new_keys(arguments.directory, arguments.name)
    except ValueError as error:  # a name that cannot be a file's
        raise ConfigurationError(str(error)) from error
    say([f"{public}: give it to the other side", f"{secret}: keep it to yourself"])


def allow(arguments: argparse.Namespace) -> None:
    """Let a client in."""
    say([f"{allow_client(arguments.directory, arguments.file)}: may connect from now on"])


def trust(arguments: argparse.Namespace) -> None:
    """Remember the server's key."""
    say([f"{trust_server(arguments.directory, arguments.file)}: the key that a server must prove to hold"])


def show(arguments: argparse.Namespace) -> None:
    """List keys."""
    directory = Path(arguments.directory)
    rows = [
        (path.stem, "own pair" if path.with_suffix(".secret").exists() else "public key of another", str(path))
        for path in sorted(directory.glob("*.pub"))
    ]
    rows += [(path.stem, "client let in", str(path)) for path in sorted(directory.glob("allowed/*.pub"))]
    say(table(("name", "what", "file"), rows) if rows else [f"no keys in {directory}"])
