"""Which column or key of a source says that images belong together, and what it says."""

import re
import warnings
from collections.abc import Sequence

import numpy as np

from synthaug.errors import InputError
from synthaug.reading.listing import SPLIT_NAMES

# Names of what several images are of, each also in the plural or with "id": patient_id, subjects.
GROUP_NAMES = (
    "group",
    "patient",
    "subject",
    "participant",
    "lesion",
    "track",
    "drive",
    "video",
)


_OWN = " image "
_MISSING = {"", "nan", "na", "n/a", "<na>", "none", "null"}


def group_key(keys: Sequence[str], where: str, prefix: str = "") -> str | None:
    """The one of `keys`, which all begin with `prefix`, that groups images by its name, or None.

    One that is called group or groups goes before all others. Raises `InputError`, beginning with
    `where`, for several that could be meant.

    >>> group_key(["age", "Patient ID"], "scans.csv")
    'Patient ID'
    """
    names = {key: _plain(key.removeprefix(prefix)) for key in keys}
    found = [key for key in keys if names[key] in GROUP_NAMES]
    found = [key for key in found if names[key] == "group"] or found
    if len(found) > 1:
        own = f"{prefix}group"
        raise InputError(
            f"{where}: expected one name for the groups that images belong to, got "
            f"{', '.join(found)}; rename the one whose images must stay together to {own}"
            + (", and the others to something else" if own in found else "")
        )
    return found[0] if found else None


def warn_of_unused(where: str, names: Sequence[str], own: str, stacklevel: int) -> None:
    """Say which columns or keys may be groups by another name than those that are known; one is
    taken as that if it is called `own`."""
    if names:
        warnings.warn(
            f"{where}: {', '.join(names)}: not used; where one says which images belong together "
            f"(a patient, a track), rename it to {own}",
            stacklevel=stacklevel + 1,
        )


def known_groups(groups: np.ndarray, split: str) -> np.ndarray:
    """Groups (N,) in which each image of unknown group is a group of its own: one of empty text, or
    of what programs write for a missing value."""
    if groups.dtype.kind != "U":
        return groups
    known = [name.casefold() not in _MISSING for name in groups.tolist()]
    if all(known):
        return groups
    names = [name if known[i] else f"{split}{_OWN}{i}" for i, name in enumerate(groups.tolist())]
    return np.array(names)


def is_own(group: str) -> bool:
    """Whether it is the name that `known_groups` gave to an image of unknown group, which stands
    for other images in other files."""
    split, _, index = group.partition(_OWN)
    return split in SPLIT_NAMES and index.isdecimal()


def _plain(name: str) -> str:
    return re.sub(r"(ids|id|s)?$", "", re.sub(r"[\s_-]", "", name.casefold()), count=1)
