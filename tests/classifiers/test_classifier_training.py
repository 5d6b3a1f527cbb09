"""One training function: paired, equal in steps, and with exactly the share that was asked for.

Pixels tell where an image is from: real ones have a value below 100, synthetic ones above 150.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from classifier_images import (
    CLASSES,
    SOFT_MADE,
    SOFT_REAL,
    TEST,
    TRAIN,
    make_real,
    make_synthetic,
    stripes,
)
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

import synthaug.classifiers.training as training
import synthaug.core.training as training_loop
from synthaug.classifiers import Backbone, TrainConfig, evaluate, predict, train_classifier
from synthaug.core import InputError, mixed_precision, torch_stream
from synthaug.data import LabelledImages, Samples
from synthaug.pool import SamplePool

PLAIN = TrainConfig(policy="none")


class _Stop(Exception):
    pass


@dataclass
class Session:
    """What a training was about to do."""

    weights: dict[str, Tensor]
    images: np.ndarray
    labels: np.ndarray
    identity: str
    options: dict[str, Any]
    loss: Callable[[Any], Tensor]

    @property
    def synthetic(self) -> np.ndarray:
        return self.images >= 150


Record = Callable[..., Session]


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Record:
    """A function that gives the initial weights and every batch of a training: for each image its
    value (steps, B), and its label (steps, B, K)."""

    def run(train: LabelledImages, **options: Any) -> Session:
        runs = []

        def stop(
            network: nn.Module,
            phases: Any,
            batches: Any,
            schedule: Any,
            how: training_loop.Session,
            *,
            averaged: nn.Module,
        ) -> None:
            assert averaged is network  # none of these learns in its last layer alone
            weights = {name: value.clone() for name, value in network.state_dict().items()}
            values, labels = [], []
            for step in range(schedule.steps):
                with torch_stream(how.seed, "step", step):
                    images, targets = batches(step)
                assert images.shape[1:] == (1, 8, 8) and images.dtype == torch.float32
                assert torch.equal(images.amin((1, 2, 3)), images.amax((1, 2, 3)))
                values.append((images[:, 0, 0, 0] * 255).round().int().numpy())
                labels.append(targets.numpy())
            run = Session(
                weights, np.array(values), np.array(labels), how.identity, {}, phases[0].loss
            )
            run.options = phases[0].optimizer.defaults
            runs.append(run)
            raise _Stop

        monkeypatch.setattr(training, "optimize", stop)
        with pytest.raises(_Stop):
            train_classifier(
                train,
                **{"config": PLAIN, "steps": 12, "batch_size": 16, "device": "cpu", **options},
            )
        return runs[0]

    return run


ARMS: dict[str, dict[str, Any]] = {
    "synthetic": {"synthetic": make_synthetic(), "ratio": 0.3},
    "more": {"synthetic": make_synthetic(), "ratio": 0.7},
    "soft synthetic": {"synthetic": make_synthetic(soft_labels=SOFT_MADE)},
    "weighted": {"synthetic": make_synthetic(weights=np.arange(24) + 1.0)},
    "ratio 0": {"synthetic": make_synthetic(), "ratio": 0.0},
    "all": {"synthetic": make_synthetic(), "ratio": 1.0},
    "distilled": {"soft_labels": SOFT_REAL},
}


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("balanced", [False, True])
def test_arms_of_one_seed_are_paired(record: Record, arm: str, balanced: bool) -> None:
    config = TrainConfig(policy="none", class_balanced=balanced)
    real = make_real()
    baseline = record(real, config=config, seed=3)
    run = record(real, config=config, seed=3, **ARMS[arm])
    assert run.weights.keys() == baseline.weights.keys()
    assert all(torch.equal(run.weights[name], baseline.weights[name]) for name in run.weights)
    assert not baseline.synthetic.any()
    assert np.array_equal(run.images[~run.synthetic], baseline.images[~run.synthetic])
    ratio = ARMS[arm].get("ratio", 0.5) if "synthetic" in ARMS[arm] else 0
    assert (run.synthetic.sum(1) == round(ratio * 16)).all()
    made = ARMS["synthetic"]["synthetic"].labels[run.images[run.synthetic] - 150]
    assert np.array_equal(made, real.labels[baseline.images[run.synthetic]])


def test_another_seed_is_another_run(record: Record) -> None:
    one, other = record(make_real(), seed=0), record(make_real(), seed=1)
    assert not np.array_equal(one.images, other.images)
    assert any(not torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_the_recipe_changes_neither_weights_nor_order(record: Record) -> None:
    baseline = record(make_real())
    run = record(
        make_real(), config=TrainConfig(policy="none", learning_rate=0.3, label_smoothing=0.1)
    )
    assert np.array_equal(run.images, baseline.images)
    assert all(torch.equal(run.weights[name], baseline.weights[name]) for name in run.weights)


def test_real_images_come_in_turn(record: Record) -> None:
    images = record(make_real(), steps=15).images.reshape(-1)  # 240 images: 8 times all 30
    epochs = images.reshape(8, 30)
    assert (np.sort(epochs, axis=1) == np.arange(30)).all()
    assert len(np.unique(epochs, axis=0)) == 8


def test_a_batch_may_be_larger_than_the_training_set(record: Record) -> None:
    real = make_real().subset(np.arange(5))
    images = record(real, steps=3, batch_size=13).images.reshape(-1)
    assert (np.sort(images[:35].reshape(7, 5), axis=1) == np.arange(5)).all()


@pytest.mark.parametrize(("ratio", "batch_size"), [(0.25, 16), (0.1, 16), (0.5, 7), (0.9, 11)])
def test_places_are_scattered(record: Record, ratio: float, batch_size: int) -> None:
    run = record(
        make_real(), synthetic=make_synthetic(), ratio=ratio, batch_size=batch_size, steps=120
    )
    count = round(ratio * batch_size)
    assert (run.synthetic.sum(1) == count).all()
    share = count / batch_size
    assert np.abs(run.synthetic.mean(0) - share).max() < 4.5 * np.sqrt(share * (1 - share) / 120)
    expected = share * (count - 1) / (batch_size - 1) if batch_size > 1 else 0
    together = (run.synthetic[:, 1:] & run.synthetic[:, :-1]).mean()
    assert abs(together - expected) < 0.06  # neighbours are no more often both synthetic


def test_synthetic_images_are_drawn_by_weight(record: Record) -> None:
    weights = np.where(np.arange(24) % 2, 3.0, 0.0)
    run = record(make_real(), synthetic=make_synthetic(weights=weights), steps=60)
    drawn = run.images[run.synthetic] - 150
    assert (drawn % 2 == 1).all()
    assert set(drawn) == set(range(1, 24, 2))


def test_labels_are_those_of_the_images(record: Record) -> None:
    real, made = make_real(), make_synthetic()
    run = record(real, synthetic=made)
    one_hot = np.eye(3, dtype=np.float32)
    assert np.array_equal(
        run.labels[~run.synthetic], one_hot[real.labels[run.images[~run.synthetic]]]
    )
    drawn = run.images[run.synthetic] - 150
    assert np.array_equal(run.labels[run.synthetic], one_hot[made.labels[drawn]])


def test_soft_labels_are_used(record: Record) -> None:
    made = make_synthetic(soft_labels=SOFT_MADE)
    run = record(make_real(), synthetic=made, soft_labels=SOFT_REAL)
    assert np.array_equal(run.labels[~run.synthetic], SOFT_REAL[run.images[~run.synthetic]])
    assert np.array_equal(run.labels[run.synthetic], SOFT_MADE[run.images[run.synthetic] - 150])


def test_class_balance_draws_each_class_equally(record: Record) -> None:
    real = make_real((25, 4, 1))
    config = TrainConfig(policy="none", class_balanced=True)
    run = record(real, config=config, steps=30, batch_size=16)
    labels = real.labels[run.images]
    counts = np.stack([np.bincount(row, minlength=3) for row in labels])
    assert counts.max() <= 6 and counts.min() >= 5
    assert (counts.sum(0) == 160).all()
    assert len(np.unique(labels, axis=0)) > 20  # in no fixed order
    assert set(run.images.reshape(-1)) == set(range(30))
    unbalanced = real.labels[record(real, steps=30).images]
    assert abs((unbalanced == 0).mean() - 25 / 30) < 0.02


def test_class_balance_leaves_out_a_class_without_images(record: Record) -> None:
    real = make_real((6, 0, 3))
    run = record(real, config=TrainConfig(policy="none", class_balanced=True), batch_size=10)
    counts = np.bincount(real.labels[run.images].reshape(-1), minlength=3)
    assert counts.tolist() == [60, 0, 60]


def test_the_recipe_settles_optimiser_and_loss(record: Record) -> None:
    config = TrainConfig(
        policy="none",
        learning_rate=0.03,
        weight_decay=0.004,
        label_smoothing=0.2,
        standardize=False,
    )
    run = record(make_real(), config=config)
    options = {name: run.options[name] for name in ("lr", "momentum", "nesterov", "weight_decay")}
    assert options == {"lr": 0.03, "momentum": 0.9, "nesterov": True, "weight_decay": 0.004}
    images = make_real().images / 255
    assert run.weights["0.mean"].item() == pytest.approx(images.mean(), abs=1e-5)
    assert run.weights["0.deviation"].item() == pytest.approx(images.std(), abs=1e-3)
    labels = torch.eye(3)[torch.tensor([0, 1])]
    losses = [
        record(make_real(), config=TrainConfig(policy="none", label_smoothing=s)).loss(
            (torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)), labels)
        )
        for s in (0.0, 0.2)
    ]
    assert losses[0] != losses[1]


def test_what_comes_after_the_last_step_may_fail_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    options: dict[str, Any] = {
        "steps": 3,
        "batch_size": 4,
        "device": "cpu",
        "checkpoint": tmp_path / "c",
    }

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "update_bn", stopped)
        train_classifier(make_real(), **options)
    train_classifier(make_real(), **options, progress=lambda done, _: steps.append(done))
    assert steps in ([], [3]) and not (tmp_path / "c").exists()


def test_a_checkpoint_belongs_to_one_run(record: Record, tmp_path: Path) -> None:
    real, made = make_real(), make_synthetic()
    changed = make_synthetic(images=made.images + np.uint8(1))
    runs: list[dict[str, Any]] = [
        {},
        {"seed": 1},
        {"steps": 13},
        {"batch_size": 15},
        {"config": TrainConfig(policy="none", learning_rate=0.2)},
        {"soft_labels": SOFT_REAL},
        {"soft_labels": SOFT_REAL[::-1]},
        {"synthetic": made},
        {"synthetic": made, "ratio": 0.25},
        {"synthetic": changed},
        {"synthetic": make_synthetic(soft_labels=SOFT_MADE)},
        {"synthetic": make_synthetic(weights=np.arange(24.0))},
    ]

    def identity(options: dict[str, Any], data: LabelledImages = real) -> str:
        return record(data, checkpoint=tmp_path / "c", **options).identity

    found = [identity(options) for options in runs]
    found.append(identity({}, make_real((9, 10, 11))))
    assert len(set(found)) == len(found) == 13
    assert identity({"synthetic": make_synthetic()}) == identity({"synthetic": made})


QUICK: dict[str, Any] = {"steps": 40, "batch_size": 16, "device": "cpu"}


def test_it_learns_an_easy_problem() -> None:
    assert evaluate(train_classifier(TRAIN, **QUICK), TEST, device="cpu").accuracy > 0.95


def test_it_learns_from_synthetic_images_alone() -> None:
    """Real images are noise here; with a ratio of 1 none is seen."""
    made, test = stripes(40, 0, np.uint16), stripes(100, 1, np.uint16)
    noise = np.random.default_rng(0).integers(0, 65535, made.images.shape, np.uint16)
    config = TrainConfig(mix="mixup", standardize=False)
    network = train_classifier(
        LabelledImages(noise, made.labels, made.classes),
        synthetic=Samples(made.images, made.labels),
        ratio=1.0,
        config=config,
        **{**QUICK, "steps": 60},
    )
    assert evaluate(network, test, device="cpu").accuracy > 0.95


def test_it_learns_what_soft_labels_say() -> None:
    turned = np.eye(2, dtype=np.float32)[1 - TRAIN.labels] * 0.8 + 0.1
    network = train_classifier(TRAIN, soft_labels=turned, **QUICK)
    assert evaluate(network, TEST, device="cpu").accuracy < 0.05
    confidence = predict(network, TEST.images, device="cpu").max(1)
    assert confidence.mean() < 0.97


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return network.state_dict()


SHORT: dict[str, Any] = {"steps": 5, "batch_size": 8, "device": "cpu"}


def test_mean_and_deviation_are_those_of_all_images() -> None:
    """Which are summed up part by part, and never held as floats all at once."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 90, (600, 3, 8, 8), np.uint8)
    data = LabelledImages(images, rng.integers(0, 2, 600), ["a", "b"])
    network: Any = train_classifier(
        data, config=TrainConfig(standardize=False), steps=1, batch_size=8, device="cpu"
    )
    assert float(network[0].mean) == pytest.approx((images / 255).mean(), rel=1e-6)
    assert float(network[0].deviation) == pytest.approx((images / 255).std(ddof=1), rel=1e-6)


def test_a_seed_gives_the_same_weights_bit_by_bit() -> None:
    config = TrainConfig(policy="rotate-scale-flip", automatic="trivialaugment", mix="cutmix")
    made = Samples(TEST.images, TEST.labels)

    def train(seed: int) -> dict[str, Tensor]:
        return _weights(train_classifier(TRAIN, config=config, synthetic=made, seed=seed, **SHORT))

    torch.manual_seed(0)
    first = train(2)
    torch.manual_seed(1)
    torch.rand(3)
    state = torch.get_rng_state()
    second, other = train(2), train(3)
    assert torch.equal(torch.get_rng_state(), state)  # and it leaves no trace
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("options", [{}, {"synthetic": Samples(TEST.images, TEST.labels)}])
def test_every_arm_takes_the_steps_that_were_asked_for(options: dict[str, Any]) -> None:
    updates, told = itertools.count(), []
    hook = register_optimizer_step_post_hook(lambda *_: next(updates))
    try:
        train_classifier(
            TRAIN, progress=lambda done, steps: told.append((done, steps)), **SHORT, **options
        )
    finally:
        hook.remove()
    assert next(updates) == 5
    assert told == [(done, 5) for done in range(1, 6)]


def test_batch_norm_statistics_belong_to_the_averaged_weights() -> None:
    """Every batch holds all images once, so the statistics of the first layer are known."""
    options: dict[str, Any] = {"batch_size": len(TRAIN), "device": "cpu", "config": PLAIN}
    network = train_classifier(TRAIN, steps=6, **options)
    assert not network.training
    standardize, resnet = network.children()
    convolution, norm = resnet.features[0], resnet.features[1]  # type: ignore[union-attr, index]
    with torch.no_grad():
        hidden = convolution(standardize(torch.as_tensor(TRAIN.images / 255).float()))
    assert torch.allclose(norm.running_mean, hidden.mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(norm.running_var, hidden.var((0, 2, 3)), rtol=5e-3)  # bfloat16
    assert norm.num_batches_tracked == 6
    more = train_classifier(TRAIN, steps=training.NORM_BATCHES + 2, **options)
    tracked = next(b for name, b in more.named_buffers() if name.endswith("num_batches_tracked"))
    assert tracked == training.NORM_BATCHES


@pytest.mark.parametrize(
    ("name", "dtype"), [("mobilenetv3_small_050", torch.float32), ("resnet10t", torch.bfloat16)]
)
def test_depthwise_convolutions_learn_in_full_precision_on_a_processor(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mixed_precision(torch.device("cpu")):
        if not torch.is_autocast_enabled("cpu"):
            pytest.skip("this processor multiplies no bfloat16")
    seen, build = [], Backbone.build

    def watched(self: Backbone, *arguments: Any, **options: Any) -> torch.nn.Sequential:
        network = build(self, *arguments, **options)
        first = next(each for each in network.modules() if isinstance(each, torch.nn.Conv2d))
        first.register_forward_hook(
            lambda layer, _, made: seen.append(made.dtype) if layer.training else None
        )
        return network

    monkeypatch.setattr(Backbone, "build", watched)
    options = {**SHORT, "steps": 1, "classifier": Backbone(f"timm:{name}", size=128)}
    train_classifier(TRAIN, **options)
    assert seen[0] == dtype


def test_a_timm_network_is_trained() -> None:
    network = train_classifier(TRAIN, classifier="timm:resnet10t", **{**SHORT, "steps": 2})
    scores = evaluate(network, TEST, device="cpu")
    assert 0 <= scores.accuracy <= 1
    assert scores.per_class.shape == (2,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 1.5}, r"ratio: expected a number from 0 to 1, got 1\.5"),
        ({"ratio": float("nan")}, "ratio: expected a number from 0 to 1, got nan"),
        ({"steps": 0}, "steps: expected an integer of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size: expected an integer of at least 1, got 0"),
        ({"soft_labels": SOFT_REAL[:5]}, r"soft_labels: expected shape \(30, 3\), got \(5, 3\)"),
        ({"soft_labels": SOFT_REAL[:, :2]}, r"soft_labels: expected .*, got \(30, 2\)"),
        ({"soft_labels": SOFT_REAL * np.nan}, "soft_labels: expected rows of probabilities"),
        ({"ratio": "0.5"}, "ratio: expected a number from 0 to 1, got '0.5'"),
        ({"synthetic": "pool"}, "synthetic: expected Samples, as a generator's sample .* got str"),
        (
            {"synthetic": Samples(np.zeros((3, 1, 9, 8), np.uint8), [0, 1, 2])},
            r"synthetic images: expected uint8 \(1, 8, 8\) like .* ones, got uint8 \(1, 9, 8\)",
        ),
        (
            {"synthetic": Samples(np.zeros((3, 1, 8, 8), np.uint16), [0, 1, 2])},
            r"synthetic images: expected uint8 .*, got uint16",
        ),
        (
            {"synthetic": Samples(np.zeros((3, 1, 8, 8), np.uint8), [0, 1, 3])},
            r"synthetic labels: expected 0 to 2 for 3 classes, got 3 at index 2",
        ),
        (
            {"synthetic": make_synthetic(soft_labels=np.full((24, 2), 0.5))},
            r"synthetic soft_labels: expected shape \(24, 3\), got \(24, 2\)",
        ),
        (
            {"synthetic": Samples(np.zeros((2, 1, 8, 8), np.uint8), [0, 2]), "ratio": 1.0},
            r"synthetic images: expected some of every class .*, got none of '.*' \(class 1\)",
        ),
        (
            {"synthetic": make_synthetic(weights=make_synthetic().labels != 2), "ratio": 0.5},
            r"got none of '.*' \(class 2\) that may be drawn",
        ),
        (
            {"synthetic": make_synthetic(), "ratio": 0.125, "batch_size": 4},
            r"ratio: a share of 0\.125 of 4 images is not one image; raise it, or batch_size",
        ),
        (
            {"classifier": "timm:vit_tiny_patch16_224"},
            "classifier size: timm:vit_tiny_patch16_224 cannot take images of 8 x 8 .* size is 224",
        ),
        ({"classifier": "vgg"}, "classifier: expected 'resnet' or 'timm:NAME', got 'vgg'"),
        ({"classifier": 5}, "classifier: expected 'resnet', 'timm:NAME' or a Backbone, got 5"),
        ({"config": {"mix": "mixup"}}, "config: expected a TrainConfig, got {'mix': 'mixup'}"),
        ({"device": "tpu9"}, "device: expected auto, cpu, cuda"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_classifier(make_real(), **{"device": "cpu", "steps": 2, "batch_size": 30, **options})


def test_soft_labels_of_any_form_are_rows_of_floats(record: Record) -> None:
    expected = record(make_real(), soft_labels=SOFT_REAL)
    for form in (torch.as_tensor(SOFT_REAL), SOFT_REAL.tolist()):
        other = record(make_real(), soft_labels=form)
        assert np.array_equal(other.labels, expected.labels)


def test_training_needs_images() -> None:
    with pytest.raises(InputError, match="train: expected real images, got none"):
        train_classifier(make_real().subset(np.arange(0)), device="cpu", steps=1)


def test_a_pool_of_memory_maps_is_mixed_in(tmp_path: Path, record: Record) -> None:
    soft = make_synthetic(soft_labels=SOFT_MADE, weights=np.arange(24) + 1.0)
    pool = SamplePool.from_samples(tmp_path / "pool", soft, CLASSES)
    mapped = record(make_real(), synthetic=pool.samples)
    held = record(make_real(), synthetic=soft)
    assert np.array_equal(mapped.images, held.images)
    assert np.array_equal(mapped.labels, held.labels)


def test_adjusted_logits_leave_the_sizes_of_classes_out_of_the_answer() -> None:
    """Of images that say nothing, a classifier learns the classes' shares; by Menon et al. (2021)
    it answers with those divided by the shares to the power of the adjustment."""
    labels = np.repeat([0, 1, 2], [16, 8, 8])
    blank = LabelledImages(np.full((32, 1, 8, 8), 100, np.uint8), labels, CLASSES)
    shares = np.array([0.5, 0.25, 0.25])
    for adjustment, expected in [(0.0, shares), (1.0, np.full(3, 1 / 3))]:
        config = TrainConfig(policy="none", weight_decay=0.0, logit_adjustment=adjustment)
        network = train_classifier(blank, config=config, steps=80, batch_size=32, device="cpu")
        assert predict(network, blank.images[:1], device="cpu")[0] == pytest.approx(
            expected, abs=0.02
        )


@pytest.mark.parametrize(
    "around",
    [lambda: torch.autocast("cpu", torch.bfloat16), torch.no_grad, torch.inference_mode],
    ids=["autocast", "no_grad", "inference_mode"],
)
def test_a_classifier_does_not_depend_on_what_it_is_trained_within(around: Any) -> None:
    real, made = make_real(), make_synthetic()

    def trained() -> np.ndarray:
        network = train_classifier(real, synthetic=made, steps=4, batch_size=8, device="cpu")
        return predict(network, real.images, device="cpu")

    expected = trained()
    with around():
        within = trained()
    np.testing.assert_array_equal(within, expected)


def test_weights_are_not_kept_as_they_were_by_an_autocast_around() -> None:
    """What is cast to 16 bits within it would otherwise serve until it ends."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    images = make_real().images
    with torch.autocast("cpu", torch.bfloat16):
        before = predict(network, images, device="cpu")
        with torch.no_grad():
            network[1].weight.mul_(-40)
        after = predict(network, images, device="cpu")
    assert np.abs(after - before).max() > 0.1
    np.testing.assert_array_equal(after, predict(network, images, device="cpu"))
