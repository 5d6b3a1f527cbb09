"""Predictions and scores of a classifier."""

from typing import Any

import numpy as np
import pytest
import torch
from classifier_images import TRAIN
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from torch import Tensor, nn
from torch.nn import functional as F

from synthaug.classifiers import Backbone, evaluate, predict
from synthaug.core import InputError
from synthaug.data import LabelledImages


class Reader(nn.Module):
    """Logits that favour the class that the first pixel names."""

    def forward(self, images: Tensor) -> Tensor:
        return F.one_hot((images[:, 0, 0, 0] * 255).round().long(), 5).float() * 3


@pytest.mark.parametrize("present", [5, 4, 2])
def test_scores_are_those_of_scikit_learn(present: int) -> None:
    rng = np.random.default_rng(present)
    labels = rng.choice(present, 300, p=rng.dirichlet(np.ones(present)))
    guesses = np.where(rng.random(300) < 0.6, labels, rng.integers(0, present, 300))
    images = np.zeros((300, 1, 8, 8), np.uint8)
    images[:, 0, 0, 0] = guesses
    scores = evaluate(Reader(), LabelledImages(images, labels, list("abcde")), device="cpu")
    assert scores.accuracy == pytest.approx(accuracy_score(labels, guesses))
    assert scores.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, guesses))
    for label in range(5):
        share = (guesses[labels == label] == label).mean() if (labels == label).any() else np.nan
        assert scores.per_class[label] == pytest.approx(share, nan_ok=True)
    again = predict(Reader().train(), images, device="cpu", batch_size=7)
    assert np.array_equal(again.argmax(1), guesses)
    assert np.allclose(again.sum(1), 1) and again.dtype == np.float32
    assert again.max() == pytest.approx(np.exp(3) / (np.exp(3) + 4), rel=1e-5)


class Elsewhere(Reader):
    """On another device, as a network on a GPU is while others are asked on the processor."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, device="meta"))
        self.went: list[str] = []

    def to(self, place: Any) -> Any:
        self.went.append(str(place))
        return self


def test_what_is_no_network() -> None:
    with pytest.raises(InputError, match="network: expected a torch module, got function"):
        evaluate(lambda images: images, TRAIN)  # type: ignore[arg-type]


def test_a_network_of_other_classes_is_not_scored() -> None:
    """Of fewer it would miss all images of the others, and seem no worse than a bad one."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(TRAIN.images[0].size, 1))
    with pytest.raises(
        InputError, match=rf"expected {len(TRAIN.classes)} columns, one a class, got 1"
    ):
        evaluate(network, TRAIN, device="cpu")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (TRAIN.images[:0], "images: expected at least one, got none"),
        (TRAIN.images[:2] / 255, "images: expected uint8 or uint16, got float64"),
        (TRAIN.images[:2, 0], r"images: expected shape \(N, 1 or 3, H, W\), got \(2, 12, 12\)"),
        (TRAIN, "images: expected uint8 or uint16, got object"),
        (TRAIN.images[:2].repeat(3, 1), r"network: cannot take floats \(2, 3, 12, 12\) on cpu"),
    ],
    ids=["none", "floats", "no channels", "labelled", "in colour"],
)
def test_what_no_classifier_can_look_at(images: Any, message: str) -> None:
    network = Backbone().build(TRAIN.image_shape, len(TRAIN.classes), nn.Identity())
    with pytest.raises(InputError, match=message):
        predict(network, images, device="cpu")


def test_predictions_do_not_depend_on_how_many_images_are_asked_at_once() -> None:
    network = Backbone().build(TRAIN.image_shape, len(TRAIN.classes), nn.Identity())
    at_once, one_by_one = (
        predict(network, TRAIN.images[:4], device="cpu", batch_size=size) for size in (4, 1)
    )
    np.testing.assert_allclose(one_by_one, at_once, atol=5e-3)  # bfloat16
    with pytest.raises(InputError, match="batch_size: expected"):
        predict(network, TRAIN.images[:4], device="cpu", batch_size=0)


def test_a_network_goes_back_to_where_it_was() -> None:
    """Else the loop that trains it, and whose validation this is, would find it elsewhere."""
    network = Elsewhere()
    predict(network, np.zeros((2, 1, 8, 8), np.uint8), device="cpu")
    assert network.went == ["cpu", "meta"]
    assert network.training
