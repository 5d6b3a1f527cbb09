"""What differentiable augmentation may and may not do to images."""

import pytest
import torch
from torch.nn import functional as F

from synthaug.core import StepDraws
from synthaug.generators.learning.diff_augment import (
    POLICIES,
    colour,
    cutout,
    diff_augment,
    translation,
)

SHAPES = [(64, 3, 16, 24), (64, 1, 9, 31), (8, 1, 8, 8)]


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def draws(*seeds):
    return StepDraws([torch.Generator().manual_seed(seed) for seed in seeds or (0,)])


def drawn(shape):
    return torch.rand(*shape) * 2 - 1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("policies", [[name] for name in POLICIES] + [list(POLICIES)], ids=str)
def test_shape_type_and_variety(shape, policies):
    images = drawn(shape[:1] and (1, *shape[1:])).expand(shape)
    augmented = diff_augment(images, policies, draws())
    assert augmented.shape == shape
    assert augmented.dtype == images.dtype
    assert not torch.equal(augmented[0], augmented[1:].flip(0)[0])
    assert len(torch.unique(augmented.flatten(1), dim=0)) > 1


def test_no_policy_changes_nothing():
    images = drawn((2, 1, 8, 8))
    assert diff_augment(images, (), draws()) is images


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_translation_moves_by_whole_pixels_up_to_an_eighth(shape):
    images = drawn(shape)
    moved = translation(images, draws())
    dy, dx = round(shape[2] / 8), round(shape[3] / 8)
    padded = F.pad(images, (dx, dx, dy, dy))
    windows = {
        (y, x): padded[:, :, y : y + shape[2], x : x + shape[3]]
        for y in range(2 * dy + 1)
        for x in range(2 * dx + 1)
    }
    result = {
        next(at for at, window in windows.items() if torch.equal(window[index], moved[index]))
        for index in range(shape[0])
    }
    assert len(result) > 1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cutout_zeroes_one_rectangle_and_keeps_the_rest(shape):
    images = drawn(shape).abs() + 0.1
    cut = cutout(images, draws())
    gone = cut == 0
    assert torch.equal(cut[~gone], images[~gone])
    assert torch.equal(gone.any(1), gone.all(1))  # the same place in every channel
    for mask in gone[:, 0]:
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns)
        for line, size in ((rows, shape[2]), (columns, shape[3])):
            assert size // 4 - 1 <= line.sum() <= round(size / 2)
            assert (line.diff().sum()) <= 2  # connected


def test_colour_keeps_grey_and_moves_the_mean_by_half():
    images = drawn((64, 1, 8, 8)).expand(-1, 3, -1, -1)
    changed = colour(images, draws())
    torch.testing.assert_close(changed[:, 0], changed[:, 2])
    shift = (changed - images).mean((1, 2, 3))
    assert shift.abs().max() <= 0.5 + 1e-5
    assert shift.std() > 0.1
    contrast = changed.std((1, 2, 3)) / images.std((1, 2, 3))
    assert contrast.min() >= 0.5 - 1e-4
    assert contrast.max() <= 1.5 + 1e-4


def test_colour_changes_saturation():
    images = drawn((64, 3, 8, 8))
    spread = colour(images, draws()).std(1).mean((1, 2)) / images.std(1).mean((1, 2))
    assert spread.min() < 0.4
    assert 1.5 < spread.max() <= 3


@pytest.mark.parametrize("name", POLICIES)
def test_gradients(name):
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(lambda x: POLICIES[name](x, draws(3)), (images,))


def test_every_image_gets_a_gradient():
    images = drawn((16, 3, 16, 16)).requires_grad_()
    diff_augment(images, list(POLICIES), draws()).sum().backward()
    assert (images.grad.abs().sum((1, 2, 3)) > 0).all()


@pytest.mark.parametrize("name", POLICIES)
def test_networks_side_by_side_draw_each_its_own(name):
    images = drawn((10, 3, 16, 16))
    both = POLICIES[name](images, draws(1, 2))
    for block, seed in ((slice(5), 1), (slice(5, 10), 2)):
        torch.testing.assert_close(both[block], POLICIES[name](images[block], draws(seed)))
