"""The run log, as `parse_log` of the original gives it."""

from ionanalysis.plugin.explog_values import load_log, load_log_path, parse_log

__all__ = ["load_log", "load_log_path", "parse_log"]
