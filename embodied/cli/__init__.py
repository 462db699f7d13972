"""The ``embodied`` command."""

from embodied.cli.app import main

__all__ = ["main"]
