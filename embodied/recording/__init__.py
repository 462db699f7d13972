"""Sessions on disk: one MCAP each, which Foxglove and other tools open as it is."""

from embodied.recording.export import export_session
from embodied.recording.reader import LogInfo, TopicInfo, log_info, read_session
from embodied.recording.recovery import Recovery, recover
from embodied.recording.writer import SessionWriter

__all__ = [
    "LogInfo",
    "Recovery",
    "SessionWriter",
    "TopicInfo",
    "export_session",
    "log_info",
    "read_session",
    "recover",
]
