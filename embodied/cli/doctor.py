"""``embodied doctor``: what is installed, what is missing, and what it would be for. Nothing optional makes it fail."""

from __future__ import annotations

import argparse
import ctypes
import importlib
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any, List, Sequence, Tuple

import embodied
from embodied.cli.output import say, table
from embodied.client import ENTRY_POINT_GROUP
from embodied.plugins import installed_plugins

DISTRIBUTION = "embodied-memory"
OTHER_DISTRIBUTION = "embodied"
"""Another project on PyPI, whose package has the same name as ours."""
MIN_PYTHON = (3, 9)
MIN_PYTHON_OF_MEMORY = (3, 10)
LOW_DISK_GB = 2.0


@dataclass(frozen=True)
class Library:
    """A library that the stack can use."""

    module: str
    distributions: Tuple[str, ...]
    """Names under which it may be installed, the usual one first."""
    purpose: str
    system_libraries: Tuple[str, ...] = ()
    """Shared libraries of the system that it needs and does not bring."""


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    state: str
    """ok, missing, broken or warning."""
    name: str
    detail: str
    fatal: bool = False


BASE = (
    Library("numpy", ("numpy",), "arrays"),
    Library("msgspec", ("msgspec",), "messages and settings"),
    Library("jaxtyping", ("jaxtyping",), "names of array shapes"),
    Library("zmq", ("pyzmq",), "wires between processes"),
    Library("mcap", ("mcap",), "logs"),
    Library("mcap_protobuf", ("mcap-protobuf-support",), "logs"),
    Library("foxglove_schemas_protobuf", ("foxglove-schemas-protobuf",), "logs that Foxglove opens"),
    Library("google.protobuf", ("protobuf",), "logs that Foxglove opens"),
    Library("PIL", ("pillow",), "depth and masks in logs"),
    Library("simplejpeg", ("simplejpeg",), "pictures"),
)
OPTIONAL = (
    Library("scipy", ("scipy",), "memory and navigation"),
    Library("tyro", ("tyro",), "the scripts in launch/"),
    Library("embreex", ("embreex",), "the house simulator's rays"),
    Library("trimesh", ("trimesh",), "the house simulator's meshes"),
    Library("onnxruntime", ("onnxruntime", "onnxruntime-gpu"), "a detector of your own as an ONNX file (extra onnx)"),
    Library("tokenizers", ("tokenizers",), "words by meaning (extra features)"),
    Library("numba", ("numba",), "finding faster among many pictures (extra search)"),
    Library("psycopg", ("psycopg",), "memories in PostgreSQL (extra fleet)"),
    Library("mcp", ("mcp",), "tools for an assistant (extra mcp)"),
    Library("torch", ("torch",), "pictures by meaning (extra vision), learned policies and training"),
    Library("pytorch3d", ("pytorch3d", "easypytorch3d"), "geometry of learned policies"),
    Library(
        "open3d",
        ("open3d", "open3d-cpu"),
        "meshes fused from depth (extra mapping)",
        ("libusb-1.0.so.0", "libEGL.so.1", "libGL.so.1", "libX11.so.6", "libudev.so.1", "libidn2.so.0"),
    ),
    Library("habitat_sim", ("habitat-sim",), "the Habitat simulator; it may live in an interpreter of its own"),
)


def add_commands(commands: Any) -> None:
    """Add the parser of this command."""
    summary = "Say what is installed and what is missing."
    commands.add_parser("doctor", help=summary, description=summary).set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the report; return 1 if the base does not work."""
    findings = [check_python(), *check_package(), check_disk(Path.cwd()), check_backend()]
    findings += [check_base(library) for library in BASE]
    findings += [check_optional(library) for library in OPTIONAL]
    say(table(("state", "what", "detail"), [(f.state, f.name, f.detail) for f in findings]))
    broken = [finding.name for finding in findings if finding.fatal]
    say(["", f"the base does not work: {', '.join(broken)}" if broken else "the base works"])
    return 1 if broken else 0


def check_python() -> Finding:
    """Check the interpreter's version."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < MIN_PYTHON:
        return Finding("broken", "Python", f"{version}: 3.9 is the oldest that works", fatal=True)
    if sys.version_info[:2] < MIN_PYTHON_OF_MEMORY:
        return Finding("warning", "Python", f"{version}: enough for robots and simulators; memory_bank needs 3.10")
    return Finding("ok", "Python", f"{version} at {sys.executable}")


def check_package() -> List[Finding]:
    """Check that the ``embodied`` that Python imports is this project's, and not PyPI's project of that name."""
    ours = Path(__file__).resolve().parents[1]
    origin = Path(embodied.__file__ or "").resolve().parent
    if origin != ours or not hasattr(embodied, "Memory"):
        detail = f"imported from {origin}, which is not ours: uninstall the distribution {OTHER_DISTRIBUTION!r}"
        return [Finding("broken", "embodied", detail, fatal=True)]
    findings = [Finding("ok", "embodied", f"{embodied.__version__} at {origin} ({_installation()})")]
    if _version((OTHER_DISTRIBUTION,)):
        detail = f"PyPI's distribution {OTHER_DISTRIBUTION!r}, another project, may shadow this one: uninstall it"
        findings.append(Finding("warning", "embodied", detail))
    return findings


def check_disk(directory: Path) -> Finding:
    """Check the room for logs and memories."""
    free_gb = shutil.disk_usage(directory).free / 1e9
    state = "ok" if free_gb >= LOW_DISK_GB else "warning"
    return Finding(state, "disk", f"{free_gb:.1f} GB free at {directory}")


def check_backend() -> Finding:
    """Check that something installed opens memory files."""
    values = [entry_point.value for entry_point in installed_plugins(ENTRY_POINT_GROUP) if entry_point.name == "file"]
    if values:
        return Finding("ok", "memory files", f"opened by {values[0]}")
    return Finding("missing", "memory files", f"nothing opens them: the distribution {DISTRIBUTION} is not installed")


def check_base(library: Library) -> Finding:
    """Check a library without which nothing works, by importing it."""
    version = _version(library.distributions)
    try:
        importlib.import_module(library.module)
    except ImportError as error:
        state = "broken" if version else "missing"
        return Finding(state, library.distributions[0], f"for {library.purpose}: {error}", fatal=True)
    return Finding("ok", library.distributions[0], f"{version}, for {library.purpose}")


def check_optional(library: Library) -> Finding:
    """Check a library that something can do without. It is not imported, which could take seconds."""
    if util.find_spec(library.module) is None:
        return Finding("missing", library.distributions[0], f"optional, for {library.purpose}")
    lacking = [name for name in library.system_libraries if not _loads(name)]
    detail = f"{_version(library.distributions) or 'version unknown'}, for {library.purpose}"
    if lacking:
        return Finding("broken", library.distributions[0], f"{detail}; the system lacks {', '.join(lacking)}")
    return Finding("ok", library.distributions[0], detail)


def _version(distributions: Sequence[str]) -> str:
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def _installation() -> str:
    version = _version((DISTRIBUTION,))
    return f"{DISTRIBUTION} {version} installed" if version else "a source tree that is not installed"


def _loads(shared_library: str) -> bool:
    try:
        ctypes.CDLL(shared_library)
    except OSError:
        return False
    return True
