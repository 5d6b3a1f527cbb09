"""The order of the rooms: each imports only from those before it (the table in CONTRIBUTING.md)."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import synthaug

ROOT = Path(synthaug.__file__).parent
ORDER = [
    *(
        "core",
        "data",
        "metrics",
        "generators",
        "pool",
        "mixing",
        "integrations",
        "classifiers",
        "gain",
    ),
    *("search", "cli"),
]
ENTRANCES = ("__init__", "__main__")  # what stands at the door may import from every room
SUBROOMS = ("gain.report",)  # imported late, for matplotlib
SLOW = ("albumentations", "timm", "matplotlib", "scipy.stats", "sklearn", "typer", "synthaug.cli")
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def imported(path: Path, source: str) -> Iterator[tuple[int, str]]:
    """Line and module, below the package, of everything that `source` imports from it."""
    package = ["synthaug", *path.parts[:-1]]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            modules = [module]
            if module == "synthaug":  # from synthaug import pool
                modules = [f"synthaug.{alias.name}" for alias in node.names]
        else:
            continue
        for name in modules:
            first, _, rest = name.partition(".")
            if first == "synthaug":
                yield node.lineno, rest


def violations(path: Path, source: str) -> list[str]:
    """Imports from later rooms, and those from another room that pass its `__init__` by."""
    room = room_of(path)
    allowed = ORDER if room in ENTRANCES else ORDER[: ORDER.index(room) + 1]
    wrong = []
    for line, module in imported(path, source):
        other = module.partition(".")[0]
        is_entrance = module in (other, *SUBROOMS) or (room == "__main__" and other == "cli")
        if other not in allowed or (other != room and not is_entrance):
            wrong.append(f"{path}:{line} imports {module or 'synthaug'}")
    return wrong


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_module_imports_only_from_rooms_before_it(path: Path) -> None:
    assert room_of(path) in (*ORDER, *ENTRANCES), f"{path} is in no room"
    assert violations(path, (ROOT / path).read_text()) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("data/images.py", "import synthaug.gain.arms"),
        ("data/images.py", "def f():\n    from synthaug.pool import SamplePool"),
        ("pool/export.py", "from synthaug.mixing.mixed import MixedDataset"),
        ("pool/export.py", "from ..mixing import MixedDataset"),
        ("pool/export.py", "from synthaug.core.files import write_json"),
        ("mixing/forms.py", "from synthaug import classifiers"),
        ("mixing/forms.py", "from synthaug import MixedDataset"),
        ("gain/arms.py", "import synthaug"),
    ],
)
def test_the_order_is_really_held(path: str, source: str) -> None:
    assert len(violations(Path(path), source)) == 1


def test_the_import_is_light() -> None:
    script = f"import sys, synthaug; print([name for name in {SLOW} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_package_is_plain_python() -> None:
    """Nothing to compile: no other files than modules and the report's template."""
    kinds = {path.suffix for path in ROOT.rglob("*") if path.is_file()}
    assert kinds - {".pyc"} == {".py", ".jinja", ".typed"}
