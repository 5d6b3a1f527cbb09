"""Measure what synthetic images do to a classifier's accuracy.

May import the rooms from `core` to `classifiers`. `gain.runs` trains and keeps what is compared;
`gain.report` writes the page.
"""

from synthaug.gain.advice import (
    as_python,
    next_steps,
    spell_size,
    training_lines,
    with_reading_options,
)
from synthaug.gain.arms import (
    Arm,
    Labels,
    Source,
    default_sources,
    sources_of,
    synthetic_arm,
)
from synthaug.gain.baselines import Tuning, expect_base, tune
from synthaug.gain.inputs import check_name, check_splits
from synthaug.gain.measure import measure_gain
from synthaug.gain.metadata import data_caveats, length_caveats
from synthaug.gain.protocol import Execution, Protocol, Search
from synthaug.gain.result import NO_ARM, ArmResult, Gain
from synthaug.gain.runs.comparison import Comparison, open_comparison
from synthaug.gain.runs.experiment import Experiment, short_digest
from synthaug.gain.runs.folds import FEWEST_TO_FOLD
from synthaug.gain.runs.pools import warn_of_room
from synthaug.gain.runs.runner import StageProgress
from synthaug.gain.runs.workspace import alone
from synthaug.gain.selection import (
    base_arm_of,
    fixed_mix_of,
    mix_config_of,
    softened_alike,
    without_synthetic,
)
from synthaug.gain.statistics import ALL, SURE, Interval, paired_interval, smallest_detectable

__all__ = [
    "Execution",
    "Protocol",
    "Tuning",
    "expect_base",
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
    "with_reading_options",
    "check_name",
    "check_splits",
    "data_caveats",
    "default_sources",
    "fixed_mix_of",
    "length_caveats",
    "measure_gain",
    "next_steps",
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
    "as_python",
]
