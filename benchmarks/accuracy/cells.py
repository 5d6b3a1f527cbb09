"""What choices need of the networks of a row, kept beside the results: what each said of the images
that it is judged by, and the seconds it took.

The networks themselves are too many to be kept. Those that are needed again, as a teacher or for
test images, are trained again.
"""

import json
from pathlib import Path

import numpy as np

from synthaug.files import MANIFEST, new_directory, write_array, write_atomically, write_json
from synthaug.gain.trials.cells import KIND, PREDICTED

STUDY, MANIFESTS = "study", "manifests"  # beside one array a cell


def store(directory: Path, file: Path) -> None:
    """Write the cells of a study's directory into one file."""
    found = sorted(path.parent for path in directory.glob(f"cells/*/{PREDICTED}"))
    said = {cell.name: np.load(cell / PREDICTED) for cell in found}
    manifests = {cell.name: json.loads((cell / MANIFEST).read_text()) for cell in found}
    told = {STUDY: np.array(directory.name), MANIFESTS: np.array(json.dumps(manifests))}
    write_atomically(file, lambda opened: np.savez_compressed(opened, **told, **said))


def restore(file: Path, directory: Path) -> int:
    """Put the cells of a file where a study looks for its own, if they are its own; how many."""
    if not file.exists():
        return 0
    with np.load(file) as stored:
        if str(stored[STUDY]) != directory.name:  # of other images or versions
            return 0
        missing = {
            name: manifest
            for name, manifest in json.loads(str(stored[MANIFESTS])).items()
            if not (directory / "cells" / name / MANIFEST).exists()
        }
        for name, manifest in missing.items():
            with new_directory(directory / "cells" / name, kind=KIND) as partial:
                write_array(partial / PREDICTED, stored[name])
                write_json(partial / MANIFEST, manifest)
    return len(missing)
