"""Arms trained over seeds and scored: side by side, and kept on disk, so that a run that was
interrupted goes on where it was."""

from synthaug.gain.trials.runner import Stages
from synthaug.gain.trials.sharing import alone
from synthaug.gain.trials.study import Study
from synthaug.gain.trials.trials import Trials, opened, placed

__all__ = ["Stages", "Study", "Trials", "alone", "opened", "placed"]
