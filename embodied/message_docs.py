"""Writes docs/messages.md from the messages themselves: ``python -m embodied.message_docs docs/messages.md``.

A test fails when the file differs from what this prints, so a message cannot change without its page.
"""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, NamedTuple, Tuple, Type, get_args

import msgspec

from embodied import messages


class ChannelDoc(NamedTuple):
    """One channel, for the page."""

    name: str
    between: str
    pattern: str
    delivery: str
    unions: Tuple[str, ...]
    """Names in ``messages``: what may be sent on it, each way."""


CHANNELS = (
    ChannelDoc(
        "pipe",
        "bridge → memory, recorder",
        "ROUTER bound by the producer, one DEALER a consumer; credits",
        "Lossless and in order. At most a window of messages is on its way to a consumer; when it is full, a simulator "
        "waits. A consumer says what it has received and what it has made durable.",
        ("ProducerMessage", "ConsumerMessage"),
    ),
    ChannelDoc(
        "latest",
        "bridge → policy",
        "XPUB bound by the publisher, SUB with CONFLATE set before it connects",
        "Only the newest: one frame a message, one socket a topic. Older ones are dropped without a word.",
        ("StreamMessage",),
    ),
    ChannelDoc(
        "actions",
        "policy, supervisor → bridge",
        "DEALER to ROUTER, with request ids and deadlines",
        "Answered or a typed error. The reply says what was really commanded. What is old, late or broken is refused.",
        ("ActionRequest", "ActionResponse"),
    ),
    ChannelDoc(
        "memory",
        "client, policy → memory",
        "DEALER to ROUTER, with request ids and deadlines",
        "Answered or a typed error.",
        ("MemoryRequest", "MemoryResponse"),
    ),
    ChannelDoc(
        "tasks",
        "launcher → policy",
        "DEALER to ROUTER, with request ids and deadlines",
        "Answered or a typed error. One task at a time.",
        ("TaskRequest", "TaskResponse"),
    ),
    ChannelDoc(
        "supervisor",
        "each process → supervisor",
        "PUSH to PULL",
        "In order. Silence is itself a message: a process that is not heard of for too long counts as hung.",
        ("SupervisorMessage",),
    ),
)

HEAD = """\
# Messages

Written by `python -m embodied.message_docs docs/messages.md` from `embodied/messages/`; a test holds the two
together. Protocol version {version}.

Every message is one frame: magic, protocol version, length of the header, header (MessagePack), arrays. An array in the
structure is described in the header by dtype, shape and offset, lies aligned behind it, and is a read-only view of the
frame after decoding. Sizes, dtypes, shapes and nesting are bounded before anything is allocated (`embodied/codec.py`).

Rules of evolution: a new field has a default; no field changes its type; a change that breaks this raises the protocol
version, and a peer of another version is refused by name (`VersionMismatch`). Nothing on these wires carries the
simulator's truth: segments are numbered anew in every frame, and labels are what a detector would say.

Units and frames: [conventions.md](conventions.md).
"""


def render() -> str:
    """Return the page."""
    structures = _structures()
    parts = [HEAD.format(version=messages.PROTOCOL_VERSION), "## Channels\n", _channel_table()]
    written: List[str] = []
    for channel in CHANNELS:
        own = [name for name in members(channel) if name not in written]
        if own:
            parts.append(f"## Channel `{channel.name}`\n")
            parts += [_structure_section(structures[name]) for name in own]
            written += own
    rest = [name for name in structures if name not in written and name != "Message"]
    parts.append("## Parts of messages\n")
    parts += [_structure_section(structures[name]) for name in rest]
    parts.append(_alias_section())
    return "\n".join(parts)


def _alias_section() -> str:
    """List the names that stand for a type, unions of the channels among them."""
    lines = ["## Names of types\n", "| name | stands for |", "|---|---|"]
    for module in _modules():
        for node in ast.parse(inspect.getsource(module)).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
                lines.append(f"| `{ast.unparse(node.targets[0])}` | `{ast.unparse(node.value)}` |")
    return "\n".join(lines) + "\n"


def members(channel: ChannelDoc) -> List[str]:
    """Return the names of the messages of a channel, in their order and once each."""
    found = [member.__name__ for union in channel.unions for member in get_args(getattr(messages, union))]
    return list(dict.fromkeys(found))


def _modules() -> List[ModuleType]:
    """Return the modules of messages, in the order in which the package names them."""
    names = dict.fromkeys(vars(messages)[name].__module__ for name in messages.__all__ if _is_structure(name))
    return [sys.modules[name] for name in names]


def _is_structure(name: str) -> bool:
    value = vars(messages)[name]
    return inspect.isclass(value) and issubclass(value, msgspec.Struct)


def _structures() -> Dict[str, Type[Any]]:
    return {name: vars(messages)[name] for name in messages.__all__ if _is_structure(name)}


def _channel_table() -> str:
    lines = ["| channel | between | pattern | delivery | messages |", "|---|---|---|---|---|"]
    for channel in CHANNELS:
        names = ", ".join(f"[{name}](#{name.lower()})" for name in members(channel))
        lines.append(f"| `{channel.name}` | {channel.between} | {channel.pattern} | {channel.delivery} | {names} |")
    return "\n".join(lines) + "\n"


def _structure_section(structure: Type[Any]) -> str:
    tag = structure.__struct_config__.tag
    title = f"### {structure.__name__}\n\n{inspect.cleandoc(structure.__doc__ or '')}\n"
    if isinstance(tag, str):
        title += f"\nTag `{tag}`.\n"
    rows = _field_rows(structure)
    if not rows:
        return title
    head = "| field | type | default | meaning |\n|---|---|---|---|"
    return "\n".join([title, head, *rows]) + "\n"


def _field_rows(structure: Type[Any]) -> List[str]:
    body = ast.parse(inspect.getsource(structure)).body[0]
    assert isinstance(body, ast.ClassDef)
    rows = []
    for index, node in enumerate(body.body):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        default = f"`{ast.unparse(node.value)}`" if node.value is not None else "required"
        following = body.body[index + 1] if index + 1 < len(body.body) else None
        meaning = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            meaning = " ".join(str(following.value.value).split())
        kind = ast.unparse(node.annotation).replace("|", "\\|")
        rows.append(f"| `{node.target.id}` | `{kind}` | {default} | {meaning} |")
    return rows


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
