"""SyntheticResampler by the contracts of scikit-learn and imbalanced-learn."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from synthaug import InputError, RandomField, StyleSwap, read_images
from synthaug.integrations.sklearn import SyntheticResampler


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    """Uneven classes of flattened digits, labels as names."""
    data = read_images("digits", image_size=8)
    kept = np.concatenate([np.flatnonzero(data.labels == k)[: 4 + 3 * k] for k in range(4)])
    names = np.array(["nought", "one", "two", "three"])[data.labels[kept]]
    return data.images[kept].reshape(len(kept), -1), names


def make(**changes: Any) -> SyntheticResampler:
    options: dict[str, Any] = {"generator": StyleSwap(cells=2), "image_shape": (1, 8, 8)}
    return SyntheticResampler(**{**options, "random_state": 0, "device": "cpu", **changes})


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32, np.float64])
def test_smaller_classes_are_topped_up(rows: Any, dtype: Any) -> None:
    X, y = rows
    X = X.astype(dtype) if np.dtype(dtype).kind == "u" else (X / 255).astype(dtype)
    resampler = make()
    more, labels = resampler.fit_resample(X, y)
    assert more.dtype == X.dtype and more.shape == (4 * 13, 64)
    assert np.array_equal(more[: len(X)], X) and np.array_equal(labels[: len(y)], y)
    assert np.unique(labels, return_counts=True)[1].tolist() == [13] * 4
    assert resampler.sampling_strategy_ == {"nought": 9, "one": 6, "three": 0, "two": 3}
    assert more.min() >= 0 and more.max() <= 1.5 * X.max()  # on the scale of X
    assert len(np.unique(more[len(X) :], axis=0)) > 9


def test_the_seed_settles_it_and_the_generator_is_left_alone(rows: Any) -> None:
    generator = StyleSwap(cells=2)
    made = [make(generator=generator, random_state=s).fit_resample(*rows)[0] for s in (0, 0, 1)]
    assert np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])
    with pytest.raises(InputError):
        generator.sample(1)  # was never fitted itself
    state = np.random.RandomState(0)
    assert make(random_state=state).fit_resample(*rows)[0].shape == made[0].shape


def test_sizes_by_class(rows: Any) -> None:
    _, labels = make(sampling_strategy={"one": 9, "two": 10}).fit_resample(*rows)
    found = dict(
        zip(*(part.tolist() for part in np.unique(labels, return_counts=True)), strict=True)
    )
    assert found == {"nought": 4, "one": 9, "two": 10, "three": 13}
    X, y = rows
    same = make(sampling_strategy={}).fit_resample(X, y)
    assert np.array_equal(same[0], X) and np.array_equal(same[1], y)


@pytest.mark.parametrize("strategy", ["auto", {}])
def test_tables_of_pandas_come_back_as_such(rows: Any, strategy: Any) -> None:
    X, y = rows
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)], index=np.arange(len(X)) + 7)
    series = pd.Series(y, name="digit", dtype="category")
    more, labels = make(sampling_strategy=strategy).fit_resample(frame, series)
    expected = RandomOverSampler(sampling_strategy=strategy).fit_resample(frame, series)
    for found, like in zip((more, labels), expected, strict=True):
        assert type(found) is type(like) and found.index.equals(like.index)
        assert np.array_equal(found.dtypes, like.dtypes)
    assert more.columns.equals(frame.columns) and labels.name == "digit"
    plain = make(sampling_strategy=strategy).fit_resample(X, y)
    assert np.array_equal(more, plain[0]) and np.array_equal(labels, plain[1])


def test_in_a_pipeline_of_imbalanced_learn(rows: Any) -> None:
    X, y = rows[0] / 255, rows[1]
    pipeline = Pipeline([("more", make()), ("model", LogisticRegression(max_iter=500))])
    pipeline.fit(X, y)
    assert pipeline.predict(X).shape == y.shape  # as many as came in: nothing is made to predict
    assert cross_val_score(pipeline, X, y, cv=2).mean() > 0.5
    again = clone(pipeline).set_params(more__generator=RandomField(), more__random_state=3)
    assert isinstance(again["more"].generator, RandomField)
    assert set(make().get_params(deep=False)) == {
        "generator",
        "image_shape",
        "sampling_strategy",
        "random_state",
        "device",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_shape": (1, 8, 9)}, r"X: expected shape \(N, 72\) for images \(1, 8, 9\)"),
        ({"sampling_strategy": "minority"}, "expected \"auto\" or a dict .* got 'minority'"),
        ({"sampling_strategy": {"four": 9}}, "'four' is none of the classes"),
        ({"sampling_strategy": {"three": 9}}, "class 'three' has 13 images already: .* got 9"),
        ({"sampling_strategy": {"one": 10.5}}, "class 'one' .* expected an integer .* got 10.5"),
        ({"sampling_strategy": {"one": "9"}}, "class 'one' .* expected an integer .* got '9'"),
        ({"sampling_strategy": 0.5}, 'sampling_strategy: expected "auto" or a dict .* got 0.5'),
        ({"sampling_strategy": ["one"]}, r'expected "auto" or a dict .* got \['),
        ({"sampling_strategy": None}, 'expected "auto" or a dict .* got None'),
        ({"image_shape": 64}, r"image_shape: expected \(C, H, W\), got 64"),
        ({"generator": StyleSwap}, r"generator: expected one, as StyleSwap\(\), got <class"),
    ],
)
def test_wrong_options_are_refused(rows: Any, change: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**change).fit_resample(*rows)


def test_rounding_may_leave_the_range(rows: Any) -> None:
    """As MinMaxScaler's does."""
    X, y = rows[0] / 255, rows[1]
    wide = np.where(X.max() == X, 1 + 3e-16, X - 3e-16)
    assert wide.min() < 0 and wide.max() > 1
    more, _ = make().fit_resample(wide, y)
    assert np.array_equal(more[: len(X)], wide)
    assert np.array_equal(more[len(X) :], make().fit_resample(X, y)[0][len(X) :])


@pytest.mark.parametrize("kind", [float, object])
def test_rows_without_a_label_are_refused(rows: Any, kind: Any) -> None:
    y = np.unique(rows[1], return_inverse=True)[1].astype(kind)
    y[3] = np.nan
    with pytest.raises(InputError, match="y: expected a label for each row, got NaN in row 3"):
        make().fit_resample(rows[0], y)


def test_wrong_rows_are_refused(rows: Any) -> None:
    X, y = rows
    for wrong, message in (
        (X / 16.0, r"floats in \[0, 1\], got 0 to 15\.9; scale it"),
        (X.astype(np.int32), "got int32"),
        (X[:0], "X: expected at least one row"),
        (X[:, None], r"expected shape \(N, 64\)"),
    ):
        with pytest.raises(InputError, match=message):
            make().fit_resample(wrong, y)
    with pytest.raises(InputError, match=r"y: expected a label for each of 34 rows, got \(33,\)"):
        make().fit_resample(X, y[:-1])
