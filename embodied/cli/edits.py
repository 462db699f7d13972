"""Commands that change a memory: rename, delete, pin, unpin, annotate, add, forget."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any, Callable, List, Optional, Tuple

from embodied.cli import text
from embodied.cli.ask import find_object, memory_options, open_memory
from embodied.cli.output import note, say, say_json
from embodied.client import Memory
from embodied.errors import ConfigurationError, NotUnderstood
from embodied.messages import Box, ForgetReply, ObjectRecord

_FORGET_TIMEOUT_S = 600.0
"""The whole file is written anew."""


def add_commands(commands: Any) -> None:
    """Add the parsers of these commands."""
    common = memory_options()

    def add(name: str, run: Any, summary: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(name, parents=[common], help=summary, description=summary)
        parser.set_defaults(run=run)
        return parser

    def add_edit(name: str, run: Any, summary: str) -> argparse.ArgumentParser:
        parser = add(name, run, summary)
        parser.add_argument("object", metavar="OBJECT", help='its id, or what it is called: "red mug"')
        return parser

    parser = add_edit("rename", rename, "Call an object by a name of your own, whatever detectors say.")
    parser.add_argument("name", metavar="NAME")
    parser = add_edit("annotate", annotate, "Write a note to an object.")
    parser.add_argument("text", metavar="TEXT", nargs="+")
    parser.add_argument("--author", default="", metavar="NAME", help="who says so")
    add_edit("pin", pin, "Let nothing automatic rename, merge or remove an object.")
    add_edit("unpin", unpin, "Take back a pin.")
    parser = add_edit("delete", delete, "Say that an object is not there and never was; it does not come back.")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser = add("add", tell, "Tell of an object that no camera has shown.")
    parser.add_argument("label", metavar="LABEL")
    parser.add_argument("--at", required=True, type=_numbers(3), metavar="X,Y,Z", help="its centre in m")
    parser.add_argument("--size", type=_numbers(3), default=(0.1, 0.1, 0.1), metavar="X,Y,Z", help="full lengths in m")
    parser.add_argument("--frame", default="", metavar="NAME", help="world frame of the position")
    parser.add_argument("--author", default="", metavar="NAME", help="who says so")
    _add_forget(add("forget", forget, "Take out for good what was seen in a region, a time, a session, of an object."))


def _add_forget(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--region",
        type=_numbers(6),
        metavar="X,Y,Z,SX,SY,SZ",
        help="a box in m: its centre and its full lengths",
    )
    parser.add_argument("--frame", default="", metavar="NAME", help="world frame of the region")
    parser.add_argument("--since", metavar="TIME", help='as in questions: "yesterday", "2026-01-05 10:00"; UTC')
    parser.add_argument("--until", metavar="TIME", help="likewise")
    parser.add_argument("--session", default="", metavar="NAME", help="a run of the robot")
    parser.add_argument("--object", metavar="OBJECT", help='its id, or what it is called: "red mug"')
    parser.add_argument("--dry-run", action="store_true", help="say what would go, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(timeout=_FORGET_TIMEOUT_S)


def rename(arguments: argparse.Namespace) -> None:
    """Rename an object."""
    _edit(arguments, lambda memory, entry: memory.rename(entry, arguments.name), "is called that now")


def annotate(arguments: argparse.Namespace) -> None:
    """Write a note."""
    words = " ".join(arguments.text)
    _edit(arguments, lambda memory, entry: memory.annotate(entry, words, author=arguments.author), "has the note")


def pin(arguments: argparse.Namespace) -> None:
    """Pin an object."""
    _edit(arguments, lambda memory, entry: memory.pin(entry), "is pinned")


def unpin(arguments: argparse.Namespace) -> None:
    """Unpin an object."""
    _edit(arguments, lambda memory, entry: memory.unpin(entry), "is not pinned any more")


def delete(arguments: argparse.Namespace) -> Optional[int]:
    """Delete an object."""
    with open_memory(arguments) as memory:
        entry = find_object(memory, arguments.object)
        if not arguments.yes and not _confirmed(f"Delete {text.described(entry)}? It does not come back."):
            return _left_alone()
        memory.delete(entry)
        if arguments.json:
            say_json({"deleted": entry.id})
        else:
            say([f"{text.described(entry)} is deleted"])
    return None


def tell(arguments: argparse.Namespace) -> None:
    """Add a told object."""
    with open_memory(arguments) as memory:
        entry = memory.add(
            arguments.label,
            arguments.at,
            size_m=arguments.size,
            world_frame=arguments.frame,
            author=arguments.author,
        )
        if arguments.json:
            say_json(entry)
        else:
            say([f"{text.described(entry)} is remembered as told"])


def forget(arguments: argparse.Namespace) -> Optional[int]:
    """Forget for good, after saying how much."""
    if not (arguments.region or arguments.since or arguments.until or arguments.session or arguments.object):
        raise ValueError("forget needs at least one of --region, --since, --until, --session and --object")
    with open_memory(arguments) as memory:
        since_ns, until_ns = _window(memory, arguments.since, arguments.until)
        conditions = {
            "region": _box(arguments.region),
            "since_ns": since_ns,
            "until_ns": until_ns,
            "session": arguments.session,
            "object_id": find_object(memory, arguments.object).id if arguments.object else "",
            "world_frame": arguments.frame,
        }
        reply = memory.forget(only_count=True, **conditions)
        if not arguments.dry_run:
            if not arguments.yes and not _confirmed(f"{_counted('This forgets', reply)} for good. Go on?"):
                return _left_alone()
            reply = memory.forget(**conditions)
    if arguments.json:
        say_json(reply)
    else:
        say([_counted("would be forgotten:" if arguments.dry_run else "forgotten:", reply)])
    return None


def _edit(
    arguments: argparse.Namespace, change: Callable[[Memory, ObjectRecord], ObjectRecord], what_it_does: str
) -> None:
    with open_memory(arguments) as memory:
        entry = change(memory, find_object(memory, arguments.object))
        if arguments.json:
            say_json(entry)
        else:
            say([f"{text.described(entry)} {what_it_does}"])


def _window(memory: Memory, since: Optional[str], until: Optional[str]) -> Tuple[Optional[int], Optional[int]]:
    """Let the memory read the times, as it does in questions: "yesterday" is reckoned from its own present."""
    stamps: List[Optional[int]] = []
    for name, words in (("since", since), ("until", until)):
        stamps.append(_instant(memory, name, words) if words else None)
        if stamps[-1] is not None:
            note(f"{name} {text.time_text(stamps[-1])} UTC")
    return stamps[0], stamps[1]


def _instant(memory: Memory, name: str, words: str) -> int:
    try:
        query = memory.recall(f"what has changed {name} {words}?").query
        stamp_ns = query.since_ns if name == "since" else query.until_ns
    except NotUnderstood:
        stamp_ns = None
    if stamp_ns is None:
        raise ValueError(f'--{name}: expected a time such as "yesterday" or "2026-01-05 10:00", got {words!r}')
    return stamp_ns


def _numbers(n: int) -> Callable[[str], Tuple[float, ...]]:
    """Return a reader of ``n`` numbers between commas."""

    def read(words: str) -> Tuple[float, ...]:
        try:
            values = tuple(float(word) for word in words.split(","))
        except ValueError:
            values = ()
        if len(values) != n or not all(math.isfinite(value) for value in values):
            raise argparse.ArgumentTypeError(f"expected {n} numbers between commas, got {words!r}")
        return values

    return read


def _box(numbers: Optional[Tuple[float, ...]]) -> Optional[Box]:
    if numbers is None:
        return None
    x, y, z, length, width, height = numbers
    return Box(center_m=(x, y, z), size_m=(length, width, height))


def _counted(begin: str, reply: ForgetReply) -> str:
    parts: List[str] = [
        f"{n} {name if n == 1 else name + 's'}"
        for n, name in (
            (reply.n_objects, "object"),
            (reply.n_keyframes, "keyframe"),
            (reply.n_pictures, "picture"),
            (reply.n_intervals, "stay"),
        )
    ]
    return f"{begin} {', '.join(parts)} in the histories of other objects"


def _confirmed(question: str) -> bool:
    """Ask the person.

    Raises:
        ConfigurationError: Nobody is there to answer.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError("this asks before it changes anything, and nobody can answer here; give --yes")
    note(f"{question} [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _left_alone() -> int:
    note("nothing was changed")
    return 1
