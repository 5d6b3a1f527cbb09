"""Ways of mixing as files have them, and as arms."""

from dataclasses import asdict
from typing import Any

from synthaug.classifiers import Backbone, Recipe
from synthaug.errors import InputError
from synthaug.gain.arms import Arm, Source, real_arm
from synthaug.gain.choice import Given
from synthaug.generators import make_generator
from synthaug.images import LabelledImages
from synthaug.mixing import MixRecipe


def given_by(mix: MixRecipe, where: str = "mix") -> Given:
    """The arm that a recipe asks for; `where` it is from is what errors name.

    Raises `InputError` for a recipe without a generator, or that does not say on top of what.
    """
    if mix.generator is None:
        raise InputError(
            f"{where}: its search found no way of mixing, so there is nothing to measure; search "
            "for longer, or leave it out to measure the usual generators"
        )
    if mix.labels == "soft":
        raise InputError(f"{where}: labels: expected hard or mixed, got 'soft'")
    partner = mix.training.get("partner", "")
    try:
        real_arm(partner, Recipe())
    except InputError as error:
        raise InputError(f"{where}: training.{error}") from None
    source = Source("recipe", mix.generator, filters=mix.filters)
    return Given(source, mix.ratio, mix.labels, partner)


def found_elsewhere(mix: MixRecipe | None, train: LabelledImages) -> list[str]:
    """What a reader has to know of a recipe that was not found on `train`, so far as it says."""
    if mix is None or mix.search.get("fingerprint") == train.fingerprint:
        return []
    return [
        "the recipe does not say that it was found on these training images; if test images were "
        "among those that it was found on, its choice knew them"
    ]


def found_otherwise(
    mix: MixRecipe | None,
    backbone: Backbone,
    *,
    batch_size: int,
    steps: int,
    per_class: int | None,
) -> list[str]:
    """What a reader has to know of a recipe that was found with another classifier or batch size,
    at another length or on more or fewer images, so far as it says."""
    if mix is None:
        return []
    told = {**mix.training, **mix.search}
    if "classifier" in told:  # what it says nothing of, it was found without
        told = {"classifier_weights": None, "classifier_size": None, **told}
    asked: dict[str, Any] = {
        "classifier": None,
        "classifier_weights": None,
        "classifier_size": None,
        **backbone.facts,
        "batch_size": batch_size,
        "steps": steps,
        "per_class": per_class,
    }
    return [
        f"the recipe was found with {name.replace('_', ' ')} {told[name] or 'none'}, and is "
        f"measured with {here or 'none'}"
        for name, here in asked.items()
        if name in told and told[name] != here
    ]


def recipe_of(
    arm: Arm | None,
    baseline: Arm,
    teacher: Arm | None,
    training: dict[str, Any],
    search: dict[str, Any],
    *,
    recommended: bool,
) -> MixRecipe:
    """What the file says: `arm` and how it was trained, and the `teacher` of mixed labels; or where
    there is none, the baseline."""
    if arm is None or arm.source is None or arm.source.generator is None:
        told = {"partner": baseline.name, "recipe": asdict(baseline.recipe)}
        return MixRecipe(None, training={**told, **training}, search=search, recommended=False)
    source, made = arm.source, arm.source.generator
    generator = make_generator(made.family, {**made.settings, **source.sampling})
    told = {"partner": arm.partner, "recipe": asdict(arm.recipe)}
    if arm.needs_teacher and teacher is not None:
        told["teacher"] = asdict(teacher.recipe)
    given = (generator, arm.ratio, arm.labels, source.filters)
    return MixRecipe(*given, {**told, **training}, search, recommended)
