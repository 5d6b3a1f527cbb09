"""The result of `measure_gain` as one HTML page."""

from synthaug.gain.report.page import write_report

__all__ = ["write_report"]
