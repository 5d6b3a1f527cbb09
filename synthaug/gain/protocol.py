"""The protocol: tune without synthetic images, choose on validation, open the test split once."""

import dataclasses
import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from synthaug.classifiers import Recipe, evaluate
from synthaug.classifiers.training import Scores
from synthaug.errors import InputError
from synthaug.gain.arms import (
    Arm,
    Source,
    default_sources,
    distilled_arm,
    every_arm,
    real_arms,
    synthetic_arm,
)
from synthaug.gain.cells import Cell, Report, Runner, Study, held_predictions, load_network, seconds
from synthaug.gain.leaks import refuse_copies
from synthaug.gain.parts import plan_parts
from synthaug.gain.result import NO_ARM, ArmResult, Gain
from synthaug.gain.statistics import (
    Interval,
    clearly_better,
    holm,
    paired_interval,
    paired_p_value,
    seeds_for_precision,
    verdict,
)
from synthaug.gain.tuning import TUNING_SEEDS, TUNING_STEPS, tune_recipe, tune_steps
from synthaug.images import LabelledImages
from synthaug.pool import SamplePool
from synthaug.reading import check_groups
from synthaug.training import resolve_device
from synthaug.versions import versions

Search = Literal["quick", "staged", "full"]
RATIOS = (0.25, 0.5)
BALANCED_UP_TO = 1.5  # largest class over smallest; above it the metric is balanced accuracy
FEWEST_SEEDS, MOST_SEEDS = 2, 60


def measure_gain(
    train: LabelledImages,
    test: LabelledImages,
    *,
    validation: LabelledImages | None = None,
    arms: Search = "staged",
    sources: Sequence[Source] | None = None,
    pool: str | Path | None = None,
    seeds: int = 5,
    precision: float | None = None,
    per_class: int | None = None,
    classifier: str = "resnet",
    recipe: Recipe | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    device: str = "auto",
    jobs: int = 1,
    cache: str | Path | None = None,
    report: Report | None = None,
    name: str = "data",
) -> Gain:
    """Measure what synthetic images do to a classifier's accuracy on held-out images.

    train, test: real images with the same classes; `test` is used once, after every choice.
    validation: images to make choices on; by default set apart from `train` (see `parts`).
    arms: how widely to search. "quick" tries each source on top of the best arm without synthetic
        images, at a ratio of 0.25 with hard labels; "staged" also on the plain classical arm, then
        a ratio of 0.5 and mixed labels for the best; "full" all combinations.
    sources: generators to measure (default: TransferVAE, and the controls StyleSwap and
        RandomField); an empty list with `pool` measures the pool alone.
    pool: a directory with images made elsewhere, the same for all seeds.
    seeds: paired repetitions, at least 2; a seed changes subset, generator, pool and classifier.
    precision: add seeds until the interval's half width is at most so many percentage points, by
        Stein's two-stage rule, up to 60 seeds.
    per_class: train on so many images a class, drawn anew for each seed.
    classifier: "resnet" or "timm:NAME".
    recipe, steps: fix them; by default both are tuned on validation images first.
    jobs: processes side by side, each on one thread.
    cache: a directory for finished cells, from which an interrupted run continues; by default a
        temporary one.
    report: called with (what is running, cells done, cells known).

    Raises `InputError` for inputs that do not fit, a pool that holds test images among them.

    >>> from synthaug import Recipe, measure_gain, read_images
    >>> train, test = read_images("digits"), read_images("digits", split="test")
    >>> gain = measure_gain(train, test, per_class=5, seeds=2, steps=2, recipe=Recipe(),
    ...                     sources=[Source("style-swap", StyleSwap(), trained=False)],
    ...                     arms="quick", device="cpu")
    >>> gain.verdict in ("helps", "no evidence", "hurts")
    True
    """
    _check(train, test, validation, seeds, precision)
    chosen_sources = list(default_sources() if sources is None else sources)
    if pool is not None:
        chosen_sources.append(_pool_source(Path(pool), train, test))
    if not chosen_sources:
        raise InputError("sources: expected at least one generator or a pool")
    with ExitStack() as stack:
        directory = cache or stack.enter_context(tempfile.TemporaryDirectory())
        where = str(resolve_device(device))
        settings = (
            train.fingerprint,
            None if validation is None else validation.fingerprint,
            per_class,
            classifier,
            batch_size,
            where,
            versions(),
        )
        digest = hashlib.blake2b(repr(settings).encode(), digest_size=8).hexdigest()
        study = Study(
            train, validation, per_class, classifier, batch_size, where, Path(directory) / digest
        )
        run = _Run(study, Runner(study, jobs, report), _metric(train), list(range(seeds)))
        return run.measure(test, chosen_sources, arms, recipe, steps, precision, name)


def _check(
    train: LabelledImages,
    test: LabelledImages,
    validation: LabelledImages | None,
    seeds: int,
    precision: float | None,
) -> None:
    parts = {"train": train, "test": test}
    if validation is not None:
        parts["validation"] = validation
    for name, part in parts.items():
        if part.classes != train.classes:
            raise InputError(
                f"{name}: expected the training classes {list(train.classes)}, got "
                f"{list(part.classes)}"
            )
        if part.images.dtype != train.images.dtype or part.image_shape != train.image_shape:
            raise InputError(
                f"{name}: expected {train.images.dtype} {train.image_shape} like the training "
                f"images, got {part.images.dtype} {part.image_shape}"
            )
        if not len(part):
            raise InputError(f"{name}: expected images, got none")
    check_groups(parts)
    if seeds < FEWEST_SEEDS:
        raise InputError(f"seeds: expected at least {FEWEST_SEEDS} for an interval, got {seeds}")
    if precision is not None and precision <= 0:
        raise InputError(f"precision: expected percentage points above 0, got {precision}")


def _pool_source(directory: Path, train: LabelledImages, test: LabelledImages) -> Source:
    pool = SamplePool(directory)
    if list(pool.classes) != list(train.classes):
        raise InputError(
            f"{directory}: expected the classes {list(train.classes)}, the pool holds {pool.classes}"
        )
    made = pool.samples.images
    if made.dtype != train.images.dtype or made.shape[1:] != train.images.shape[1:]:
        raise InputError(
            f"{directory}: expected {train.images.dtype} images {train.image_shape}, the pool "
            f"holds {made.dtype} {made.shape[1:]}"
        )
    missing = np.setdiff1d(np.arange(len(train.classes)), pool.samples.labels)
    if len(missing):
        raise InputError(
            f"{directory}: no image of class {train.classes[missing[0]]!r}; a pool needs some of "
            "every class"
        )
    refuse_copies(pool.samples, train, test)
    return Source(f"pool {directory.name}", pool=directory.resolve())


def _metric(train: LabelledImages) -> str:
    counts = train.counts
    uneven = counts.max() > BALANCED_UP_TO * counts.min()
    return "balanced accuracy" if uneven else "accuracy"


def _best(scores: dict[Arm, np.ndarray], arms: Iterable[Arm]) -> Arm:
    """The arm with the highest mean validation score; the first of equals."""
    return max(arms, key=lambda arm: float(scores[arm].mean()))


@dataclass
class _Choices:
    """What validation settled, and the arms that were compared for it."""

    arms: list[Arm]
    partner: Arm
    baseline: Arm
    control: Arm | None
    chosen: Arm


class _Run:
    """One measurement: the stages of the protocol in order."""

    def __init__(self, study: Study, runner: Runner, metric: str, seeds: list[int]) -> None:
        self._study, self._runner = study, runner
        self._metric, self._seeds = metric, seeds
        self._steps = TUNING_STEPS
        self._teacher: Arm | None = None

    def measure(
        self,
        test: LabelledImages,
        sources: list[Source],
        search: Search,
        recipe: Recipe | None,
        steps: int | None,
        precision: float | None,
        name: str,
    ) -> Gain:
        base, tuning = self._tune(recipe, steps)
        choices = self._choose(base, sources, search)
        scores = self._open_test(test, choices.arms, self._seeds)
        gain = self._interval(scores, choices.chosen, choices.baseline)
        if precision is not None:
            gain, scores = self._add_seeds(test, choices, scores, precision)
        over_control = choices.control and self._interval(
            scores, choices.chosen, choices.control, stage_one=gain.stage_one
        )
        validation = self._validation(choices.arms)
        favoured = clearly_better(validation[choices.chosen] - validation[choices.baseline])
        return Gain(
            synthaug=versions()["synthaug"],
            data=self._data(test, name),
            protocol=self._protocol(base, tuning, search, precision, gain),
            arms=self._table(choices, scores),
            baseline=choices.baseline.name,
            control=choices.control and choices.control.name,
            chosen=_described(choices.chosen),
            gain_over_control=over_control or None,
            gain=gain,
            recommendation=choices.chosen.name if favoured else NO_ARM,
            verdict=verdict(gain),
        )

    # Tuning and choosing: validation images only.

    def _tune(self, recipe: Recipe | None, steps: int | None) -> tuple[Recipe, dict[str, Any]]:
        seeds = self._seeds[:TUNING_SEEDS]

        def score(trials: list[tuple[Arm, int]]) -> list[float]:
            cells = [self._cells([arm], seeds, count) for arm, count in trials]
            self._runner.run([cell for some in cells for cell in some], "tuning the baseline")
            return [
                float(self._validation([arm], seeds, count)[arm].mean()) for arm, count in trials
            ]

        tuning: dict[str, Any] = {"seeds": seeds, "recipe": [], "steps": []}
        if recipe is None:
            recipe, tuning["recipe"] = tune_recipe(score, Recipe(), steps or TUNING_STEPS)
        if steps is None:
            steps, tuning["steps"] = tune_steps(score, recipe, TUNING_STEPS)
        self._steps = steps
        return recipe, tuning

    def _choose(self, base: Recipe, sources: list[Source], search: Search) -> _Choices:
        balanced = self._metric == "accuracy"
        real = real_arms(base, balanced=balanced)
        self._train(real, "without synthetic images")
        partner = _best(self._validation(real), real)
        self._teacher = partner
        distilled = distilled_arm(partner)
        classical = next(arm for arm in real if arm.name == "classical")
        partners = [partner] if partner == classical else [partner, classical]
        synthetic = self._search(sources, partners, search, [distilled])
        arms = [*real, distilled, *synthetic]
        scores = self._validation(arms)
        trained = [arm for arm in synthetic if arm.uses == "synthetic"]
        controls = [arm for arm in synthetic if arm.uses == "control"]
        return _Choices(
            arms=arms,
            partner=partner,
            baseline=_best(scores, [*real, distilled]),
            control=_best(scores, controls) if controls else None,
            chosen=_best(scores, trained or controls),
        )

    def _search(
        self, sources: list[Source], partners: list[Arm], search: Search, beside: list[Arm]
    ) -> list[Arm]:
        """Train the arms with synthetic images that the search asks for, and return them."""
        if search == "full":
            arms = every_arm(sources, partners, RATIOS)
            self._train([*beside, *arms], "with synthetic images")
            return arms
        first = partners[:1] if search == "quick" else partners
        arms = [
            synthetic_arm(source, partner, RATIOS[0], "hard")
            for source in sources
            for partner in first
        ]
        self._train([*beside, *arms], "with synthetic images")
        if search == "staged":
            arms += self._refine(arms)
        return arms

    def _refine(self, arms: list[Arm]) -> list[Arm]:
        """A higher ratio, then mixed labels, for the best trained source and the best control."""
        added: list[Arm] = []
        for change in ({"ratio": RATIOS[1]}, {"labels": "mixed"}):
            scores = self._validation([*arms, *added])
            tried = []
            for kind in ("synthetic", "control"):
                group = [arm for arm in scores if arm.uses == kind]
                if not group or (kind == "control" and "labels" in change):
                    continue
                best = _best(scores, group)
                assert best.source is not None
                partner = Arm(best.partner, best.recipe)
                ratio = change.get("ratio", best.ratio)
                rule: Literal["hard", "mixed"] = "mixed" if "labels" in change else "hard"
                tried.append(synthetic_arm(best.source, partner, float(ratio), rule))
            self._train(tried, "with synthetic images")
            added += tried
        return added

    def _train(self, arms: Sequence[Arm], what: str, seeds: list[int] | None = None) -> None:
        cells = self._cells(arms, seeds or self._seeds, self._steps)
        self._runner.run(cells, what)

    def _cells(self, arms: Sequence[Arm], seeds: list[int], steps: int) -> list[Cell]:
        return [
            self._cell(arm, seed, part.name, steps)
            for seed in seeds
            for part in self._study.parts(seed)
            for arm in arms
        ]

    def _cell(self, arm: Arm, seed: int, part: str, steps: int) -> Cell:
        return Cell(arm, seed, part, steps, self._teacher if arm.needs_teacher else None)

    def _validation(
        self, arms: Sequence[Arm], seeds: list[int] | None = None, steps: int | None = None
    ) -> dict[Arm, np.ndarray]:
        """Score of each arm on the held images, in the protocol's metric, one a seed."""
        index = 1 if self._metric == "balanced accuracy" else 0
        return {
            arm: np.array(
                [
                    self._held_scores(arm, seed, steps or self._steps)[index]
                    for seed in seeds or self._seeds
                ]
            )
            for arm in arms
        }

    def _held_scores(self, arm: Arm, seed: int, steps: int) -> tuple[float, float]:
        """Accuracy and balanced accuracy over the held images of all parts together."""
        truth, predicted = [], []
        for part in self._study.parts(seed):
            if part.held is not None:
                truth.append(part.held.labels)
                cell = self._cell(arm, seed, part.name, steps)
                predicted.append(held_predictions(self._study, cell))
        labels = np.concatenate(truth)
        right = np.concatenate(predicted) == labels
        recalls = [right[labels == label].mean() for label in np.unique(labels)]
        return float(right.mean()), float(np.mean(recalls))

    # From here on the test images are open: nothing below changes a choice.

    def _open_test(
        self, test: LabelledImages, arms: Sequence[Arm], seeds: list[int]
    ) -> dict[Arm, list[Scores]]:
        return {arm: [self._tested(test, arm, seed) for seed in seeds] for arm in arms}

    def _tested(self, test: LabelledImages, arm: Arm, seed: int) -> Scores:
        part = next(part for part in self._study.parts(seed) if part.tested)
        network = load_network(self._study, self._cell(arm, seed, part.name, self._steps))
        return evaluate(network, test, device=self._study.device)

    def _points(self, scores: dict[Arm, list[Scores]], arm: Arm) -> np.ndarray:
        """Test accuracy in the protocol's metric, in percentage points, one a seed."""
        balanced = self._metric == "balanced accuracy"
        values = [s.balanced_accuracy if balanced else s.accuracy for s in scores[arm]]
        return 100 * np.array(values)

    def _interval(
        self,
        scores: dict[Arm, list[Scores]],
        arm: Arm,
        other: Arm,
        stage_one: int | None = None,
    ) -> Interval:
        differences = self._points(scores, arm) - self._points(scores, other)
        return paired_interval(list(differences), stage_one=stage_one)

    def _add_seeds(
        self,
        test: LabelledImages,
        choices: _Choices,
        scores: dict[Arm, list[Scores]],
        precision: float,
    ) -> tuple[Interval, dict[Arm, list[Scores]]]:
        """More seeds for the arms that matter, as many as the first ones' scatter asks for."""
        first = self._points(scores, choices.chosen) - self._points(scores, choices.baseline)
        wanted = min(MOST_SEEDS, seeds_for_precision(list(first), precision))
        extra = list(range(len(self._seeds), wanted))
        arms = [choices.partner, choices.baseline, choices.chosen]
        arms = list(dict.fromkeys([*arms, choices.control] if choices.control else arms))
        if extra:
            # The teacher's cells come before those that learn from it.
            self._train(arms[:1], "more seeds", extra)
            self._train(arms[1:], "more seeds", extra)
            more = self._open_test(test, arms, extra)
            scores = {arm: found + more.get(arm, []) for arm, found in scores.items()}
        stage_one = len(self._seeds)
        return self._interval(scores, choices.chosen, choices.baseline, stage_one), scores

    # What is said of it.

    def _table(self, choices: _Choices, scores: dict[Arm, list[Scores]]) -> list[ArmResult]:
        count = len(self._seeds)
        others = [arm for arm in choices.arms if arm != choices.baseline]
        reference = self._points(scores, choices.baseline)[:count]
        differences = {arm: list(self._points(scores, arm)[:count] - reference) for arm in others}
        corrected = holm([paired_p_value(differences[arm]) for arm in others])
        p_values = dict(zip(others, corrected, strict=True))
        return [
            self._arm_result(
                arm,
                scores[arm],
                paired_interval(differences[arm]) if arm in differences else None,
                p_values.get(arm),
            )
            for arm in choices.arms
        ]

    def _arm_result(
        self, arm: Arm, scores: list[Scores], gain: Interval | None, p_holm: float | None
    ) -> ArmResult:
        seeds = list(range(len(scores)))
        held = [self._held_scores(arm, seed, self._steps) for seed in self._seeds]
        return ArmResult(
            name=arm.name,
            synthetic=arm.source is not None,
            uses=arm.uses,
            description=arm.description,
            accuracy=[s.accuracy for s in scores],
            balanced_accuracy=[s.balanced_accuracy for s in scores],
            validation_accuracy=[accuracy for accuracy, _ in held],
            validation_balanced_accuracy=[balanced for _, balanced in held],
            per_class=[[float(v) if np.isfinite(v) else -1.0 for v in s.per_class] for s in scores],
            seconds=[
                round(sum(seconds(self._study, c) for c in self._cells([arm], [s], self._steps)), 2)
                for s in seeds
            ],
            gain=gain,
            p_holm=p_holm,
        )

    def _data(self, test: LabelledImages, name: str) -> dict[str, Any]:
        train = self._study.train
        parts, _ = plan_parts(
            train, self._study.validation, self._study.per_class, self._seeds[0]
        )
        tested = next(part for part in parts if part.tested)
        held = sum(len(part.held) for part in parts if part.held is not None)
        return {
            "name": name,
            "classes": len(train.classes),
            "class_names": list(train.classes),
            "image_shape": list(train.image_shape),
            "train": len(tested.train),
            "validation": held,
            "test": len(test),
            "fingerprint": train.fingerprint,
            "test_fingerprint": test.fingerprint,
        }

    def _protocol(
        self,
        base: Recipe,
        tuning: dict[str, Any],
        search: Search,
        precision: float | None,
        gain: Interval,
    ) -> dict[str, Any]:
        study = self._study
        _, validation = plan_parts(
            study.train, study.validation, study.per_class, self._seeds[0]
        )
        return {
            "metric": self._metric,
            "seeds": list(range(len(gain.per_seed))),
            "per_class": study.per_class,
            "steps": self._steps,
            "batch_size": study.batch_size,
            "device": study.device,
            "classifier": study.classifier,
            "recipe": dataclasses.asdict(base),
            "validation": validation,
            "search": search,
            "precision": precision,
            "tuning": tuning,
            "versions": versions(),
        }


def _described(arm: Arm) -> dict[str, Any]:
    assert arm.source is not None
    source = arm.source
    settings = source.generator.settings if source.generator else {}
    return {
        "arm": arm.name,
        "generator": source.generator.family if source.generator else source.name,
        "settings": {**settings, **source.sampling},
        "ratio": arm.ratio,
        "labels": arm.labels,
        "recipe": dataclasses.asdict(arm.recipe),
    }
