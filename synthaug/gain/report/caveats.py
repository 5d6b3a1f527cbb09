"""Put the recommendation into words, and list what the numbers do not say."""

import math

from synthaug.classifiers import BALANCED
from synthaug.gain.report.numbers import mean, number
from synthaug.gain.result import NO_ARM, Gain
from synthaug.gain.statistics import MOST_SEEDS, rival_leads

NORMAL = 1.96  # standard errors of a mean of many images on either side of it, at 95 %


def advice(gain: Gain) -> str:
    """Put the recommendation into words.

    It was made on validation images, so the test images may disagree; then the text says so.
    """
    return " ".join(filter(None, (_of_synthetic_images(gain), _of_oracle_baseline(gain))))


def use_of_lines(gain: Gain) -> str:
    """Return the heading of the lines of Python."""
    if gain.to_use == gain.without:
        return "Best without"
    return "To use it" if gain.verdict == "helps" else "To try it all the same"


def _of_synthetic_images(gain: Gain) -> str:
    if gain.recommendation == NO_ARM:
        if gain.verdict == "helps":
            return (
                "The validation images do not clearly favour synthetic images, though the test "
                "images do. Repeat with more seeds before you rely on it."
            )
        sentence = "Synthetic images did not earn a place in your training."
        if gain.contradicted:
            return sentence
        if gain.blind:
            return f"{sentence} Nothing could have, with so few seeds: repeat with more."
        least = f"{gain.smallest_detectable:.1f} points"
        return f"{sentence} If a gain below {least} would matter to you, repeat with more seeds."
    if gain.contradicted:
        return f"The test images speak against it: train without synthetic images ({gain.without})."
    if gain.verdict == "helps" and gain.on_these_images_alone:
        return (
            "The validation images chose it, and these test images agree; others of the kind may "
            "not. More test images would tell."
        )
    if gain.verdict == "helps":
        return "The validation images chose it, and the test images confirm it."
    return (
        "The test images neither confirm nor contradict it. More seeds or more test images would "
        "tell; training without synthetic images is the safe choice until then."
    )


def _of_oracle_baseline(gain: Gain) -> str:
    """Tell where the test images clearly favour another arm without synthetic images."""
    over = None if gain.rival is None else gain.arm(gain.rival).gain
    if over is None or not rival_leads(over):
        return ""
    return (
        f"{gain.rival} is {over.points:.1f} points better than {gain.baseline} on the test images: "
        "the validation images are too few, or not like them, and chose badly. Split them off as "
        "you will meet new images: by patient, by hospital, by year."
    )


def caveats(gain: Gain) -> list[str]:
    """List what the numbers do not say, one paragraph each."""
    interval, seeds = gain.gain, len(gain.gain.per_seed)
    paragraphs = [
        f"{_about_seeds(gain)} No evidence of a gain is not evidence of none.",
        _about_test(gain),
        _about_validation(gain),
        _about_choice(gain),
    ]
    if interval.stage_one < seeds:
        paragraphs.append(
            f"Seeds were added. The scatter of the first {interval.stage_one} seeds set their "
            f"number, up to {MOST_SEEDS}, and the interval's width, never the gain itself, so the "
            "confidence holds (Stein 1945)."
        )
    return [*paragraphs, *(f"Note: {each.rstrip('.')}." for each in gain.protocol["caveats"])]


def _about_seeds(gain: Gain) -> str:
    seeds = len(gain.gain.per_seed)
    over_both = "" if gain.rival is None else " over both baselines"
    if gain.blind:
        return (
            f"All gains stay unseen. With {seeds} seeds that differ as much as these, none"
            f"{over_both} would have been told from zero four times in five."
        )
    return (
        f"Small gains stay unseen. With {seeds} seeds, a true gain of "
        f"{gain.smallest_detectable:.1f} points{over_both} would have been told from zero four "
        "times in five; a smaller one less often."
    )


def _about_choice(gain: Gain) -> str:
    correction = "the p-values of the table are corrected for the number of arms (Holm)"
    if gain.chosen_elsewhere:
        return (
            "Many comparisons. The verdict's interval needs no correction, since its arm was "
            f"picked on other seeds and before the test images were opened; {correction}, not for "
            "this: arms that were not chosen are compared on the seeds that chose the baseline, "
            "where it may have been lucky."
        )
    return (
        "Chosen and measured on the same seeds, as until version 0.5.0. A network that its seed "
        "made better on the validation images is better on the test images, too, so that the best "
        f"of many arms looks better than it is; {correction}."
    )


def _about_test(gain: Gain) -> str:
    beginning = (
        "One test set. The interval holds the scatter between seeds, not that of collecting other "
        f"test images. There are {number(gain.data['test'])} of them: "
    )
    counts = _of_classes(gain, "test")
    arm, metric = gain.arm(gain.baseline), gain.protocol["metric"]
    if metric == BALANCED and counts:
        within = [mean(right) for right in zip(*arm.per_class, strict=True) if None not in right]
        pairs = zip(within, counts, strict=True)
        error = math.hypot(*(_half_width(share, count) for share, count in pairs)) / len(counts)
        image = _of_smallest(counts)
    else:
        metric = "accuracy"
        error = _half_width(mean(arm.accuracy), gain.data["test"])
        image = f"one image is {100 / gain.data['test']:.2g}"
    alone, both = "", ""
    if groups := gain.data.get("test_groups"):
        alone = f", if each image is a draw of its own; they are of {number(groups)} groups"
    if gain.gain.image_error is not None:
        low, high = gain.gain.of_other_images
        both = f" With the scatter of images, too, the gain is {low:+.1f} to {high:+.1f} points."
    return (
        f"{beginning}{image} points of {metric}, and the {metric} of a single classifier is known "
        f"to about ±{100 * error:.1f} points{alone}.{both}"
    )


def _of_classes(gain: Gain, split: str) -> list[int]:
    """Return the image counts of the classes that have some (older results have none)."""
    return [each for each in gain.data.get(f"{split}_counts", []) if each]


def _of_smallest(counts: list[int]) -> str:
    """Return what one image is worth in points of balanced accuracy."""
    return f"one of the smallest class is {100 / (len(counts) * min(counts)):.2g}"


def _half_width(share: float, count: int) -> float:
    """Return half the width of the 95 % interval of a share of `count` (Wilson 1927)."""
    variance = NORMAL**2 / count
    spread = math.sqrt(variance * share * (1 - share) + variance**2 / 4)
    return spread / (1 + variance)


def _about_validation(gain: Gain) -> str:
    """Tell how the validation images were set apart."""
    split, counts = gain.protocol["validation"], _of_classes(gain, "validation")
    worth = ""
    if gain.protocol["metric"] == BALANCED and counts:
        worth = f"; {_of_smallest(counts)} points of {BALANCED}"
    return (
        f"Choices were made on validation images alone ({number(gain.data['validation'])} of "
        f"them{worth}), set apart as follows: {split.rstrip('.')}."
    )
