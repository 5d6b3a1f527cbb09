"""timm's loaders, Mixup and readers."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mixing_images import CLASSES, MADE, REAL, Vision, make_pool, stored
from PIL import Image
from timm.data import FastCollateMixup, ImageDataset, Mixup, create_dataset, create_loader
from timm.data.loader import fast_collate
from torch.utils.data import Subset

from synthaug.core import InputError
from synthaug.data import Samples
from synthaug.mixing import MixedDataset, MixSynthetic
from synthaug.pool import SamplePool, export_folder

SIZE = (3, 8, 9)
CPU = torch.device("cpu")


@pytest.fixture
def pool(tmp_path: Path) -> SamplePool:
    return make_pool(tmp_path, 3)


def real() -> Vision:
    return Vision(stored(REAL, 0, 3), REAL)


def make_loader(dataset: Any, **options: Any) -> Any:
    """Without what would change pixels, so that they tell where an image is from."""
    plain: dict[str, Any] = {
        "input_size": SIZE,
        "batch_size": 4,
        "device": CPU,
        "num_workers": 0,
        "persistent_workers": False,  # of none, which timm before 1.0.25 did not see to
        "mean": (0.0,) * 3,
        "std": (1.0,) * 3,
        "no_aug": True,
    }
    return create_loader(dataset, **{**plain, **options})


def values(images: torch.Tensor) -> np.ndarray:
    return (images[:, 0, 0, 0] * 255).round().long().numpy()


@pytest.mark.parametrize("prefetcher", [True, False])
@pytest.mark.parametrize("workers", [0, 2])
def test_create_loader(pool: SamplePool, prefetcher: bool, workers: int) -> None:
    """It overwrites the Dataset's transform: real and synthetic images both go through it."""
    mixed = MixedDataset(real(), pool, 0.5, seed=1)
    loader = make_loader(
        mixed,
        is_training=True,
        use_prefetcher=prefetcher,
        num_workers=workers,
        use_multi_epochs_loader=False,
    )
    found, labels = [], []
    for images, batch_labels in loader:
        assert images.dtype == torch.float32 and images.shape == (4, *SIZE)
        assert batch_labels.dtype == torch.int64
        found += values(images).tolist()
        labels += batch_labels.tolist()
    found_, labels_ = np.array(found), np.array(labels)
    made = found_ >= 150
    assert len(found) == 20 and made.any() and not made.all()
    assert (MADE[found_[made] - 150] == labels_[made]).all()
    assert (REAL[found_[~made]] == labels_[~made]).all()


@pytest.mark.parametrize("prefetcher", [True, False])
def test_with_randaugment_and_mixup(pool: SamplePool, prefetcher: bool) -> None:
    mixed = MixedDataset(real(), pool, 0.5)
    settings: dict[str, Any] = {"mixup_alpha": 0.4, "cutmix_alpha": 1.0, "num_classes": 3}
    loader = make_loader(
        mixed,
        is_training=True,
        no_aug=False,
        auto_augment="rand-m7-mstd0.5",
        re_prob=0.2,
        use_prefetcher=prefetcher,
        collate_fn=FastCollateMixup(**settings) if prefetcher else None,
    )
    mixup = None if prefetcher else Mixup(**settings)
    for images, labels in loader:
        if mixup is not None:
            images, labels = mixup(images, labels)
        assert images.shape == (4, *SIZE)
        assert labels.shape == (4, 3)
        torch.testing.assert_close(labels.sum(1), torch.ones(4))


def test_the_batch_transform_before_mixup(pool: SamplePool) -> None:
    """Mixup wants an even batch and class numbers, which MixSynthetic leaves as they are."""
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.25)
    loader = make_loader(real(), is_training=True, use_prefetcher=False, mean=mean, std=std)
    mix = MixSynthetic(pool, 0.5, mean=mean, std=std)
    mixup = Mixup(mixup_alpha=0.4, num_classes=3)
    for images, labels in loader:
        images, labels = mix(images, labels)
        made = values(images * torch.tensor(std)[:, None, None] + torch.tensor(mean)[:, None, None])
        assert (made >= 150).sum() == 2
        assert labels.dtype == torch.int64
        assert mixup(images, labels)[1].shape == (4, 3)


def test_the_batch_transform_within_the_prefetcher(pool: SamplePool) -> None:
    """fast_collate makes uint8 batches, of what a user wraps it in too."""
    mix = MixSynthetic(pool, 0.5)
    loader = make_loader(
        real(),
        is_training=True,
        use_prefetcher=True,
        collate_fn=lambda items: mix(*fast_collate(items)),
    )
    for images, labels in loader:
        found = values(images)
        assert (found >= 150).sum() == 2
        made = found >= 150
        assert (MADE[found[made] - 150] == labels.numpy()[made]).all()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # timm leaves closing files to Python
def test_an_exported_pool_beside_real_images_is_what_train_py_reads(
    pool: SamplePool, tmp_path: Path
) -> None:
    """timm's train.py makes its Dataset by create_dataset from a folder with split folders."""
    for index, label in enumerate(REAL):
        path = tmp_path / "mixed" / "train" / CLASSES[label] / f"{index:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(stored(REAL, 0, 3)[index].transpose(1, 2, 0)).save(path)
    export_folder(pool, tmp_path / "made")
    shutil.copytree(tmp_path / "made", tmp_path / "mixed" / "train", dirs_exist_ok=True)
    dataset = create_dataset("", root=str(tmp_path / "mixed"), split="train", is_training=True)
    assert len(dataset) == len(REAL) + len(MADE)
    for image, label in dataset:
        value = np.asarray(image)[0, 0, 0]
        assert label == (MADE[value - 150] if value >= 150 else REAL[value])


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # timm leaves closing files to Python
def test_the_classes_of_timms_own_dataset_are_compared(pool: SamplePool, tmp_path: Path) -> None:
    """timm numbers folders in natural order, its reader keeps the names; others sort them."""
    for index, name in enumerate(["a10", "a2", "b"] * 2):
        path = tmp_path / "real" / name / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(stored(REAL, index, 3)[0].transpose(1, 2, 0)).save(path)
    real = ImageDataset(str(tmp_path / "real"))
    with pytest.raises(InputError, match=r"real images \['a2', 'a10', 'b'\]; they must be"):
        MixedDataset(real, pool)
    samples = Samples(stored(MADE, 150, 3), MADE)
    fitting = SamplePool.from_samples(tmp_path / "fitting", samples, ["a2", "a10", "b"])
    mixed = MixedDataset(Subset(real, range(6)), fitting, 1.0)
    for image, label in mixed:
        assert MADE[np.asarray(image)[0, 0, 0] - 150] == label
