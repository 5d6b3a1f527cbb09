"""The report page: complete, self-contained, safe to open, the same each time."""

import base64
import io
import math
import os
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from PIL import Image
from scipy import stats

from synthaug.classifiers import TrainConfig
from synthaug.core import InputError, write_json
from synthaug.data import LabelledImages, Samples
from synthaug.gain import NO_ARM, Arm, ArmResult, Gain, paired_interval, smallest_detectable
from synthaug.gain.report import advice, write_report
from synthaug.gain.report import pictures as report_images
from synthaug.gain.report.caveats import caveats
from synthaug.gain.report.seed_plot import _in_lines
from synthaug.gain.result import Pictures, choose_pictures
from synthaug.gain.statistics import verdict
from synthaug.metrics import neighbours as nearest_module

SECTIONS = [
    "recommendation",
    "arms",
    "seeds",
    "classes",
    "images",
    "nearest",
    "caveats",
    "protocol",
]
HOSTILE = ["<script>alert(1)</script>", "a & b \"c\" 'd'", "$x^2_$ 日本語", "line\nbreak\x00\udcff"]
VOID = {"meta", "img", "br", "wbr"}


def make_arm(name: str, uses: str, level: float, classes: int, seeds: int) -> ArmResult:
    """An arm whose numbers are plainly made up: they step evenly from seed to seed."""
    steps = np.arange(seeds) / 100
    accuracy = (level + steps + 0.003 * (len(name) % 3) * (np.arange(seeds) % 2)).tolist()
    per_class = level + steps[:, None] + np.linspace(-0.1, 0.1, classes) * (len(name) % 4)
    return ArmResult(
        name=name,
        synthetic=uses != "real",
        uses=uses,
        description=f"made up for a test: {uses}",
        seeds=list(range(seeds)),
        choice_scores=accuracy,
        accuracy=accuracy,
        balanced_accuracy=[value - 0.01 for value in accuracy],
        validation_accuracy=accuracy,
        validation_balanced_accuracy=accuracy,
        per_class=per_class.tolist(),
        seconds=[1.5] * seeds,
    )


def make_gain(
    *,
    classes: int = 3,
    seeds: int = 4,
    control: bool = True,
    lead: float = 0.02,
    name: str = "toy",
    names: list[str] | None = None,
) -> Gain:
    arms = [make_arm("plain", "real", 0.5, classes, seeds)]
    arms.append(make_arm("geometry", "real", 0.6, classes, seeds))
    if control:
        arms.append(make_arm("style-swap 0.5", "control", 0.605, classes, seeds))
    arms.append(make_arm("vae 0.5", "synthetic", 0.6 + lead, classes, seeds))

    def over(arm: ArmResult, other: ArmResult) -> list[float]:
        return [100 * (a - b) for a, b in zip(arm.accuracy, other.accuracy, strict=True)]

    base, chosen = arms[1], arms[-1]
    compared = [
        arm if arm is base else replace(arm, gain=paired_interval(over(arm, base)), p_holm=0.04)
        for arm in arms
    ]
    interval = paired_interval(over(chosen, base))
    return Gain(
        synthaug="0.0.0",
        data={
            "name": name,
            "classes": classes,
            "class_names": names or [f"kind {k}" for k in range(classes)],
            "train": 30,
            "validation": 12,
            "test": 200,
        },
        protocol={
            "metric": "accuracy",
            "seeds": list(range(seeds)),
            "choice_seeds": list(range(seeds, 2 * seeds)),
            "per_class": 10,
            "recipe": {"optimizer": "adamw", "rates": [0.1, 0.01], "nested": {"deep": True}},
            "validation": "a fifth of the made-up training images",
            "versions": {"python": "3.x"},
            "command": "synthaug gain toy --seeds 4",
            "next_steps": "pool = SamplePool('<pool>')",
            "caveats": ["One more thing to know."],
            "left out": [{"arm": "gan", "why": None}],
        },
        arms=compared,
        baseline="geometry",
        trained="vae 0.5",
        control="style-swap 0.5" if control else None,
        rival=None,
        chosen={"arm": "vae 0.5", "generator": "VAE", "ratio": 0.5, "labels": "hard"},
        gain_over_control=paired_interval(over(chosen, arms[2])) if control else None,
        gain_over_rival=None,
        gain=interval,
        recommendation="vae 0.5" if lead > 0 else NO_ARM,
        verdict=verdict(interval),
    )


def make_pictures(
    classes: int = 3, *, channels: int = 3, dtype: type = np.uint8, names: list[str] | None = None
) -> Pictures:
    generator = np.random.default_rng(0)
    top = 4096 if dtype is np.uint16 else 256  # 12 of 16 bits, as scanners give
    images = generator.integers(0, top, (4 * classes, channels, 10, 12)).astype(dtype)
    labels = np.arange(4 * classes) % classes
    train = LabelledImages(images, labels, names or [f"kind {k}" for k in range(classes)])
    made = generator.integers(0, top, images.shape).astype(dtype)
    made[-1] = images[0]
    return choose_pictures(train, Samples(made, labels), per_class=4)


def write(gain: Gain, pictures: Pictures | None, directory: Path) -> str:
    path = directory / "page.html"
    write_report(replace(gain, pictures=pictures), path)
    return path.read_text(encoding="utf-8")


class Page(HTMLParser):
    """Tags, attributes and text of a page; checks that the tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def check_self_contained(text: str) -> None:
    addresses = set(re.findall(r"https?://[^\"'\s<)]+", text))
    assert all(address.startswith("http://www.w3.org/") for address in addresses), addresses
    for tag, attributes in Page(text).found:
        assert tag not in {"script", "link", "iframe", "object", "base"}
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("data:image/png;base64,", "#"))
    assert not re.search(r"url\((?!#)|@import", text)


def check_drawings(text: str) -> tuple[int, int]:
    """Decode all images and plots; how many of each there are."""
    images = Page(text).all("img")
    for image in images:
        assert image["alt"]
        data = (image["src"] or "").removeprefix("data:image/png;base64,")
        Image.open(io.BytesIO(base64.b64decode(data, validate=True))).verify()
    plots = re.findall(r"<svg .*?</svg>", text, re.DOTALL)
    for plot in plots:
        root = ElementTree.fromstring(plot)
        assert root.get("role") == "img" and root.get("aria-label") and len(root)
    return len(images), len(plots)


@pytest.mark.parametrize(
    ("classes", "channels", "dtype", "control"),
    [(3, 3, np.uint8, True), (2, 1, np.uint16, False), (43, 3, np.uint8, True)],
)
def test_page_is_complete_and_self_contained(
    tmp_path: Path, classes: int, channels: int, dtype: type, control: bool
) -> None:
    pictures = make_pictures(classes, channels=channels, dtype=dtype)
    gain = make_gain(classes=classes, control=control)
    text = write(gain, pictures, tmp_path)
    page = Page(text)
    assert [section["id"] for section in page.all("section")] == SECTIONS
    shown = min(classes, 12)
    assert check_drawings(text) == (shown * 4 * 4, 3)
    check_self_contained(text)
    for part in (gain.sentence(), "pool = SamplePool('<pool>')", "One more thing to know."):
        assert part in page.text
    for value in ("synthaug gain toy --seeds 4", "0.1, 0.01", "deep", "200 of them", "kind 1"):
        assert value in page.text
    assert ("Trained generator over non-learned control" in page.text) == control


def test_page_without_pictures_is_made_from_the_json_alone(tmp_path: Path) -> None:
    make_gain().save(tmp_path / "gain.json")
    text = write(Gain.load(tmp_path / "gain.json"), None, tmp_path)
    sections = [section["id"] for section in Page(text).all("section")]
    assert sections == [name for name in SECTIONS if name not in ("images", "nearest")]
    assert check_drawings(text) == (0, 3)
    assert "kind 2" in Page(text).text


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda value: value["protocol"].pop("caveats"), "'caveats' in 'protocol', got None"),
        (lambda value: value["protocol"].pop("next_steps"), "'next_steps' in 'protocol'"),
        (lambda value: value["data"].pop("class_names"), "'class_names' in 'data'"),
        (lambda value: value.update(verdict="maybe"), "a verdict of helps, .*, got 'maybe'"),
        (lambda value: value.update(arms=[]), "arms that it does not hold: .*'geometry'"),
        (lambda value: value["chosen"].update(arm="gone"), r"does not hold: \['gone'\]"),
        (lambda value: value.update(recommendation="gone"), r"does not hold: \['gone'\]"),
        (lambda value: value.update(protocol=[]), r"result of synthaug gain \("),
        (lambda value: value["gain"].update(points=None), "numbers in 'gain'"),
        (lambda value: value["gain"].update(confidence=2), "numbers in 'gain'"),
        (lambda value: value["gain"].update(image_error="x"), "numbers in 'gain'"),
        (
            lambda value: value["arms"][1].update(seconds=["x"] * 4),
            "numbers as the figures of arm",
        ),
        (lambda value: value["arms"][0].update(choice_scores=[None]), "numbers as the figures of"),
        (lambda value: value["gain"].update(per_seed=[]), "a difference for each .* in 'gain'"),
        (lambda value: value["arms"][1].update(per_class=[]), "seeds .* of arm 'geometry'"),
        (lambda value: value["arms"][0].update(accuracy=[]), "seeds .* of arm 'plain'"),
        (lambda value: value["arms"][0]["per_class"][1].pop(), "classes of arm 'plain'"),
        (lambda value: value["data"].update(test_counts=[1, 2]), r"by class, got 200 and \[1, 2\]"),
        (lambda value: value["data"].update(test_counts="abc"), "by class, got 200 and 'abc'"),
        (lambda value: value["data"].update(test=0), "test images, .* got 0"),
        (lambda value: value["data"].update(class_names=["a"]), "3 names in 'class_names', got 1"),
    ],
)
def test_an_edited_result_is_refused(
    tmp_path: Path, edit: Callable[[dict[str, Any]], object], said: str
) -> None:
    value = make_gain().to_json()
    edit(value)
    write_json(tmp_path / "gain.json", value)
    with pytest.raises(InputError, match=rf"gain\.json: not a .*{said}"):
        Gain.load(tmp_path / "gain.json")


def test_equals_but_for_rounding_are_no_better_seeds(tmp_path: Path) -> None:
    gain = make_gain()
    apart = paired_interval([3.5e-15, 1.0, -1.0, 0.0])
    text = Page(write(replace(gain, gain=apart), None, tmp_path)).text
    assert "was better in 1 of 4 seeds" in text


@pytest.mark.parametrize(
    ("lead", "word", "advice"),
    [
        (0.02, "▲Helps", "Train with vae 0.5."),
        (0.0001, "≈No evidence", "Not confirmed: the validation images favour vae 0.5."),
        (-0.02, "▼Hurts", "Train without synthetic images: geometry."),
    ],
)
def test_verdict_is_said_in_words_and_shape(
    tmp_path: Path, lead: float, word: str, advice: str
) -> None:
    page = Page(write(make_gain(lead=lead), None, tmp_path))
    assert word in page.text and advice in page.text


def test_what_is_called_none_is_explained_and_notes_are_sentences(tmp_path: Path) -> None:
    gain = make_gain(lead=-0.02)
    arms = [replace(arm, name={"geometry": "none"}.get(arm.name, arm.name)) for arm in gain.arms]
    protocol = {**gain.protocol, "caveats": ["all seeds share something"]}
    changed = replace(gain, arms=arms, baseline="none", protocol=protocol)
    text = Page(write(changed, None, tmp_path)).text
    assert "Train without synthetic images: none (no augmentation)." in text
    assert "Note: all seeds share something." in text
    assert Arm("none", TrainConfig(policy="none")).description == "no geometry"


def test_a_verdict_on_these_images_alone_is_said(tmp_path: Path) -> None:
    sure = make_gain()
    assert sure.verdict == "helps" and sure.gain.low > 0
    for error, said in ((None, False), (sure.gain.low / 10, False), (sure.gain.points, True)):
        gain = replace(sure, gain=replace(sure.gain, image_error=error))
        assert ("So it is on these 200 test images" in gain.sentence()) == said
        low, high = gain.gain.of_other_images
        assert (f"({low:+.1f} to {high:+.1f} with their scatter, too)" in gain.sentence()) == said
        both = f"With the scatter of images, too, the gain is {low:+.1f} to {high:+.1f} points."
        assert (both in Page(write(gain, None, tmp_path)).text) == (error is not None)
    rival = replace(
        sure, rival="plain", gain_over_rival=replace(sure.gain, image_error=sure.gain.points)
    )
    low, high = rival.gain_over_rival.of_other_images if rival.gain_over_rival else (0, 0)
    assert f"({low:+.1f} to {high:+.1f} with their scatter, too)" in rival.sentence()
    assert "these test images agree; others of the kind may not" in advice(gain)
    assert "the test images confirm it" in advice(sure)
    unseen = replace(gain, verdict="no evidence")
    assert "So it is on these" not in unseen.sentence()


def test_no_gain_of_more_than_all_images_could_have_gone_unseen(tmp_path: Path) -> None:
    few = replace(make_gain(), gain=paired_interval([-20.0, 10.0]), verdict="no evidence")
    assert few.smallest_detectable > 100
    assert few.sentence().endswith("So few seeds and test images could have shown no gain at all.")
    unused = replace(few, recommendation=NO_ARM)
    page = Page(write(unused, None, tmp_path)).text
    for said in (advice(unused), caveats(unused)[0], page):
        assert f"{few.smallest_detectable:.1f}" not in said
    assert "Nothing could have, with so few seeds" in page and "All gains stay unseen" in page
    more = replace(few, gain=paired_interval([-2.0, 1.0, 0.0]))
    assert "points could have gone unseen." in more.sentence()


def test_recommendation_that_the_test_images_contradict_is_said(tmp_path: Path) -> None:
    against = replace(make_gain(lead=-0.02), recommendation="vae 0.5")
    page = write(against, None, tmp_path)
    assert "The test images speak against it" in Page(page).text
    assert re.findall(
        r'class="recommended">\s*<th scope="row"><span class="name">([^<]*)<', page
    ) == ["geometry"]
    good = make_gain(lead=0.0001)
    worse = paired_interval([-6.0, -4.0, -3.0, -3.0])
    rival = replace(good, rival="plain", gain_over_rival=worse, verdict="no evidence")
    assert not good.contradicted and rival.contradicted
    assert "speak against it: train without synthetic images (plain)" in advice(rival)
    least = smallest_detectable([good.gain, worse])
    assert f"A true gain over both below {least:.1f} points could" in rival.sentence()
    assert least > smallest_detectable([worse]) == pytest.approx(worse.smallest_detectable)
    unused = replace(make_gain(), recommendation=NO_ARM)
    assert "though the test images do" in Page(write(unused, None, tmp_path)).text


def test_an_arm_that_does_better_on_the_test_images_is_named(tmp_path: Path) -> None:
    gain = make_gain()
    rival = replace(gain, rival="plain", gain_over_rival=gain.gain_over_control)
    write_report(rival, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "On the test images plain, also without them, does better" in page
    assert "Gain over the oracle baseline, plain" in page
    assert "oracle baseline" in page
    assert "over oracle" in page
    assert "choose badly" not in page  # it is behind the baseline on the seeds that are shown

    ahead = replace(gain.gain, points=5.4, low=1.6, high=9.2)
    arms = [replace(arm, gain=ahead) if arm.name == "plain" else arm for arm in gain.arms]
    leading = replace(rival, arms=arms)
    assert (gain.without, rival.without, leading.without) == ("geometry", "geometry", "plain")
    none = replace(leading, recommendation=NO_ARM, verdict="no evidence")
    text = Page(write(none, None, tmp_path)).text
    assert "Train without synthetic images: plain." in text
    said = advice(leading)
    assert said.startswith(advice(gain))
    assert "plain is 5.4 points better than geometry on the test images" in said
    rival.save(tmp_path / "gain.json")
    assert Gain.load(tmp_path / "gain.json").to_json() == rival.to_json()
    write_report(gain, tmp_path / "page.html")
    without = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "oracle" not in without


def test_a_result_of_before_says_that_it_was_chosen_on_what_it_is_measured_on(
    tmp_path: Path,
) -> None:
    now = make_gain()
    seeds = now.protocol["seeds"]
    before = replace(now, protocol={**now.protocol, "choice_seeds": seeds})
    for gain, elsewhere in ((now, True), (before, False)):
        text = Page(write(gain, None, tmp_path)).text
        assert ("was then measured on seeds of its own" in text) == elsewhere
        assert ("picked on other seeds" in text) == elsewhere
        assert ("Chosen and measured on the same seeds" in text) != elsewhere


def test_how_well_a_perfect_accuracy_is_known() -> None:
    """Wilson's interval for 200 of 200 begins at n / (n + 1.96^2)."""
    gain = make_gain()
    arms = [replace(arm, accuracy=[1.0] * len(arm.accuracy)) for arm in gain.arms]
    said = " ".join(caveats(replace(gain, arms=arms, data={**gain.data, "test": 200})))
    assert f"known to about ±{100 * (1 - 200 / (200 + 1.96**2)) / 2:.1f} points" in said


def test_how_well_a_balanced_accuracy_is_known(tmp_path: Path) -> None:
    """Of classes that have test images: their intervals weigh the same, however many there are."""
    gain = make_gain()
    right = [[0.9, 0.5, None]] * 4  # the test split has none of the third
    changed = replace(
        gain,
        arms=[replace(arm, per_class=right) for arm in gain.arms],
        data={
            **gain.data,
            "test": 120,
            "test_counts": [100, 20, 0],
            "validation_counts": [9, 5, 0],
        },
        protocol={**gain.protocol, "metric": "balanced accuracy"},
    )
    found = proportion_interval(0.9, 100), proportion_interval(0.5, 20)
    error = math.hypot(*found) / 2
    said = " ".join(caveats(changed))
    assert "one of the smallest class is 2.5 points of balanced accuracy" in said
    assert "of them; one of the smallest class is 10 points of balanced accuracy), set" in said
    assert f"known to about ±{100 * error:.1f} points" in said
    assert "kind 2" in Page(write(changed, None, tmp_path)).text


def proportion_interval(share: float, count: int) -> float:
    interval = stats.binomtest(round(share * count), count).proportion_ci(method="wilson")
    return float(interval.high - interval.low) / 2


def test_hostile_names_are_shown_as_text(tmp_path: Path) -> None:
    pictures = make_pictures(4, names=HOSTILE)
    gain = make_gain(classes=4, names=HOSTILE, name='<img src="http://evil" onerror=x>')
    gain.protocol["note"] = {"<b>": "</dl><script>"}
    text = write(gain, pictures, tmp_path)
    page = Page(text)
    assert "script" not in {tag for tag, _ in page.found} and "<script" not in text
    assert not any("onerror" in attributes for _, attributes in page.found)
    assert check_drawings(text)[1] == 3
    for name in HOSTILE[:3]:
        assert name in page.text
    assert "\x00" not in text and "\udcff" not in text


def test_bytes_do_not_change_with_the_users_settings(tmp_path: Path) -> None:
    gain, pictures = make_gain(), make_pictures()
    first = write(gain, pictures, tmp_path)
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": None, "text.usetex": True}):
        assert write(gain, pictures, tmp_path) == first
        assert matplotlib.rcParams["font.size"] == 30


def test_many_classes_and_wide_intervals(tmp_path: Path) -> None:
    gain = make_gain(classes=130, seeds=2)
    per_class = np.array(gain.arms[-1].per_class)
    per_class[:, 5] = np.nan  # no test image of that class
    per_class[0, 6] -= 0.9
    gain.arms[-1].per_class[:] = per_class.tolist()
    page = Page(write(gain, None, tmp_path))
    assert (
        "of 129 classes and worse in" in page.text and "79 classes that changed less" in page.text
    )


def test_a_training_that_the_machine_slept_during_is_not_told_as_a_slow_arm(tmp_path: Path) -> None:
    gain = make_gain(seeds=5)
    slept = [replace(arm, seconds=[2.0, 9876.0, 3.0, 2.5, 2.25]) for arm in gain.arms]
    assert {arm.usual_seconds for arm in slept} == {2.5}
    write_report(replace(gain, arms=slept), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<td>2.5</td>") == len(slept)


def test_failed_write_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = write(make_gain(), None, tmp_path)

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(make_gain(lead=-0.02), tmp_path / "page.html")
    with pytest.raises(OSError, match="disk full"):
        write_report(make_gain(), tmp_path / "other.html")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == before


def test_choose_pictures_finds_the_nearest_training_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_module, "CHUNK", 7)  # several chunks
    generator = np.random.default_rng(1)
    train = LabelledImages(
        generator.integers(0, 256, (40, 3, 8, 8)).astype(np.uint8), np.arange(40) % 5, "abcde"
    )
    made = generator.integers(0, 256, (40, 3, 8, 8)).astype(np.uint8)
    made[7] = train.images[33]
    pictures = choose_pictures(train, Samples(made, np.arange(40) % 5), per_class=2, classes=3)
    assert pictures.real.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(pictures.synthetic.images, made[[0, 5, 1, 6, 2, 7]])
    apart = (pictures.synthetic.images[:, None] / 255 - train.images[None] / 255) ** 2
    apart = np.sqrt(apart.mean((2, 3, 4)))
    assert np.array_equal(pictures.nearest, train.images[apart.argmin(1)])
    np.testing.assert_allclose(pictures.distance, apart.min(1), atol=1e-6)
    assert pictures.distance[5] == 0


def test_pictures_of_12_bits_are_as_far_apart_as_those_of_8() -> None:
    generator = np.random.default_rng(1)
    train = LabelledImages(generator.integers(0, 256, (8, 1, 8, 8), np.uint8), [0, 1] * 4, "ab")
    made = Samples(generator.integers(0, 256, (8, 1, 8, 8), np.uint8), [0, 1] * 4)
    deep_train = LabelledImages(train.images.astype(np.uint16) * 16, train.labels, "ab")
    deep_made = Samples(made.images.astype(np.uint16) * 16, made.labels)
    plain, deep = choose_pictures(train, made), choose_pictures(deep_train, deep_made)
    np.testing.assert_allclose(deep.distance, plain.distance, rtol=0.01)


def test_names_below_columns_keep_to_their_width() -> None:
    name = "patch-nuisance 0.25 mixed, randaugment+cutmix, smoothed"
    for columns, width in ((2, 19), (4, 14)):
        lines = _in_lines(name, columns).split("\n")
        assert max(map(len, lines)) <= width and len(lines) == 3
    assert _in_lines("randaugment+cutmix", 4).split("\n") == ["randaugment+", "cutmix"]
    assert _in_lines("randaugment+mixup", 2) == "randaugment+mixup"


def test_sixteen_bit_images_are_shown_over_the_range_they_use() -> None:
    pictures = make_pictures(2, channels=1, dtype=np.uint16)
    [row, _] = report_images.picture_rows(pictures)
    data = row["real"][0]["src"].removeprefix("data:image/png;base64,")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert shown.shape == (10, 12) and shown.min() < 20 and shown.max() > 235


def test_class_without_samples_and_no_samples_at_all(tmp_path: Path) -> None:
    train = LabelledImages(np.zeros((6, 1, 8, 8), np.uint8), np.arange(6) % 3, ["a", "b", "c"])
    few = Samples(np.zeros((1, 1, 8, 8), np.uint8), [1])
    for samples in (few, few.subset(np.zeros(0, dtype=int))):
        text = write(make_gain(), choose_pictures(train, samples), tmp_path)
        assert check_drawings(text)[0] == 6 + 3 * len(samples)


def test_no_two_parts_of_a_page_have_one_name(tmp_path: Path) -> None:
    write_report(replace(make_gain(), pictures=make_pictures()), tmp_path / "page.html")
    names = re.findall(r'\bid="([^"]+)"', (tmp_path / "page.html").read_text())
    assert len(names) > 5 and len(names) == len(set(names))
