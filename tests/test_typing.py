"""Users of type checkers: the wheel says that it has types, and a script of theirs is checked."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="needs mypy, of the extra dev")
pytest.importorskip("hatchling", reason="needs hatchling, of the extra dev")

ROOT = Path(__file__).parents[1]
SCRIPT = """
from pathlib import Path

from synthaug import (
    ConditionalVAE, Gain, Generator, LabelledImages, MixedDataset, SamplePool, TrainConfig,
    measure_gain, read_images, train_classifier,
)
from synthaug.gain import Execution, Protocol

train: LabelledImages = read_images("digits")
generator: Generator = ConditionalVAE(steps=10).fit(train, device="cpu")
pool: SamplePool = SamplePool.create(Path("pool"), generator, per_class=20)
mixed: MixedDataset = MixedDataset(train, pool, ratio=0.25)
network = train_classifier(train, config=TrainConfig(policy="shift"), steps=10)
gain: Gain = measure_gain(
    train,
    read_images("digits", split="test"),
    protocol=Protocol(seeds=3),
    execution=Execution("cpu"),
)
points: float = gain.gain.points
"""
SETTINGS = """
[mypy]
strict = true
[mypy-torch.*,torchvision.*,numpy.*]
follow_imports = skip
ignore_missing_imports = true
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has the wheel, and no other synthaug."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"import hatchling.build as build; print(build.build_wheel({str(folder)!r}))"
    run = {"cwd": ROOT, "check": True, "capture_output": True, "text": True}
    name = subprocess.run([sys.executable, "-c", build], **run).stdout.split()[-1]  # type: ignore[call-overload]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    [packages] = (folder / "env" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(folder / name) as wheel:
        wheel.extractall(packages)
    return folder / "env" / "bin" / "python"


def check(python: Path, script: str, folder: Path) -> str:
    """Run mypy on a script; return what it says."""
    (folder / "script.py").write_text(script)
    (folder / "mypy.ini").write_text(SETTINGS)
    options = ["--python-executable", python, "--cache-dir", folder / "cache"]
    call = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", *options, "script.py"]
    return subprocess.run(call, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_a_users_script_is_checked(python: Path, tmp_path: Path) -> None:
    assert check(python, SCRIPT, tmp_path).startswith("Success")


def test_a_wrong_argument_is_reported(python: Path, tmp_path: Path) -> None:
    wrong = SCRIPT.replace("seeds=3", 'seeds="three"')
    assert 'Argument "seeds" to "Protocol" has incompatible type "str"' in check(
        python, wrong, tmp_path
    )
