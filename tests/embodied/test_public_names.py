"""What ``import embodied`` gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

import embodied


def test_the_package_imported_is_the_one_beside_these_tests() -> None:
    # PyPI's distribution called embodied is another project with a package of the same name.
    assert Path(embodied.__file__ or "").resolve() == Path(__file__).resolve().parents[2] / "embodied" / "__init__.py"


def test_public_names_are_sorted_and_exist() -> None:
    assert embodied.__all__ == sorted(set(embodied.__all__))
    for name in embodied.__all__:
        assert hasattr(embodied, name), name


def test_every_record_the_memory_answers_with_is_a_public_name() -> None:
    records = {embodied.Answer}
    while True:
        found = {
            value
            for record in records
            for field in msgspec.structs.fields(record)
            for value in vars(embodied.messages).values()
            if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__name__ in str(field.type)
            and f".{value.__name__}" in str(field.type).replace("'", "")
        }
        if found <= records:
            break
        records |= found
    assert {record.__name__ for record in records} <= set(embodied.__all__)


def test_importing_it_loads_no_library_for_logs_or_rays() -> None:
    program = "import embodied, sys; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert not set(result.stdout.split()) & {"mcap", "google", "PIL", "simplejpeg", "scipy", "embreex", "trimesh", "tyro"}
