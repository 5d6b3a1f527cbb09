"""The discriminator of a family: what it is shown, what it heeds, what it learns."""

import numpy as np
import pytest
import torch
from torch import nn

from synthaug.core import Session, StepDraws
from synthaug.generators.learning.adversarial_losses import LOSSES
from synthaug.generators.learning.adversary import (
    MEMORY,
    RISE,
    Adversary,
    DiscriminatorAugmentation,
    JudgedImages,
)
from synthaug.generators.learning.diff_augment import diff_augment
from synthaug.generators.learning.training_set import TrainingSet
from synthaug.generators.networks.discriminators import Discriminator

CPU = torch.device("cpu")
POLICIES = ["colour", "translation", "cutout"]
LABELS = torch.tensor([0, 0, 2, 2, 1, 1])


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def draws(*seeds):
    return StepDraws([torch.Generator().manual_seed(seed) for seed in seeds or (0,)])


def some_images(count=6):
    return torch.rand(count, 3, 8, 8) * 2 - 1


def shown(**others):
    return JudgedImages(
        torch.rand(6, 1, 8, 8), LABELS, torch.tensor([1.0, 1, 0.5, 0.5, 0, 0]), **others
    )


class Spy(nn.Module):
    """Judges images by their mean and notes what it is given."""

    def __init__(self, **extra):
        super().__init__()
        self.weight, self.extra, self.seen = nn.Parameter(torch.tensor(0.3)), extra, []

    def forward(self, images, labels, strength):
        self.seen.append((images.detach(), labels, strength))
        logits = self.weight * images.flatten(1).sum(1)
        return {"logits": logits, "features": images.flatten(1), **self.extra}


@pytest.fixture
def make(data):
    def make(judge, scope="shared", **options):
        lessons = TrainingSet(data, scope, Session(0, CPU), {})
        settings = {"rate": 1e-3, "steps": 10, "augment": ()} | options
        return Adversary(judge, lessons, **settings)

    return make


class Batch:
    def __init__(self, *seeds):
        self.draws = draws(*seeds)


def its_loss(adversary, real, made):
    return adversary.discriminator_phase(lambda _: (real, made)).loss(Batch())


def test_without_a_target_all_images_are_augmented():
    images = some_images()
    augmented = DiscriminatorAugmentation(POLICIES, None, 1)(images, draws(3))
    assert torch.equal(augmented, diff_augment(images, POLICIES, draws(3)))


def test_nothing_is_augmented_before_there_is_a_reason():
    images, augmentation = some_images(), DiscriminatorAugmentation(POLICIES, 0.6, 1)
    assert augmentation.share.tolist() == [0]
    assert torch.equal(augmentation(images, draws()), images)


@pytest.mark.parametrize("policy", POLICIES)
def test_at_a_share_of_one_it_is_the_plain_augmentation(policy):
    images, augmentation = some_images(), DiscriminatorAugmentation([policy], 0.6, 1)
    augmentation.share.fill_(1)
    # Whether an image is augmented is drawn first.
    numbers = draws(3)
    numbers.uniform(len(images))
    expected = diff_augment(images, [policy], numbers)
    assert torch.equal(augmentation(images, draws(3)), expected)


def test_a_share_of_images_is_augmented_by_each_policy_apart():
    images, augmentation = some_images(4000), DiscriminatorAugmentation(["cutout"], 0.6, 1)
    augmentation.share.fill_(0.3)
    changed = (augmentation(images, draws()) != images).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.03)
    both = DiscriminatorAugmentation(["cutout", "colour"], 0.6, 1)
    both.share.fill_(0.3)
    augmented = both(images, draws())
    copies = (augmented == images).flatten(1).all(1).float().mean().item()
    assert copies == pytest.approx(0.7**2, abs=0.04)


def test_each_network_has_its_own_share():
    images, augmentation = some_images(9), DiscriminatorAugmentation(POLICIES, 0.6, 3)
    augmentation.share.copy_(torch.tensor([0.0, 1.0, 0.0]))
    augmented = augmentation(images, draws(1, 2, 3))
    same = (augmented == images).flatten(1).all(1)
    assert same.tolist() == [True] * 3 + [False] * 3 + [True] * 3
    alone = DiscriminatorAugmentation(POLICIES, 0.6, 1)
    alone.share.fill_(1)
    torch.testing.assert_close(augmented[3:6], alone(images[3:6], draws(2)))


def test_augmentation_lets_gradients_through():
    images, augmentation = (
        some_images().requires_grad_(),
        DiscriminatorAugmentation(["colour"], 0.6, 1),
    )
    augmentation.share.fill_(0.5)
    augmentation(images, draws()).sum().backward()
    assert (images.grad.flatten(1).abs().sum(1) > 0).all()


def test_certainty_is_a_running_mean_of_signs():
    augmentation, expected = DiscriminatorAugmentation(POLICIES, None, 1), 0.0
    rng = np.random.default_rng(0)
    for _ in range(20):
        logits = rng.normal(0.8, 1, 6).astype(np.float32)
        augmentation.update(torch.as_tensor(logits), 0.5, 0.1)
        expected = MEMORY * expected + (1 - MEMORY) * np.sign(logits - 0.5).mean()
    assert augmentation.certainty.item() == pytest.approx(expected, rel=1e-4)
    assert augmentation.share.tolist() == [1]  # there is nothing to keep


def test_the_share_follows_the_certainty():
    augmentation = DiscriminatorAugmentation(POLICIES, 0.5, 1)
    sure, unsure = torch.tensor([1.0, 2, 3, 4]), torch.tensor([1.0, 2, -3, -4])
    shares = []
    for logits in [unsure, sure, sure, sure, unsure, unsure, unsure, unsure]:
        augmentation.update(logits, 0.0, 0.4)
        shares.append(augmentation.share.item())
    assert shares == pytest.approx([0, 0.4, 0.8, 1, 0.6, 0.2, 0, 0])
    augmentation.share.fill_(0.5)
    augmentation.update(torch.tensor([1.0, 1, 1, -1]), 0.0, 0.4)  # just as sure as it should be
    assert augmentation.share.item() == 0.5


def test_each_network_has_its_own_certainty():
    augmentation = DiscriminatorAugmentation(POLICIES, 0.5, 3)
    augmentation.share.fill_(0.5)
    augmentation.update(torch.tensor([9.0, 9, 9, -9, -9, -9]), 0.0, 0.1)
    torch.testing.assert_close(augmentation.share, torch.tensor([0.6, 0.4, 0.4]))
    torch.testing.assert_close(augmentation.certainty, torch.tensor([0.01, 0.0, -0.01]))


@pytest.mark.parametrize(("steps", "step_size"), [(400, 0.01), (40, 0.1), (2, 1.0)])
def test_the_share_rises_to_one_in_a_quarter_of_the_run(make, steps, step_size):
    assert RISE == 0.25
    adversary = make(Spy(), steps=steps, target=0.6, augment=("colour",))
    its_loss(adversary, JudgedImages(torch.ones(6, 1, 8, 8), LABELS), shown())
    augmentation = adversary.networks["augmentation"]
    assert augmentation.share.item() == pytest.approx(step_size)
    assert adversary.certainty == pytest.approx(1 - MEMORY)


@pytest.mark.parametrize("loss", LOSSES)
def test_certainty_is_of_real_images_and_about_the_middle(make, loss):
    adversary = make(Spy(), loss=loss)
    # Logits of 0.3 * 64 * (2 x - 1): 0.49 for x = 0.5128, above 0 and below 0.5.
    its_loss(adversary, JudgedImages(torch.full((6, 1, 8, 8), 0.5128), LABELS), shown())
    expected = {"hinge": 1, "bce": 1, "least-squares": -1, "wasserstein": None}[loss]
    if expected is None:
        assert adversary.certainty is None
    else:
        assert adversary.certainty == pytest.approx(expected * (1 - MEMORY))


def test_certainty_of_several_is_the_most(make):
    adversary = make(Spy(), scope="per-class")
    bright = torch.tensor([0.0, 0, 1, 1, 0, 1]).view(-1, 1, 1, 1).expand(-1, 1, 8, 8)
    adversary.discriminator_phase(lambda _: (JudgedImages(bright, LABELS), shown())).loss(
        Batch(1, 2, 3)
    )
    augmentation = adversary.networks["augmentation"]
    torch.testing.assert_close(augmentation.certainty, torch.tensor([-0.01, 0.01, 0]))
    assert adversary.certainty == pytest.approx(0.01)


@pytest.mark.parametrize("loss", LOSSES)
def test_both_losses_are_of_what_it_sees(make, loss):
    adversary, real, synthetic = make(Spy(), loss=loss, augment=POLICIES), shown(), shown()
    numbers = draws()
    judged = [
        0.3 * diff_augment(images * 2 - 1, POLICIES, numbers).flatten(1).sum(1)
        for images in (real.images, synthetic.images)
    ]
    expected = LOSSES[loss].discriminator(*judged)
    torch.testing.assert_close(its_loss(adversary, real, synthetic), expected)
    logits = 0.3 * diff_augment(synthetic.images * 2 - 1, POLICIES, draws(5)).flatten(1).sum(1)
    torch.testing.assert_close(
        adversary.generator_loss(synthetic, draws(5)), LOSSES[loss].generator(logits)
    )


def test_a_pack_is_two_rows_that_follow_each_other(make):
    judge, synthetic = Spy(), shown()
    make(judge, pack=2).generator_loss(synthetic, draws())
    (packs, labels, strength) = judge.seen[0]
    assert packs.shape == (3, 2, 8, 8)
    for index in range(3):
        torch.testing.assert_close(packs[index, 0], synthetic.images[2 * index, 0] * 2 - 1)
        torch.testing.assert_close(packs[index, 1], synthetic.images[2 * index + 1, 0] * 2 - 1)
    assert labels.tolist() == [0, 2, 1]
    assert strength.tolist() == [1, 0.5, 0]


def test_a_pack_of_colour_images_is_six_channels(make):
    judge, images = Spy(), torch.rand(4, 3, 8, 8)
    make(judge, pack=2).generator_loss(JudgedImages(images, torch.zeros(4).long()), draws())
    packs, _, strength = judge.seen[0]
    assert torch.equal(packs, torch.cat([images[::2], images[1::2]], 1) * 2 - 1)
    assert strength.tolist() == [1, 1]  # a class has its say where nothing else is said


@pytest.mark.parametrize("pack", [1, 2])
def test_features_are_of_images_as_they_are(make, pack):
    images = torch.rand(6, 1, 8, 8)
    features = make(Spy(), pack=pack, augment=POLICIES).features(images, LABELS)
    torch.testing.assert_close(features, (images * 2 - 1).view(6 // pack, -1))


@pytest.mark.parametrize("pack", [1, 2])
def test_a_class_that_it_says_costs_cross_entropy(make, pack):
    classes = torch.randn(6 // pack, 3)
    adversary, real, synthetic = make(Spy(classes=classes), pack=pack), shown(), shown()
    plain = make(Spy(), pack=pack)
    wrong = -classes.log_softmax(1)[range(6 // pack), LABELS[::pack]].mean()
    torch.testing.assert_close(
        its_loss(adversary, real, synthetic) - its_loss(plain, real, synthetic), 2 * wrong
    )
    torch.testing.assert_close(
        adversary.generator_loss(synthetic, draws()) - plain.generator_loss(synthetic, draws()),
        wrong,
    )


@pytest.mark.parametrize("pack", [1, 2])
def test_codes_that_it_reads_cost_their_squared_error(make, pack):
    codes, noise = torch.randn(6 // pack, 2 * pack), torch.randn(6, 5)
    adversary = make(Spy(codes=codes), pack=pack, code_weight=0.7)
    plain, real, synthetic = make(Spy(), pack=pack), shown(), shown(noise=noise)
    wrong = 0.7 * ((codes.view(6, 2) - noise[:, :2]) ** 2).mean()
    # Of synthetic images alone: there is no noise behind real ones.
    torch.testing.assert_close(
        its_loss(adversary, real, synthetic) - its_loss(plain, real, synthetic), wrong
    )
    torch.testing.assert_close(
        adversary.generator_loss(synthetic, draws()) - plain.generator_loss(synthetic, draws()),
        wrong,
    )


@pytest.mark.parametrize("pack", [1, 2])
def test_r1_is_of_the_gradient_at_a_real_pack(make, pack):
    """The gradient of the spy is its weight at each of the 64 * pack numbers that it judges."""
    real, synthetic = shown(), shown()
    penalised, plain = make(Spy(), pack=pack, r1=0.2), make(Spy(), pack=pack)
    expected = 0.2 * 0.5 * 64 * pack * 0.3**2
    got = its_loss(penalised, real, synthetic) - its_loss(plain, real, synthetic)
    assert got.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("pack", [1, 2])
def test_a_pack_has_one_slope(make, pack):
    judge, options = Spy(), {"pack": pack, "loss": "wasserstein"}
    nn.init.constant_(judge.weight, (64 * pack) ** -0.5)  # a slope of 1
    penalised, plain = make(judge, interpolation=10.0, **options), make(judge, **options)
    real, synthetic = shown(), shown()

    def penalty():
        return (its_loss(penalised, real, synthetic) - its_loss(plain, real, synthetic)).item()

    assert penalty() == pytest.approx(0, abs=1e-4)
    with torch.no_grad():
        judge.weight *= 3
    assert penalty() == pytest.approx(10 * (3 - 1) ** 2, rel=1e-4)


def test_a_pack_lies_at_one_place_in_between(make):
    judge, options = Spy(), {"pack": 2, "loss": "wasserstein", "interpolation": 1.0}
    real = JudgedImages(torch.ones(6, 1, 8, 8), LABELS)
    synthetic = JudgedImages(torch.zeros(6, 1, 8, 8), LABELS)
    its_loss(make(judge, **options), real, synthetic)
    between, labels, _ = judge.seen[-1]
    places = between.flatten(1)
    assert (places == places[:, :1]).all()
    assert len(places[:, 0].unique()) == 3 and places.abs().max() < 1
    assert labels.tolist() == [0, 2, 1]


def test_penalties_reach_the_weights(make):
    options = {"loss": "wasserstein", "interpolation": 10.0, "r1": 1.0}
    judge = Discriminator((1, 8, 8), 3, 4)
    its_loss(make(judge, **options), shown(), shown()).backward()
    weight = judge.features[0].parametrizations.weight.original
    assert weight.grad.abs().sum() > 0 and weight.grad.isfinite().all()


def test_in_the_others_turn_it_learns_nothing_and_still_teaches(make):
    judge = Discriminator((1, 8, 8), 3, 4)
    adversary = make(judge)
    images = torch.rand(6, 1, 8, 8, requires_grad=True)
    fooled = lambda batch: adversary.generator_loss(JudgedImages(images, LABELS), batch.draws)  # noqa: E731
    adversary.generator_phase(torch.optim.SGD([images]), fooled).loss(Batch()).backward()
    assert all(parameter.grad is None for parameter in judge.parameters())
    assert (images.grad.flatten(1).abs().sum(1) > 0).all()
    its_loss(adversary, shown(), shown()).backward()  # its own turn ends the rest
    assert any(parameter.grad is not None for parameter in judge.parameters())


def test_its_turn_leaves_the_generator_alone(make):
    images = torch.rand(6, 1, 8, 8, requires_grad=True)
    logits = []

    def show(_):
        logits.append(torch.is_grad_enabled())
        return shown(), JudgedImages(images * 1, LABELS)

    make(Discriminator((1, 8, 8), 3, 4)).discriminator_phase(show).loss(Batch()).backward()
    assert logits == [False]
    assert images.grad is None


def test_it_learns_to_tell_dark_from_bright(make):
    judge = Discriminator((1, 8, 8), 3, 4)
    adversary = make(judge, rate=1e-2, loss="bce")
    real, synthetic = (
        JudgedImages(torch.full((6, 1, 8, 8), 0.9), LABELS),
        JudgedImages(torch.zeros(6, 1, 8, 8), LABELS),
    )
    phase = adversary.discriminator_phase(lambda _: (real, synthetic))
    losses = []
    for _ in range(15):
        phase.optimizer.zero_grad()
        loss = phase.loss(Batch())
        loss.backward()
        phase.optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert adversary.certainty > 0.05
    group = phase.optimizer.param_groups[0]
    assert (phase.name, group["lr"], group["betas"]) == ("discriminator", 1e-2, (0.0, 0.99))
    assert {id(p) for p in group["params"]} == {id(p) for p in judge.parameters()}
