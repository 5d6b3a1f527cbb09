"""Arms trained over seeds and scored: side by side, and kept on disk, so that a run that was
interrupted goes on where it was."""

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
