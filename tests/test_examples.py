"""Each example runs, with synthetic images and as it was before; few lines were changed."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthaug import SamplePool, StyleSwap, read_images
from synthaug.data import to_pil

EXAMPLES = Path(__file__).parent.parent / "examples"
ADDED, REMOVED = re.compile(r"  # \+$"), re.compile(r"^( *)# - ")
END = "---\n"
SCRIPTS = f"""
import json, multiprocessing, runpy, sys
multiprocessing.set_forkserver_preload(["synthaug"])
for workers, *words in json.loads(sys.argv[1]):
    multiprocessing.set_start_method(workers, force=True)
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")
    print({END!r}, end="", flush=True)
"""
OWN = "new_generator"  # no script that synthetic images were added to
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.py") if path.stem != OWN)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of three digits, and the same with 16 bits and patients in a CSV; pools."""
    root = tmp_path_factory.mktemp("data")
    for split, count in (("train", 12), ("test", 6)):
        digits = read_images("digits", split=split, image_size=32)
        for label in range(3):
            (root / split / str(label)).mkdir(parents=True)
            for index in np.flatnonzero(digits.labels == label)[:count]:
                to_pil(digits.images[index]).save(root / split / str(label) / f"{index}.png")
    rgb = read_images(root / "train", mode="rgb")
    SamplePool.create(root / "pool", StyleSwap().fit(rgb, device="cpu"), 8)
    _sixteen_bits(root)
    return root


def _sixteen_bits(root: Path) -> None:
    rows = []
    for path in sorted(root.glob("t*/*/*.png")):
        gray = read_one(path)
        target = root / "deep" / f"{path.parent.parent.name}-{path.parent.name}-{path.name}"
        target.parent.mkdir(exist_ok=True)
        to_pil(gray.astype(np.uint16) * 257).save(target)
        patient = f"{path.parent.parent.name}-{path.stem[:-1]}"
        rows.append([target.relative_to(root), path.parent.name, path.parent.parent.name, patient])
    with (root / "images.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "split", "group"], *rows])
    deep = read_images(root / "images.csv")
    assert deep.images.dtype == np.uint16 and deep.groups is not None
    SamplePool.create(root / "deep pool", StyleSwap().fit(deep, device="cpu"), 8)


def read_one(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))[None]


def original(source: str) -> str:
    """The script as it was before."""
    kept = [line for line in source.splitlines() if not ADDED.search(line)]
    return "\n".join(REMOVED.sub(r"\1", line) for line in kept)


def run(sources: dict[str, str], data: Path, directory: Path) -> dict[str, str]:
    """What each script prints, by its name; run after one another, since loading torch takes the
    longest."""
    calls = []
    for name, source in sources.items():
        script = directory / f"{name}.py"
        script.write_text(source.replace("VAE()", "VAE(steps=3)"))
        pool = data / ("deep pool" if name.startswith("chest_xray") else "pool")
        pools = [] if name.startswith("torchvision_loop") else [str(pool)]
        workers = name.partition(" by ")[2] or "fork"
        calls.append([workers, str(script), str(data), *pools, "1"])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPTS, json.dumps(calls)],
        cwd=directory,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(sources, done.stdout.split(END)[:-1], strict=True))


def test_the_readme_shows_the_lines_of_the_first_example() -> None:
    [shown] = re.findall(
        r"```diff\n(.*?)```", (EXAMPLES.parent / "README.md").read_text(), re.DOTALL
    )
    source = (EXAMPLES / "torchvision_loop.py").read_text()
    added = [ADDED.sub("", line).strip() for line in source.splitlines() if ADDED.search(line)]
    assert [line[1:] for line in shown.splitlines() if line.startswith("+")] == added
    for line in shown.splitlines():
        if not line.startswith("+"):
            assert line[1:] in map(str.strip, source.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_few_lines_are_added_to_a_script(name: str) -> None:
    source = (EXAMPLES / f"{name}.py").read_text()
    assert 2 <= len([line for line in source.splitlines() if ADDED.search(line)]) <= 3
    assert "synthaug" not in original(source).split('"""', 2)[2]
    assert len(source.splitlines()) <= 80  # a screen, or little more


def test_examples_run_as_did_the_scripts_before(data: Path, tmp_path: Path) -> None:
    """One also where workers are not forked, and everything is sent to them."""
    sources = {}
    for name in NAMES:
        source = (EXAMPLES / f"{name}.py").read_text()
        sources |= {f"{name}_before": original(source), name: source}
    sources["torchvision_loop by forkserver"] = sources["torchvision_loop"]
    printed = run(sources, data, tmp_path)
    assert len(printed) == 2 * len(NAMES) + 1
    assert all("accuracy" in each for each in printed.values())


@pytest.mark.parametrize("name", NAMES)
def test_workers_that_import_an_example_do_not_run_it(name: str) -> None:
    source = (EXAMPLES / f"{name}.py").read_text()
    assert "num_workers" not in source or source.endswith("    main()\n")
