"""Who may import whom, what may be called what, and how long a file and a function may grow."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
import sys
from pathlib import Path
from typing import Dict, Iterator, Set, Tuple

import pytest

import embodied
from source_tree import FOLDERS, PACKAGES, ROOT, dotted, files_of, imports_of, shown, tree_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAY_IMPORT: Dict[str, Set[str]] = {
    "embodied": set(),
    "sim": {"embodied"},
    "memory_bank": {"embodied"},
    "policies": {"embodied", "memory_bank"},
}
FORBIDDEN_PARTS = ("memory_bank.server", "memory_bank.file_client")
"""What policies may not import of memory_bank: its processes. They speak to it by messages."""
OWNERS = {
    "zmq": "embodied",
    "mcap": "embodied",
    "mcap_protobuf": "embodied",
    "foxglove_schemas_protobuf": "embodied",
    "embreex": "sim",
    "trimesh": "sim",
    "habitat_sim": "sim",
    "mujoco": "sim",
    "gymnasium": "sim",
    "mikasa_robo_suite": "sim",
    "sqlite3": "memory_bank",
    "psycopg": "memory_bank",
    "faiss": "memory_bank",
    "open3d": "memory_bank",
    "onnxruntime": "memory_bank",
    "torch": "policies",
    "pytorch3d": "policies",
    "safetensors": "policies",
}
ALSO_ALLOWED = {
    ("memory_bank/geometry/kernels.py", "torch"),
    ("memory_bank/geometry/kernels.py", "pytorch3d"),
    ("policies/vla/onnx_backend.py", "onnxruntime"),
}
"""The kernels have a second backend, the operations of pytorch3d, and policies have one without torch; each is loaded
only when it is asked for."""
DISTRIBUTIONS = {
    "zmq": "pyzmq", "PIL": "pillow", "google": "protobuf", "mcap_protobuf": "mcap-protobuf-support",
    "foxglove_schemas_protobuf": "foxglove-schemas-protobuf",
}  # fmt: skip
"""Where the name that is imported is not that of the distribution."""
OPTIONAL = {"gymnasium", "habitat_sim", "mikasa_robo_suite", "pytorch3d", "torch", "typing_extensions"}
"""Imported only where somebody installed it, or for type checkers alone."""
FOREIGN_SUBMODULES = {"core", "run", "envs", "agents", "jax", "perf", "replay"}
"""Of the other project that PyPI calls ``embodied``: a mix-up of the two must fail at once."""
FIXED_SCRIPTS = {"train", "benchmark"}
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
LONG_FILES: dict[str, int] = {}
"""A ratchet: what is longer for a reason, and how long. It may shrink, and is taken out when it fits."""


def _distribution(top: str) -> str:
    return DISTRIBUTIONS.get(top, top).lower().replace("_", "-")


def test_each_package_imports_only_what_its_place_allows() -> None:
    wrong = []
    for package in PACKAGES:
        for path in files_of(package):
            for name, line in imports_of(tree_of(path)):
                top = name.split(".")[0]
                if top in FOLDERS and top != package and top not in MAY_IMPORT[package]:
                    wrong.append(f"{shown(path)}:{line} imports {name}")
                if package == "policies" and name.startswith(FORBIDDEN_PARTS):
                    wrong.append(f"{shown(path)}:{line} imports {name}, a process")
    assert wrong == []


def test_heavy_libraries_stay_with_the_package_that_owns_them() -> None:
    wrong = [
        f"{shown(path)}:{line} imports {name}, which belongs to {OWNERS[name.split('.')[0]]}"
        for path in files_of(*PACKAGES, "launch")
        for name, line in imports_of(tree_of(path))
        if OWNERS.get(name.split(".")[0], shown(path).split("/")[0]) != shown(path).split("/")[0]
        and (shown(path), name.split(".")[0]) not in ALSO_ALLOWED
    ]
    assert wrong == []


def test_every_library_that_is_imported_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    declared = {re.split(r"[^A-Za-z0-9_-]", line)[0].lower() for line in lines}
    wrong = []
    for path in files_of(*PACKAGES, "launch"):
        for name, line in imports_of(tree_of(path)):
            top = name.split(".")[0]
            ours = top in FOLDERS or top in sys.stdlib_module_names or (ROOT / "launch" / f"{top}.py").exists()
            if not ours and top not in OPTIONAL and _distribution(top) not in declared:
                wrong.append(f"{shown(path)}:{line} imports {name}")
    assert wrong == []


def test_every_declared_dependency_of_a_run_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[^A-Za-z0-9_-]", line)[0].lower() for line in project["dependencies"]}
    tops = {name.split(".")[0] for path in files_of(*PACKAGES, "launch") for name, _ in imports_of(tree_of(path))}
    assert declared - {_distribution(top) for top in tops} == set()


def test_launch_and_tests_are_not_packages() -> None:
    assert [shown(path) for path in files_of("launch", "tests") if path.name == "__init__.py"] == []


def test_launch_scripts_are_named_verb_object_and_shadow_no_module() -> None:
    for path in files_of("launch"):
        name = path.stem
        assert name in FIXED_SCRIPTS or re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", name), shown(path)
        found = importlib.util.find_spec(name)
        assert found is None or Path(str(found.origin)).parent == path.parent, f"{name} shadows {found}"


def test_no_module_is_named_as_one_of_the_standard_library() -> None:
    paths = files_of(*FOLDERS)
    names = {shown(path): path.stem for path in paths if path.name not in ("__init__.py", "__main__.py")}
    names.update({shown(path.parent): path.parent.name for path in paths if path.name == "__init__.py"})
    assert [path for path, name in names.items() if name in sys.stdlib_module_names] == []


def test_embodied_has_no_submodule_of_its_namesake_on_pypi() -> None:
    assert {path.stem for path in (ROOT / "embodied").iterdir()} & FOREIGN_SUBMODULES == set()


def test_the_embodied_under_test_is_ours() -> None:
    assert Path(str(embodied.__file__)).resolve().parents[1] == ROOT
    providers = importlib.metadata.packages_distributions().get("embodied", [])
    assert set(providers) <= {"embodied-memory"}


def test_files_stay_short() -> None:
    lengths = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files_of(*FOLDERS)}
    too_long = {path: n for path, n in lengths.items() if n > LONG_FILES.get(path, MAX_FILE_LINES)}
    assert too_long == {}
    assert [path for path in LONG_FILES if lengths.get(path, 0) <= MAX_FILE_LINES] == [], "take these out of LONG_FILES"


def test_functions_stay_short() -> None:
    too_long = {}
    for path in files_of(*FOLDERS):
        for name, length in _function_lengths(tree_of(path)):
            if length > MAX_FUNCTION_LINES:
                too_long[f"{shown(path)}: {name}"] = length
    assert too_long == {}


def _function_lengths(tree: ast.AST) -> Iterator[Tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_protocols_can_be_checked_at_run_time() -> None:
    wrong = []
    for path in files_of(*PACKAGES):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef) and any(dotted(base).endswith("Protocol") for base in node.bases):
                if not any(dotted(decorator).endswith("runtime_checkable") for decorator in node.decorator_list):
                    wrong.append(f"{shown(path)}:{node.lineno} {node.name}")
    assert wrong == [], "the checker of shapes cannot check an argument of such a protocol"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_begins_by_saying_what_it_is(package: str) -> None:
    assert [shown(path) for path in files_of(package) if not ast.get_docstring(tree_of(path))] == []
