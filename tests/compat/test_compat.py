"""Files of 0.5.0, written by the code of that version (`write_files.py`), still load."""

import json
from pathlib import Path

import numpy as np
import pytest

from synthaug import Gain, LabelledImages, MixConfig, SamplePool, load_generator, read_images
from synthaug.gain.report import write_report
from synthaug.generators import registrations

FILES = Path(__file__).parent / "files" / "0.5.0"
pytestmark = pytest.mark.skipif(not FILES.exists(), reason="not in the source distribution")
GENERATORS = sorted(path.name for path in (FILES / "generators").glob("*"))
TRAINING = {"partner": "mixup", "recipe": {"policy": "shift"}, "steps": 5, "batch_size": 8}


def small_digits() -> LabelledImages:
    """The images that the files were made of."""
    digits = read_images("digits", image_size=8)
    rows = [np.flatnonzero(digits.labels == label)[:12] for label in (0, 1)]
    part = digits.subset(np.concatenate(rows))
    return LabelledImages(part.images, part.labels, ["zero", "one"])


@pytest.mark.parametrize("folder", GENERATORS)
def test_generators(folder: str) -> None:
    generator = load_generator(FILES / "generators" / folder, device="cpu")
    assert generator.name == folder.removesuffix("-per-class")
    assert type(generator) is registrations()[generator.name].family
    assert generator.metadata["data"]["fingerprint"] == small_digits().fingerprint
    images = generator.sample(np.array([0, 1, 1]), seed=3).images
    expected = np.load(FILES / "samples.npz")[folder]
    # Kernels of another processor may round otherwise.
    assert np.abs(images.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("folder", GENERATORS)
def test_generators_are_saved_again(folder: str, tmp_path: Path) -> None:
    generator = load_generator(FILES / "generators" / folder, device="cpu")
    generator.save(tmp_path / "again")
    again = load_generator(tmp_path / "again", device="cpu")
    assert again == generator
    assert json.loads((tmp_path / "again" / "manifest.json").read_text())["family"] == again.name
    labels = np.array([0, 1])
    assert np.array_equal(again.sample(labels).images, generator.sample(labels).images)


def test_pools() -> None:
    filtered, soft = (SamplePool(FILES / "pools" / name) for name in ("filtered", "soft"))
    for pool in (filtered, soft):
        pool.check()
    assert (len(filtered), filtered.classes) == (6, ["zero", "one"])
    assert filtered.origins == {small_digits().fingerprint}
    assert soft.manifest["source"] == "simulator" and soft.origins == set()
    assert soft.samples.soft_labels is not None and soft.samples.soft_labels.shape == (4, 2)


def test_mix_configurations(tmp_path: Path) -> None:
    mix = MixConfig.load(FILES / "mix.json")
    assert mix.generator is not None and mix.generator.name == "transfer"
    assert mix.generator.settings["donors"] == "within"
    assert (mix.ratio, mix.labels, mix.filters) == (0.25, "hard", {"distance": 2.0})
    assert mix.training == TRAINING and mix.recommended
    mix.save(tmp_path / "mix.json")
    assert MixConfig.load(tmp_path / "mix.json") == mix
    none = MixConfig.load(FILES / "none.json")
    assert none.generator is None and not none.recommended


def test_results(tmp_path: Path) -> None:
    gain = Gain.load(FILES / "gain.json")
    expected = json.loads((FILES / "verdict.json").read_text())
    assert gain.verdict == expected["verdict"] and gain.baseline == expected["baseline"]
    assert gain.gain.points == expected["points"]
    write_report(gain, tmp_path / "page.html")
    assert gain.sentence().split(":")[0] in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", sorted(FILES.parents[3].glob("benchmarks/accuracy/results/*.json"))
)
def test_stored_results(path: Path) -> None:
    gain = Gain.load(path)
    assert gain.to_json()["verdict"] == json.loads(path.read_text())["verdict"]
