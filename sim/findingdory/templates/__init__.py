"""The 60 templates: 30 single-goal spatial, 21 single-goal temporal, 9 multi-goal; counts as published.

The release keeps its texts in the episodes' files; the wordings and the details here are our own, in the same sense.
"""

from __future__ import annotations

from typing import Dict

from sim.findingdory.templates import multi_goal, spatial, temporal
from sim.findingdory.templates.day import Day, Template

__all__ = ["TEMPLATES", "Day", "Template"]

TEMPLATES: Dict[str, Template] = {t.name: t for t in (*spatial.TEMPLATES, *temporal.TEMPLATES, *multi_goal.TEMPLATES)}
