"""Which real images a training draws together."""

import numpy as np
import pytest
import torch

from synthaug.generators.anchors import Classmates

LABELS = np.array([2, 0, 1, 0, 2, 2, 0, 3])  # classes 1 and 3 have one image each


@pytest.fixture
def classmates():
    torch.manual_seed(0)
    return Classmates(LABELS, 4)


def test_images_of_a_class_are_drawn_evenly(classmates):
    wanted = torch.arange(4).repeat(1000)
    drawn = classmates.of_class(wanted)
    assert (torch.as_tensor(LABELS)[drawn] == wanted).all()
    counts = np.bincount(drawn[wanted == 2], minlength=8)[[0, 4, 5]]
    assert np.abs(counts / 1000 - 1 / 3).max() < 4 * np.sqrt(2 / 9 / 1000)


def test_another_is_never_the_same_and_each_other_is_as_likely(classmates):
    first = torch.tensor([0, 1, 3, 4, 5, 6]).repeat(1000)
    other = classmates.another(first)
    assert (other != first).all()
    assert (LABELS[other] == LABELS[first]).all()
    of_four = np.bincount(other[first == 4], minlength=8)[[0, 5]]
    assert np.abs(of_four / 1000 - 0.5).max() < 4 * 0.5 / np.sqrt(1000)


def test_an_image_alone_in_its_class_is_its_own_company(classmates):
    assert classmates.another(torch.tensor([7, 2, 7])).tolist() == [7, 2, 7]
