"""What stands beside the results: more images and steps, peers, published figures, and networks
that were pretrained."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from stored import (
    PEERS,
    RESULTS,
    anchor,
    comparable,
    file_of,
    gain_of_length,
    images_per_class,
    measured_on,
    name_of,
    over,
    title,
    worth_of,
)
from wording import both, few, mean_of, outcome, percent, span

from synthaug import Gain
from synthaug.core import read_json
from synthaug.gain import ArmResult, Interval

WORTH_HEAD = """\
## What a gain is worth

The training without synthetic images that validation chose, with 2 and 4 times as many real images
per class, and with as many for twice the steps: same recipe and seeds (`python
benchmarks/accuracy/worth.py`), where that was measured for the present baseline. The recipe is the
one that suits the few images, so more of them are worth more than this. A dash says that the set
has not as many to train on; what is blank was not measured. Beside it the rival, where there is
one: accuracy up to that level needs no synthetic images. Then, with the weight decay that was tuned
for less, what twice the steps bring the baseline and, unless they harm it, what the chosen arm
gains over that at the same length.

| data | per class | without | rival | synthetic | 2 × images | 4 × | 2 × steps | and synthetic |
|---|---|---|---|---|---|---|---|---|
"""
BESIDE_PEERS = ("transfer-any", "transfer-within", "nuisance-swap")
PEERS_HEAD = f"""\
## Beside pythae

The VAE of pythae 0.1.2, one a class, sampled from a Gaussian mixture of its codes and fitted anew
for each seed: a quarter of each batch, with hard labels, on top of the training that ours were put
on, its *partner* (`python benchmarks/accuracy/peers.py`, where that was measured for the present
baseline). It learns 400 steps of 16 images of each class, ours 1,200 of 64 of all: with two classes
six times as many images of each, with ten about as many, with 43 a quarter. Its pool is drawn with
replacement from a stock as large.
Both and the baseline are on the seeds of the result; trained again, where what they said was not
kept, a baseline may be some points off that of the result. Beside them each of ours at the same
share, on the seeds of the choices (or as many as stand in brackets) if the result does not name it,
and what validation chose of all ours: differences between columns are not paired, and say little
row by row. No rival was asked for here, and of so many rows one may be above zero by luck. Below
are means over the rows, with Student's interval over them, and those of what ours are ahead of
pythae's by.

| data | images per class | pythae over the baseline | over the partner | \
{" | ".join(BESIDE_PEERS)} | chosen of ours |
{"|---" * (5 + len(BESIDE_PEERS))}|
"""
PYRAUG_HEAD = """\
And the Riemannian Hamiltonian VAE of pyraug, by the same authors (Chadebec et al. 2022), one a
class with pyraug's own layers, trained for as many steps at ten times pyraug's rate, which is meant
for up to 10,000 epochs; its codes are found by its Monte Carlo sampler (`peers.py --package
pyraug`). It takes half a minute to a minute a class at 10 images of 28 pixels and far more at 50
or at 64 pixels, and was measured in some rows; on the CT slices, at 50, a training diverged.
Partner and seeds are those of the table above, so that the difference to pythae's images is paired.

| data | images per class | pyraug over the baseline | over the partner | over pythae's |
|---|---|---|---|---|
"""
PUBLISHED = {"10": (47.6, 49.75), "50": (67.3, 70.09), "100": (74.96, 76.76)}
PUBLISHED_HEAD = """\
## Beside published figures

ChimeraMix (Reinders et al., IJCAI 2022), on CIFAR-10's images less near-duplicates, alone and with
AutoAugment: a WideResNet-16-8 with 11 million weights, 100,000 steps. Our network has
0.3 million and took up to 4,800 steps of 64, on a CPU: a shorter protocol, not the same. Well-tuned
training without any generator has reached 58.2 (Brigato et al. 2021) and 66.5 (2023) at 50 per
class, the latter more than either column of ours: such a network may leave less to gain than this
one.

| per class | best without synthetic | chosen with synthetic | ChimeraMix | with AutoAugment |
|---|---|---|---|---|
"""
PRETRAINED_HEAD = """\
## Pretrained networks

EfficientNet-Lite0 from ImageNet's weights, ten images per class, on seeds and test images as above:
the last layer alone learns, at 96 pixels, or all of it, at 64 (`pretrained.py`). Each generator is
tried once, on top of the partner. Steps, learning rate, weight decay and geometry are tuned; images
are normalised as timm has it for the network.

| data | learns | steps | best without synthetic | chosen with synthetic | gain | verdict |
|---|---|---|---|---|---|---|
"""


def worth(results: list[Gain]) -> str:
    """How many more real images would have gained as much; nothing where none was measured."""
    rows = []
    for gain in results:
        found = worth_of(gain)
        if found is None:
            continue
        before, after = both(gain)
        rival = "" if gain.rival is None else percent(gain.scores(gain.rival))
        cells = [with_more(gain, found, times) for times in (2, 4)]
        long = both_long = ""
        of_length = gain_of_length(gain)
        if of_length is not None:
            long = f"{percent(found['longer'])}: {span(of_length)}"
            if found.get("chosen") == gain.chosen["arm"] and of_length.high >= 0:
                scores = found["chosen_longer"]
                both_long = f"{percent(scores)}: {span(over(scores, found['longer']))}"
        rows.append(row(gain, [before, rival, after, *cells, long, both_long]))
    return WORTH_HEAD + "".join(rows) + "\n" if rows else ""


def row(gain: Gain, cells: Iterable[str]) -> str:
    """One of a table whose first two columns are the data and how many images of each class."""
    return f"| {name_of(gain)} | {images_per_class(gain)} | {' | '.join(cells)} |\n"


def with_more(gain: Gain, found: dict[str, Any], times: int) -> str:
    """The accuracy with that many times the images; a dash where the set has not as many."""
    if str(times) in found["times"]:
        return percent(found["times"][str(times)])
    wanted = times * int(gain.protocol["per_class"])
    return "–" if wanted > found.get("room", wanted) else ""


def read_peers(results: list[Gain], package: str) -> list[tuple[Gain, dict[str, Any]]]:
    """What peers.py measured, each beside the result whose baseline it was measured with."""
    paths = [(gain, PEERS / package / file_of(gain)) for gain in results]
    found = [(gain, read_json(path)) for gain, path in paths if path.exists()]
    return [(gain, theirs) for gain, theirs in found if comparable(theirs, measured_on(gain))]


def peers(results: list[Gain]) -> str:
    """Other packages under the same measurement; nothing where none was measured."""
    pythae, pyraug = (read_peers(results, package) for package in ("pythae", "pyraug"))
    return beside_pythae(pythae) + beside_pyraug(pyraug, pythae)


def beside_pyraug(
    measured: list[tuple[Gain, dict[str, Any]]], pythae: list[tuple[Gain, dict[str, Any]]]
) -> str:
    """Of rows that pythae was measured in, too."""
    pythae_of = {file_of(gain): theirs["pythae"] for gain, theirs in pythae}
    rows, points = [], []
    for gain, theirs in measured:
        if file_of(gain) not in pythae_of:
            continue
        others = [theirs["without"], theirs["alone"], pythae_of[file_of(gain)]]
        gains = [over(theirs["pyraug"], other) for other in others]
        points.append([each.points for each in gains])
        rows.append(row(gain, map(span, gains)))
    if len(rows) > 2:
        means = " | ".join(map(mean_of, zip(*points, strict=True)))
        rows.append(f"| all {len(rows)} | | {means} |\n")
    return PYRAUG_HEAD + "".join(rows) + "\n" if rows else ""


def beside_pythae(measured: list[tuple[Gain, dict[str, Any]]]) -> str:
    rows = []
    for gain, theirs in measured:
        seeds = ["", "", *(few(gain, arm) for arm in used_alike(gain, theirs)), ""]
        gains = gains_beside(gain, theirs)
        cells = [span(each) + noted for each, noted in zip(gains, seeds, strict=True)]
        rows.append(row(gain, cells))
    if len(measured) > 1:
        theirs, partner, *ours = points_beside(measured)
        means = [mean_of(column) for column in (theirs, partner, *ours)]
        ahead = [mean_of(np.subtract(column, theirs)) for column in ours]
        rows.append(f"| all {len(measured)} | | {' | '.join(means)} |\n")
        rows.append(f"| ahead of pythae's | | | | {' | '.join(ahead)} |\n")
    return PEERS_HEAD + "".join(rows) + "\n" if rows else ""


def peers_in_brief(results: list[Gain]) -> list[str]:
    """A sentence, or none where there is no mean to tell."""
    measured = read_peers(results, "pythae")
    if len(measured) < 2:
        return []
    theirs, _, *alike, chosen = points_beside(measured)
    means = [np.mean(each) for each in alike]
    uses = [sum(arm.synthetic for arm in gain.arms) for gain, _ in measured]
    return [
        f"Over the baselines of {len(measured)} rows, images of pythae's VAE, in a quarter of each "
        f"batch, have {mean_of(theirs)} points on the mean; {len(alike)} of ours, used alike, "
        f"{min(means):+.1f} to {max(means):+.1f}, and what validation chose of {min(uses)} to "
        f"{max(uses)} uses of all ours {mean_of(chosen)} ([row by "
        "row](docs/results.md#beside-pythae))."
    ]


def points_beside(measured: list[tuple[Gain, dict[str, Any]]]) -> list[tuple[float, ...]]:
    """The points of each column of `gains_beside`, one a row."""
    found = [[each.points for each in gains_beside(*pair)] for pair in measured]
    return list(zip(*found, strict=True))


def gains_beside(gain: Gain, theirs: dict[str, Any]) -> list[Interval]:
    """pythae's images over the baseline and over what they are put on; over the baseline each of
    ours that is used alike, and the chosen one."""
    over_each = [over(theirs["pythae"], theirs[other]) for other in ("without", "alone")]
    ours = [arm.gain for arm in used_alike(gain, theirs) if arm.gain is not None]
    return [*over_each, *ours, gain.gain]


def used_alike(gain: Gain, theirs: dict[str, Any]) -> list[ArmResult]:
    """Some of ours at the same share, with the same labels, on top of the same training."""
    alike = f"{theirs['ratio']:g} hard, {theirs['partner']}"
    return [gain.arm(f"{source} {alike}") for source in BESIDE_PEERS]


def published(results: list[Gain]) -> str:
    """CIFAR-10 beside figures that others have published; nothing where it was not measured."""
    rows = []
    for gain in results:
        count = images_per_class(gain)
        if name_of(gain) == "cifar10" and count in PUBLISHED:
            theirs = (f"{figure:.1f}" for figure in PUBLISHED[count])
            rows.append(f"| {count} | {' | '.join([*both(gain), *theirs])} |\n")
    return PUBLISHED_HEAD + "".join(rows) + "\n" if rows else ""


def read_pretrained() -> dict[str, Gain]:
    """The results of networks that started from weights, by the title that each has on the page."""
    found = [Gain.load(path) for path in sorted((RESULTS / "pretrained").glob("*.json"))]
    return {f"{title(gain)}, pretrained, {learns(gain)}": gain for gain in found}


def learns(gain: Gain) -> str:
    return "last layer" if gain.protocol["recipe"]["frozen"] else "all layers"


def pretrained(found: Mapping[str, Gain]) -> str:
    """A row for each set and way of training; nothing where none was measured."""
    rows = [
        f"| [{name_of(gain)}](#{anchor(said)}) | {learns(gain)} | {gain.protocol['steps']:,} "
        f"| {outcome(gain)} |\n"
        for said, gain in found.items()
    ]
    return PRETRAINED_HEAD + "".join(rows) + "\n" if rows else ""
