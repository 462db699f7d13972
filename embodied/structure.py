"""The base of messages and settings: structures that are frozen and take their fields by name, with all below them.

msgspec hands ``frozen`` down to subclasses but not ``kw_only``, and a type checker hands down neither; here both hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform
else:

    def dataclass_transform(**_: object) -> Any:
        """Do nothing: it only speaks to type checkers, and is not in the library of Python 3.9."""
        return lambda decorated: decorated


class _FrozenMeta(msgspec.StructMeta):
    """Makes each structure frozen and keyword-only unless it says otherwise."""

    def __new__(mcls, name: str, bases: Any, namespace: Any, **options: Any) -> Any:
        options.setdefault("frozen", True)
        options.setdefault("kw_only", True)
        return super().__new__(mcls, name, bases, namespace, **options)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Structure(msgspec.Struct, metaclass=_FrozenMeta, frozen=True, kw_only=True):
    """Frozen, keyword-only, compared by value."""
