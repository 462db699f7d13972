"""Commands that ask a memory: recall, objects, history, rooms, sessions, changes, mcp."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any, List, Optional

from embodied.cli import text
from embodied.cli.output import note, say, say_json
from embodied.client import Memory
from embodied.errors import ConfigurationError, NotUnderstood, StoreError
from embodied.messages import Answer, ObjectRecord
from embodied.security import own_keys

MEMORY_VARIABLE = "EMBODIED_MEMORY"
_DEFAULT_PATTERN = "runs/*/memory.db"
_ID = re.compile(r"o\d+")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


def memory_options() -> argparse.ArgumentParser:
    """Return the options that every command about a memory has."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--memory",
        metavar="PATH_OR_ADDRESS",
        help=f"memory file, or address of a running memory; by default ${MEMORY_VARIABLE}, else the newest "
        f"{_DEFAULT_PATTERN}",
    )
    common.add_argument("--json", action="store_true", help="print JSON, for programs")
    common.add_argument("--timeout", type=float, default=10.0, metavar="S", help="seconds to wait for a running memory")
    common.add_argument("--keys", metavar="DIR", help="directory of keys, for an address on another machine")
    common.add_argument(
        "--key-name", default="", metavar="NAME", help="whose key of that directory to use; needed if it has several"
    )
    return common


def add_commands(commands: Any) -> None:
    """Add the parsers of these commands."""
    common = memory_options()

    def add(name: str, run: Any, summary: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(name, parents=[common], help=summary, description=summary)
        parser.set_defaults(run=run)
        return parser

    parser = add("recall", recall, "Ask where, what, when, how many, which room, or what changed.")
    parser.add_argument("question", nargs="+", help='in English: "where is the red mug?"')
    parser.add_argument(
        "--known-at", metavar="TIME", help='answer as the memory knew it then: "yesterday", "2026-01-05 10:00"; UTC'
    )
    parser.add_argument("--llm", metavar="URL", help="a chat-completions endpoint for words beyond the grammar")
    parser.add_argument("--llm-model", default="", metavar="NAME", help="the model to ask there")
    parser.add_argument(
        "--llm-key-variable", default="EMBODIED_LLM_KEY", metavar="NAME", help="environment variable with its key"
    )
    parser.add_argument("--save-evidence", metavar="DIR", help="write the pictures the answer rests on as JPEG files")
    parser = add("objects", objects, "List the objects that the memory holds.")
    parser.add_argument("--include-gone", action="store_true", help="also those that are gone")
    parser = add("history", history, "Show where an object was, and when; or what the robot did with its hands.")
    parser.add_argument(
        "object",
        metavar="OBJECT",
        nargs="?",
        help='its id, or what it is called: "red mug"; without it, what the robot took up and put down, and its rooms',
    )
    parser = add("mcp", mcp, "Serve the memory to a language model's tools, by MCP on standard input and output.")
    parser.add_argument("--allow-edits", action="store_true", help="also let it rename, annotate and forget")
    add("rooms", rooms, "List the rooms.")
    add("sessions", sessions, "List the robot's runs that the memory knows.")
    add("changes", changes, "List what was moved, removed or added.")


def recall(arguments: argparse.Namespace) -> None:
    """Ask a question."""
    with open_memory(arguments) as memory:
        answer = _answer(memory, arguments)
        if arguments.json:
            say_json(answer)
        else:
            say(text.answer_lines(answer, memory.sessions()))
    if arguments.save_evidence is not None:
        directory = Path(arguments.save_evidence)
        paths = save_evidence(answer, directory)
        note(f"{len(paths)} pictures written to {directory}" if paths else "the answer rests on no picture")


def _answer(memory: Memory, arguments: argparse.Namespace) -> Answer:
    question = " ".join(arguments.question)
    if arguments.known_at:
        question = f"{question.rstrip(' ?.')} as you knew it at {arguments.known_at}"
    try:
        if not arguments.llm:
            return memory.recall(question)
        from embodied import free_text

        model = free_text.LanguageModel(
            url=arguments.llm, model=arguments.llm_model, key_variable=arguments.llm_key_variable
        )
        return free_text.recall(memory, question, model)
    except NotUnderstood:
        if arguments.known_at:
            _check_known_at(memory, arguments.known_at)
        raise


def _check_known_at(memory: Memory, words: str) -> None:
    """Refuse words that the memory does not read as a time."""
    try:
        memory.recall(f"how many rooms are there as you knew it at {words}?")
    except NotUnderstood as error:
        raise ValueError(
            f'--known-at: expected a time such as "yesterday" or "2026-01-05 10:00", got {words!r}'
        ) from error


def find_object(memory: Memory, words: str, *, include_gone: bool = False) -> ObjectRecord:
    """Return the object that an id, or the name of just one, means.

    Args:
        memory: Where it is known.
        words: ``o12``, or "red mug".
        include_gone: A name may also mean what is known to be gone.

    Raises:
        ValueError: There is none, or there are several.
    """
    if _ID.fullmatch(words):
        found = [entry for entry in memory.objects(include_gone=True) if entry.id == words]
    else:
        answer = memory.recall(f"where is the {words}?")
        found = list(answer.objects) if include_gone or not answer.unknown else []
    if not found:
        raise ValueError(f"there is no object {words!r} in this memory")
    if len(found) > 1:
        several = "; ".join(text.described(entry) for entry in found)
        raise ValueError(f"{words!r} may be any of {len(found)}, name one by its id: {several}")
    return found[0]


def objects(arguments: argparse.Namespace) -> None:
    """List objects."""
    with open_memory(arguments) as memory:
        found = memory.objects(include_gone=arguments.include_gone)
        _show(arguments, found, lambda: text.object_lines(found, memory.sessions()), "the memory holds no objects")


def history(arguments: argparse.Namespace) -> None:
    """Show an object's track, or what the robot did."""
    with open_memory(arguments) as memory:
        if arguments.object is None:
            done = memory.interactions()
            lines = text.interaction_lines(done)
            _show(arguments, done if arguments.json else lines, lambda: lines, "the robot was nowhere yet")
            return
        # An id of something that was merged since is followed by the memory.
        is_id = _ID.fullmatch(arguments.object)
        object_id = arguments.object if is_id else find_object(memory, arguments.object, include_gone=True).id
        found = memory.history(object_id)
        _show(arguments, found, lambda: text.history_lines(found), f"nothing is known of {arguments.object}")


def rooms(arguments: argparse.Namespace) -> None:
    """List rooms."""
    with open_memory(arguments) as memory:
        found = memory.rooms()
        _show(arguments, found, lambda: text.room_lines(found), "the memory holds no rooms")


def sessions(arguments: argparse.Namespace) -> None:
    """List sessions."""
    with open_memory(arguments) as memory:
        found = memory.sessions()
        _show(arguments, found, lambda: text.session_lines(found), "the memory holds no sessions")


def changes(arguments: argparse.Namespace) -> None:
    """List changes."""
    with open_memory(arguments) as memory:
        found = memory.changes()
        _show(arguments, found, lambda: text.change_lines(found, memory.sessions()), "nothing is known to have changed")


def mcp(arguments: argparse.Namespace) -> None:
    """Serve until the other side closes."""
    from embodied import mcp_server

    with open_memory(arguments) as memory:
        if sys.stdin.isatty():
            note("waiting for a client on standard input; clients start this command themselves. Control-C ends it")
        mcp_server.build_server(memory, allow_edits=arguments.allow_edits).run()


def save_evidence(answer: Answer, directory: Path) -> List[Path]:
    """Write the pictures of an answer as ``OBJECT_SESSION_KEYFRAME.jpg``.

    Raises:
        StoreError: The directory cannot be written.
    """
    paths: List[Path] = []
    try:
        for evidence in answer.evidence:
            if evidence.crop_jpeg:
                directory.mkdir(parents=True, exist_ok=True)
                name = _UNSAFE.sub("_", f"{evidence.object_id}_{evidence.session}_{evidence.keyframe}")
                paths.append(directory / f"{name}.jpg")
                paths[-1].write_bytes(evidence.crop_jpeg)
    except OSError as error:
        raise StoreError(f"cannot write pictures to {directory}: {error.strerror}") from error
    return paths


def default_memory() -> str:
    """Return the memory that is meant when none is named, and say which on standard error.

    Raises:
        ConfigurationError: There is none.
    """
    target: Optional[str] = os.environ.get(MEMORY_VARIABLE)
    if target:
        note(f"memory: {target} (from {MEMORY_VARIABLE})")
        return target
    files = sorted(Path().glob(_DEFAULT_PATTERN), key=lambda path: (path.stat().st_mtime_ns, str(path)))
    if not files:
        raise ConfigurationError(
            f"no memory named: give --memory, or set {MEMORY_VARIABLE}; there is no {_DEFAULT_PATTERN} here"
        )
    note(f"memory: {files[-1]}")
    return str(files[-1])


def open_memory(arguments: argparse.Namespace) -> Memory:
    """Open the memory that the arguments name."""
    security = own_keys(arguments.keys, arguments.key_name) if arguments.keys else None
    target = arguments.memory or default_memory()
    return Memory(target, timeout_s=arguments.timeout, security=security)


def _show(arguments: argparse.Namespace, found: Any, lines: Any, nothing: str) -> None:
    if arguments.json:
        say_json(found)
    else:
        say(lines() if found else [nothing])
