"""The documents say what the code does: every message, every link, every command."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from embodied import message_docs, messages
from memory_bank.recall import grammar, times
from source_tree import ROOT, shown

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_the_page_of_messages_is_what_the_code_says() -> None:
    page = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
    assert page == message_docs.render(), "run: python -m embodied.message_docs docs/messages.md"


def test_every_message_belongs_to_a_channel() -> None:
    on_channels = {name for channel in message_docs.CHANNELS for name in message_docs.members(channel)}
    defined = {
        name
        for name, value in vars(messages).items()
        if inspect.isclass(value) and issubclass(value, messages.Message) and value is not messages.Message
    }
    assert defined - on_channels == set()


def test_every_message_and_field_that_needs_it_is_explained() -> None:
    sections = message_docs.render().split("\n### ")[1:]
    silent = [section.split("\n")[0] for section in sections if not section.split("\n")[2].strip()]
    assert silent == []


def links_of(document: Path) -> Iterator[Tuple[str, str]]:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in LINK.findall(text):
        if not target.startswith(("http:", "https:", "mailto:")):
            path, _, anchor = target.partition("#")
            yield path, anchor


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_links_lead_somewhere(document: Path) -> None:
    broken: List[str] = []
    for path, anchor in links_of(document):
        goal = (document.parent / path).resolve() if path else document
        if not goal.exists():
            broken.append(path)
        elif anchor and anchor not in anchors_of(goal):
            broken.append(f"{path}#{anchor}")
    assert broken == []


def anchors_of(document: Path) -> List[str]:
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]


@pytest.mark.parametrize("document", DOCUMENTS, ids=shown)
def test_files_that_are_named_exist(document: Path) -> None:
    """Paths in code style, such as `embodied/codec.py`, but not patterns, placeholders or what a run writes."""
    paths = r"`((?:embodied|sim|memory_bank|policies|launch|tests|docs|tools)/[\w./-]+)`"
    named = re.findall(paths, document.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_commands_of_make_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = {
        target
        for document in DOCUMENTS
        for line in re.findall(r"`make ([a-z -]+)`", document.read_text(encoding="utf-8"))
        for target in line.split()
    }
    assert named - targets == set()


def test_the_client_example_of_the_readme_compiles() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        compile(block, "README.md", "exec")


def test_the_page_of_questions_is_what_the_grammar_says() -> None:
    page = (ROOT / "docs" / "questions.md").read_text(encoding="utf-8")
    for module in (grammar, times):
        assert module.__doc__ is not None
        assert module.__doc__.strip() in page
