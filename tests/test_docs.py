"""What the documentation says works: its code runs, its links lead somewhere."""

import json
import re
import shlex
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import timm
from PIL import Image
from safetensors.torch import save_file

import synthaug
import synthaug.cli.gain
import synthaug.cli.tune
from synthaug import (
    Gain,
    LabelledImages,
    MixConfig,
    SamplePool,
    Source,
    StyleSwap,
    TrainConfig,
    measure_gain,
    search_mix,
)
from synthaug.classifiers import evaluate
from synthaug.cli.main import run
from synthaug.core import Schedule
from synthaug.data import split_off
from synthaug.gain import Execution, Protocol
from synthaug.generators import registry
from synthaug.search import Budget

pytestmark = pytest.mark.usefixtures("tiny_networks")
ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DOCS = [README, *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGE = ROOT / "synthaug"
PAGES = [*DOCS, ROOT / "CONTRIBUTING.md"]
NOTEBOOK = ROOT / "examples" / "gain.ipynb"
MOST_WORDS, MOST_IN_README = 16_000, 600  # of all docs; of the README before its results
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]*)#?([^)\s]*)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
OURS = re.compile(r"https://github\.com/synthaug/synthaug/(?:blob|tree)/main/")
ALONE = "num_workers=0, persistent_workers=False"  # of none, which older timm is to be told
LARGE, SMALL = "timm:resnet18", "timm:test_resnet"  # which takes a tenth of the time
SIZES = re.compile(r"(--classifier-size |\bsize=)96")  # in pixels, and more take longer
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """What a link to a heading of the page may end with."""
    headings = HEADING.findall(BLOCK.sub("", page.read_text()))
    words = [re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in headings]
    return {re.sub(r"[-\s]+", "-", each) for each in words}


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


def small(text: str) -> str:
    """Return the same with a smaller network, for smaller images."""
    return SIZES.sub(r"\g<1>32", text.replace(LARGE, SMALL))


def commands(page: Path) -> list[str]:
    """The `synthaug` commands of a page's shell blocks, but those whose run is a result."""
    texts = [text.replace("\\\n", "") for text in blocks(page, "sh")]
    lines = [line.split(" #")[0] for text in texts for line in text.splitlines()]
    parts = [part.strip() for line in lines for part in line.split("&&")]
    return [part for part in parts if part.startswith("synthaug ")]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user has from timm's pages, but for what it has learned."""
    file = tmp_path_factory.mktemp("timm") / "model.safetensors"
    save_file(timm.create_model(SMALL.removeprefix("timm:")).state_dict(), file)
    return file


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> Path:
    """A folder with the data that the pages speak of, in which nothing takes long."""
    rng = np.random.default_rng(0)
    for part, count in (("data/xray/train", 60), ("data/xray/test", 20), ("data/made", 30)):
        for label, level in (("healthy", 60), ("ill", 150)):
            folder = tmp_path / part / label
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = np.clip(rng.normal(level, 30, (16, 16)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    original = Schedule.__init__

    def short(self: Schedule, steps: int, warmup: int = 0) -> None:
        original(self, min(steps, 2), warmup)

    monkeypatch.setattr(Schedule, "__init__", short)
    # What a page registers is forgotten at its end.
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    for module in (synthaug, synthaug.cli.gain):
        monkeypatch.setattr(module, "measure_gain", _small_measure_gain)
    for module in (synthaug, synthaug.cli.tune):
        monkeypatch.setattr(module, "search_mix", _small_search_mix)
    MixConfig(StyleSwap(), 0.25, training={"partner": "mixup"}).save(tmp_path / "mix.json")
    (tmp_path / "model.safetensors").symlink_to(weights)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _short(protocol: Protocol) -> Protocol:
    config = protocol.config or TrainConfig()
    return replace(protocol, seeds=2, steps=2, batch_size=8, config=config)


def _small_measure_gain(
    train: LabelledImages, test: LabelledImages, *, protocol: Protocol | None = None, **options: Any
) -> Gain:
    """The real measurement with all that the page asks for, but few arms and seeds."""
    options["sources"] = [Source("style-swap", StyleSwap())]
    short = replace(_short(protocol or Protocol()), search="quick")
    return measure_gain(train, test, protocol=short, **options)


def _small_search_mix(
    train: LabelledImages, budget: Budget, *, protocol: Protocol | None = None, **options: Any
) -> MixConfig:
    """The real search, of one proposal."""
    options["families"] = ["style-swap"]
    return search_mix(train, Budget(trials=1), protocol=_short(protocol or Protocol()), **options)


def test_the_docs_are_short() -> None:
    texts = {name_of(page): page.read_text() for page in DOCS}
    words = {name: len(text.split()) for name, text in texts.items()}
    assert sum(words.values()) <= MOST_WORDS, words
    before = texts["README.md"].partition("<!-- results -->")[0]
    assert len(before.split()) <= MOST_IN_README


def test_words_are_those_of_the_glossary() -> None:
    glossary = (ROOT / "docs" / "reference" / "glossary.md").read_text()
    assert len(re.findall(r"^\| \*\*", glossary, re.MULTILINE)) <= 20
    for page in PAGES:
        prose = re.sub(r"`[^`]*`", "", BLOCK.sub("", page.read_text()))
        former = re.findall(r"\b(?:recipe|partner|rival|nuisance swap)s?\b", prose, re.IGNORECASE)
        assert not former, f"{name_of(page)}: {former[0]}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link, anchor in LINK.findall(page.read_text()):
        target = OURS.sub(f"{ROOT}/", link)
        if target.startswith("http"):
            continue
        place = page.parent / target if target else page
        assert place.exists(), f"{name_of(page)}: no {link}"
        if anchor and place.suffix == ".md":
            assert anchor in anchors(place), f"{name_of(page)}: no {link}#{anchor}"


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name_of)
def test_python_runs(page: Path, workplace: Path) -> None:
    _run_python(page)


def _run_python(page: Path) -> dict[str, Any]:
    """Run the blocks of a page one after another; return the names that they leave."""
    scope: dict[str, Any] = {"__name__": "docs"}
    for block in blocks(page, "python"):
        code = small(block.replace("num_workers=2", ALONE))
        exec(compile(code, page.name, "exec"), scope)
    return scope


def test_code_for_large_packages_runs(workplace: Path) -> None:
    """Blocks in `py` need Hugging Face datasets, which is too large for a test extra."""
    pytest.importorskip("datasets", reason="needs Hugging Face datasets")
    page = ROOT / "docs" / "how-to" / "libraries.md"
    scope = _run_python(page)
    [block] = blocks(page, "py")
    exec(block, scope)
    batch = scope["photos"][:8]
    assert len(batch["pixel_values"]) == len(batch["labels"]) == 8


def test_the_notebook_runs(workplace: Path) -> None:
    """Its cells are plain Python, so that no Jupyter is needed here."""
    notebook = json.loads(NOTEBOOK.read_text())
    scope: dict[str, Any] = {"__name__": "notebook"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), scope)
    assert scope["gain"].verdict in ("helps", "no evidence", "hurts")


def test_the_notebook_stores_what_a_clean_run_printed() -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if "outputs" in cell]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    stored = json.dumps([cell["outputs"] for cell in cells])
    assert not re.search(r"/(tmp|home|root|Users)/", stored)
    assert '"error"' not in stored
    assert len(stored) < 100_000


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_commands_run(page: Path, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = PAGES[: PAGES.index(page)]
    elsewhere = {each for other in pages for each in commands(other) if " gain " in f"{each} "}
    for command in commands(page):
        if command in elsewhere:
            continue  # a measurement, which takes longest
        arguments = shlex.split(small(command))[1:]
        if any("datasets/" in each for each in arguments):
            continue  # the commands of the results need data that are not in the repository
        with pytest.raises(SystemExit) as stopped:
            run(arguments)
        assert stopped.value.code in (0, None), f"{command}: {capsys.readouterr().err}"


def test_every_public_name_has_an_example() -> None:
    without = [name for name in synthaug.__all__ if ">>>" not in getattr(synthaug, name).__doc__]
    elsewhere = [split_off, Budget, Protocol, Execution, evaluate, SamplePool.from_samples]
    without += [each.__qualname__ for each in elsewhere if ">>>" not in (each.__doc__ or "")]
    assert not without
    assert synthaug.__version__ == version("synthaug")


def test_the_top_level_holds_few_names() -> None:
    assert len(synthaug.__all__) <= 30
    assert set(synthaug.__all__) <= set(dir(synthaug))


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=name_of)
def test_sections_of_docstrings_stand_on_their_own_lines(file: Path) -> None:
    """Elsewhere, the reference pages show them as one paragraph."""
    heading = re.compile(r"^\s+(Args|Attributes|Returns|Raises|References|Examples): \w", re.M)
    assert heading.findall(file.read_text()) == []
