"""What each option of a family changes: with it and without, over paired seeds, one file a data
set.

    python benchmarks/generators/ablate.py DATA --per-class 20 --steps 400 --seeds 3
    python benchmarks/generators/page.py

Every option is changed alone, from the family's defaults. For each seed (of the images that are
drawn, the generator and the classifier alike) a classifier learns from 100 synthetic images per
class alone and is scored on the test split; diversity is the mean distance between two samples of a
class over that between two real ones, of the class where it is least. Finished rows are kept, so
that it can be stopped and started again.
"""

import argparse
import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from measure import EACH, expect_steps, judged_alone, least_diversity

from synthaug import LabelledImages, read_images
from synthaug.core import resolve_device, versions
from synthaug.data import draw_subset
from synthaug.generators import Generator
from synthaug.generators.registry import SINGLE

RESULTS = Path(__file__).parent / "ablations"
SAMPLING = {"sampling", "donors", "strength", "apart", "chain"}  # can change after fitting


@dataclass(frozen=True)
class Option:
    """A change of one family's settings."""

    family: str
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        return ", ".join(f"{key}={value!r}" for key, value in self.settings.items()) or "default"


OPTIONS = [
    Option("ConditionalGAN", {}),
    Option("ConditionalGAN", {"pack": 1}),
    Option("ConditionalGAN", {"pack": 1, "late": (0.25, 0.5)}),
    Option("ConditionalGAN", {"late": (0.25, 0.5)}),
    Option("ConditionalGAN", {"certainty": None}),
    Option("ConditionalGAN", {"certainty": None, "augment": ()}),
    Option("ConditionalGAN", {"attention": True}),
    Option("ConditionalGAN", {"diversity": 0.1}),
    Option("ConditionalGAN", {"codes": 4}),
    Option("ConditionalGAN", {"r1": 0.1}),
    Option("ConditionalGAN", {"backbone": "residual"}),
    Option("ConditionalGAN", {"conditioning": "concatenation"}),
    Option("ConditionalGAN", {"conditioning": "auxiliary"}),
    Option("ConditionalGAN", {"loss": "bce"}),
    Option("ConditionalGAN", {"loss": "least-squares"}),
    Option("ConditionalGAN", {"loss": "wasserstein", "certainty": None}),
    Option("ConditionalGAN", {"scope": "per-class", "batch_size": 16}),
    Option("ConditionalVAE", {}),
    Option("ConditionalVAE", {"sampling": "interpolate"}),
    Option("ConditionalVAE", {"sampling": "interpolate", "strength": (1.0, 1.5)}),
    Option("ConditionalVAE", {"sampling": "jitter"}),
    Option("ConditionalVAE", {"sampling": "mixture"}),
    Option("ConditionalVAE", {"sampling": "prior"}),
    Option("ConditionalVAE", {"sampling": "prior", "prior": "class"}),
    Option("ConditionalVAE", {"prior": "class"}),
    Option("ConditionalVAE", {"independence": 10.0}),
    Option("ConditionalVAE", {"kl_warmup": 0.5}),
    Option("ConditionalVAE", {"free_bits": 0.05}),
    Option("ConditionalVAE", {"l1": 0.0, "mse": 10.0, "ssim": 0.0}),
    Option("ConditionalVAE", {"l1": 0.0, "bce": 2.0, "ssim": 0.0}),
    Option("ConditionalVAE", {"ssim": 0.0}),
    Option("ConditionalVAE", {"scope": "per-class", "batch_size": 16}),
    Option("TransferVAE", {}),
    Option("TransferVAE", {"donors": "within"}),
    Option("TransferVAE", {"sampling": "prior"}),
    Option("TransferVAE", {"apart": True}),
    Option("TransferVAE", {"chain": 2}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--per-class", type=int, default=20)
    parser.add_argument("--steps", type=int, default=400, help="of each classifier")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--families", nargs="+", choices=SINGLE, default=list(SINGLE))
    options = parser.parse_args()
    train, test = read_images(options.data), read_images(options.data, split="test")
    path = RESULTS / f"{Path(options.data).stem}-{options.per_class}.json"
    expect_steps(path, options.steps)
    for seed in range(options.seeds):
        few = train.subset(draw_subset(train, options.per_class, seed=seed))
        fitted: dict[str, Generator] = {}
        for option in OPTIONS:
            row = {"family": option.family, "option": option.name, "seed": seed}
            if option.family in options.families and not done(path, row):
                generator = fit(option, few, fitted, seed)
                samples = generator.sample(EACH, seed=seed)
                made = LabelledImages(samples.images, samples.labels, train.classes)
                row |= {
                    "accuracy": judged_alone(made, test, options.steps, seed),
                    "diversity": least_diversity(generator, few),
                    "class_from_code": generator.metadata.get("class_from_code"),
                    "synthaug": versions()["synthaug"],
                }
                print(row, flush=True)
                keep(path, options, row)


def fit(option: Option, few: LabelledImages, fitted: dict[str, Generator], seed: int) -> Generator:
    """The generator with that option; where it changes sampling alone, the one of the defaults."""
    learned = {key: value for key, value in option.settings.items() if key not in SAMPLING}
    key = f"{option.family} {learned}"
    if key not in fitted:
        fitted[key] = SINGLE[option.family](**learned).fit(few, seed=seed)
    return replace_settings(fitted[key], option.settings)


def replace_settings(generator: Generator, settings: dict[str, Any]) -> Generator:
    """A fitted generator that samples otherwise."""
    changed = copy.copy(generator)
    for name in SAMPLING & settings.keys():
        setattr(changed, name, settings[name])
    return changed


def read(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["rows"] if path.exists() else []


def done(path: Path, row: dict[str, Any]) -> bool:
    return any(row.items() <= kept.items() for kept in read(path))


def keep(path: Path, options: argparse.Namespace, row: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    older = json.loads(path.read_text()) if path.exists() else {"rows": []}
    rows = [{"synthaug": older["versions"]["synthaug"]} | kept for kept in older["rows"]]
    result = {
        "data": options.data,
        "per_class": options.per_class,
        "steps": options.steps,
        "device": str(resolve_device("auto")),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        "rows": [*rows, row],
    }
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
