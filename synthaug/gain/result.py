"""Examples of real and synthetic images for a person to look at.

The result of `measure_gain`, as Python objects and as the JSON that users script against.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any, Self, get_args

import numpy as np

from synthaug.classifiers import BALANCED
from synthaug.core import InputError, expand_path, is_number, plain_values, read_json, write_json
from synthaug.data import LabelledImages, Samples, span_of
from synthaug.gain.statistics import (
    ALL,
    Interval,
    Verdict,
    contradicts,
    rival_leads,
    smallest_detectable,
)
from synthaug.metrics import nearest


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images for the page: real ones, and synthetic ones each with its nearest real one.

    Attributes:
        real: A few of each class.
        synthetic: A few of each class, made by the source of the chosen arm.
        nearest: The nearest training image of each synthetic one, (M, C, H, W).
        distance: Root mean square pixel difference to it, (M,), 1 for black against white.
    """

    real: LabelledImages
    synthetic: Samples
    nearest: np.ndarray
    distance: np.ndarray


def choose_pictures(
    train: LabelledImages, samples: Samples, *, per_class: int = 6, classes: int = 12
) -> Pictures:
    """Choose a few real and synthetic images of the first classes that have any.

    Each synthetic one comes with the nearest of all training images.
    """
    class_labels = np.unique(train.labels)[:classes]
    real = train.subset(_first(train.labels, class_labels, per_class))
    synthetic = samples.subset(_first(samples.labels, class_labels, per_class))
    index, distance = nearest(synthetic.images, train.images)
    per_pixel = distance / math.sqrt(math.prod(train.image_shape)) / span_of(train.images)
    return Pictures(real, synthetic, train.images[index], per_pixel)


def _first(labels: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the first `count` of each class, class by class."""
    rows = [np.flatnonzero(labels == label)[:count] for label in classes]
    return np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)


NO_ARM = "none"  # the recommendation to use no synthetic images
_UNKNOWN = {"image_error", "image_freedom"}  # of an interval, where they may be None
_HELD: dict[str, dict[str, Any]] = {  # what a result of any version holds
    "data": {
        "name": str,
        "classes": int,
        "class_names": list,
        "train": int,
        "validation": int,
        "test": int,
    },
    "protocol": {
        "metric": str,
        "seeds": list,
        "choice_seeds": list,
        "per_class": int | None,
        "validation": str,
        "caveats": list,
        "next_steps": str,
    },
}


@dataclass(frozen=True)
class ArmResult:
    """One arm over the seeds. Accuracies are shares of the test images, 0 to 1.

    Attributes:
        name: Name of the arm.
        synthetic: Whether it has synthetic images.
        uses: "synthetic" for a trained generator or a pool, "control" for a non-learned control,
            "real" for real images alone.
        description: The arm in words. seeds: The seeds of all lists here: the protocol's for the
        arms that the result names and the
            two candidates for its oracle baseline, the choice seeds, or the first of them, for
            others.
        accuracy: One a seed. balanced_accuracy: One a seed. validation_accuracy: One a seed.
        validation_balanced_accuracy: One a seed. choice_scores: Validation scores in the protocol's
        metric, one for each choice seed that it was
            trained on; choices went by them.
        per_class: Accuracy of each class, one list a seed; None for a class without test images.
        seconds: Time of training and of fitting the generator, one a seed.
        gain: Its paired gain over the baseline; None for the baseline itself.
        p_holm: p-value of that gain, corrected for all arms of the table.
    """

    name: str
    synthetic: bool
    uses: str
    description: str
    seeds: list[int]
    accuracy: list[float]
    balanced_accuracy: list[float]
    validation_accuracy: list[float]
    validation_balanced_accuracy: list[float]
    choice_scores: list[float]
    per_class: list[list[float | None]]
    seconds: list[float]
    gain: Interval | None = None
    p_holm: float | None = None

    @property
    def usual_seconds(self) -> float:
        """The median seconds of one training: a machine may have slept during one of them."""
        return median(self.seconds)


@dataclass(frozen=True)
class Gain:
    """The change that synthetic images made to the accuracy on held-out data.

    Attributes:
        synthaug: Version that measured it.
        data: Name, classes, numbers of training, validation and test images, fingerprint.
        protocol: Metric, seeds, choice_seeds, per_class, steps, batch_size, device, classifier,
            recipe (the training configuration), how the validation images were set apart, caveats,
            next_steps, versions.
        arms: All arms, those without synthetic images first.
        baseline: The best arm without synthetic images, picked on validation images alone, as the
            next three are.
        trained: The best with a trained generator or a pool; None where none was run.
        control: The best with a non-learned control; None where none was run.
        chosen: The best of those two, with its generator, ratio and labels.
        rival: The oracle baseline, which is the arm without synthetic images that does best on the
            test images, of the two that did so, beside the baseline, on the choice seeds. None
            where the baseline is as good as both.
        gain: Of `chosen` over `baseline` on the test images, in the protocol's metric.
        gain_over_control: Of `trained` over `control`.
        gain_over_rival: Of `chosen` over `rival`.
        recommendation: The chosen arm, or "none" where validation does not clearly favour it.
        verdict: "helps" where the intervals of `gain` and `gain_over_rival` lie above zero, "hurts"
            where that of `gain` lies below, else "no evidence".
        pictures: Examples for the report page; not part of the JSON.

    Examples:
        >>> sorted(field for field in Gain.__dataclass_fields__ if field.startswith("gain"))
        ['gain', 'gain_over_control', 'gain_over_rival']
    """

    synthaug: str
    data: dict[str, Any]
    protocol: dict[str, Any]
    arms: list[ArmResult]
    baseline: str
    trained: str | None
    control: str | None
    rival: str | None
    chosen: dict[str, Any]
    gain_over_control: Interval | None
    gain_over_rival: Interval | None
    gain: Interval
    recommendation: str
    verdict: Verdict
    pictures: Pictures | None = None

    def __repr__(self) -> str:
        """Return the outcome: all arms would fill several screens."""
        points = f"{self.gain.points:+z.1f} points ({self.gain.span})"
        return f"Gain({self.data['name']!r}: {self.verdict}, {points}, {len(self.arms)} arms)"

    def arm(self, name: str) -> ArmResult:
        """Return one of the arms.

        Args:
            name: Its name, as `baseline`, `recommendation` or a row of the table has it.

        Raises:
            StopIteration: If there is none of that name.
        """
        return next(arm for arm in self.arms if arm.name == name)

    def scores(self, name: str) -> list[float]:
        """Return an arm's accuracy on the test images, in the protocol's metric.

        Args:
            name: The arm's name.

        Returns:
            Shares of the test images, 0 to 1, one a seed of `arm(name).seeds`.
        """
        arm = self.arm(name)
        is_balanced = self.protocol["metric"] == BALANCED
        return arm.balanced_accuracy if is_balanced else arm.accuracy

    @property
    def chosen_elsewhere(self) -> bool:
        """Tell whether the gain was measured on seeds that no choice was made on."""
        return not set(self.protocol["seeds"]) & set(self.protocol["choice_seeds"])

    @property
    def contradicted(self) -> bool:
        """Tell whether the test images speak against the chosen arm.

        It loses to the baseline, or to the oracle baseline.
        """
        return contradicts(self.gain, self.gain_over_rival)

    @property
    def without(self) -> str:
        """The arm to train where synthetic images are not used.

        The baseline, or the oracle baseline where test images clearly favour that, over the
        baseline or over the recommended arm.
        """
        if self.rival is None:
            return self.baseline
        over = self.arm(self.rival).gain
        leads = over is not None and rival_leads(over)
        beats = self.recommendation != NO_ARM and self.contradicted and self.verdict != "hurts"
        return self.rival if leads or beats else self.baseline

    @property
    def to_use(self) -> str:
        """The arm to train: the recommended one, unless the test images speak against it."""
        used = self.recommendation != NO_ARM and not self.contradicted
        return self.recommendation if used else self.without

    @property
    def smallest_detectable(self) -> float:
        """The true gain, in points, that would have been told from zero with a probability of 80 %.

        Over both baselines at once, where there are two.
        """
        over = [self.gain, self.gain_over_rival]
        return smallest_detectable([interval for interval in over if interval is not None])

    @property
    def blind(self) -> bool:
        """Tell whether the seeds are too few, or too far apart, for any gain to have been told."""
        return self.smallest_detectable >= ALL

    def given_up(self, arm: ArmResult) -> bool:
        """Tell whether an arm was far behind on the first seeds and not trained on the others.

        Args:
            arm: One of `arms`.
        """
        return set(arm.seeds) < set(self.protocol["choice_seeds"])

    def to_json(self) -> dict[str, Any]:
        """Return the object that `save` writes; see the reference of files."""
        value = plain_values(asdict(replace(self, pictures=None)))
        del value["pictures"]
        # Tuples become lists, so that what is loaded equals what was saved.
        content: dict[str, Any] = json.loads(json.dumps(value))
        return content

    def save(self, path: str | Path) -> None:
        """Write the result as JSON, without its pictures; the file is whole or absent.

        Args:
            path: The file; one that is there is replaced. ~ is the home folder.
        """
        write_json(expand_path(path), self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a result that `save` or `synthaug gain --json` wrote, of an earlier version, too.

        Args:
            path: The JSON file; ~ is the home folder.

        Raises:
            InputError: If the file is missing, or is no whole result.
        """
        value = read_json(expand_path(path))
        try:
            protocol = value["protocol"]
            arms = [
                ArmResult(**{**_before_choice_seeds(a, protocol), "gain": _interval(a["gain"])})
                for a in value.pop("arms")
            ]
            protocol.setdefault("choice_seeds", protocol["seeds"])
            over_control = _interval(value.pop("gain_over_control"))
            over_rival = _interval(value.pop("gain_over_rival", None))
            gain = Interval(**value.pop("gain"))
            # Until 0.3.0 the chosen one was the best that was trained.
            value.setdefault("trained", value["chosen"]["arm"] if over_control else None)
            value.setdefault("rival", None)  # until 0.5.0
            result = cls(
                **value,
                arms=arms,
                gain_over_control=over_control,
                gain_over_rival=over_rival,
                gain=gain,
            )
            wrong = _wrong_in(result)
        except KeyError as error:
            raise InputError(f"{path}: not a result of synthaug gain (it lacks {error})") from None
        except (AttributeError, TypeError) as error:
            raise InputError(f"{path}: not a result of synthaug gain ({error})") from None
        if wrong:
            raise InputError(
                f"{path}: not a whole result of synthaug gain, {wrong}; take it as gain wrote it"
            )
        return result

    @property
    def on_these_images_alone(self) -> bool:
        """Tell whether other test images might not bear out the verdict.

        With their scatter, as far as it is known, there would be none.
        """
        low, high = self._of_other_images
        return self.verdict != "no evidence" and low <= 0 <= high

    @property
    def _of_other_images(self) -> tuple[float, float]:
        """The ends, with that scatter, of the interval that the verdict rests on.

        Of two intervals, the less sure one.
        """
        rival = self.gain_over_rival if self.verdict == "helps" else None
        return min(each.of_other_images for each in (self.gain, rival) if each is not None)

    def sentence(self) -> str:
        """Put the verdict into words for somebody who knows no statistics."""
        gain, metric = self.gain, self.protocol["metric"]
        seeds = len(gain.per_seed)
        text = {
            "helps": f"Synthetic images help here: {metric} is {gain.points:.1f} points higher",
            "hurts": f"Synthetic images hurt here: {metric} is {-gain.points:.1f} points lower",
            "no evidence": "No evidence that synthetic images help here: "
            f"{metric} changes by {gain.points:+z.1f} points",
        }[self.verdict]
        beside = "over" if self.verdict == "no evidence" else "than with"
        text += (
            f" ({gain.confidence:.0%} interval {gain.span}, {seeds} paired seeds) {beside} the "
            f"best training without them, as chosen on validation images ({self.baseline})."
        )
        over_both, over = "", self.gain_over_rival
        if over is not None:
            over_both = " over both"
            text += (
                f" On the test images {self.rival}, also without them, does better than that: over "
                f"it the change is {over.points:+z.1f} points ({over.span})."
            )
        if self.on_these_images_alone:
            low, high = self._of_other_images
            return (
                f"{text} So it is on these {self.data['test']:,} test images; on others of the "
                f"kind it may be otherwise ({low:+.1f} to {high:+.1f} with their scatter, too)."
            )
        if self.verdict != "no evidence":
            return text
        if self.blind:
            return f"{text} So few seeds and test images could have shown no gain at all."
        return (
            f"{text} A true gain{over_both} below {self.smallest_detectable:.1f} points could have "
            "gone unseen."
        )


def _wrong_in(gain: Gain) -> str:
    """Return the first thing in a result that was edited away or does not fit; empty if none."""
    for place, kinds in _HELD.items():
        value = getattr(gain, place)
        for name, kind in kinds.items():
            if name not in value or not isinstance(value[name], kind):
                return f"expected {name!r} in {place!r}, got {value.get(name)!r}"
    if gain.verdict not in get_args(Verdict):
        return f"expected a verdict of {', '.join(get_args(Verdict))}, got {gain.verdict!r}"
    names = {gain.baseline, gain.trained, gain.control, gain.rival, gain.chosen["arm"]}
    if gain.recommendation != NO_ARM:
        names.add(gain.recommendation)
    missing = names - {arm.name for arm in gain.arms} - {None}
    if missing:
        return f"it names arms that it does not hold: {sorted(map(str, missing))}"
    return _wrong_in_arms(gain) or _wrong_in_figures(gain)


def _wrong_in_arms(gain: Gain) -> str:
    """Return the first arm that lacks a figure for one of its seeds and classes."""
    for arm in gain.arms:
        lists = (arm.accuracy, arm.balanced_accuracy, arm.per_class, arm.seconds)
        if not arm.seeds or any(len(each) != len(arm.seeds) for each in lists):
            return f"expected figures for each of the seeds {arm.seeds} of arm {arm.name!r}"
        figures = chain(
            arm.accuracy,
            arm.balanced_accuracy,
            arm.validation_accuracy,
            arm.validation_balanced_accuracy,
            arm.choice_scores,
            arm.seconds,
        )
        if not all(map(is_number, figures)):
            return f"expected numbers as the figures of arm {arm.name!r}"
        if any(len(row) != gain.data["classes"] for row in arm.per_class):
            return f"expected an accuracy for each of the classes of arm {arm.name!r}"
    return ""


def _wrong_in_figures(gain: Gain) -> str:
    """Return the first impossible figure of the images or the intervals."""
    data, counts = gain.data, gain.data.get("test_counts")
    if len(data["class_names"]) != data["classes"]:
        return f"expected {data['classes']} names in 'class_names', got {len(data['class_names'])}"
    fits = counts is None or (isinstance(counts, list) and len(counts) == data["classes"])
    if data["test"] < 1 or not fits:
        return f"expected test images, counted by class, got {data['test']} and {counts!r}"
    for name in ("gain", "gain_over_rival", "gain_over_control"):
        interval: Interval | None = getattr(gain, name)
        if interval is None:
            continue
        numbers = {
            k: each for k, each in asdict(interval).items() if each is not None or k not in _UNKNOWN
        }
        figures = [*numbers.pop("per_seed"), *numbers.values()]
        if not all(map(is_number, figures)) or not 0 < interval.confidence < 1:
            return f"expected numbers in {name!r}"
        if len(interval.per_seed) != len(gain.protocol["seeds"]):
            return f"expected a difference for each of the seeds in {name!r}"
    return ""


def _before_choice_seeds(arm: dict[str, Any], protocol: dict[str, Any]) -> dict[str, Any]:
    """Until 0.5.0 choices were made on the seeds that the gain was measured on."""
    if "choice_seeds" in protocol:
        return arm
    scores = f"validation_{protocol['metric'].replace(' ', '_')}"
    seeds = protocol["seeds"][: len(arm["accuracy"])]
    return {**arm, "seeds": seeds, "choice_scores": arm[scores]}


def _interval(value: dict[str, Any] | None) -> Interval | None:
    return None if value is None else Interval(**value)
