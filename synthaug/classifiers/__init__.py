"""Classifiers, and the one function that trains them on real and synthetic images.

May import the rooms from `core` to `integrations`.
"""

from synthaug.classifiers.networks import Backbone, Normalize, Standardize
from synthaug.classifiers.probes import predict_probe
from synthaug.classifiers.scoring import (
    BALANCED,
    Scores,
    error_of_images,
    evaluate,
    predict,
    resolution,
)
from synthaug.classifiers.timm_network import PRETRAINED
from synthaug.classifiers.train_config import (
    AUTOMATIC,
    MIXES,
    POLICIES,
    TrainConfig,
    expect_train_config,
)
from synthaug.classifiers.training import expect_share, train_classifier

__all__ = [
    "AUTOMATIC",
    "BALANCED",
    "Backbone",
    "MIXES",
    "Normalize",
    "POLICIES",
    "PRETRAINED",
    "TrainConfig",
    "Scores",
    "Standardize",
    "error_of_images",
    "evaluate",
    "expect_train_config",
    "expect_share",
    "predict",
    "predict_probe",
    "resolution",
    "train_classifier",
]
