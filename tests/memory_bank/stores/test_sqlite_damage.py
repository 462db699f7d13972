"""Damaged memory files, and writers that died: nothing acknowledged is lost, and nothing damaged is read as whole."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from embodied.errors import StoreError
from memory_bank.objects.scene_graph import SceneGraph
from memory_bank.stores.lock import lock_path
from memory_bank.stores.protocol import Batch
from memory_bank.stores.sqlite_store import SqliteStore
from memory_world import make_batch, make_keyframe
from store_contract import OpenStore, sealed_batch
from store_files import edit, environment, read, read_all

# ------------------------------------------------------------------------------------------ damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """A file with everything in it, some of it removed again, and what it says."""
    path = tmp_path_factory.mktemp("whole") / "memory.db"
    rng = np.random.default_rng(2)
    store = SqliteStore(path)
    store.write(sealed_batch(rng))
    store.write(make_batch(2000, rng))
    store.write(Batch(removed_tracks={"o6001"}, removed_keyframes={9}, keyframe_blocks={0: rng.bytes(3000)}))
    store.close()
    return path, read_all(path)


@given(places=st.lists(st.floats(0.0, 1.0, exclude_max=True), min_size=1, max_size=4), bit=st.integers(0, 7))
@settings(max_examples=50)
def test_flipped_bytes_never_load_silently(
    whole: tuple[Path, dict[str, object]], places: list[float], bit: int
) -> None:
    path, expected = whole
    bad = bytearray(path.read_bytes())
    for place in places:
        bad[int(place * len(bad))] ^= 1 << bit
    assert refused_or_equal(path.with_name("flipped.db"), bytes(bad), expected) is not None


@given(share=st.floats(0.0, 1.0, exclude_max=True))
@example(share=0.0)
@settings(max_examples=25)
def test_a_cut_file_never_loads_silently(whole: tuple[Path, dict[str, object]], share: float) -> None:
    path, expected = whole
    good = path.read_bytes()
    assert refused_or_equal(path.with_name("cut.db"), good[: int(share * len(good))], expected) is not None


@given(page=st.floats(0.0, 1.0, exclude_max=True), other=st.floats(0.0, 1.0, exclude_max=True))
@settings(max_examples=40)
def test_a_page_in_the_wrong_place_never_loads_silently(
    whole: tuple[Path, dict[str, object]], page: float, other: float
) -> None:
    path, expected = whole
    good = path.read_bytes()
    size = int.from_bytes(good[16:18], "big")
    here, there = (int(place * len(good) / size) * size for place in (page, other))
    bad = bytearray(good)
    bad[here : here + size] = good[there : there + size]
    assert refused_or_equal(path.with_name("misplaced.db"), bytes(bad), expected) is not None


def refused_or_equal(path: Path, data: bytes, expected: dict[str, object]) -> str:
    """Return what became of a damaged file; free space and indices may be hit without harm."""
    path.write_bytes(data)
    try:
        found = read_all(path)
    except StoreError:
        return "refused"
    assert found == expected
    return "harmless"


def test_most_damage_matters(whole: tuple[Path, dict[str, object]], rng: np.random.Generator) -> None:
    path, expected = whole
    good = path.read_bytes()
    outcomes = []
    for place in rng.integers(0, len(good), 30):
        bad = bytearray(good)
        bad[place] ^= 1
        outcomes.append(refused_or_equal(path.with_name("flipped.db"), bytes(bad), expected))
    assert outcomes.count("refused") > 15


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM keyframes WHERE key = 1024", "table keyframes has 3 rows where 4 were written"),
        ("DELETE FROM tracks WHERE key = 'o6000'", "table tracks has 1 rows where 2 were written"),
        ("DELETE FROM keyframe_blocks", "table keyframes has 1027 rows where 4 were written"),
        ("UPDATE keyframe_blocks SET body = x'00'", "keyframe_blocks 0 does not match its checksum"),
        ("UPDATE keyframe_blocks SET key = 1024", "there is no whole block 0"),
        ("UPDATE tracks SET label = 'cup' WHERE key = 'o6000'", "tracks 'o6000' does not match its checksum"),
        ("UPDATE meta SET body = x'00' WHERE key = 'digest'", "meta 'digest' does not match"),
        ("DELETE FROM meta WHERE key = 'digest'", "rows where 0 were written"),
    ],
)
def test_rows_that_others_changed_are_noticed(
    whole: tuple[Path, dict[str, object]], path: Path, statement: str, message: str
) -> None:
    path.parent.mkdir()
    shutil.copy(whole[0], path)
    edit(path, statement)
    with pytest.raises(StoreError, match=message):
        read(path)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM keyframes WHERE key = 7", "keyframe 7 is missing"),
        ("UPDATE keyframes SET seq = 1 WHERE key = 7", "keyframes 7 does not match its checksum"),
        (
            "UPDATE keyframes SET (seq, body, checksum) = (SELECT seq, body, checksum FROM keyframes WHERE key = 8) "
            "WHERE key = 7",
            "keyframes 7 does not match its checksum",
        ),
    ],
)
def test_a_keyframe_in_a_block_is_checked_when_it_is_read(
    whole: tuple[Path, dict[str, object]], path: Path, statement: str, message: str
) -> None:
    path.parent.mkdir()
    shutil.copy(whole[0], path)
    edit(path, statement)
    store = SqliteStore(path, read_only=True)
    assert len(store.keyframes([6, 8])) == 2
    for attempt in (lambda: store.keyframes([7]), store.check):
        with pytest.raises(StoreError, match=message):
            attempt()
    store.close()


def test_an_earlier_version_of_a_keyframe_is_noticed(open_store: OpenStore, path: Path) -> None:
    rng = np.random.default_rng(3)
    store = open_store()
    store.write(sealed_batch(rng))
    edit(path, "CREATE TABLE old AS SELECT * FROM keyframes WHERE key = 7")
    store.write(Batch(keyframes=[make_keyframe(7, rng)], keyframe_blocks={0: b"anew"}))
    edit(path, "UPDATE keyframes SET (seq, body, checksum) = (SELECT seq, body, checksum FROM old) WHERE key = 7")
    with pytest.raises(StoreError, match="keyframes 7 does not match its checksum"):
        store.keyframes([7])


def test_a_damaged_log_of_a_killed_writer_is_noticed(
    open_store: OpenStore, path: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    store = open_store()
    for number in range(4):
        store.write(make_batch(number, rng))
    # What a kill leaves behind, with the log cut in its middle.
    copy = tmp_path / "copy" / "memory.db"
    copy.parent.mkdir()
    for suffix in ("", "-wal", ".lock"):
        shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    wal = Path(f"{copy}-wal")
    wal.write_bytes(wal.read_bytes()[: wal.stat().st_size // 2])
    with pytest.raises(StoreError, match="commit 4 was acknowledged"):
        read(copy)
    lock_path(copy).unlink()
    assert 0 < len(read(copy).tracks) < 12


# ------------------------------------------------------------------------------------------ crashes

WRITER = """
import sys
import numpy as np
from pathlib import Path
from memory_world import make_batch
from memory_bank.stores.sqlite_store import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
rng = np.random.default_rng(0)
number = int(store.load().meta.get("batch", b"-1")) + 1
while True:
    batch = make_batch(number, rng)
    # Every fifth batch also takes the second track of the one before it out.
    if number % 5 == 0:
        batch.remove_track(f"o{3 * number - 2}")
    # Blocks are sealed on the way.
    if number % 1024 == 1023:
        batch.keyframe_blocks[number - 1023] = rng.bytes(10_000)
    store.write(batch)
    print(number, flush=True)
    number += 1
"""


def run_until(path: Path, n_lines: int, delay_s: float = 0.0) -> int:
    """Let a writer acknowledge so many batches, kill it in one of the next, and return the last acknowledged."""
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=environment()
    )
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(n_lines)]
    if delay_s:
        try:
            child.wait(timeout=delay_s)
        except subprocess.TimeoutExpired:
            pass
    child.send_signal(signal.SIGKILL)
    lines += child.stdout.read().splitlines()
    child.stdout.close()
    child.wait(timeout=10)
    return int(lines[-1])


def check_survivor(path: Path, acknowledged: int) -> None:
    """Make sure that a file has all that was acknowledged, whole batches, and a sound graph."""
    store = SqliteStore(path, read_only=True)
    contents = store.load()
    last = int(contents.meta["batch"])
    assert last >= acknowledged
    removed = {3 * number - 2 for number in range(5, last + 1, 5)}
    assert [t.number for t in contents.tracks] == [n for n in range(3 * (last + 1)) if n not in removed]
    assert list(store.keyframe_indices()) == list(range(last + 1))
    assert sorted(contents.keyframe_blocks) == list(range(0, (last + 1) // 1024 * 1024, 1024))
    store.check()
    graph = SceneGraph()
    graph.restore(contents.tracks, 3 * (last + 1))
    graph.check()
    store.close()


def test_kill_loses_nothing_that_was_acknowledged(path: Path, rng: np.random.Generator) -> None:
    for _ in range(2):
        check_survivor(path, run_until(path, int(rng.integers(1, 15))))


@pytest.mark.slow
def test_kill_at_two_hundred_moments_loses_nothing(path: Path, rng: np.random.Generator) -> None:
    for _ in range(200):
        check_survivor(path, run_until(path, int(rng.integers(1, 12)), float(rng.uniform(0.0, 0.02))))


FULL = """
import resource, sys
import numpy as np
from pathlib import Path
from embodied.errors import StoreError
from memory_world import make_batch
from memory_bank.stores.sqlite_store import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
rng = np.random.default_rng(0)
for number in range(1000):
    if number == 5:
        # From here on no file grows beyond this: as on a disk that is full.
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    try:
        store.write(make_batch(number, rng))
    except StoreError as error:
        print(error, file=sys.stderr)
        break
    print(number, flush=True)
# There is room again.
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert len(store.load().tracks) == 3 * number
store.write(make_batch(number, rng))
store.close()
"""


def test_a_full_disk_is_an_error_and_loses_nothing(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(400_000)],
        capture_output=True, text=True, env=environment(), timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"memory {path}: disk I/O error" in done.stderr or "is full" in done.stderr
    last = int(done.stdout.split()[-1])
    assert last < 999
    assert len(read(path).tracks) == 3 * (last + 2)
