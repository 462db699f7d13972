"""The tools that a language model is given, through the client of the protocol's own package."""

from __future__ import annotations

import asyncio
from typing import Any, Callable, Dict, Iterator, List

import pytest

from embodied import plugins
from embodied.client import Memory
from embodied.errors import ConfigurationError, NotUnderstood
from embodied.mcp_server import build_server
from embodied.messages import (
    Edit,
    EditReply,
    Forget,
    ForgetReply,
    ListObjects,
    MemoryRequest,
    MemoryResponse,
    ObjectsReply,
    Query,
    Recall,
)
from memories import ANSWER, MUG, FakeBackend, FakeEntryPoint

ASKING = {"recall", "query", "objects", "history", "rooms", "changes"}
Call = Callable[..., Dict[str, Any]]


class Backend(FakeBackend):
    """Refuses gibberish."""

    def call(self, request: MemoryRequest) -> MemoryResponse:
        if isinstance(request, Recall) and request.question == "gibberish":
            raise NotUnderstood("I did not understand 'gibberish'")
        return super().call(request)


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    backend = Backend({Edit: EditReply(object=MUG), Forget: ForgetReply(n_objects=1, n_keyframes=2, n_pictures=3)})
    backend.responses[Recall] = ANSWER
    monkeypatch.setattr(plugins, "installed_plugins", lambda group: [FakeEntryPoint(backend)])
    return backend


@pytest.fixture
def memory(backend: Backend, tmp_path: Any) -> Iterator[Memory]:
    (tmp_path / "memory.db").touch()
    with Memory(tmp_path / "memory.db") as opened:
        yield opened


def names_and_results(server: Any, calls: List[Any]) -> Any:
    """Connect in memory; return the names of the tools and the result of each call."""
    mcp = pytest.importorskip("mcp")

    async def run() -> Any:
        async with mcp.Client(server) as session:
            tools = (await session.list_tools()).tools
            return {tool.name: tool for tool in tools}, [await session.call_tool(*call) for call in calls]

    return asyncio.run(run())


@pytest.fixture
def call(memory: Memory) -> Call:
    pytest.importorskip("mcp")

    def called(tool: str, allow_edits: bool = True, **arguments: Any) -> Dict[str, Any]:
        _, (result,) = names_and_results(build_server(memory, allow_edits=allow_edits), [(tool, arguments)])
        if result.is_error:
            raise AssertionError(result.content[0].text)
        found: Dict[str, Any] = result.structured_content["result"]
        return found

    return called


def test_a_missing_package_is_one_clear_line(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mcp.server", None)
    with pytest.raises(ConfigurationError, match=r"embodied-memory\[mcp\]"):
        build_server(memory)


def test_edits_are_offered_only_where_they_are_allowed(memory: Memory) -> None:
    pytest.importorskip("mcp")
    asking, _ = names_and_results(build_server(memory), [])
    editing, _ = names_and_results(build_server(memory, allow_edits=True), [])
    assert set(asking) == ASKING
    assert set(editing) == ASKING | {"rename", "annotate", "forget"}
    assert all(tool.annotations.read_only_hint for tool in asking.values())
    assert editing["forget"].annotations.destructive_hint


def test_a_question_is_answered_with_sizes_for_pictures(call: Call, backend: Backend) -> None:
    answer = call("recall", question="where is the red mug?")
    assert answer["text"] == ANSWER.text
    assert answer["evidence"][0]["crop_jpeg_bytes"] == 2000
    assert backend.requests == [Recall(question="where is the red mug?")]


def test_a_query_is_checked_before_it_is_asked(call: Call, backend: Backend) -> None:
    call("query", fields={"kind": "where", "label": "mug", "near_m": [1, 2, 0]})
    assert backend.requests == [Recall(question=Query(kind="where", label="mug", near_m=(1.0, 2.0, 0.0)))]
    with pytest.raises(AssertionError, match="unknown field `labl`"):
        call("query", fields={"kind": "where", "labl": "mug"})


def test_a_refusal_can_be_read_by_the_model(call: Call) -> None:
    with pytest.raises(AssertionError, match="NotUnderstood: I did not understand 'gibberish'"):
        call("recall", question="gibberish")


def test_lists_are_bounded(call: Call, backend: Backend) -> None:
    backend.responses[ListObjects] = ObjectsReply(objects=(MUG,) * 600)
    found = call("objects")
    assert len(found["items"]) == 500
    assert found["n_left_out"] == 100
    assert [room["name"] for room in call("rooms")["items"]] == ["kitchen", "hall"]
    assert [change["kind"] for change in call("changes")["items"]] == ["moved", "removed"]


def test_a_history_is_found_by_id(call: Call) -> None:
    assert [stay["cause"] for stay in call("history", thing="o12")["items"]] == ["seen_first", "seen_elsewhere"]


def test_edits_name_what_was_read(call: Call, backend: Backend) -> None:
    call("annotate", thing="o12", note="cracked", author="Ada")
    assert backend.requests[-1] == Edit(kind="annotate", object_id="o12", epoch=MUG.epoch, text="cracked", author="Ada")


def test_forgetting_needs_a_second_word(call: Call, backend: Backend) -> None:
    assert call("forget", session="day-1")["forgotten"] is False
    assert backend.requests[-1] == Forget(session="day-1", only_count=True)
    assert call("forget", session="day-1", confirm=True)["n_keyframes"] == 2
    assert backend.requests[-1] == Forget(session="day-1", only_count=False)
