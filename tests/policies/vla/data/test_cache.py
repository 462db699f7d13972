from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any, Callable, List, Optional, Sequence

import numpy as np
import pytest

from demonstrations import (
    INSTRUCTION,
    SIZE_PX,
    action,
    change,
    demonstration,
    few_words,
    position,
    shade,
    write_demonstrations,
)
from embodied.errors import ConfigurationError, LogError
from embodied.messages import StreamMessage
from policies.vla.data import cache as cache_module
from policies.vla.data.cache import EpisodeCache, open_cache
from policies.vla.normaliser import Bounds


def opened(folder: Path, *data: Path, **options: Any) -> EpisodeCache:
    return open_cache([*data], folder, encode=few_words, **options)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return write_demonstrations(tmp_path / "logs", demonstration(0, 6), demonstration(1, 4, instruction="wait"))


def test_each_frame_has_the_action_that_followed_and_the_last_one_is_left_out(tmp_path: Path, logs: Path) -> None:
    cache = opened(tmp_path / "cache", logs)
    assert (cache.n_episodes, cache.n_frames, cache.lengths.tolist()) == (2, 8, [5, 3])
    for index, n_frames, instruction in ((0, 5, INSTRUCTION), (1, 3, "wait")):
        episode = cache.episode(index)
        assert episode.instruction == instruction
        np.testing.assert_array_equal(episode.words, few_words([instruction])[0])
        np.testing.assert_array_equal(episode.actions, [action(seq + 1) for seq in range(n_frames)])
        np.testing.assert_array_equal(episode.proprioception, [position(index, seq) for seq in range(n_frames)])
        (images,) = episode.images
        assert images.shape == (n_frames, SIZE_PX, SIZE_PX, 3)
        np.testing.assert_array_equal(images[:, 0, 0, 0], [shade(index, seq) for seq in range(n_frames)])


def test_what_a_disturbed_demonstrator_meant_to_do_is_what_is_learned(tmp_path: Path) -> None:
    logs = write_demonstrations(tmp_path / "logs", demonstration(intended=lambda seq: -action(seq)))
    np.testing.assert_array_equal(
        opened(tmp_path / "cache", logs).episode(0).actions, [-action(seq + 1) for seq in range(5)]
    )


def test_a_log_that_was_cut_off_gives_what_came_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logs = write_demonstrations(tmp_path / "logs", demonstration(0, 6)[:-2])
    assert opened(tmp_path / "cache", logs).n_frames == 4
    assert "episode-0.mcap: its session was cut off" in caplog.text


def test_runs_folders_and_single_logs_are_read_alike(tmp_path: Path, logs: Path) -> None:
    folder = opened(tmp_path / "a", logs)
    run = opened(tmp_path / "b", logs.parent)
    single = opened(tmp_path / "c", logs / "episode-0.mcap", logs / "episode-1.mcap")
    assert folder.data_hash == run.data_hash == single.data_hash
    assert opened(tmp_path / "d", logs / "episode-1.mcap").data_hash != folder.data_hash


def test_it_says_how_much_there_is_and_what_brings_it_to_one(tmp_path: Path, logs: Path) -> None:
    cache = opened(tmp_path / "cache", logs)
    assert str(cache.statistics()) == "2 episodes, 8 frames, 0 s, 2 tasks"
    assert cache.statistics().tasks == {INSTRUCTION: 1, "wait": 1}
    assert cache.statistics().duration_s == pytest.approx(0.4)
    normaliser = cache.normaliser()
    assert normaliser.actions.high[3] == normaliser.actions.low[3] == 1.0
    np.testing.assert_allclose(normaliser.proprioception.high, [0.04, 0.1, 0.5], atol=1e-3)


def test_several_cameras_come_in_the_order_asked_for_or_found(tmp_path: Path) -> None:
    logs = write_demonstrations(tmp_path / "logs", demonstration(cameras=("front", "wrist")))
    assert opened(tmp_path / "a", logs).layout.cameras == ("front", "wrist")
    cache = opened(tmp_path / "b", logs, cameras=("wrist", "front"))
    assert [int(images[0, 0, 0, 0]) for images in cache.episode(0).images] == [shade(0, 0) + 1, shade(0, 0)]
    assert len(opened(tmp_path / "c", logs, cameras=("wrist",)).episode(0).images) == 1


def test_a_robot_without_proprioception_has_no_numbers(tmp_path: Path) -> None:
    messages: Sequence[StreamMessage] = demonstration(proprioception_names=())
    for seq in range(6):
        messages = change(messages, seq, proprioception=np.zeros(0, np.float32))
    cache = opened(tmp_path / "cache", write_demonstrations(tmp_path / "logs", messages))
    assert cache.episode(0).proprioception.shape == (5, 0)
    assert cache.normaliser().proprioception == Bounds()


# ------------------------------------------------------------------------------------- reuse


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> List[Path]:
    """Return the caches that were made, not only opened."""
    found: List[Path] = []
    make = cache_module._make

    def watched(folder: Path, *arguments: Any) -> None:
        found.append(folder)
        make(folder, *arguments)

    monkeypatch.setattr(cache_module, "_make", watched)
    return found


def test_it_is_made_once_for_the_same_files_and_anew_for_others(tmp_path: Path, logs: Path, made: List[Path]) -> None:
    first = opened(tmp_path / "cache", logs)
    assert opened(tmp_path / "cache", logs).data_hash == first.data_hash
    assert len(made) == 1
    os.utime(logs / "episode-0.mcap", ns=(0, 0))
    assert opened(tmp_path / "cache", logs).data_hash == first.data_hash
    assert len(made) == 2
    write_demonstrations(logs, demonstration(2))
    assert opened(tmp_path / "cache", logs).n_episodes == 3
    # What was opened before still reads what it was opened with.
    assert first.episode(1).images[0][2, 0, 0, 0] == shade(1, 2)
    opened(tmp_path / "cache", logs, cameras=("front",))
    assert len(made) == 4


def test_an_interrupted_one_is_begun_anew(tmp_path: Path, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cache_module._Building, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            opened(tmp_path / "cache", logs)
    assert not (tmp_path / "cache").exists()
    # As a process leaves it that had no time to clear up.
    (tmp_path / "cache.partial").mkdir()
    (tmp_path / "cache.partial" / "actions.npy").write_bytes(b"half")
    assert opened(tmp_path / "cache", logs).n_frames == 8
    assert not (tmp_path / "cache.partial").exists()


def test_a_second_process_does_not_make_it_beside_the_first(
    tmp_path: Path, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "WAIT_S", 0.0)
    with (tmp_path / "cache.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="another process has held"):
            opened(tmp_path / "cache", logs)
    assert opened(tmp_path / "cache", logs).n_frames == 8


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, logs: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds other things"):
        opened(logs, logs)
    assert len(list(logs.iterdir())) == 2


def test_a_damaged_one_says_so(tmp_path: Path, logs: Path) -> None:
    opened(tmp_path / "cache", logs)
    path = tmp_path / "cache" / "actions.npy"
    for contents in (path.read_bytes()[:-4], b""):
        path.write_bytes(contents)
        with pytest.raises(ConfigurationError, match="is damaged, delete it"):
            opened(tmp_path / "cache", logs)


# ------------------------------------------------------------------------------------- bad data


def broken(seq: int, **fields: Any) -> Callable[[], List[StreamMessage]]:
    return lambda: change(demonstration(1), seq, **fields)


NAN = np.array([0.0, np.nan, 0.0, 1.0], np.float32)
CASES = {
    "nan action": (broken(3, action=NAN), "action of observation 3: expected finite numbers"),
    "infinite intention": (
        broken(3, intended_action=NAN + np.float32(np.inf)),
        "action of observation 3: expected finite numbers",
    ),
    "nan state": (broken(2, proprioception=NAN[:3]), "proprioception of observation 2: expected finite numbers"),
    "no action": (broken(3, action=None), "observation 3: expected the action that led to it, got none"),
    "never commanded": (broken(1, action=None), "expected the action that led to each observation, got none"),
    "fewer actions": (broken(3, action=NAN[2:]), "action of observation 2: expected 4 numbers, got 2"),
    "a gap": (lambda: [each for each in demonstration(1) if getattr(each, "seq", 0) != 3], "expected observation 3"),
    "one frame": (lambda: demonstration(1, 1), "expected two observations or more, got fewer"),
    "no camera": (lambda: demonstration(1, cameras=()), "expected camera front, got no camera"),
    "other camera": (lambda: demonstration(1, cameras=("wrist",)), "expected camera front, got wrist"),
    "camera lost": (broken(3, cameras=()), "observation 3: expected camera front"),
    "other size": (lambda: demonstration(1, size_px=32), "height_px: expected 16 as in the first episode, got 32"),
    "other actions": (
        lambda: demonstration(1, action_names=("a", "b", "c", "d")),
        "action_names: expected tool_forward, tool_left, tool_up, gripper as in the first episode, got a, b, c, d",
    ),
    "too few names": (lambda: demonstration(1, action_names=("a",)), r"action: expected 1 numbers \(a\), got 4"),
    "other state": (lambda: demonstration(1, proprioception_names=("a", "b", "c")), "proprioception_names: expected"),
    "other period": (lambda: demonstration(1, control_period_s=0.1), "control_period_s: expected 0.05 as in the first"),
    "no period": (lambda: demonstration(1, control_period_s=0.0), "control_period_s: expected the log to tell it"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_log_that_does_not_fit_is_named_in_one_line_and_nothing_is_left(tmp_path: Path, case: str) -> None:
    make, text = CASES[case]
    logs = write_demonstrations(tmp_path / "logs", demonstration(0), make())
    with pytest.raises(LogError, match=text) as caught:
        opened(tmp_path / "cache", logs, cameras=("front",))
    assert "episode-1.mcap" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir() if "cache" in path.name] == ["cache.lock"]


def test_a_file_that_is_no_log_is_named(tmp_path: Path, logs: Path) -> None:
    (logs / "episode-2.mcap").write_bytes(b"no log at all")
    with pytest.raises(LogError, match=r"episode-2\.mcap"):
        opened(tmp_path / "cache", logs)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (None, "expected a run, a log or a LeRobot dataset, got none"),
        ("nowhere", "nowhere does not exist"),
        (".", "holds no demonstrations"),
    ],
)
def test_no_data_is_an_error(tmp_path: Path, data: Optional[str], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        opened(tmp_path / "cache", *([] if data is None else [tmp_path / data]))


def test_data_that_are_named_twice_are_refused(tmp_path: Path, logs: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected each log once, got twice: .*episode-0\.mcap"):
        opened(tmp_path / "cache", logs, logs / "episode-0.mcap")
