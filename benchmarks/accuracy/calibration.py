"""Check the instrument on comparisons whose answer is known, many times over.

    python benchmarks/accuracy/calibration.py --jobs 2

On the digits of scikit-learn, with the interval and the verdict of `synthaug gain`:

- *seed alone*: both arms are the same but for the seed of weights and order; the true gain is zero.
- *copies*: the second arm mixes in copies of its own real images as if they were synthetic.
- *chosen*: the best on validation images of nine arms that are the same as a tenth is compared with
  the tenth, on the five seeds that it was chosen on and on five others.
- *best of ten*: an arm with synthetic images is exactly as good as the best of ten without, of
  which validation images may choose another. Scores are drawn, nothing is trained.
- *planted*: a share of the first arm's labels is wrong, and right in the second.

Trainings are kept in calibration.json as they are done, so that a run can be stopped and started
again. The rows of the tables of docs/calibration.md are printed.
"""

import argparse
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from scipy import stats
from torch import nn

from synthaug import LabelledImages, Samples, TrainConfig, read_images, train_classifier
from synthaug.classifiers import evaluate
from synthaug.core import versions, write_json
from synthaug.data import draw_subset
from synthaug.gain import paired_interval
from synthaug.gain.statistics import verdict

RESULT = Path(__file__).parent / "calibration.json"
COMPARISONS, SEEDS = 200, 5
EQUALS = "seed alone", "copies"  # second arms that gain nothing
PLANTED = 0.02, 0.05, 0.1, 0.2  # shares of wrong labels
PLANTED_PAIRS = 200
SIZES, DRAWS, POWER = (5, 10, 20), 4000, 0.9
ARMS, ARM_SEEDS, HELD = 10, 240, 30  # equal arms; validation images of a class
PER_CLASS, STEPS, BATCH, RATIO = 5, 150, 32, 0.25
CONFIG = TrainConfig(policy="rotate-scale", weight_decay=5e-3, mix="mixup")
PLAIN = "plain"  # the arm that the others are compared with
IMAGE = 100 / 797  # points that one test image counts
UNLIKE = 0.0, 1.0, 2.0, 4.0  # points by which validation ranks arms in another way
OTHER = 1_000_000  # added to a seed for the second arm
MADE_IN = {
    "versions": versions(),
    "setting": f"{PER_CLASS} images per class, {STEPS} steps of {BATCH}, {CONFIG.policy} geometry, "
    f"{CONFIG.mix}, weight decay {CONFIG.weight_decay:g}",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1)
    jobs = parser.parse_args().jobs
    kinds = dict.fromkeys((PLAIN, *EQUALS), COMPARISONS * SEEDS)
    kinds |= {f"planted {share:g}": PLANTED_PAIRS for share in PLANTED}
    for kind, count in kinds.items():
        train_missing(("accuracies", kind), range(count), lambda s, k=kind: accuracy(k, s), jobs)
    train_missing(("arms",), range(ARM_SEEDS), equal_arms, jobs)
    print("".join(table_rows(read())), end="")


def read() -> dict[str, Any]:
    return json.loads(RESULT.read_text()) if RESULT.exists() else {}


def train_missing(
    place: tuple[str, ...], seeds: Iterable[int], train: Callable[[int], Any], jobs: int
) -> None:
    """Train what is missing in a part of the file, twenty seeds at a time."""
    part, *kind = place

    def stored(result: dict[str, Any]) -> dict[str, Any]:
        scores = result.setdefault(part, {**MADE_IN, "accuracies": {}})["accuracies"]
        return scores.setdefault(kind[0], {}) if kind else scores

    result = read()
    missing = [seed for seed in seeds if str(seed) not in stored(result)]
    if missing and any(result[part][name] != now for name, now in MADE_IN.items()):
        raise SystemExit(f"{RESULT}: {part} are of another setting or version; move it away first")
    for start in range(0, len(missing), 20):
        some = missing[start : start + 20]
        scores = joblib.Parallel(n_jobs=jobs)(joblib.delayed(train)(seed) for seed in some)
        stored(result).update(zip(map(str, some), scores, strict=True))
        write_json(RESULT, result)
        print(f"{', '.join(place)}: {start + len(some)} of {len(missing)}", flush=True)


def accuracy(kind: str, seed: int) -> float:
    """Return the test accuracy of the seed's network of one kind."""
    torch.set_num_threads(1)
    data, test = read_images("digits"), read_images("digits", split="test")
    real = data.subset(draw_subset(data, PER_CLASS, seed=seed))
    if kind == "copies":
        network = train(real, seed, Samples(real.images, real.labels), RATIO)
    elif kind.startswith("planted"):
        network = train(with_wrong_labels(real, float(kind.split()[1]), seed), seed)
    else:
        network = train(real, seed + OTHER if kind == "seed alone" else seed)
    return evaluate(network, test, device="cpu").accuracy


def equal_arms(seed: int) -> list[list[float]]:
    """Return validation and test accuracy of each of ten arms that differ in their seeds alone."""
    torch.set_num_threads(1)
    data, test = read_images("digits"), read_images("digits", split="test")
    chosen = draw_subset(data, PER_CLASS, seed=seed)
    rest = data.subset(np.setdiff1d(np.arange(len(data)), chosen))
    held = rest.subset(draw_subset(rest, HELD, seed=seed))
    networks = [train(data.subset(chosen), seed + OTHER * arm) for arm in range(ARMS)]
    return [
        [evaluate(network, part, device="cpu").accuracy for part in (held, test)]
        for network in networks
    ]


def with_wrong_labels(data: LabelledImages, share: float, seed: int) -> LabelledImages:
    """Move a share of the labels to another class."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(data)) < share
    moved = (data.labels + rng.integers(1, len(data.classes), len(data))) % len(data.classes)
    return LabelledImages(data.images, np.where(wrong, moved, data.labels), data.classes)


def train(
    data: LabelledImages, seed: int, synthetic: Samples | None = None, ratio: float = 0.0
) -> nn.Module:
    return train_classifier(
        data,
        config=CONFIG,
        synthetic=synthetic,
        ratio=ratio,
        steps=STEPS,
        batch_size=BATCH,
        seed=seed,
        device="cpu",
    )


def points_of(result: dict[str, Any], kind: str) -> np.ndarray:
    """Return what the second arm has over the first, in percentage points, one a seed."""
    known = result["accuracies"]["accuracies"]
    plain, other = known[PLAIN], known[kind]
    gains = np.array([100 * (other[seed] - plain[seed]) for seed in sorted(other, key=int)])
    return -gains if kind.startswith("planted") else gains  # the wrong labels are the first arm's


def verdicts(points: np.ndarray) -> dict[str, float]:
    """Return how often comparisons of five pairs, each pair used once, end how."""
    groups = points[: len(points) // SEEDS * SEEDS].reshape(-1, SEEDS)
    ends = [verdict(paired_interval(list(group))) for group in groups]
    return {end: ends.count(end) / len(ends) for end in ("helps", "hurts", "no evidence")}


def gains_of_chosen(result: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return gains of the best of the other equal arms over each, points (arms, draws, seeds)."""
    scores = np.array([rows for _, rows in sorted(result["arms"]["accuracies"].items())])
    validation, test = 100 * scores[..., 0], 100 * scores[..., 1]  # (seeds, arms)
    rng = np.random.default_rng(0)
    drawn = np.array([rng.choice(len(scores), 2 * SEEDS, replace=False) for _ in range(DRAWS)])
    held = validation[drawn[:, :SEEDS]].mean(1)  # (draws, arms)

    def over_each(seeds: np.ndarray) -> np.ndarray:
        gains = []
        for baseline in range(ARMS):
            best = np.where(np.arange(ARMS) == baseline, -np.inf, held).argmax(1)
            gains.append(test[seeds, best[:, None]] - test[seeds, baseline])
        return np.array(gains)

    return {
        "the same five seeds": over_each(drawn[:, :SEEDS]),
        "five other seeds": over_each(drawn[:, SEEDS:]),
    }


def shares_that_help(unlike: float, draws: int = 5 * DRAWS) -> list[float]:
    """Return how often an arm that is as good as the best of ten without synthetic images is said
    to help: over the one that validation chose alone, and with one and two oracle baselines.

    True accuracies scatter by a point, and so does each over seeds; luck is shared by validation
    and test images to 0.6. unlike: points by which validation images rank the arms in another way.
    """
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(draws, ARMS, 1))
    luck = rng.normal(size=(draws, ARMS, SEEDS))
    test = truth + luck
    other = rng.normal(size=luck.shape)
    held = truth + unlike * rng.normal(size=truth.shape) + 0.6 * luck + 0.8 * other
    # After two seeds, what is two standard errors behind the best is given up.
    first = held[..., :2].mean(2)
    given_up = first < first.max(1, keepdims=True) - 2
    of_all, rows = ~given_up, np.arange(draws)
    baseline = np.where(of_all, held.mean(2), -np.inf).argmax(1)
    over = test - test[rows, baseline][:, None]
    found = np.where(of_all, over.mean(2), over[..., :2].mean(2))
    found[rows, baseline] = -np.inf
    oracles = np.argsort(-found, axis=1)[:, :2]
    fresh = truth + rng.normal(size=luck.shape)
    arm = truth.max(1) + rng.normal(size=(draws, SEEDS))

    def above(others: np.ndarray) -> np.ndarray:
        gained = arm - fresh[rows, others]
        half = stats.t.ppf(0.975, SEEDS - 1) * gained.std(1, ddof=1) / math.sqrt(SEEDS)
        cleared: np.ndarray = gained.mean(1) > half
        return cleared

    shares = [above(baseline).mean()]
    for count in (1, 2):
        named = np.column_stack([baseline, oracles[:, :count]])
        means = fresh[rows[:, None], named].mean(2)
        best = named[rows, means.argmax(1)]
        shares.append((above(baseline) & above(best)).mean())
    return [float(share) for share in shares]


def seen(points: np.ndarray, size: int) -> float:
    """Return how often `size` pairs, drawn at random, say that the second arm helps."""
    rng = np.random.default_rng(size)
    drawn = rng.choice(points, (DRAWS, size))
    return float(np.mean([verdict(paired_interval(list(each))) == "helps" for each in drawn]))


def smallest_seen(gains: list[float], shares: list[float]) -> float:
    """Return the gain that is seen nine times in ten, between those that were planted."""
    above = next(place for place, share in enumerate(shares) if share >= POWER)
    return float(np.interp(POWER, shares[above - 1 : above + 1], gains[above - 1 : above + 1]))


def table_rows(result: dict[str, Any]) -> list[str]:
    """Return the rows of all tables of docs/calibration.md."""
    rows = []
    for kind in EQUALS:
        points = points_of(result, kind)
        error = points.std(ddof=1) / math.sqrt(len(points))
        ends = [f"{100 * share:.1f} %" for share in verdicts(points).values()]
        rows.append([kind, *ends, f"{points.mean():+.2f} ± {error:.2f}"])
    for where, gains in gains_of_chosen(result).items():
        said = [
            verdict(paired_interval(list(row), resolution=IMAGE))
            for row in gains.reshape(-1, SEEDS)
        ]
        ends = [f"{100 * said.count(e) / len(said):.1f} %" for e in ("helps", "hurts")]
        rows.append([where, *ends, f"{gains.mean():+z.2f}"])
    for unlike in UNLIKE:
        shares = [f"{100 * share:.1f} %" for share in shares_that_help(unlike)]
        rows.append([f"{unlike:g}", *shares])
    planted = [points_of(result, f"planted {share:g}") for share in PLANTED]
    seen_of = [[seen(points, size) for size in SIZES] for points in planted]
    for share, points, shares in zip(PLANTED, planted, seen_of, strict=True):
        ends = [f"{100 * each:.0f} %" for each in shares]
        rows.append([f"{100 * share:g} %", f"{points.mean():+z.1f}", *ends])
    gains = [0.0, *(float(points.mean()) for points in planted)]
    least = [smallest_seen(gains, [0.025, *shares]) for shares in zip(*seen_of, strict=True)]
    rows.append(["seen nine times in ten", "", *(f"{each:+.1f}" for each in least)])
    return [f"| {' | '.join(row)} |\n" for row in rows]


if __name__ == "__main__":
    main()
