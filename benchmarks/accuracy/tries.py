"""What was tried to make synthetic images worth more, scored on images of the training split.

    python benchmarks/accuracy/tries.py FOLDER --sets gtsrb32 cifar10 --tries style style+nuisance
    python benchmarks/accuracy/tries.py --page

A try is a generator of `GENERATORS`, or several joined by "+" (each image by one of them, drawn at
random) or by ">" (each by all of them, in turn), at a share of every batch: a quarter, or what is
said as in `style@0.5`. Of twice as many images `/agreed` keeps those that the classifier without
synthetic images is surer of, and `/hard` those that it is least sure of among those it gets right.
It is trained beside the recipe that grid.py found best without synthetic images, at as many steps
and the same seeds, and scored on two fifths of the training split, apart by group. The test split
is never read: what is kept is measured by grid.py. A row of this version, at these steps, is not
measured again.
"""

import argparse
import copy
import json
import math
import re
import tempfile
import time
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stored import partner_of
from torch import nn
from wording import renewed

from synthaug import VAEGAN, Blend, Chain, CompositionGAN, ConditionalVAE, Gain, PatchSwap, RandomField, Samples, StyleSwap, TrainConfig, TransferVAE, read_images, train_classifier
from synthaug.classifiers import evaluate
from synthaug.classifiers import predict
from synthaug.core import versions, write_json
from synthaug.data import draw_subset, split_off
from synthaug.gain import EXTRAPOLATE
from synthaug.gain.arms import real_arm
from synthaug.generators import Composite, Generator
from synthaug.pool import usual_size

ROOT = Path(__file__).parent.parent.parent
RESULTS = Path(__file__).parent / "tries"
GRID = Path(__file__).parent / "results"
PAGE = ROOT / "docs" / "research.md"
HELD, RATIO, NONE = 0.4, 0.25, "none"
SELECTIONS = "", "/agreed", "/hard"
TRIES = [kind + rule for kind in ("transfer", "patch>nuisance") for rule in SELECTIONS]
GENERATORS: dict[str, Generator] = {
    "style": StyleSwap(),
    "patch": PatchSwap(),
    "field": RandomField(),
    "transfer": TransferVAE(),
    "within": TransferVAE(donors="within"),
    "strong": TransferVAE(strength=(0.6, 1.6)),
    "nuisance": ConditionalVAE(),
    "extrapolate": ConditionalVAE(**EXTRAPOLATE),
    "wide": ConditionalVAE(latent=256, kl_weight=1e-3),
    "twice": TransferVAE(chain=2, strength=(0.2, 0.7)),
    "apart": TransferVAE(apart=True),
    "composition": CompositionGAN(),
    "vaegan": VAEGAN(),
    "elsewhere": TransferVAE(),  # goes on from one that learned all images of another set
}


@dataclass(frozen=True)
class Place:
    """How many images of a class are learned from, where each has as many, and a set of images of
    the same size."""

    per_class: int
    other: str | None = None


PLACES = {
    "gtsrb32": Place(10, "cifar10"),
    "cifar10": Place(50, "gtsrb32"),
    "wbc_types64": Place(10),
    "mnist": Place(10, "fashion_mnist"),
    "fashion_mnist": Place(10, "mnist"),
    "pneumoniamnist": Place(50),
    "covid_ct": Place(50),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--sets", nargs="+", choices=PLACES, default=list(PLACES))
    parser.add_argument("--tries", nargs="+", default=TRIES)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--page", action="store_true", help="only write the page")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in [] if options.page else options.sets:
        for seed in range(options.seeds):
            measure(Bench(options.folder, name, seed), [NONE, *options.tries])
    PAGE.write_text(page(PAGE.read_text()))


@dataclass
class Bench:
    """What a seed's tries on a set share."""

    folder: Path
    name: str
    seed: int
    fitted: dict[str, Generator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        data = read_images(self.folder / f"{self.name}.npz")
        kept, held = split_off(data, HELD, seed=self.seed)
        self.held, rest = data.subset(held), data.subset(kept)
        self.few = min(PLACES[self.name].per_class, int(rest.counts.min()))
        self.learned = rest.subset(draw_subset(rest, self.few, seed=self.seed))
        self.steps, self.recipe = tuned(self.name)

    @cached_property
    def unaided(self) -> nn.Module:
        """The classifier that learns without synthetic images."""
        return self.train(None, 0.0)

    def train(self, made: Samples | None, ratio: float) -> nn.Module:
        return train_classifier(
            self.learned,
            config=self.recipe,
            synthetic=made,
            ratio=ratio,
            steps=self.steps,
            seed=self.seed,
            device="cpu",
        )

    def network_of(self, tried: str) -> nn.Module:
        if tried == NONE:
            return self.unaided
        tried, _, share = tried.partition("@")
        names, _, selection = tried.partition("/")
        composite: type[Composite] = Chain if ">" in names else Blend
        parts = [self.generator(name) for name in re.split("[+>]", names)]
        generator = parts[0] if len(parts) == 1 else composite.of(parts)
        count = usual_size(self.learned.counts)
        made = generator.sample(count * (2 if selection else 1), seed=self.seed)
        if selection:
            made = self.select(made, selection, count)
        return self.train(made, float(share or RATIO))

    def generator(self, name: str) -> Generator:
        if name not in self.fitted:
            made = copy.deepcopy(GENERATORS[name])
            if name == "elsewhere":
                self.fit_on_other_first(made)
            else:
                made.fit(self.learned, seed=self.seed, device="cpu")
            self.fitted[name] = made
        return self.fitted[name]

    def fit_on_other_first(self, made: Generator) -> None:
        other = PLACES[self.name].other
        if other is None:
            raise SystemExit(f"{self.name}: no other set has images of its size")
        first = copy.deepcopy(made)
        first.fit(self.folder / f"{other}.npz", seed=self.seed, device="cpu")
        with tempfile.TemporaryDirectory() as folder:
            first.save(Path(folder) / "first")
            made.fit(self.learned, seed=self.seed, device="cpu", start=Path(folder) / "first")

    def select(self, made: Samples, selection: str, count: int) -> Samples:
        """`count` images of each class, or all that are right where those are fewer."""
        posterior = predict(self.unaided, made.images)
        sure = posterior[np.arange(len(made)), made.labels]
        valid = np.ones(len(made), dtype=bool)
        if selection == "hard":
            valid, sure = posterior.argmax(1) == made.labels, -sure
        chosen = []
        for label in range(len(self.learned.classes)):
            of_class = np.flatnonzero((made.labels == label) & valid)
            chosen.append(of_class[np.argsort(-sure[of_class], kind="stable")][:count])
        picks = np.concatenate(chosen)
        return Samples(made.images[picks], made.labels[picks])


def tuned(name: str) -> tuple[int, TrainConfig]:
    """The steps and the recipe that were best without synthetic images, self-distillation apart,
    where the grid measured the set."""
    gain = Gain.load(GRID / f"{name}-{PLACES[name].per_class}.json")
    best = real_arm(partner_of(gain), TrainConfig(**gain.protocol["recipe"]))
    return gain.protocol["steps"], best.recipe


def measure(bench: Bench, tries: list[str]) -> None:
    """Train what is missing, and keep each score when it is there."""
    target = RESULTS / f"{bench.name}.json"
    known = read(bench.name)
    place = {"per_class": bench.few, "steps": bench.steps, "recipe": asdict(bench.recipe)}
    same = known and known["versions"]["synthaug"] == versions()["synthaug"]
    rows: dict[str, dict[str, float]] = known["rows"] if same and known["place"] == place else {}
    for tried in tries:
        if str(bench.seed) in rows.get(tried, {}):
            continue
        began = time.process_time()
        network = bench.network_of(tried)
        score = 100 * evaluate(network, bench.held, device="cpu").balanced_accuracy
        rows.setdefault(tried, {})[str(bench.seed)] = round(score, 2)
        target.parent.mkdir(exist_ok=True)
        write_json(target, {"versions": versions(), "place": place, "rows": rows})
        seconds = time.process_time() - began
        print(f"{bench.name} {bench.seed} {tried}: {score:.1f}, {seconds:.0f} s", flush=True)


def read(name: str) -> dict[str, Any]:
    target = RESULTS / f"{name}.json"
    return json.loads(target.read_text()) if target.exists() else {}


def page(text: str) -> str:
    """The page of docs with its table renewed."""
    stored = {name: read(name) for name in PLACES if read(name)}
    known = {name: each["rows"] for name, each in stored.items()}
    tries = list(dict.fromkeys(tried for rows in known.values() for tried in rows))
    heads = " | ".join(
        f"{name}, {each['place']['per_class']} per class, {each['place']['steps']:,} steps "
        f"({counted(len(each['rows'][NONE]))})"
        for name, each in stored.items()
    )
    lines = "".join(
        f"| {tried} | {' | '.join(cell(rows, tried) for rows in known.values())} |\n"
        for tried in tries
    )
    return renewed(text, f"| tried | {heads} |\n|{'---|' * (len(known) + 1)}\n{lines}")


def counted(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def cell(rows: dict[str, dict[str, float]], tried: str) -> str:
    """The score of none, or a try's gain over it with its standard error, and of how many seeds it
    is, where those are not all that `none` has."""
    if tried == NONE:
        return f"{np.mean(list(rows[NONE].values())):.1f}"
    gains = gains_of(rows, tried)
    if not gains:
        return ""
    error = f" ± {standard_error(gains):.1f}" if len(gains) > 1 else ""
    seeds = f" ({counted(len(gains))})" if len(gains) < len(rows[NONE]) else ""
    return f"{np.mean(gains):+z.1f}{error}{seeds}"


def gains_of(rows: dict[str, dict[str, float]], tried: str) -> list[float]:
    return [score - rows[NONE][seed] for seed, score in rows.get(tried, {}).items()]


def standard_error(gains: list[float]) -> float:
    return float(np.std(gains, ddof=1)) / math.sqrt(len(gains))


if __name__ == "__main__":
    main()
