"""Puts the sections together and writes the page.

The page forbids itself, by its own content policy, to fetch anything or to run any script.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from embodied.report import sections
from embodied.report.data import Figure, ReportData
from embodied.report.map_picture import map_figure
from embodied.report.markup import Markup, element, join

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
Section = Tuple[str, str, Optional[Markup]]
"""Key, title and content of a part of the page."""


def write_report(path: Path, data: ReportData) -> None:
    """Write the page, whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    write_page(path, render(data))


def write_page(path: Path, page: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(page, encoding="utf-8")
    os.replace(unfinished, path)


def render(data: ReportData) -> str:
    """Return the page as text. It is XML too, so any parser can check it."""
    subtitle = join((data.subtitle, " · " if data.subtitle else "", data.created))
    return document(data.title, subtitle, data.summary, _sections(data), data.warnings)


def document(
    title: str, subtitle: str, summary: Sequence[Figure], parts: Sequence[Section], warnings: Sequence[str] = ()
) -> str:
    """Return a whole page in the project's style.

    Args:
        title: The headline.
        subtitle: Below it.
        summary: The figures that count, shown as tiles.
        parts: The sections; those without content are left out.
        warnings: Sentences above everything else.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(_style())),
    )
    shown = [(key, name, content) for key, name, content in parts if content is not None]
    links = [element("a", name, href=f"#{key}") for key, name, _ in shown]
    header = element(
        "header",
        element("h1", title),
        element("p", subtitle, class_="subtitle"),
        element("nav", *links) if len(links) > 1 else None,
    )
    warned = [element("p", words, class_="warning") for words in warnings]
    sectioned = [element("section", element("h2", name), content, id=key) for key, name, content in shown]
    main = element("main", *warned, sections.tiles(summary), *sectioned)
    footer = element("footer", "Written by embodied-memory. This file needs nothing but itself.")
    return f"<!DOCTYPE html>\n{element('html', head, element('body', header, main, footer), lang='en')}\n"


def _style() -> str:
    return Path(__file__).with_name("style.css").read_text(encoding="utf-8")


def _sections(data: ReportData) -> List[Section]:
    time_and_memory = [part for part in (sections.stages(data.stages), sections.memory_use(data.processes)) if part]
    return [
        ("map", "Map and scene graph", map_figure(data)),
        ("changes", "What changed", sections.changes(data.changes, data.missed_changes)),
        ("questions", "Questions", sections.questions(data.questions)),
        ("goals", "Drives", sections.goals(data.goals)),
        ("task", "A task of memory", sections.task(data.task)),
        ("pictures", "Pictures", sections.pictures(data)),
        ("objects", "Rooms and objects", sections.scene_tree(data)),
        ("sessions", "Sessions", sections.sessions(data.sessions)),
        ("time", "Time and memory", join(time_and_memory) if time_and_memory else None),
        ("settings", "Settings", sections.settings(data.settings)),
    ]
