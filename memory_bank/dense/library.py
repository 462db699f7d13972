"""Loads open3d where it is needed, and says in one line what is missing where it cannot be."""

from __future__ import annotations

from typing import Any

from embodied.errors import ConfigurationError


def open3d() -> Any:
    """Return the library.

    Raises:
        ConfigurationError: It is not installed, or the system lacks a library that it loads.
    """
    try:
        import open3d as library
    except ImportError as error:
        if error.name is not None and error.name.split(".")[0] == "open3d":
            raise ConfigurationError('meshes need open3d: pip install "embodied-memory[mapping]"') from error
        raise ConfigurationError(_missing(error)) from error
    except OSError as error:
        raise ConfigurationError(_missing(error)) from error
    return library


def _missing(error: Exception) -> str:
    name = str(error).split(":")[0]
    return (
        f"open3d is installed, but this system lacks {name}; on Debian: "
        f"apt install libgl1 libegl1 libx11-6 libusb-1.0-0 libudev1 libidn2-0"
    )
