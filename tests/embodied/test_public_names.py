"""What ``import embodied`` gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

import embodied
from embodied.messages import (
    Answer,
    ChangesReply,
    HistoryReply,
    MemoryStatus,
    ObjectsReply,
    RoomsReply,
    SessionsReply,
)


def test_the_package_imported_is_the_one_beside_these_tests() -> None:
    # PyPI's distribution called embodied is another project with a package of the same name.
    assert Path(embodied.__file__ or "").resolve() == Path(__file__).resolve().parents[2] / "embodied" / "__init__.py"


def test_public_names_are_sorted_and_exist() -> None:
    assert embodied.__all__ == sorted(set(embodied.__all__))
    for name in embodied.__all__:
        assert hasattr(embodied, name), name


def test_every_record_the_memory_answers_with_is_a_public_name() -> None:
    answers = (Answer, ObjectsReply, HistoryReply, RoomsReply, SessionsReply, ChangesReply, MemoryStatus)
    _, records = msgspec.json.schema_components(answers)
    unpacked = {"ObjectsReply", "HistoryReply", "RoomsReply", "SessionsReply", "ChangesReply"}
    assert set(records) - unpacked <= set(embodied.__all__)


def test_importing_it_loads_no_library_for_logs_or_rays() -> None:
    program = "import embodied, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    heavy = {"mcap", "google", "PIL", "simplejpeg", "scipy", "embreex", "trimesh", "tyro"}
    assert not set(result.stdout.split()) & heavy
