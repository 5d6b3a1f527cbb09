"""Write the result of `measure_gain` as one HTML page."""

from synthaug.gain.report.caveats import advice, use_of_lines
from synthaug.gain.report.page import write_report
from synthaug.gain.report.pictures import EMBEDDED

__all__ = ["EMBEDDED", "advice", "use_of_lines", "write_report"]
