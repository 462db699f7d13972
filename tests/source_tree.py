"""The project's own source as syntax trees, for the tests that hold its rules."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Iterator, List, Tuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("embodied", "memory_bank", "policies", "sim")
FOLDERS = (*PACKAGES, "launch", "tests")


def files_of(*folders: str) -> List[Path]:
    """Return the Python files of folders, in order."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def shown(path: Path) -> str:
    """Return a path as one writes it from the root."""
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    """Parse a file, once."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports_of(tree: ast.AST) -> Iterator[Tuple[str, int]]:
    """Yield the full name and line of every import, those inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            for name in node.names:
                yield f"{node.module}.{name.name}", node.lineno


def dotted(node: ast.expr) -> str:
    """Return ``a.b.c`` of a chain of attributes, empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""
