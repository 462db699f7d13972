"""Puts the sections together and writes the page.

The page forbids itself, by its own content policy, to fetch anything or to run any script.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Optional, Tuple

from embodied.report import sections
from embodied.report.data import ReportData
from embodied.report.map_picture import map_figure
from embodied.report.markup import Markup, element, join

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write_report(path: Path, data: ReportData) -> None:
    """Write the page, whole or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(render(data), encoding="utf-8")
    os.replace(unfinished, path)


def render(data: ReportData) -> str:
    """Return the page as text. It is XML too, so any parser can check it."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", data.title),
        element("style", Markup(_style())),
    )
    return f"<!DOCTYPE html>\n{element('html', head, _body(data), lang='en')}\n"


def _style() -> str:
    return Path(__file__).with_name("style.css").read_text(encoding="utf-8")


def _body(data: ReportData) -> Markup:
    shown = [(key, title, content) for key, title, content in _sections(data) if content is not None]
    links = [element("a", title, href=f"#{key}") for key, title, _ in shown]
    header = element(
        "header",
        element("h1", data.title),
        element("p", join((data.subtitle, " · " if data.subtitle else "", data.created)), class_="subtitle"),
        element("nav", *links) if len(links) > 1 else None,
    )
    warnings = [element("p", words, class_="warning") for words in data.warnings]
    parts = [element("section", element("h2", title), content, id=key) for key, title, content in shown]
    main = element("main", *warnings, sections.tiles(data.summary), *parts)
    return element(
        "body", header, main, element("footer", "Written by embodied-memory. This file needs nothing but itself.")
    )


def _sections(data: ReportData) -> List[Tuple[str, str, Optional[Markup]]]:
    time_and_memory = [part for part in (sections.stages(data.stages), sections.memory_use(data.processes)) if part]
    return [
        ("map", "Map and scene graph", map_figure(data)),
        ("changes", "What changed", sections.changes(data.changes, data.missed_changes)),
        ("questions", "Questions", sections.questions(data.questions)),
        ("goals", "Drives", sections.goals(data.goals)),
        ("pictures", "Pictures", sections.pictures(data)),
        ("objects", "Rooms and objects", sections.scene_tree(data)),
        ("sessions", "Sessions", sections.sessions(data.sessions)),
        ("time", "Time and memory", join(time_and_memory) if time_and_memory else None),
        ("settings", "Settings", sections.settings(data.settings)),
    ]
