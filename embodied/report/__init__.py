"""The report of a run: one HTML file that holds its pictures itself, needs no network and runs no script."""

from embodied.report.data import ChangeItem, Figure, GoalItem, PictureItem, QuestionItem, ReportData
from embodied.report.page import write_report

__all__ = ["ChangeItem", "Figure", "GoalItem", "PictureItem", "QuestionItem", "ReportData", "write_report"]
