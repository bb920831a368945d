"""Watching a run: progress on a terminal, lines in a log."""

from tnsim.monitor.compilation import compilation_notice
from tnsim.monitor.log import JsonLog
from tnsim.monitor.progress import LineProgress, LiveProgress, show_progress

__all__ = ["JsonLog", "LineProgress", "LiveProgress", "compilation_notice", "show_progress"]
