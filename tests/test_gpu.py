"""What runs on a GPU: on the one that is there, or on one that is pretended.

Generators are tried in their contract suite, batches in theirs.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretended_gpu import OnGPU, pretended_gpu
from torch.nn import functional as F

from synthaug import (
    ConditionalVAE,
    LabelledImages,
    MemorizationFilter,
    MixedDataset,
    SamplePool,
    Samples,
    StyleSwap,
    TrainConfig,
    read_images,
    train_classifier,
)
from synthaug.classifiers import Backbone, evaluate, predict
from synthaug.core import optimize, torch_stream
from synthaug.gain import Arm, Experiment, Source, open_comparison, synthetic_arm
from synthaug.gain.arms import distilled_arm
from synthaug.integrations.sklearn import SyntheticResampler
from synthaug.metrics import extract_features, nearest, prdc
from synthaug.mixing import MixConfig
from synthaug.pool import ClassifierAgreement, DistanceFilter

TINY = ConditionalVAE(steps=2, batch_size=4, latent=3, width=4)
RECIPES = {
    "plain": TrainConfig(policy="none", standardize=False),
    "shift-flip": TrainConfig(policy="shift-flip", mix="mixup"),
    "rotate-scale": TrainConfig(policy="rotate-scale", mix="cutmix", label_smoothing=0.1),
    "randaugment": TrainConfig(automatic="randaugment", class_balanced=True),
    "trivialaugment": TrainConfig(automatic="trivialaugment", logit_adjustment=1.0),
}


class Interrupted(Exception):
    pass


def interrupt(done: int, total: int) -> None:
    if done == 3:
        raise Interrupted


def digits(split: str) -> LabelledImages:
    """Some of three classes."""
    read = read_images("digits", split=split)
    few = read.subset(np.flatnonzero(read.labels < 3)[:60])
    return LabelledImages(few.images, few.labels, read.classes[:3])


@pytest.fixture(scope="module")
def real() -> LabelledImages:
    return digits("train")


@pytest.fixture(scope="module")
def made(real: LabelledImages) -> Samples:
    soft = np.eye(3, dtype=np.float32)[real.labels]
    return Samples(real.images, real.labels, soft_labels=soft)


@pytest.mark.parametrize("name", RECIPES)
def test_classifiers(
    name: str,
    real: LabelledImages,
    made: Samples,
    gpu: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(optimize.__kwdefaults__, "checkpoint_every", 2)
    options: dict[str, Any] = {
        "config": RECIPES[name],
        "synthetic": made,
        "soft_labels": made.soft_labels,
        "steps": 4,
        "batch_size": 8,
        "device": gpu,
    }
    whole = train_classifier(real, **options)
    floats = [each for each in whole.state_dict().values() if each.is_floating_point()]
    assert floats and all(each.is_cuda for each in floats)
    with pytest.raises(Interrupted):
        train_classifier(real, checkpoint=tmp_path / "state", progress=interrupt, **options)
    resumed = train_classifier(real, checkpoint=tmp_path / "state", **options)
    expected, again = (predict(each, real.images, device=gpu) for each in (whole, resumed))
    assert again == pytest.approx(expected, abs=1e-3)
    there, here = (evaluate(whole, real, device=each).accuracy for each in (gpu, "cpu"))
    assert abs(there - here) < 0.05  # other kernels round otherwise
    assert next(whole.parameters()).is_cuda


@pytest.mark.parametrize("name", ["timm:resnet10t", "timm:mobilenetv3_small_050"])
def test_networks_of_timm(real: LabelledImages, gpu: str, name: str) -> None:
    rows = np.concatenate([real.images] * 3, 1).repeat(4, 2).repeat(4, 3)
    colour = LabelledImages(rows, real.labels, real.classes)
    options: dict[str, Any] = {"steps": 2, "batch_size": 8, "device": gpu}
    network = train_classifier(colour, classifier=name, **options)
    assert next(network.parameters()).is_cuda
    assert np.isfinite(predict(network, colour.images, device=gpu)).all()


@pytest.mark.usefixtures("tiny_network")
def test_pools_and_what_they_are_filtered_by(
    real: LabelledImages, gpu: str, tmp_path: Path
) -> None:
    network = train_classifier(real, steps=40, batch_size=16, device=gpu)
    generator = StyleSwap(cells=2).fit(real, device=gpu)
    pool = SamplePool.create(
        tmp_path / "pool",
        generator,
        4,
        filters=[
            DistanceFilter(9.0, network),
            MemorizationFilter(0.01, network),
            ClassifierAgreement(network),
        ],
        reference=real,
        teacher=network,
    )
    assert pool.samples.soft_labels is not None and len(pool) == 12
    assert next(network.parameters()).is_cuda


def test_metrics_by_the_features_of_a_network(real: LabelledImages, gpu: str) -> None:
    network = train_classifier(real, steps=1, batch_size=8, device=gpu)
    some, other = real.images[:20], real.images[20:]
    features = [extract_features(each, network) for each in (some, other)]
    assert {type(each) for each in features} == {np.ndarray}
    assert 0 < prdc(*features).coverage <= 1
    assert nearest(some, other, network)[0].shape == (20,)


def test_a_dataset_from_a_recipe(real: LabelledImages, gpu: str, tmp_path: Path) -> None:
    config = MixConfig(TINY, 0.5)
    mixed = MixedDataset.from_config(
        list(zip(torch.as_tensor(real.images), real.labels.tolist(), strict=True)),
        config,
        tmp_path / "pool",
        device=gpu,
    )
    images, labels = next(iter(torch.utils.data.DataLoader(mixed, batch_size=16)))
    assert images.shape == (16, *real.image_shape) and labels.shape == (16,)


def test_resampling(real: LabelledImages, gpu: str) -> None:
    rows = real.images.reshape(len(real), -1)[5:]
    more, _ = SyntheticResampler(TINY, real.image_shape, device=gpu).fit_resample(
        rows, real.labels[5:]
    )
    assert len(more) > len(rows)


@pytest.mark.usefixtures("tiny_network")
def test_arms_of_a_gain(real: LabelledImages, gpu: str) -> None:
    experiment = Experiment(real, None, 5, Backbone(), 8, gpu)
    plain = Arm("classical", TrainConfig())
    arms = [plain, distilled_arm(plain), synthetic_arm(Source("vae", TINY), plain, 0.25, "mixed")]
    with open_comparison(
        experiment, [0], cache=None, keep=False, jobs=1, progress=None
    ) as comparison:
        comparison.steps, comparison.teacher = 2, plain
        comparison.train(arms, "arms")
        tested = comparison.test([(arm, 0) for arm in arms], digits("test"), "test images")
        assert comparison.experiment.device.startswith("cuda")
    assert len(tested) == 3 and all(len(scores.per_class) == 3 for scores in tested)


class TestThePretendedOne:
    """Else it would prove nothing."""

    @pytest.fixture(autouse=True)
    def _there(self) -> Any:
        with pretended_gpu():
            yield

    @pytest.mark.parametrize(
        "wrong",
        [
            lambda there, here: there + here,
            lambda there, here: there @ here.T,
            lambda there, here: here[there[0].long()],
            lambda there, here: torch.cat([there, here]),
            lambda there, here: F.linear(there, here),
            lambda there, here: there.numpy(),
            lambda there, here: np.asarray(there),
            lambda there, here: torch.rand(2, device="cuda", generator=torch.Generator()),
            lambda there, here: there.bernoulli(generator=torch.Generator()),
            lambda there, here: there.to(torch.uint16)[there[0].long()],
            lambda there, here: there.to(torch.uint16).float() / 2 + there.to(torch.uint16) / 2,
        ],
    )
    def test_it_refuses_what_a_gpu_does(self, wrong: Any) -> None:
        here = torch.zeros(2, 2)
        with pytest.raises((RuntimeError, TypeError, NotImplementedError)):
            wrong(here.cuda(), here)

    def test_numbers_come_and_go(self) -> None:
        here = torch.rand(3, 4)
        there = here.to("cuda")
        assert there.is_cuda and there.device == torch.device("cuda:0") and not here.is_cuda
        assert there.cpu().equal(here) and there.tolist() == here.tolist()
        assert (there * torch.tensor(2.0)).cpu().equal(here * 2)
        assert there[torch.tensor([1])].to("cpu").equal(here[1:2])
        there[0] = 7.0
        assert there.to("cpu", torch.int64)[0].tolist() == [7] * 4 and here.max() < 7

    def test_it_draws_numbers_of_its_own(self) -> None:
        torch.manual_seed(3)
        expected = torch.rand(4)
        torch.manual_seed(3)
        with torch_stream(5, "step", device="cuda"):
            first = torch.rand(4, device="cuda")
        assert torch.rand(4).equal(expected)
        with torch_stream(5, "step", device="cuda"):
            torch.rand(4)
            assert torch.rand(4, device="cuda").cpu().equal(first.cpu())

    def test_gradients_cross_over(self) -> None:
        weight = torch.ones(2, 2, requires_grad=True)
        (weight.to("cuda") * 3).cpu().sum().backward()
        assert weight.grad is not None and weight.grad.tolist() == [[3.0] * 2] * 2

    def test_its_autocast_is_not_that_of_the_processor(self) -> None:
        here = torch.ones(2, 2)
        there = here.cuda()
        with torch.autocast("cuda", torch.bfloat16):
            assert ((there @ there).dtype, (here @ here).dtype) == (torch.bfloat16, torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            assert ((there @ there).dtype, (here @ here).dtype) == (torch.float32, torch.bfloat16)

    @pytest.mark.parametrize("wait", [torch.Tensor.item, torch.Tensor.cpu])
    def test_waiting_is_seen(self, wait: Any) -> None:
        number = torch.ones((), device="cuda")
        torch.cuda.set_sync_debug_mode("error")
        try:
            with pytest.raises(RuntimeError, match="synchronizing"):
                wait(number)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert float(wait(number)) == 1

    def test_weights_keep_their_layout(self) -> None:
        network = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last).to("cuda")
        assert isinstance(network.weight, OnGPU)
        assert network.weight.content.is_contiguous(memory_format=torch.channels_last)
        network.to(memory_format=torch.contiguous_format)
        assert network.weight.content.is_contiguous()
