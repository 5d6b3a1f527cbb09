"""Writes docs/results.md, its pictures, and the table in README.md, from the JSON files in
benchmarks/accuracy/results.

    python benchmarks/accuracy/page.py

Each file is what `synthaug gain ... --json` or grid.py wrote; the command is in it.
"""

from pathlib import Path

from beside import (
    peers,
    peers_in_brief,
    pretrained,
    published,
    read_pretrained,
    worth,
)
from overall import hindsight, overall
from pictures import draw_gains, draw_trends
from sections import section
from stored import read_results, title
from summary import brief, summary
from wording import renewed

from synthaug import Gain

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "README.md"
INTRODUCTION = """\
# Results

Each gain is over the best arm without synthetic images, on test images that were opened after that
arm and the one with synthetic images were chosen, over paired seeds that no choice was made on, at
equal optimiser steps; intervals are 95 %. The baselines were tuned first (see
[measuring](measuring.md)). Where another arm without synthetic images does better on the test
images than the one that validation chose, the gain over that one stands after the semicolon, and
has to be above zero, too. (Two were trained again to be compared: those that did best on the test
images of the choice seeds. Where no semicolon stands, they are not ahead of the baseline; others
may be.) Written by `python benchmarks/accuracy/page.py` from the files in
`benchmarks/accuracy/results/`, which hold every figure, the tuning and the seeds.

What is compared was chosen without the test images and the seeds that it is measured on; these pick
the rival alone, which can only speak against synthetic images. But the protocol was
[changed](#how-the-protocol-was-changed) after results on these test images were known.

![The gain on each set, with its interval](images/gains.png)

![Gains against images per class, and against the share of synthetic ones](images/trends.png)

An arm's name says where its images come from, their share, their labels, and the training that they
are put on: see the [words](measuring.md#words). In the tables of all arms further down, each gain
is over the baseline on the same seeds, but not all arms are measured on the same seeds (those that
the result names on fresh ones, the others on those of the choices, on which the baseline may have
been lucky, as it was chosen on them): compare gains, not accuracies. The column *validation* is of
the seeds of the choices, whichever the others are of. (Networks are too many to be kept from one
sitting to the next. In a row that took several, those that had not met the test images were trained
again, with the same seeds: on another processor they answer up to 6 % of the validation images
otherwise. Choices stand as the first ones made them, and *validation* is theirs; on the fresh
seeds, which the gain is measured on, networks are tested as they are trained, teachers of others
soon after.)

"""
SETS = """\
## The sets

Each is one `.npz` of the [usual form](data.md), with at most 1,000 training images per class
(CIFAR-10: 500, traffic signs: 100), but PneumoniaMNIST's 1,214 and 3,494. They are not part of this
repository.

| name | what it shows | pixels | from |
|---|---|---|---|
| mnist | handwritten digits | 28, gray | LeCun et al. 1998 |
| fashion_mnist | clothing | 28, gray | Xiao et al. 2017, MIT |
| cifar10 | photographs | 32, RGB | Krizhevsky 2009 |
| gtsrb32 | 43 traffic signs, apart by physical sign | 32, RGB | GTSRB (Stallkamp 2012), research |
| pneumoniamnist | chest X-rays, 3 to 1 with pneumonia | 28, gray | MedMNIST v2, CC BY 4.0 |
| covid_ct | CT slices, split by patient | 64, gray | COVID-CT (Yang et al. 2020), research |
| wbc_types64 | four kinds of white blood cells, 141 to 14 of each | 64, RGB | BCCD, MIT |
| digits | handwritten digits, with the package | 8, enlarged to 16, gray | scikit-learn |

"""
HISTORY = """\
## How the protocol was changed

The test images of all sets had been opened under versions 0.1.0 to 0.4.0, which said *helps* of
traffic signs and of CIFAR-10. Then the baselines were tuned at the length that they are trained
for, smoothed labels joined the arms without synthetic images, and gains were measured on seeds that
no choice was made on (0.5.0). Not all baselines became better by it: on chest X-rays at 10 per
class MixUp, self-distilled, had had 85.3 on other seeds; then training without augmentation stood
there, with 77.3, a gain over it of +3.9 (+0.2 to +7.5) and a rival of 82.8, until it was tuned
again under the present protocol (84.1, and +0.9);
on Fashion-MNIST at 50 CutMix had 84.6 after 1,200 steps (three seeds), where both are 83.3 now. The
digits were said to be helped by a version in between (+1.2, +0.1 to +2.4), before a gain was
measured on other seeds than those of the choices. Sources had joined before that: `nuisance-swap`,
`extrapolate` and `blend` after the first rows, and `patch-nuisance` and `patch-style`, for what
they did on images of CIFAR-10's training split, an hour after white blood cells had first been
measured. CutMix had 85.2 there, and a `Blend` -1.5 (-6.8 to +3.7) over it; the +6.9 of now is that
of `patch-nuisance`. The comparison with what does best on the test images, and the arm `classical,
distilled`, were added after rows of PneumoniaMNIST and MNIST had said *helps* under 0.5.0, and
those of MNIST were measured again, on the same seeds. Later two arms were compared in place of one,
and steps were doubled where that pays on two seeds or on all, no more where on two alone (¶). The
comparison can only speak against synthetic images. A new arm usually does, but may also take the
place of a stronger baseline: MNIST at 10 per class went from +0.47 (+0.22 to +0.71) to +0.48 (-0.10
to +1.07). Chest X-rays at 50 per class had +0.8 (-0.1 to +1.6) from `transfer-within` with mixed
labels, and they were recommended; measured again under all of this, validation chose `extrapolate`,
which hurts, and recommends none. Ten of each kind of clothing had -0.5 (-1.5 to +0.5) from
`transfer-any`, and have -0.9 (-2.0 to +0.1) from `nuisance-swap`, over much the same baseline (78.3
then, 78.2 now). Fifty CT slices of each class had +1.8 (-0.9 to +4.5) from `transfer-within`, +0.9
(-3.6 to +5.3) over the rival, and have +1.9 (-0.6 to +4.4) from `patch-nuisance`, -0.8 (-5.0 to
+3.4) over the rival; with another weight decay the baseline of now, RandAugment both times, has
59.0, where that of then had 60.4. Ten of each had -1.7 (-4.0 to +0.6) from `nuisance-swap` with
mixed labels, over RandAugment with CutMix and smoothed labels (59.3), and have +0.7 (-1.1 to +2.5)
from `random-field`, over RandAugment with MixUp (57.9).

"""


def page(results: list[Gain]) -> str:
    tables = f"{summary(results)}\n{overall(results)}\n"
    found = read_pretrained()
    titled = {title(gain): gain for gain in results} | found
    sections = "\n".join(section(said, gain, results) for said, gain in titled.items())
    beside = (
        hindsight(results)
        + worth(results)
        + peers(results)
        + published(results)
        + pretrained(found)
    )
    return INTRODUCTION + tables + beside + SETS + HISTORY + sections


def in_readme(results: list[Gain]) -> str:
    return brief(results, list(read_pretrained().values()), peers_in_brief(results))


if __name__ == "__main__":
    results = read_results()
    draw_gains(results)
    draw_trends(results)
    (ROOT / "docs" / "results.md").write_text(page(results))
    README.write_text(renewed(README.read_text(), in_readme(results)))
