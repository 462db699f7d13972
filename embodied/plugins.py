"""What other packages hook into this one, which imports none of them: functions by group and name of an entry point."""

from __future__ import annotations

from importlib import metadata
from typing import Any, List

from embodied.errors import ConfigurationError


def installed_plugins(group: str) -> List[Any]:
    """Return the entry points of a group, of all installed packages."""
    found: Any = metadata.entry_points()
    if hasattr(found, "select"):
        return list(found.select(group=group))
    return list(found.get(group, ()))  # a dictionary on Python 3.9


def load_plugin(group: str, name: str, does: str, otherwise: str = "") -> Any:
    """Return the function that an installed package names.

    Args:
        group: Of the entry point.
        name: Of the entry point.
        does: What it does, in words, for the error.
        otherwise: What one can do without it.

    Raises:
        ConfigurationError: Nothing installed has it, or it cannot be loaded.
    """
    points = [point for point in installed_plugins(group) if point.name == name]
    if not points:
        raise ConfigurationError(
            f"nothing installed here {does}; install the distribution embodied-memory (Python 3.10 or newer){otherwise}"
        )
    try:
        return points[0].load()
    except (ImportError, AttributeError, SyntaxError, TypeError) as error:
        # The memory bank needs a newer Python than this package; its own import is what may fail, in any of these ways.
        raise ConfigurationError(f"cannot load {points[0].value}, which {does}: {error}") from error
