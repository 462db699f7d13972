"""Strategies by name: ``get("store", "lvfo")``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, overload

import msgspec

from embodied.config import Config
from memory_bank.strategies import encode, manage, retrieve, store
from memory_bank.strategies.protocol import Encode, Manage, Retrieve, Store

Kind = Literal["encode", "store", "retrieve", "manage"]
Setting = int | float | str | bool
"""What one setting may be, in a file of settings."""

_ALL: dict[str, Mapping[str, type[Config]]] = {
    "encode": encode.STRATEGIES,
    "store": store.STRATEGIES,
    "retrieve": retrieve.STRATEGIES,
    "manage": manage.STRATEGIES,
}


def names(kind: Kind) -> tuple[str, ...]:
    """Return the names of the strategies of a kind, sorted."""
    return tuple(sorted(_ALL[kind]))


def settings_of(kind: Kind, name: str) -> tuple[str, ...]:
    """Return the names of a strategy's settings.

    Raises:
        ValueError: There is no such strategy.
    """
    return _find(kind, name).__struct_fields__


@overload
def get(kind: Literal["encode"], name: str, settings: Mapping[str, Any] = ...) -> Encode: ...
@overload
def get(kind: Literal["store"], name: str, settings: Mapping[str, Any] = ...) -> Store: ...
@overload
def get(kind: Literal["retrieve"], name: str, settings: Mapping[str, Any] = ...) -> Retrieve: ...
@overload
def get(kind: Literal["manage"], name: str, settings: Mapping[str, Any] = ...) -> Manage: ...


def get(kind: Kind, name: str, settings: Mapping[str, Any] = {}) -> Any:
    """Return a strategy with its settings; those that are not given keep their defaults.

    Raises:
        ValueError: There is no such strategy, or it has no such setting; the text lists those that there are.
    """
    strategy = _find(kind, name)
    try:
        return msgspec.convert(dict(settings), strategy)
    except msgspec.ValidationError as error:
        known = ", ".join(strategy.__struct_fields__) or "none"
        raise ValueError(f"settings of {kind} strategy {name!r}: {error}; it has {known}") from error


def _find(kind: Kind, name: str) -> type[Config]:
    if name not in _ALL[kind]:
        raise ValueError(f"{kind} strategy: expected one of {', '.join(names(kind))}; got {name!r}")
    return _ALL[kind][name]
