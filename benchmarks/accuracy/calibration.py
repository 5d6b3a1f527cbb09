"""Is the instrument right? Comparisons whose answer is known, many times over.

    python benchmarks/accuracy/calibration.py --jobs 2
    python benchmarks/accuracy/calibration.py --page

Everything is measured on the digits of scikit-learn, with the interval and the verdict of
`synthaug gain` (Student's, over paired seeds):

- *seed alone*: both arms are the same but for the seed of the network's weights and the order of
  the images; the true gain is zero.
- *copies*: the second arm mixes in copies of its own real images as if they were synthetic; no
  copy tells it anything new.
- *chosen*: nine arms are the same as a tenth, but for their seeds; the best of the nine on
  validation images, over five seeds, is compared with the tenth, which each of them is in turn. On
  those five seeds, as it was done until version 0.5.0, and on five others.
- *best of ten*: an arm with synthetic images that is exactly as good as the best of ten without,
  of which validation images may choose another. Scores are drawn, nothing is trained.
- *planted*: a share of the first arm's labels is wrong, and right in the second; the true gain is
  known from all seeds together.

Each seed is a pair of trainings, kept when they are done, so that a run can be stopped and started
again; the training on the real images as they are serves all kinds. Comparisons of 5 seeds are made
of 5 pairs that no other comparison has; how often a gain is seen at 5, 10 and 20 seeds, and what is
said of the chosen, is taken from random draws of the seeds.
"""

import argparse
import json
import math
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

ROOT = Path(__file__).parent.parent.parent
RESULT = Path(__file__).parent / "calibration.json"
PAGE = ROOT / "docs" / "calibration.md"
COMPARISONS, SEEDS = 200, 5
EQUALS = ("seed alone", "copies")  # second arms that gain nothing
PLANTED = (0.02, 0.05, 0.1, 0.2)  # shares of wrong labels
PLANTED_PAIRS = 200
SIZES, DRAWS, POWER = (5, 10, 20), 4000, 0.9
ARMS, ARM_SEEDS, HELD = 10, 240, 30  # equal arms; images held of a class
PER_CLASS, STEPS, BATCH, RATIO = 5, 150, 32, 0.25
RECIPE = TrainConfig(policy="rotate-scale", weight_decay=5e-3, mix="mixup")
PLAIN = "plain"  # the arm that the others are compared with
IMAGE = 100 / 797  # points that one test image counts
UNLIKE = (0.0, 1.0, 2.0, 4.0)  # points by which validation ranks arms in another way
OTHER = 1_000_000  # added to a seed for the second arm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--page", action="store_true", help="only write the page")
    options = parser.parse_args()
    if not options.page:
        measure(options.jobs)
        measure_arms(options.jobs)
    PAGE.write_text(page(json.loads(RESULT.read_text())))


def measure(jobs: int) -> None:
    """Train what is missing, a hundred networks at a time."""
    accuracies = read("accuracies")
    wanted = dict.fromkeys((PLAIN, *EQUALS), COMPARISONS * SEEDS)
    wanted |= {f"planted {share:g}": PLANTED_PAIRS for share in PLANTED}
    missing = [
        (kind, seed)
        for kind, count in wanted.items()
        for seed in range(count)
        if str(seed) not in accuracies.get(kind, {})
    ]
    if missing:
        expect_alike("accuracies")
    for start in range(0, len(missing), 100):
        part = missing[start : start + 100]
        trained = joblib.Parallel(n_jobs=jobs)(joblib.delayed(accuracy)(*each) for each in part)
        for (kind, seed), found in zip(part, trained, strict=True):
            accuracies.setdefault(kind, {})[str(seed)] = found
        write("accuracies", accuracies)
        print(f"{start + len(part)} of {len(missing)}", flush=True)


def measure_arms(jobs: int) -> None:
    """Train what is missing of the equal arms, ten seeds at a time."""
    scores = read("arms")
    missing = [seed for seed in range(ARM_SEEDS) if str(seed) not in scores]
    if missing:
        expect_alike("arms")
    for start in range(0, len(missing), 10):
        part = missing[start : start + 10]
        trained = joblib.Parallel(n_jobs=jobs)(joblib.delayed(equal_arms)(seed) for seed in part)
        scores |= {str(seed): found for seed, found in zip(part, trained, strict=True)}
        write("arms", scores)
        print(f"{start + len(part)} of {len(missing)} seeds", flush=True)


def equal_arms(seed: int) -> list[list[float]]:
    """Validation and test accuracy of each arm; nothing differs but the seeds of the trainings."""
    torch.set_num_threads(1)
    data, test = read_images("digits"), read_images("digits", split="test")
    chosen = draw_subset(data, PER_CLASS, seed=seed)
    rest = data.subset(np.setdiff1d(np.arange(len(data)), chosen))
    held = rest.subset(draw_subset(rest, HELD, seed=seed))
    real = data.subset(chosen)
    networks = [trained(real, seed + OTHER * arm) for arm in range(ARMS)]
    return [
        [evaluate(network, part, device="cpu").accuracy for part in (held, test)]
        for network in networks
    ]


def accuracy(kind: str, seed: int) -> float:
    """Of the network that is trained on the seed's images in this way, on the test images."""
    torch.set_num_threads(1)
    data, test = read_images("digits"), read_images("digits", split="test")
    real = data.subset(draw_subset(data, PER_CLASS, seed=seed))
    if kind == "copies":
        network = trained(real, seed, Samples(real.images, real.labels), RATIO)
    elif kind.startswith("planted"):
        network = trained(with_wrong_labels(real, float(kind.split()[1]), seed), seed)
    else:
        network = trained(real, seed + OTHER if kind == "seed alone" else seed)
    return evaluate(network, test, device="cpu").accuracy


def with_wrong_labels(data: LabelledImages, share: float, seed: int) -> LabelledImages:
    """A share of the labels moved to another class."""
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(data)) < share
    moved = (data.labels + rng.integers(1, len(data.classes), len(data))) % len(data.classes)
    return LabelledImages(data.images, np.where(wrong, moved, data.labels), data.classes)


def trained(
    train: LabelledImages, seed: int, synthetic: Samples | None = None, ratio: float = 0.0
) -> nn.Module:
    return train_classifier(
        train,
        config=RECIPE,
        synthetic=synthetic,
        ratio=ratio,
        steps=STEPS,
        batch_size=BATCH,
        seed=seed,
        device="cpu",
    )


def read(part: str) -> dict[str, Any]:
    """The accuracies of one part of the result, as far as they are known."""
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    found: dict[str, Any] = known.get(part, {}).get("accuracies", {})
    return found


def expect_alike(part: str) -> None:
    """End the program where what is there is of another setting or version than what is missing."""
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    if part in known and any(known[part][name] != now for name, now in made_in().items()):
        raise SystemExit(
            f"{RESULT}: {part} are of another setting or version; move the file away to measure "
            "anew"
        )


def made_in() -> dict[str, Any]:
    """What accuracies are of, so that none of others are beside them."""
    recipe = f"{RECIPE.policy} geometry, {RECIPE.mix}, weight decay {RECIPE.weight_decay:g}"
    setting = f"{PER_CLASS} images per class, {STEPS} steps of {BATCH}, {recipe}"
    return {"versions": versions(), "setting": setting}


def write(part: str, accuracies: dict[str, Any]) -> None:
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    write_json(RESULT, {**known, part: {**made_in(), "accuracies": accuracies}})


def points_of(result: dict[str, Any], kind: str) -> np.ndarray:
    """What the second arm has over the first, percentage points, one a seed."""
    known = result["accuracies"]["accuracies"]
    plain, other = known[PLAIN], known.get(kind, {})
    gains = np.array([100 * (other[seed] - plain[seed]) for seed in sorted(other, key=int)])
    return -gains if kind.startswith("planted") else gains  # the wrong labels are the first arm's


def verdicts(points: np.ndarray) -> dict[str, float]:
    """How often comparisons of 5 pairs, each pair used once, end how; and hold zero."""
    groups = points[: len(points) // SEEDS * SEEDS].reshape(-1, SEEDS)
    ends = [verdict(paired_interval(list(group))) for group in groups]
    count = len(ends)
    shares = {end: ends.count(end) / count for end in ("helps", "no evidence", "hurts")}
    return {"comparisons": count, **shares}


def of_chosen(result: dict[str, Any]) -> dict[str, np.ndarray]:
    """Gains of the best of the other equal arms over each, points (arms, comparisons, seeds): on
    the seeds that it was chosen on, and on others. All arms meet the same drawn seeds."""
    scores = np.array([rows for _, rows in sorted(result["arms"]["accuracies"].items())])
    validation, test = 100 * scores[..., 0], 100 * scores[..., 1]  # (seeds, arms)
    rng = np.random.default_rng(0)
    drawn = np.array([rng.choice(len(scores), 2 * SEEDS, replace=False) for _ in range(DRAWS)])
    chosen_on, others = drawn[:, :SEEDS], drawn[:, SEEDS:]
    held = validation[chosen_on].mean(1)  # (draws, arms)

    def over_each(seeds: np.ndarray) -> np.ndarray:
        gains = []
        for baseline in range(ARMS):
            best = np.where(np.arange(ARMS) == baseline, -np.inf, held).argmax(1)
            gains.append(test[seeds, best[:, None]] - test[seeds, baseline])
        return np.array(gains)

    return {"the same five seeds": over_each(chosen_on), "five other seeds": over_each(others)}


def row_of_chosen(where: str, gains: np.ndarray) -> str:
    """How comparisons end, as a mean over the arms that are the baseline, and from the lowest of
    them to the highest."""
    rows = gains.reshape(-1, SEEDS)
    said = [verdict(paired_interval(list(row), resolution=IMAGE)) for row in rows]
    ends = np.array(said).reshape(len(gains), -1)
    told = [where]
    for end in ("helps", "hurts", "no evidence"):
        shares = 100 * (ends == end).mean(1)
        told.append(f"{shares.mean():.1f} % ({shares.min():.1f} to {shares.max():.1f})")
    means = gains.mean((1, 2))
    told.append(f"{means.mean():+z.2f} ({means.min():+.2f} to {means.max():+.2f})")
    return f"| {' | '.join(told)} |\n"


def said_to_help(unlike: float, draws: int = 5 * DRAWS) -> list[float]:
    """How often an arm that is as good as the best of ten without synthetic images is said to help:
    over the best of these on validation images alone, and over one and two rivals besides.

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
    rivals = np.argsort(-found, axis=1)[:, :2]
    fresh = truth + rng.normal(size=luck.shape)
    arm = truth.max(1) + rng.normal(size=(draws, SEEDS))

    def above(others: np.ndarray) -> np.ndarray:
        gained = arm - fresh[rows, others]
        half = stats.t.ppf(0.975, SEEDS - 1) * gained.std(1, ddof=1) / math.sqrt(SEEDS)
        cleared: np.ndarray = gained.mean(1) > half
        return cleared

    shares = [above(baseline).mean()]
    for count in (1, 2):
        named = np.column_stack([baseline, rivals[:, :count]])
        means = fresh[rows[:, None], named].mean(2)
        best = named[rows, means.argmax(1)]
        shares.append((above(baseline) & above(best)).mean())
    return [float(share) for share in shares]


def row_of_rivals(unlike: float) -> str:
    told = " | ".join(f"{100 * share:.1f} %" for share in said_to_help(unlike))
    return f"| {unlike:g} | {told} |\n"


def seen(points: np.ndarray, size: int) -> float:
    """How often `size` pairs, drawn at random, say that the second arm helps."""
    rng = np.random.default_rng(size)
    drawn = rng.choice(points, (DRAWS, size))
    return float(np.mean([verdict(paired_interval(list(each))) == "helps" for each in drawn]))


def smallest_seen(gains: list[float], shares: list[float]) -> float | None:
    """The gain that is seen with a probability of 0.9, between those that were planted."""
    for (low, below), (high, above) in zip(
        zip(gains, shares, strict=True), zip(gains[1:], shares[1:], strict=True), strict=False
    ):
        if below < POWER <= above:
            return low + (high - low) * (POWER - below) / (above - below)
    return None


def row_of_equals(result: dict[str, Any], kind: str) -> str:
    """How comparisons end where there is no gain."""
    points = points_of(result, kind)
    ends = verdicts(points)
    error = points.std(ddof=1) / math.sqrt(len(points))
    return (
        f"| {kind} | {ends['comparisons']} | {100 * ends['helps']:.1f} % | "
        f"{100 * ends['hurts']:.1f} % | {100 * ends['no evidence']:.1f} % | "
        f"{points.mean():+.2f} ± {error:.2f} |\n"
    )


def page(result: dict[str, Any]) -> str:
    """The page of docs."""
    planted = {
        share: points for share in PLANTED if len(points := points_of(result, f"planted {share:g}"))
    }
    ordered = sorted(planted.items(), key=lambda item: item[1].mean())
    power = [
        f"| {100 * share:g} % | {points.mean():+z.1f} | {points.std(ddof=1):.1f} | "
        + " | ".join(f"{100 * seen(points, size):.0f} %" for size in SIZES)
        + " |\n"
        for share, points in ordered
    ]
    gains = [0.0, *(float(points.mean()) for _, points in ordered)]
    least = []
    for size in SIZES:
        shares = [0.025, *(seen(points, size) for _, points in ordered)]
        found = smallest_seen(gains, shares)
        least.append("–" if found is None else f"{found:.1f} points")
    return TEXT.format(
        setting=result["accuracies"]["setting"],
        rows="".join(row_of_equals(result, kind) for kind in EQUALS),
        chosen="".join(row_of_chosen(*each) for each in of_chosen(result).items()),
        rivals="".join(map(row_of_rivals, UNLIKE)),
        arms_versions=told(result["arms"]["versions"]),
        seeds=len(result["arms"]["accuracies"]),
        sizes=" | ".join(f"{size} seeds" for size in SIZES),
        lines=" | ".join("---" for _ in SIZES),
        power="".join(power),
        least=" | ".join(least),
        held=HELD * 10,
        draws=DRAWS,
        versions=told(result["accuracies"]["versions"]),
    )


def told(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


TEXT = """\
# Is the instrument right?

Comparisons whose answer is known, with the interval and the verdict of `synthaug gain` over five
paired seeds. On scikit-learn's digits, {setting}; one CPU thread.
{versions}.
Written by `python benchmarks/accuracy/calibration.py`, in about two hours.

## No gain where there is none

*Seed alone*: both arms are the same but for the seed of weights and order. *Copies*: the second arm
mixes in copies of its own real images as if they were synthetic. A 95 % interval should hold zero
in 95 % of the comparisons (of 200, that is 184 to 196 by chance), and say *helps* in 2.5 %.

| second arm | comparisons | helps | hurts | interval holds zero | mean of all pairs, points |
|---|---|---|---|---|---|
{rows}
Copies cost a little: they stand in the places of the batch where other real images would be. So do
the images of a generator, which have to make up for it.

## No gain of having been chosen

`synthaug gain` compares the best of many arms. Here nine are the same as the baseline but for the
seeds of their trainings; the best of them on {held} validation images, over five seeds, is compared
with the baseline, {draws:,} times, drawn from {seeds} seeds with ten networks each. Each of the ten
is the baseline in turn: the table has their mean, the lowest and the highest. A network that its
seed made better on validation images is better on test images, too: measured on the seeds that it
was chosen on, the best of equals gains. On other seeds it does not, and that is how `synthaug gain`
measures since version 0.5.0 ({arms_versions}).

| measured on | helps | hurts | interval holds zero | mean, points |
|---|---|---|---|---|
{chosen}
## No gain over a baseline that was chosen badly

Validation images may rank the arms without synthetic images as test images do not: then what beats
their choice need not beat the best. Here ten arms differ by a point and scatter by a point over
seeds, and an arm with synthetic images is exactly as good as the best of them (20,000 draws of
normal scores, an arm that is far behind given up after two seeds). How often it is said to help, if
it has to gain over the baseline alone, and over one and two *rivals* besides, the arms that did
best on the test images of other seeds. `synthaug gain` takes two.

| validation is off by, points | the baseline alone | one rival | two |
|---|---|---|---|
{rivals}
## A gain where there is one

A share of the first arm's labels is wrong, and right in the second. How often *helps* is said:

| labels corrected | true gain | standard deviation over seeds | {sizes} |
|---|---|---|{lines}|
{power}
The gain that is seen nine times in ten, on a straight line between the measured ones (from 2.5 %
where there is none):

| {sizes} |
|{lines}|
| {least} |

On other data that deviation is another: `synthaug gain` says beside *no evidence*, and in each
report, which gain it could have seen. Each part here is checked by itself; the whole of tuning,
choices, fresh seeds and rival was never run hundreds of times.
"""

if __name__ == "__main__":
    main()
