"""The gain: what synthetic images do to a classifier, measured so that nobody need doubt it."""

from synthaug.gain.arms import Source, default_sources
from synthaug.gain.protocol import measure_gain
from synthaug.gain.result import ArmResult, Gain
from synthaug.gain.rounds import Budget
from synthaug.gain.search import search_mix
from synthaug.gain.statistics import Interval

__all__ = [
    "ArmResult",
    "Budget",
    "Gain",
    "Interval",
    "Source",
    "default_sources",
    "measure_gain",
    "search_mix",
]
