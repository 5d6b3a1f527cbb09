"""Classifiers: what the images, real and synthetic, are for."""

from synthaug.classifiers.networks import build_classifier
from synthaug.classifiers.recipes import AUTOMATIC, MIXES, POLICIES, Recipe
from synthaug.classifiers.training import Scores, evaluate, predict, train_classifier

__all__ = [
    "AUTOMATIC",
    "MIXES",
    "POLICIES",
    "Recipe",
    "Scores",
    "build_classifier",
    "evaluate",
    "predict",
    "train_classifier",
]
