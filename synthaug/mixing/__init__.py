"""Mix synthetic images into a training that is there already.

May import `core`, `data`, `metrics`, `generators` and `pool`.
"""

from synthaug.mixing.bank import mixed_labels
from synthaug.mixing.batch import MixSynthetic
from synthaug.mixing.mix_config import MixConfig
from synthaug.mixing.mixed import MixedDataset
from synthaug.mixing.ratio import CosineRatio, LinearRatio, OffForLast
from synthaug.mixing.samplers import RatioBatchSampler
from synthaug.mixing.synthetic import SyntheticDataset

__all__ = [
    "CosineRatio",
    "LinearRatio",
    "MixConfig",
    "MixSynthetic",
    "MixedDataset",
    "OffForLast",
    "RatioBatchSampler",
    "SyntheticDataset",
    "mixed_labels",
]
