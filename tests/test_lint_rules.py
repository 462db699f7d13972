"""What the project never does: code from data, pickles, pictures as text, sleeping tests. Each rule is tried."""

from __future__ import annotations

import ast
from typing import Iterator, List

import pytest

from source_tree import FOLDERS, dotted, files_of, imports_of, shown, tree_of

FORBIDDEN_MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {"eval", "exec", "yaml.load", "yaml.unsafe_load", "torch.load", "os.system"}
BASE64_HOME = "embodied/report/"
"""The one page that holds its own pictures; no wire and no store carries them so."""


LONGEST_NAP_S = 0.05


def broken_rules(tree: ast.AST, path: str) -> List[str]:
    """Return what a file does that it must not, one line each."""
    found = []
    for name, line in imports_of(tree):
        top = name.split(".")[0]
        if top in FORBIDDEN_MODULES:
            found.append(f"{path}:{line} imports {top}: it runs what a file tells it to")
        if top == "base64" and not path.startswith(BASE64_HOME):
            found.append(f"{path}:{line} imports base64: send and store bytes")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += [f"{path}:{node.lineno} {words}" for words in _broken_by_call(node, path)]
    found += _naps(tree, path)
    return found


def _broken_by_call(call: ast.Call, path: str) -> Iterator[str]:
    name = dotted(call.func)
    # Only tensors are read with weights_only; whoever uses it also checks that the file is the one it should be.
    harmless = name == "torch.load" and any(w.arg == "weights_only" and _is_true(w.value) for w in call.keywords)
    if name in FORBIDDEN_CALLS and not harmless:
        yield f"calls {name}"
    if any(word.arg == "allow_pickle" and not _is_false(word.value) for word in call.keywords):
        yield "allows pickles"
    if any(word.arg == "shell" and not _is_false(word.value) for word in call.keywords):
        yield "runs a shell"


def _naps(tree: ast.AST, path: str) -> Iterator[str]:
    """Find sleeping tests. Polling is no sleep: a short nap inside a loop that ends when the thing has come."""
    if not path.rpartition("/")[2].startswith("test_"):
        return
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.While)]
    polling = {id(node) for loop in loops for node in ast.walk(loop)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("time.sleep", "sleep"):
            length = node.args[0] if node.args else None
            is_short = isinstance(length, ast.Constant) and length.value <= LONGEST_NAP_S
            if not (is_short and id(node) in polling):
                yield f"{path}:{node.lineno} sleeps: wait for an event with a deadline, or move a ManualClock"


def _is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def test_the_tree_breaks_no_rule() -> None:
    assert [line for path in files_of(*FOLDERS) for line in broken_rules(tree_of(path), shown(path))] == []


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("import pickle", "sim/a.py"),
        ("def f():\n    from joblib import dump", "sim/a.py"),
        ("eval('1')", "sim/a.py"),
        ("import yaml\nyaml.load(x)", "sim/a.py"),
        ("import numpy as np\nnp.load(x, allow_pickle=True)", "sim/a.py"),
        ("import torch\ntorch.load(x)", "policies/a.py"),
        ("import torch\ntorch.load(x, weights_only=False)", "policies/a.py"),
        ("import base64", "embodied/codec.py"),
        ("from base64 import b64encode", "memory_bank/a.py"),
        ("import subprocess\nsubprocess.run(x, shell=True)", "launch/a_b.py"),
        ("import time\ntime.sleep(0.01)", "tests/test_a.py"),
        ("import time\nwhile not done():\n    time.sleep(1)", "tests/sim/test_a.py"),
    ],
)
def test_a_breach_is_found(code: str, path: str) -> None:
    assert len(broken_rules(ast.parse(code), path)) == 1


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("import base64", "embodied/report/markup.py"),
        ("import numpy as np\nnp.load(x, allow_pickle=False)", "sim/a.py"),
        ("import time\ntime.sleep(1)", "embodied/process.py"),
        ("import time\nwhile not done():\n    time.sleep(0.01)", "tests/sim/test_a.py"),
        ("model.eval()", "policies/a.py"),
        ("import torch\ntorch.load(x, weights_only=True)", "policies/a.py"),
    ],
)
def test_what_is_allowed_passes(code: str, path: str) -> None:
    assert broken_rules(ast.parse(code), path) == []
