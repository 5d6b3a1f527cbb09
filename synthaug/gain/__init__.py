"""Measure what synthetic images do to a classifier's accuracy.

May import the rooms from `core` to `classifiers`. `gain.runs` trains and keeps what is compared;
`gain.report` writes the page.
"""

from synthaug.gain.advice import as_read, next_steps, spell_size, training_lines, written
from synthaug.gain.arms import (
    Arm,
    Labels,
    Source,
    default_sources,
    sources_of,
    synthetic_arm,
)
from synthaug.gain.baselines import tune
from synthaug.gain.inputs import check_name, check_parts, numbered
from synthaug.gain.measure import measure_gain
from synthaug.gain.metadata import data_caveats, length_caveats
from synthaug.gain.result import NO_ARM, ArmResult, Gain
from synthaug.gain.runs.comparison import Comparison, open_comparison
from synthaug.gain.runs.experiment import Experiment, short_digest
from synthaug.gain.runs.folds import FEWEST_TO_FOLD
from synthaug.gain.runs.pools import warn_of_room
from synthaug.gain.runs.runner import StageProgress
from synthaug.gain.runs.workspace import alone
from synthaug.gain.selection import (
    Search,
    base_arm_of,
    given_by,
    mix_config_of,
    softened_alike,
    without_synthetic,
)
from synthaug.gain.statistics import ALL, SURE, Interval, paired_interval, smallest_detectable

__all__ = [
    "ALL",
    "Arm",
    "ArmResult",
    "FEWEST_TO_FOLD",
    "Gain",
    "Interval",
    "Labels",
    "NO_ARM",
    "SURE",
    "Search",
    "Source",
    "StageProgress",
    "Experiment",
    "Comparison",
    "alone",
    "as_read",
    "check_name",
    "check_parts",
    "data_caveats",
    "default_sources",
    "given_by",
    "length_caveats",
    "measure_gain",
    "next_steps",
    "numbered",
    "open_comparison",
    "paired_interval",
    "base_arm_of",
    "mix_config_of",
    "short_digest",
    "smallest_detectable",
    "softened_alike",
    "spell_size",
    "synthetic_arm",
    "training_lines",
    "sources_of",
    "tune",
    "warn_of_room",
    "without_synthetic",
    "written",
]
