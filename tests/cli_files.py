"""Files for tests of the command line."""

from pathlib import Path

import numpy as np

RESULTS = Path(__file__).parents[1] / "benchmarks" / "accuracy" / "results"


Words = tuple[str | Path, ...]


NEW = "new"  # in the test's own folder


def listing(root: Path) -> dict[str, tuple[int, int]]:
    """All below `root`: size and time of change."""
    return {
        str(path.relative_to(root)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file() or not any(path.iterdir())
    }


def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape).astype(dtype)


def expect(message: str, *fragments: str) -> None:
    for fragment in fragments:
        assert fragment in message, message


def archive(tmp: Path, **arrays: np.ndarray) -> Path:
    np.savez(tmp / "set.npz", **arrays)  # type: ignore[arg-type]
    return tmp / "set.npz"
