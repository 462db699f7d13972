"""The checker behind ``pytest --jaxtyping-packages=…,array_checks.checked``: shapes and types at every call."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""As the static checker has it, an int will do where a float is asked for."""
