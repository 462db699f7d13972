"""What a person, and a program, reads on the terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, List, Tuple

import msgspec
import pytest

from embodied import plugins
from embodied.cli import doctor, main
from embodied.messages import (
    ChangesReply,
    GetHistory,
    Habit,
    Interaction,
    InteractionsReply,
    ListChanges,
    ListInteractions,
    ListObjects,
    ObjectsReply,
    Recall,
    RoomVisit,
    ViewHit,
)
from embodied.security import NEW_KEYS_COMMAND, load_public_key
from memories import ANSWER, DAY_1_NS, SECOND, UNKNOWN, FakeBackend, FakeEntryPoint
from memories import ROOMS as ROOM_RECORDS
from recordings import N_OBSERVATIONS, make_session, write_session

Run = Callable[..., Tuple[int, str, str]]

RECALL = """\
The red mug is on the table in the kitchen.
confidence 0.92

id   what     where (room; x, y, z in m)  state    confidence  last seen (UTC)
o12  red mug  kitchen; 1.20, -0.50, 0.80  present  0.92        2026-01-05 09:03:12 (day-1)
o3   couch    1.20, -0.50, 0.80           moved    0.92        2026-01-06 09:00:00 (day-2)

evidence:
  o12 seen 2026-01-05 09:03:12 (day-1) from 0.50, 1.00, 1.25, keyframe 37, picture of 2.0 kB
warning: session day-2 was cut off
"""
OBJECTS = "\n".join(RECALL.splitlines()[3:6]) + "\n"
HISTORY = """\
from (UTC)           to (UTC)             state    where (room; x, y, z in m)     session  because
2026-01-05 09:00:00  2026-01-06 09:00:00  present  living room; 4.00, 2.00, 0.40  day-1    seen first
2026-01-06 09:00:00  now                  present  kitchen; 1.20, -0.50, 0.80     day-2    seen elsewhere
"""
ROOMS = """\
id  name     area (m²)  centre (m)        objects  doors to
r1  kitchen  12.3       1.00, 1.00, 0.00  17       hall
r2  hall     6.0        5.00, 1.00, 0.00  0        -
"""
SESSIONS = """\
session  robot   world frame  start (UTC)          end (UTC)            observations  path (m)
day-1    tester  map          2026-01-05 09:00:00  2026-01-05 09:10:00  412           31.4
day-2    tester  map          2026-01-06 09:00:00  open or cut off      412           31.4
"""
CHANGES = """\
what   id  change   from (room; x, y, z in m)      to                 after (UTC)                  noticed (UTC)
couch  o3  moved    living room; 4.00, 2.00, 0.40  1.20, -0.50, 0.80  2026-01-05 09:00:30 (day-1)  2026-01-06 09:00:00 (day-2)
lamp   o7  removed  living room; 4.00, 2.00, 0.40  -                  2026-01-05 09:00:30 (day-1)  2026-01-06 09:00:00 (day-2)
"""  # noqa: E501

DONE = (
    Interaction(
        object_id="o3", label="couch", session="day-1", picked_ns=DAY_1_NS + 10 * SECOND,
        picked_from_m=(4.0, 2.0, 0.4), picked_room="living room", picked_from="table",
        placed_ns=DAY_1_NS + 40 * SECOND, placed_m=(1.2, -0.5, 0.8), placed_room="kitchen",
    ),
    Interaction(
        object_id="o5", label="mug", session="day-1", picked_ns=DAY_1_NS + 50 * SECOND, picked_from_m=(1.0, 1.0, 0.8),
        is_held=True,
    ),
)  # fmt: skip
VISIT = RoomVisit(
    room_id="r1", room="kitchen", session="day-1", entered_ns=DAY_1_NS, left_ns=DAY_1_NS + 40 * SECOND, keyframe=3
)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> Tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeBackend:
    """Stand behind ``runs/a/memory.db`` of a fresh working directory."""
    backend = FakeBackend()
    monkeypatch.setattr(plugins, "installed_plugins", lambda group: [FakeEntryPoint(backend)])
    monkeypatch.delenv("EMBODIED_MEMORY", raising=False)
    monkeypatch.chdir(tmp_path)
    for age, name in enumerate(("a", "b")):
        path = tmp_path / "runs" / name / "memory.db"
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (1000 - age, 1000 - age))
    return backend


class TestAsking:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (("recall", "where is the red mug?"), RECALL),
            (("recall", "where", "is", "the", "red", "mug?"), RECALL),
            (("objects",), OBJECTS),
            (("history", "o3"), HISTORY),
            (("rooms",), ROOMS),
            (("sessions",), SESSIONS),
            (("changes",), CHANGES),
        ],
    )
    def test_answers_are_aligned_tables(
        self, run: Run, backend: FakeBackend, arguments: Tuple[str, ...], expected: str
    ) -> None:
        assert run(*arguments, "--memory", "runs/a/memory.db") == (0, expected, "")

    def test_a_history_of_nothing_named_is_what_the_robot_did(self, run: Run, backend: FakeBackend) -> None:
        backend.responses[ListInteractions] = InteractionsReply(interactions=DONE, visits=(VISIT,))
        code, out, _ = run("history")
        assert code == 0
        couch, mug, _, _, visit = [" ".join(line.split()) for line in out.splitlines()[1:]]
        assert couch == (
            "o3 couch 2026-01-05 09:00:10 table, living room; 4.00, 2.00, 0.40 "
            "2026-01-05 09:00:40 -, kitchen; 1.20, -0.50, 0.80"
        )
        assert mug == "o5 mug 2026-01-05 09:00:50 -, 1.00, 1.00, 0.80 holds it now -, -"
        assert visit == "kitchen 2026-01-05 09:00:00 2026-01-05 09:00:40 day-1"
        data = json.loads(run("history", "--json")[1])
        assert [each["object_id"] for each in data["interactions"]] == ["o3", "o5"]
        backend.responses[ListInteractions] = InteractionsReply(interactions=())
        assert run("history")[1] == "the robot was nowhere yet\n"

    def test_the_words_of_a_question_are_one_question(self, run: Run, backend: FakeBackend) -> None:
        run("recall", "where", "is it?", "--memory", "runs/a/memory.db")
        assert backend.requests[0] == Recall(question="where is it?")

    def test_unknown_is_said_plainly(self, run: Run, backend: FakeBackend) -> None:
        backend.responses[Recall] = UNKNOWN
        code, out, _ = run("recall", "where is the purple elephant?")
        assert (code, out) == (0, "unknown: I have never seen a purple elephant.\nconfidence 0.97\n")

    def test_an_empty_list_is_said_in_words(self, run: Run, backend: FakeBackend) -> None:
        backend.responses[ListObjects] = ObjectsReply(objects=())
        backend.responses[ListChanges] = ChangesReply(changes=())
        assert run("objects")[1] == "the memory holds no objects\n"
        assert run("changes")[1] == "nothing is known to have changed\n"

    def test_json_is_the_answer_with_sizes_instead_of_pictures(self, run: Run, backend: FakeBackend) -> None:
        answer = json.loads(run("recall", "where?", "--json")[1])
        assert answer["text"] == ANSWER.text
        assert answer["objects"][0]["position_m"] == [1.2, -0.5, 0.8]
        assert answer["evidence"][0]["crop_jpeg_bytes"] == 2000
        assert "crop_jpeg" not in answer["evidence"][0]

    @pytest.mark.parametrize(
        ("arguments", "key", "values"),
        [
            (("objects",), "id", ["o12", "o3"]),
            (("rooms",), "id", ["r1", "r2"]),
            (("sessions",), "session", ["day-1", "day-2"]),
            (("changes",), "kind", ["moved", "removed"]),
            (("history", "o3"), "cause", ["seen_first", "seen_elsewhere"]),
        ],
    )
    def test_lists_as_json_are_arrays_of_records(
        self, run: Run, backend: FakeBackend, arguments: Tuple[str, ...], key: str, values: List[str]
    ) -> None:
        assert [record[key] for record in json.loads(run(*arguments, "--json")[1])] == values

    def test_pictures_are_saved_as_files(self, run: Run, backend: FakeBackend, tmp_path: Path) -> None:
        _, _, err = run("recall", "where?", "--save-evidence", tmp_path / "crops")
        assert f"1 pictures written to {tmp_path}/crops" in err
        assert (tmp_path / "crops" / "o12_day-1_37.jpg").read_bytes() == ANSWER.evidence[0].crop_jpeg

    def test_a_time_of_knowing_becomes_part_of_the_question(self, run: Run, backend: FakeBackend) -> None:
        run("recall", "where is the mug?", "--known-at", "yesterday")
        assert backend.requests[0] == Recall(question="where is the mug as you knew it at yesterday")

    def test_rooms_habits_and_views_are_tables(self, run: Run, backend: FakeBackend) -> None:
        habit = Habit(room="kitchen", on="table", position_m=(1.0, 2.0, 0.8), share=0.75, n_stays=3)
        view = ViewHit(
            keyframe=4, session="day-1", stamp_ns=DAY_1_NS, position_m=(1.0, 2.0, 1.2), room="kitchen", score=0.5,
            object_ids=("o1", "o2"),
        )  # fmt: skip
        backend.responses[Recall] = msgspec.structs.replace(
            ANSWER, objects=(), evidence=(), warnings=(), rooms=ROOM_RECORDS, habits=(habit,), views=(view,)
        )
        out = run("recall", "where?")[1]
        assert ROOMS in out
        rows = [line.split() for line in out.splitlines()]
        assert ["75%", "kitchen;", "1.00,", "2.00,", "0.80", "table", "3"] in rows
        assert "4 2026-01-05 09:00:00 day-1 kitchen; 1.00, 2.00, 1.20 0.50 o1, o2".split() in rows

    def test_a_history_can_be_asked_for_by_name(self, run: Run, backend: FakeBackend) -> None:
        backend.responses[Recall] = msgspec.structs.replace(ANSWER, objects=ANSWER.objects[:1], unknown=True)
        assert run("history", "red mug", "--memory", "runs/a/memory.db") == (0, HISTORY, "")
        assert backend.requests == [Recall(question="where is the red mug?"), GetHistory(object_id="o12")]

    def test_a_name_of_several_things_is_refused_with_their_ids(self, run: Run, backend: FakeBackend) -> None:
        code, _, err = run("history", "mug")
        assert code == 1
        assert "'mug' may be any of 2, name one by its id: o12 (red mug, kitchen; 1.20, -0.50, 0.80); o3" in err

    def test_a_model_without_a_name_is_refused(self, run: Run, backend: FakeBackend) -> None:
        code, _, err = run("recall", "my coffee thing", "--llm", "http://127.0.0.1:9/v1")
        assert code == 1
        assert "ConfigurationError: language model: name one" in err
        assert backend.requests == []

    def test_a_label_cannot_command_the_terminal(self, run: Run, backend: FakeBackend) -> None:
        backend.responses[Recall] = msgspec.structs.replace(ANSWER, text="a \x1b[31mred\x1b[0m\nmug")
        assert run("recall", "where?")[1].startswith("a \ufffd[31mred\ufffd[0m\ufffdmug\n")


class TestWhichMemory:
    def test_the_newest_run_is_meant_by_default_and_named(self, run: Run, backend: FakeBackend) -> None:
        assert run("rooms")[2] == "memory: runs/a/memory.db\n"

    def test_the_environment_names_another(
        self, run: Run, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EMBODIED_MEMORY", "runs/b/memory.db")
        assert run("rooms")[2] == "memory: runs/b/memory.db (from EMBODIED_MEMORY)\n"

    def test_without_any_the_error_says_what_to_do(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("EMBODIED_MEMORY", raising=False)
        code, out, err = run("rooms")
        assert (code, out) == (1, "")
        assert err.startswith("embodied: ConfigurationError: no memory named: give --memory")


class TestErrors:
    def test_an_error_is_one_line_on_standard_error(self, run: Run) -> None:
        assert run("recall", "where?", "--memory", "/nowhere/memory.db") == (
            1,
            "",
            "embodied: StoreError: no memory file at /nowhere/memory.db\n",
        )

    @pytest.mark.parametrize("arguments", [(), ("recall",), ("log",), ("dance",)])
    def test_wrong_usage_exits_with_two(self, arguments: Tuple[str, ...]) -> None:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2

    def test_a_reader_that_has_seen_enough_is_no_error(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as closed_pipe:
            command = [sys.executable, "-m", "embodied", "doctor"]
            result = subprocess.run(command, stdout=closed_pipe, stderr=subprocess.PIPE, timeout=30, check=False)
        assert (result.returncode, result.stderr) == (0, b"")


class TestLogs:
    def test_info_tells_what_a_log_holds(self, run: Run, tmp_path: Path) -> None:
        code, out, _ = run("log", "info", write_session(tmp_path / "a.mcap"))
        assert code == 0
        assert "MB, complete\n" in out
        assert (
            f"session day-1 of robot tester: {N_OBSERVATIONS} observations, 2.0 s from 2026-01-05 09:00:00 UTC" in out
        )
        assert "/camera/head/depth        foxglove.CompressedImage    6" in out
        assert json.loads(run("log", "info", tmp_path / "a.mcap", "--json")[1])["n_observations"] == N_OBSERVATIONS

    def test_info_tells_what_the_robot_was_told_and_what_its_numbers_are(self, run: Run, tmp_path: Path) -> None:
        start, *others = make_session()
        told = {"instruction": "push it", "action_names": ("dx", "gripper"), "control_period_s": 0.05}
        path = write_session(tmp_path / "a.mcap", [msgspec.structs.replace(start, **told), *others])
        out = run("log", "info", path)[1]
        assert "instruction: push it\nactions: dx, gripper\ncontrol period: 0.05 s\n" in out
        assert json.loads(run("log", "info", path, "--json")[1])["start"]["instruction"] == "push it"

    def test_recover_says_what_was_saved_and_where(self, run: Run, tmp_path: Path) -> None:
        path = write_session(tmp_path / "a.mcap")
        n_bytes = path.stat().st_size * 2 // 3
        os.truncate(path, n_bytes)
        code, out, _ = run("log", "recover", path)
        assert code == 0
        assert out == (
            f"{path}: cut off at {n_bytes} bytes\n"
            f"saved 4 observations (25 messages, 0.6 s) to {tmp_path}/a.recovered.mcap\n"
        )
        assert "complete, but its session was cut off" in run("log", "info", tmp_path / "a.recovered.mcap")[1]

    def test_export_writes_frames(self, run: Run, tmp_path: Path) -> None:
        path = write_session(tmp_path / "a.mcap")
        assert run("log", "export", path)[1] == f"{N_OBSERVATIONS} observations written to {tmp_path}/a\n"
        assert len(list((tmp_path / "a" / "head" / "frames").glob("*.color.jpg"))) == N_OBSERVATIONS

    @pytest.mark.parametrize("action", ["info", "recover", "export"])
    def test_a_missing_log_is_a_log_error(self, run: Run, action: str, tmp_path: Path) -> None:
        code, _, err = run("log", action, tmp_path / "none.mcap")
        assert code == 1
        assert err == f"embodied: LogError: cannot open the log {tmp_path}/none.mcap: No such file or directory\n"


class TestKeys:
    def test_keys_are_made_let_in_and_listed(self, run: Run, tmp_path: Path) -> None:
        keys = tmp_path / "keys"
        assert "robot.secret: keep it to yourself" in run("keys", "new", "robot", "--directory", keys)[1]
        assert (keys / "robot.secret").stat().st_mode & 0o077 == 0
        run("keys", "new", "laptop", "--directory", tmp_path / "theirs")
        run("keys", "allow", tmp_path / "theirs" / "laptop.pub", "--directory", keys)
        listed = [line.split("  ")[0] for line in run("keys", "list", "--directory", keys)[1].splitlines()]
        assert listed == ["name", "robot", "laptop"]

    def test_the_command_that_a_refusal_names_works_as_it_stands(self, run: Run, tmp_path: Path) -> None:
        command = NEW_KEYS_COMMAND.split()[1:]
        assert run(*command, "--directory", tmp_path)[0] == 0
        assert len(list(tmp_path.glob("*.secret"))) == 1

    def test_the_key_of_a_server_is_remembered(self, run: Run, tmp_path: Path) -> None:
        run("keys", "new", "robot", "--directory", tmp_path / "theirs")
        run("keys", "trust", tmp_path / "theirs" / "robot.pub", "--directory", tmp_path)
        assert load_public_key(tmp_path / "server.pub") == load_public_key(tmp_path / "theirs" / "robot.pub")

    def test_asking_with_keys_that_are_not_there_is_one_clear_line(self, run: Run, tmp_path: Path) -> None:
        code, _, err = run("rooms", "--memory", "tcp://192.0.2.1:5600", "--keys", tmp_path)
        assert code == 1
        assert err.startswith("embodied: ConfigurationError: ")
        assert "embodied keys new" in err

    def test_existing_keys_are_kept(self, run: Run, tmp_path: Path) -> None:
        run("keys", "new", "robot", "--directory", tmp_path)
        code, _, err = run("keys", "new", "robot", "--directory", tmp_path)
        assert code == 1
        assert err.startswith("embodied: ConfigurationError: ")

    def test_a_name_that_is_no_file_name_is_refused(self, run: Run, tmp_path: Path) -> None:
        code, _, err = run("keys", "new", "../robot", "--directory", tmp_path)
        assert code == 1
        assert err.startswith("embodied: ConfigurationError: name: expected")


class TestDoctor:
    def test_the_base_works_here(self, run: Run) -> None:
        code, out, _ = run("doctor")
        assert code == 0
        assert out.endswith("\nthe base works\n")
        assert "msgspec" in out

    def test_a_missing_base_library_fails_and_is_named(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        library = doctor.Library("no_such_module", ("no-such-distribution",), "testing")
        monkeypatch.setattr(doctor, "BASE", (library,))
        code, out, _ = run("doctor")
        assert code == 1
        assert out.endswith("the base does not work: no-such-distribution\n")

    def test_optional_libraries_never_fail(self) -> None:
        missing = doctor.check_optional(doctor.Library("no_such_module", ("no-such",), "testing"))
        lacking = doctor.check_optional(doctor.Library("msgspec", ("msgspec",), "testing", ("libno-such.so.7",)))
        assert (missing.state, missing.detail, missing.fatal) == ("missing", "optional, for testing", False)
        assert lacking.state == "broken"
        assert lacking.detail.endswith("the system lacks libno-such.so.7")
        assert not lacking.fatal

    def test_the_other_project_called_embodied_is_warned_of(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        package = tmp_path / "embodied-2.0.dist-info"
        package.mkdir()
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: embodied\nVersion: 2.0\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        assert [finding.state for finding in doctor.check_package()] == ["ok", "warning"]

    def test_another_package_in_our_place_is_fatal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("embodied.__file__", "/elsewhere/embodied/__init__.py")
        (finding,) = doctor.check_package()
        assert finding.fatal
        assert "imported from /elsewhere/embodied" in finding.detail
