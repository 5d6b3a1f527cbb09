"""Classifiers: what the images, real and synthetic, are for."""

from synthaug.classifiers.networks import Backbone
from synthaug.classifiers.probes import predict_probe
from synthaug.classifiers.recipes import AUTOMATIC, MIXES, POLICIES, Recipe
from synthaug.classifiers.scoring import (
    BALANCED,
    Scores,
    error_of_images,
    evaluate,
    predict,
    resolution,
)
from synthaug.classifiers.timm_network import PRETRAINED
from synthaug.classifiers.training import expect_share, train_classifier

__all__ = [
    "AUTOMATIC",
    "BALANCED",
    "Backbone",
    "MIXES",
    "POLICIES",
    "PRETRAINED",
    "Recipe",
    "Scores",
    "error_of_images",
    "evaluate",
    "expect_share",
    "predict",
    "predict_probe",
    "resolution",
    "train_classifier",
]
