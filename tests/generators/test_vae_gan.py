"""VAEGAN: what the discriminator adds to a ConditionalVAE."""

import numpy as np
import pytest
import torch

from synthaug.core import InputError
from synthaug.generators import VAEGAN
from synthaug.generators.networks.discriminators import Discriminator

SMALL = {"steps": 6, "latent": 4, "width": 8, "batch_size": 8}


@pytest.fixture
def seen(monkeypatch):
    """What discriminators were shown: images, labels, and whether they could be changed by it."""
    noted = []
    forward = Discriminator.forward

    def recorded(self, images, labels, strength):
        assert (strength == 1).all()
        noted.append((images.detach().clone(), labels.clone(), images.requires_grad))
        return forward(self, images, labels, strength)

    monkeypatch.setattr(Discriminator, "forward", recorded)
    return noted


def test_swapped_codes_are_judged_under_their_new_class(data, seen):
    VAEGAN(**{**SMALL, "steps": 1}, augment=()).fit(data, device="cpu")
    (real, labels, _), (images, swapped_labels, first), _, _, (_, again, second) = seen
    assert torch.equal(swapped_labels, labels.roll(1)) and torch.equal(again, swapped_labels)
    assert not first and second  # only the generator's turn changes the generator
    assert real.min() >= -1 and real.max() <= 1 and images.min() >= -1 and images.max() <= 1


def test_features_are_of_an_image_and_its_reconstruction(data, seen):
    VAEGAN(**{**SMALL, "steps": 1}).fit(data, device="cpu")
    (real, labels, _), _, (images, first, moves), (again, second, _), _ = seen
    assert torch.equal(first, labels) and torch.equal(second, labels)
    assert not torch.equal(real, again)  # the former is augmented
    assert moves and images.min() >= -1 and images.max() <= 1


def test_both_weights_change_what_is_learned(data):
    def learned(**weights):
        return VAEGAN(**SMALL, **weights).fit(data, device="cpu").sample(4).images

    plain = learned(feature_weight=0, adversarial_weight=0)
    assert not np.array_equal(learned(feature_weight=1, adversarial_weight=0), plain)
    assert not np.array_equal(learned(feature_weight=0, adversarial_weight=1), plain)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"feature_weight": -1}, "feature_weight: expected a number of at least 0"),
        ({"adversarial_weight": "much"}, "adversarial_weight: expected a number"),
        ({"discriminator_rate": 0}, "discriminator_rate: expected a number above 0"),
        ({"augment": ("mirror",)}, "augment: expected 'colour' or 'translation' or 'cutout'"),
        ({"augment": "colour"}, "augment: expected a tuple of names"),
        ({"sampling": "memory"}, "sampling: expected 'nuisance-swap'"),
    ],
)
def test_wrong_settings_are_named(data, setting, message):
    with pytest.raises(InputError, match=message):
        VAEGAN(**{**SMALL, **setting}).fit(data, device="cpu")
