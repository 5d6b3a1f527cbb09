"""What is needed of the networks of a row, kept beside the results: what each said of the images
that it is judged by, and of test images once they were opened, and the seconds it took.

The networks themselves are too many to be kept. Those that are needed again, as a teacher or for
test images that they have not seen, are trained again.
"""

import json
from pathlib import Path

import numpy as np

from synthaug.core import MANIFEST, new_directory, write_array, write_atomically, write_json
from synthaug.gain.runs.run import KIND, PREDICTED, TESTED

STUDY, MANIFESTS = "study", "manifests"  # beside one array a cell


def store(directory: Path, file: Path) -> None:
    """Write the cells of a study's directory into one file."""
    said, manifests = {}, {}
    for path in sorted(directory.glob(f"cells/[!.]*/{PREDICTED}")):  # a hidden one is half written
        name, tested = path.parent.name, path.parent.glob(TESTED.format("*"))
        try:
            manifest = (path.parent / MANIFEST).read_text(encoding="utf-8")
            arrays = {name: np.load(path)} | {f"{name}/{t.name}": np.load(t) for t in tested}
        except FileNotFoundError:  # another process has just removed it
            continue
        manifests[name] = json.loads(manifest)
        said |= arrays
    told = {STUDY: np.array(directory.name), MANIFESTS: np.array(json.dumps(manifests))}
    write_atomically(file, lambda opened: np.savez_compressed(opened, **told, **said))


def restore(file: Path, directory: Path) -> int:
    """Put the cells of a file where a study looks for its own; how many.

    Ends the program if they are another study's, since `store` would write over them.
    """
    if not file.exists():
        return 0
    with np.load(file) as stored:
        if str(stored[STUDY]) != directory.name:
            raise SystemExit(
                f"{file}: expected the cells of {directory.name}, got those of {stored[STUDY]}, "
                "which are of other images, another version, or a processor that multiplies in "
                "another arithmetic (SYNTHAUG_ARITHMETIC names it: bfloat16 or float32); move the "
                "file away to measure anew"
            )
        missing = {
            name: manifest
            for name, manifest in json.loads(str(stored[MANIFESTS])).items()
            if not (directory / "cells" / name / MANIFEST).exists()
        }
        for name, manifest in missing.items():
            with new_directory(directory / "cells" / name, kind=KIND) as partial:
                write_array(partial / PREDICTED, stored[name])
                for tested in (each for each in stored.files if each.startswith(f"{name}/")):
                    write_array(partial / tested.removeprefix(f"{name}/"), stored[tested])
                write_json(partial / MANIFEST, manifest)
    return len(missing)
