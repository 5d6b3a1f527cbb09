"""What the trainings of a run share: how a seed's images are set apart, and where cells lie."""

import pickle

import numpy as np
import pytest

import synthaug.gain.study as study_module
from synthaug import LabelledImages
from synthaug.classifiers import Backbone
from synthaug.gain.parts import plan_parts
from synthaug.gain.study import Study


def images(per_class: int, seed: int = 0) -> LabelledImages:
    made = np.random.default_rng(seed).integers(0, 256, (2 * per_class, 1, 64, 64), np.uint8)
    return LabelledImages(made, np.arange(2 * per_class) % 2, ["a", "b"])


def study(data: LabelledImages, per_class: int | None = None) -> Study:
    return Study(data, None, per_class, Backbone(), 16, "cpu")


@pytest.mark.parametrize("per_class", [None, 6, 18])
@pytest.mark.parametrize("count", [5, 20])
def test_plans_hold_no_copies_of_images(count: int, per_class: int | None) -> None:
    if per_class is not None and per_class > count:
        return
    data = images(count)
    some = study(data, per_class)
    some.check(range(10))
    kept = [part.trained for seed in range(10) for part in some.parts(seed)]
    assert all(each.whole is data for each in kept)
    plans = len(pickle.dumps(some)) - len(pickle.dumps(study(data, per_class)))
    assert plans < data.images.nbytes


def test_a_seed_is_planned_once(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    planned: list[int] = []

    def counted(*given, **options):
        planned.append(given[3])
        return plan_parts(*given, **options)

    monkeypatch.setattr(study_module, "plan_parts", counted)
    some = study(images(20))
    some.check([0, 1])
    placed = some.below(tmp_path)
    for seed in (0, 1):
        assert placed.plan(seed)[0] is placed.parts(seed)
        assert placed.tested(seed) is placed.part(seed, "all")
    assert len(pickle.loads(pickle.dumps(placed)).parts(1)) == 1
    assert planned == [0, 1]
