"""What a person changes from the terminal."""

from __future__ import annotations

import io
import json
from typing import Callable, Dict, List, Tuple

import msgspec
import pytest

from embodied import plugins
from embodied.cli import main
from embodied.messages import Answer, Box, Edit, EditReply, Forget, ForgetReply, ListObjects, Query, Recall
from memories import ANSWER, DAY_1_NS, MUG, UNKNOWN, FakeBackend, FakeEntryPoint

Run = Callable[..., Tuple[int, str, str]]
ONLY_MUG = msgspec.structs.replace(ANSWER, objects=(MUG,))


class Terminal(io.StringIO):
    """A person who answers."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> FakeBackend:
    path = tmp_path_factory.mktemp("run") / "memory.db"
    path.touch()
    backend = FakeBackend(
        {
            Recall: ONLY_MUG,
            Edit: EditReply(object=msgspec.structs.replace(MUG, label="Ann's mug", colour="", epoch=8)),
            Forget: ForgetReply(n_objects=1, n_keyframes=12, n_pictures=3, n_intervals=2),
        }
    )
    monkeypatch.setattr(plugins, "installed_plugins", lambda group: [FakeEntryPoint(backend)])
    monkeypatch.setenv("EMBODIED_MEMORY", str(path))
    return backend


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> Tuple[int, str, str]:
        code = main(arguments)
        output = capsys.readouterr()
        return code, output.out, output.err

    return call


def edits(backend: FakeBackend) -> List[Edit]:
    return [request for request in backend.requests if isinstance(request, Edit)]


def forgets(backend: FakeBackend) -> List[Forget]:
    return [request for request in backend.requests if isinstance(request, Forget)]


@pytest.mark.parametrize(
    ("arguments", "fields", "said"),
    [
        (("rename", "red mug", "Ann's mug"), {"kind": "rename", "text": "Ann's mug"}, "is called that now"),
        (("annotate", "o12", "a", "gift", "--author", "ann"), {"kind": "annotate", "text": "a gift", "author": "ann"},
         "has the note"),
        (("pin", "o12"), {"kind": "pin"}, "is pinned"),
        (("unpin", "o12"), {"kind": "unpin"}, "is not pinned any more"),
    ],
)  # fmt: skip
def test_an_edit_names_the_epoch_that_was_read(
    run: Run, backend: FakeBackend, arguments: Tuple[str, ...], fields: Dict[str, str], said: str
) -> None:
    code, out, _ = run(*arguments)
    assert (code, out) == (0, f"o12 (Ann's mug, kitchen; 1.20, -0.50, 0.80) {said}\n")
    expected = Edit(object_id="o12", epoch=MUG.epoch, **fields)  # type: ignore[arg-type]
    assert edits(backend) == [expected]


def test_an_edit_as_json_is_the_object(run: Run, backend: FakeBackend) -> None:
    assert json.loads(run("pin", "o12", "--json")[1])["epoch"] == 8


def test_what_a_person_tells_of_is_added(run: Run, backend: FakeBackend) -> None:
    for at in (("--at=-1.5,2,0.8",), ("--at", "-1.5,2,0.8")):
        run("add", "keys", *at, "--size", "0.1,0.1,0.02", "--frame", "map")
        assert edits(backend).pop() == Edit(
            kind="add", text="keys", position_m=(-1.5, 2.0, 0.8), size_m=(0.1, 0.1, 0.02), world_frame="map"
        )


@pytest.mark.parametrize("numbers", ["1,2", "1,2,x", "1,2,nan", "1,2,3,4"])
def test_a_place_that_is_none_is_wrong_usage(run: Run, backend: FakeBackend, numbers: str) -> None:
    with pytest.raises(SystemExit) as exit_of:
        run("add", "keys", "--at", numbers)
    assert exit_of.value.code == 2
    assert backend.requests == []


def test_a_name_that_means_several_is_refused_with_their_ids(run: Run, backend: FakeBackend) -> None:
    backend.responses[Recall] = ANSWER
    code, _, err = run("pin", "mug")
    assert code == 1
    assert "'mug' may be any of 2, name one by its id: o12 (red mug, kitchen; 1.20, -0.50, 0.80); o3 (couch" in err
    assert edits(backend) == []


def test_a_name_that_means_nothing_is_refused(run: Run, backend: FakeBackend) -> None:
    backend.responses[Recall] = UNKNOWN
    assert "there is no object 'elephant'" in run("pin", "elephant")[2]
    assert "there is no object 'o99'" in run("pin", "o99")[2]
    assert ListObjects(include_gone=True) in backend.requests, "what is gone can be edited as well"


@pytest.mark.parametrize(("answer", "n_edits", "code"), [("y\n", 1, 0), ("no\n", 0, 1), ("", 0, 1)])
def test_a_deletion_is_asked_for(
    run: Run, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch, answer: str, n_edits: int, code: int
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    backend.responses[Edit] = EditReply()
    assert run("delete", "o12")[0] == code
    assert len(edits(backend)) == n_edits


def test_nothing_is_changed_where_nobody_can_be_asked(
    run: Run, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    for command in (("delete", "o12"), ("forget", "--session", "day-1")):
        code, _, err = run(*command)
        assert code == 1
        assert "give --yes" in err
    assert edits(backend) == []
    assert [request.only_count for request in forgets(backend)] == [True]


def test_forgetting_says_how_much_and_does_it(run: Run, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    code, out, err = run("forget", "--region", "1,2,0.5,4,3,2.5", "--object", "red mug", "--session", "day-1")
    assert (code, out) == (
        0,
        "forgotten: 1 object, 12 keyframes, 3 pictures, 2 stays in the histories of other objects\n",
    )
    assert "This forgets 1 object, 12 keyframes, 3 pictures, 2 stays in the histories of other objects for good." in err
    assert "Go on? [y/N]" in err
    region = Box(center_m=(1.0, 2.0, 0.5), size_m=(4.0, 3.0, 2.5))
    wanted = Forget(region=region, object_id="o12", session="day-1")
    assert forgets(backend) == [msgspec.structs.replace(wanted, only_count=True), wanted]


def test_to_forget_all_is_refused_with_the_options_there_are(run: Run, backend: FakeBackend) -> None:
    code, _, err = run("forget", "--yes")
    assert code == 1
    assert err.endswith("embodied: forget needs at least one of --region, --since, --until, --session and --object\n")
    assert forgets(backend) == []


def test_a_dry_run_changes_nothing(run: Run, backend: FakeBackend) -> None:
    assert run("forget", "--session", "day-1", "--dry-run")[1].startswith("would be forgotten: 1 object")
    assert [request.only_count for request in forgets(backend)] == [True]
    assert json.loads(run("forget", "--session", "day-1", "--dry-run", "--json")[1])["n_keyframes"] == 12


def test_times_are_read_by_the_memory(run: Run, backend: FakeBackend) -> None:
    asked: List[object] = []

    def answer(request: Recall) -> Answer:
        asked.append(request.question)
        bounds = {"since_ns": DAY_1_NS} if "since" in str(request.question) else {"until_ns": DAY_1_NS + 9}
        return msgspec.structs.replace(ANSWER, query=Query(kind="changes", **bounds))  # type: ignore[arg-type]

    call = backend.call
    backend.call = lambda request: answer(request) if isinstance(request, Recall) else call(request)  # type: ignore[method-assign]
    _, _, err = run("forget", "--since", "yesterday", "--until", "2026-01-05 10:00", "--yes")
    assert asked == ["what has changed since yesterday?", "what has changed until 2026-01-05 10:00?"]
    assert "since 2026-01-05 09:00:00 UTC" in err
    assert forgets(backend)[-1] == Forget(since_ns=DAY_1_NS, until_ns=DAY_1_NS + 9)


def test_a_time_that_the_memory_does_not_understand_is_refused(run: Run, backend: FakeBackend) -> None:
    code, _, err = run("forget", "--since", "gibberish", "--yes")
    assert code == 1
    assert """--since: expected a time such as "yesterday" or "2026-01-05 10:00", got 'gibberish'""" in err
    assert forgets(backend) == []
