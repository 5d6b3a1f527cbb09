"""Metrics against other implementations, closed forms and what they are to tell apart."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg, ndimage
from sklearn.neighbors import NearestNeighbors
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

from synthaug.core import InputError
from synthaug.metrics import (
    Compared,
    extract_features,
    frechet_distance,
    kernel_distance,
    nearest,
    nearest_of,
    nearest_other,
    pixels,
    prdc,
    psnr,
    ssim,
)
from synthaug.metrics.manifolds import radii
from synthaug.metrics.similarity import CHUNK

RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(60, 5))
MADE = RNG.normal(size=(50, 5)) @ RNG.normal(size=(5, 5)) + 0.5


def images(count: int = 6, dtype: Any = np.uint8, side: int = 16) -> np.ndarray:
    top = np.iinfo(dtype).max
    return RNG.integers(0, top, (count, 3, side, side), dtype, endpoint=True)


def test_frechet_distance_is_that_of_torchmetrics_and_of_the_formula() -> None:
    found = frechet_distance(REAL, MADE)
    parts = [
        torch.as_tensor(part) for each in (REAL, MADE) for part in (each.mean(0), np.cov(each.T))
    ]
    assert found == pytest.approx(float(_compute_fid(*parts)), rel=1e-6)
    roots = linalg.sqrtm(np.cov(REAL.T) @ np.cov(MADE.T)).real
    apart = ((REAL.mean(0) - MADE.mean(0)) ** 2).sum()
    whole = apart + np.trace(np.cov(REAL.T) + np.cov(MADE.T) - 2 * roots)
    assert found == pytest.approx(whole, rel=1e-6)


def test_frechet_distance_of_shifted_and_scaled_normals() -> None:
    """Of N(0, 1) and N(m, s²) in one dimension: m² + (1 - s)²."""
    points = RNG.normal(size=(400, 1))
    points = (points - points.mean()) / points.std(ddof=1)
    assert frechet_distance(points, 3 * points + 2) == pytest.approx(4 + 4, rel=1e-9)
    assert frechet_distance(REAL, REAL) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(REAL[:3], MADE[:3]) >= 0  # fewer images than features


def test_frechet_distance_of_many_features_takes_no_square_of_them() -> None:
    wide = [np.pad(each, ((0, 0), (0, 4000))) for each in (REAL, MADE)]
    tracemalloc.start()
    found = frechet_distance(*wide)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == pytest.approx(frechet_distance(REAL, MADE), rel=1e-9)
    assert most < 8 * 4000**2 / 4


def test_kernel_distance_is_that_of_torchmetrics() -> None:
    expected = float(poly_mmd(torch.as_tensor(REAL[:40]), torch.as_tensor(MADE[:40])))
    assert kernel_distance(REAL[:40], MADE[:40], subsets=1) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("option", "value"), [("subsets", 0), ("subset_size", 1)])
def test_kernel_distance_of_nothing_is_refused(option: str, value: int) -> None:
    with pytest.raises(
        InputError, match=f"{option}: expected an integer of at least {value + 1}, got"
    ):
        kernel_distance(REAL, MADE, **{option: value})


def test_kernel_distance_of_all_images_is_taken_once() -> None:
    assert kernel_distance(REAL[:40], MADE[:40]) == kernel_distance(REAL[:40], MADE[:40], subsets=1)


def test_kernel_distance_has_no_bias() -> None:
    found = [
        kernel_distance(RNG.normal(size=(20, 3)), RNG.normal(size=(30, 3)), subsets=1)
        for _ in range(300)
    ]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(300)
    assert min(found) < 0 < max(found)
    assert kernel_distance(REAL, MADE) > 1
    assert kernel_distance(REAL, MADE, subset_size=20, seed=1) == kernel_distance(
        REAL, MADE, subset_size=20, seed=1
    )


@settings(max_examples=30)
@given(
    count=st.integers(7, 40), k=st.integers(1, 6), shift=st.floats(0, 3), seed=st.integers(0, 99)
)
def test_prdc_counts_balls(count: int, k: int, shift: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    real, made = rng.normal(size=(count, 3)), rng.normal(size=(count + 5, 3)) + shift
    widths = [
        NearestNeighbors(n_neighbors=k + 1).fit(part).kneighbors(part)[0][:, -1]
        for part in (real, made)
    ]
    apart = np.linalg.norm(real[:, None] - made[None], axis=2)
    in_real, in_made = apart < widths[0][:, None], apart < widths[1][None]
    found = prdc(real, made, nearest=k)
    assert found.precision == pytest.approx(np.mean([column.any() for column in in_real.T]))
    assert found.recall == pytest.approx(np.mean([row.any() for row in in_made]))
    assert found.density == pytest.approx(in_real.sum() / (k * len(made)))
    assert found.coverage == pytest.approx(np.mean([row.any() for row in in_real]))


def test_distances_are_those_of_features_wherever_they_lie_and_of_any_type() -> None:
    points = np.random.default_rng(0).normal(size=(2, 60, 3)).round(2)
    near = prdc(*points), kernel_distance(*points)
    far = prdc(*(points + 1000).astype(np.float32))
    assert far == near[0]
    assert kernel_distance(*(20 * points).astype(np.float16)) == pytest.approx(
        kernel_distance(*(20 * points)), rel=0.05
    )
    assert prdc(points[0].astype(np.float32), points[1]).recall > 0.5


def test_frechet_distance_of_features_in_16_bits_does_not_overflow() -> None:
    points = RNG.normal(size=(30, 4)) * 100
    short = [each.astype(np.float16) for each in (points, points + 300)]
    exact = frechet_distance(*(each.astype(np.float64) for each in short))
    assert frechet_distance(*short) == exact == pytest.approx(4 * 300**2, rel=0.01)
    assert frechet_distance(*map(torch.as_tensor, short)) == exact


def test_prdc_tells_collapse_from_noise() -> None:
    collapsed = prdc(REAL, REAL[:1] + 0.01 * RNG.normal(size=(50, 5)))
    assert collapsed.precision == 1 and collapsed.recall < 0.2 and collapsed.coverage < 0.2
    noise = prdc(REAL, 20 * RNG.normal(size=(50, 5)))
    assert noise.precision < 0.1 and noise.density < 0.1
    same = prdc(REAL[:30], REAL[30:])
    assert min(same.precision, same.recall, same.coverage) > 0.6


def test_torchs_default_device_changes_no_figure() -> None:
    real, made = images(8), images(8)[::-1]
    with torch.device("meta"):  # as torch.set_default_device("cuda")
        figures = prdc(extract_features(real), extract_features(made)), ssim(real, made).tolist()
    assert figures == (
        prdc(extract_features(real), extract_features(made)),
        ssim(real, made).tolist(),
    )


def test_psnr_and_ssim_of_known_pairs() -> None:
    plain = np.full((2, 1, 16, 16), 100, np.uint8)
    brighter = plain.copy()
    brighter[0] += 51  # a fifth of the range
    assert psnr(plain, brighter)[0] == pytest.approx(20 * np.log10(5), rel=1e-5)
    assert psnr(plain, brighter)[1] == np.inf
    one, other = images(), images()
    for dtype in (np.uint8, np.uint16):
        a, b = ((part.astype(dtype) * (257 if dtype == np.uint16 else 1)) for part in (one, other))
        expected = [_ssim(x, y) for x, y in zip(one, other, strict=True)]
        assert ssim(a, b) == pytest.approx(expected, abs=1e-6)
    assert ssim(images(side=8), images(side=8)).shape == (6,)
    assert ssim(one, one) == pytest.approx(np.ones(6))


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_images_of_fewer_bits_are_compared_over_their_range(measure: Any) -> None:
    one, other = images(), images()
    deep = [each.astype(np.uint16) * 16 for each in (one, other)]
    assert measure(*deep, data_range=255 * 16) == pytest.approx(measure(one, other), rel=1e-5)
    assert (np.abs(measure(*deep) - measure(one, other)) > 0.1).all()
    for wrong in (0, 4095.0, "12 bits", True):
        with pytest.raises(InputError, match="data_range: expected an integer of at least 1"):
            measure(*deep, data_range=wrong)
    with pytest.raises(InputError, match=r"data_range: expected at least 4080.* got 1023"):
        measure(*deep, data_range=1023)


def _ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Wang's formula, by scipy's normal filter of the same width."""
    x, y = one / 255, other / 255

    def mean(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values, (0, 1.5, 1.5), truncate=3.5, mode="mirror")

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    similar = (2 * mx * my + c1) * (2 * cov + c2)
    return float((similar / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


def test_features_are_those_of_the_function_batch_by_batch() -> None:
    data = images(10)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 4))
    found = extract_features(data, network, batch_size=3)
    with torch.no_grad():
        expected = network(torch.as_tensor(data / 255).float()).numpy()
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(InputError, match=r"expected shape \(10, D\), got \(10, 3, 16, 16\)"):
        extract_features(data, lambda batch: batch)


@pytest.mark.parametrize("call", [extract_features, lambda one, seen: nearest(one, one, seen)])
def test_a_network_in_training_mode_is_asked_as_it_will_be_used(call: Any) -> None:
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.BatchNorm1d(768), torch.nn.Dropout(), torch.nn.Linear(768, 4)
    )
    network[2].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    data = images(10)
    np.testing.assert_array_equal(call(data, network), call(data, network))
    assert [part.training for part in network] == [True, True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_features_of_no_images_or_by_batches_of_none_are_refused() -> None:
    with pytest.raises(InputError, match="images: expected at least one, got none"):
        extract_features(images(3)[:0])
    with pytest.raises(InputError, match="batch_size: expected an integer of at least 1, got 0"):
        extract_features(images(3), batch_size=0)


def test_a_network_that_cannot_take_the_images_is_named() -> None:
    network = torch.nn.Conv2d(5, 2, 1)
    with pytest.raises(
        InputError, match=r"features: cannot take floats \(3, 3, .* on cpu .*channels"
    ):
        extract_features(images(3), network)


def test_nearest_finds_copies_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthaug.metrics.neighbours.CHUNK", 4)
    data = images(20)
    index, distance = nearest(data[[3, 17, 3]], data, pixels)
    assert index.tolist() == [3, 17, 3] and distance.tolist() == [0, 0, 0]


@pytest.mark.parametrize("size", [1, 4, 512])
def test_nearest_other_is_the_first_radius_across_chunks(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("synthaug.metrics.neighbours.CHUNK", size)
    data = images(20)
    data[7] = data[3]
    found = nearest_other(data)
    assert found == pytest.approx(radii(extract_features(data), 1), abs=1e-6)
    assert found[3] == found[7] == 0 < found[0]


def test_few_large_images_are_compared_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthaug.metrics.neighbours.AT_ONCE", 5 * 768 * 8)
    seen = []

    def counted(batch: torch.Tensor) -> torch.Tensor:
        seen.append(len(batch))
        return pixels(batch)

    data = images(12)
    index, _ = nearest(data, data[::-1].copy(), counted)
    assert index.tolist() == list(range(11, -1, -1)) and max(seen) == 5


@pytest.mark.parametrize(("room", "again"), [(2**28, 0), (2 * 4 * 768 * 8, 12), (0, 20)])
def test_features_are_worked_out_once_where_there_is_room(
    monkeypatch: pytest.MonkeyPatch, room: int, again: int
) -> None:
    monkeypatch.setattr("synthaug.metrics.neighbours.CHUNK", 4)
    monkeypatch.setattr("synthaug.metrics.neighbours.KEPT", room)
    data, seen = images(24), []

    def counted(batch: torch.Tensor) -> torch.Tensor:
        seen.append(len(batch))
        return pixels(batch)

    among = Compared(data[:20], counted)
    for wanted in (data, data[::-1].copy()):  # three rounds of four, twice
        seen.clear()
        found = nearest_of(wanted[:12], among)
        plain = nearest(wanted[:12], data[:20])
        assert all(np.array_equal(one, other) for one, other in zip(found, plain, strict=True))
    assert sum(seen) == 12 + 3 * again


@pytest.mark.parametrize("call", [nearest, lambda one, _, network: extract_features(one, network)])
def test_features_are_asked_where_their_weights_are(call: Any) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 4)).to("meta")
    with pytest.raises(NotImplementedError, match="meta"):  # it went there, where nothing is
        call(images(2), images(3), network)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: frechet_distance(REAL, MADE[:, :3]),
            r"as many features of each set, got \[3, 5\]",
        ),
        (lambda: kernel_distance(REAL[0], MADE), r"real: expected features \(N, D\)"),
        (lambda: prdc(REAL, MADE[:1]), "synthetic: expected features .* at least 2 images"),
        (lambda: prdc(REAL, MADE[:5]), "nearest: expected 1 to 4 for 5 images, got 5"),
        (lambda: prdc(REAL * np.nan, MADE), "real: expected finite features"),
        (lambda: frechet_distance(None, MADE), r"real: expected features \(N, D\)"),
        (lambda: kernel_distance(REAL, [[1.0], []]), "synthetic: .* got a list"),
        (lambda: prdc(REAL[:, :0], MADE[:, :0]), r"real: .* got \(60, 0\)"),
        (lambda: prdc(REAL, MADE, nearest=2.5), "nearest: expected an integer of at least 1"),
        (lambda: prdc(REAL, MADE, nearest="a"), "nearest: expected an integer of at least 1"),
        (lambda: psnr(images(2), images(3)), "pairs of one shape and type"),
        (lambda: ssim(images(), images(dtype=np.uint16)), "pairs of one shape and type"),
    ],
)
def test_what_cannot_be_compared_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_what_are_no_pairs_of_images_is_refused(measure: Any) -> None:
    whole = images(side=8)
    for wrong in ([1, 2], None, whole[:, 0], whole[0]):
        with pytest.raises(InputError, match=r"expected arrays of images \(N, C, H, W\), got"):
            measure(wrong, wrong)
    assert measure(whole[:0], whole[:0]).shape == (0,)


def test_ssim_of_many_pairs_is_that_of_each() -> None:
    """They are not all looked at together, for want of memory."""
    many = images(CHUNK + 1, side=8)
    others = many[::-1].copy()
    alone = [ssim(many[i : i + 1], others[i : i + 1]).item() for i in range(len(many))]
    assert np.array_equal(ssim(many, others), alone)
    apart = [psnr(many[i : i + 1], others[i : i + 1]).item() for i in range(len(many))]
    assert np.array_equal(psnr(many, others), apart)


def test_features_of_a_type_that_numpy_has_not() -> None:
    """As a network gives them under autocast."""
    one, other = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    expected = frechet_distance(one.float(), other.float())
    assert frechet_distance(one, other.requires_grad_()) == pytest.approx(expected, rel=1e-12)


def test_ssim_takes_what_its_window_can_be_reflected_in() -> None:
    small = images(side=6)
    assert ssim(small, small) == pytest.approx(1.0)
    with pytest.raises(InputError, match=r"at least 6 pixels a side.*got 5x5"):
        ssim(small[:, :, :5, :5], small[:, :, :5, :5])


def test_devices_are_named_as_elsewhere() -> None:
    device = "cpu" if torch.cuda.is_available() else "auto"
    assert extract_features(images(side=8), device=device).shape == (6, 192)
    with pytest.raises(InputError, match="device: expected auto, cpu, cuda"):
        extract_features(images(side=8), device="tpu")
