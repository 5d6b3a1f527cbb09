"""Train arms over seeds, score them, and keep that on disk, so that it goes on after a stop."""

from synthaug.gain.runs.comparison import Comparison, open_comparison, place_experiment
from synthaug.gain.runs.experiment import Experiment
from synthaug.gain.runs.runner import StageProgress
from synthaug.gain.runs.workspace import alone

__all__ = [
    "StageProgress",
    "Experiment",
    "Comparison",
    "alone",
    "open_comparison",
    "place_experiment",
]
