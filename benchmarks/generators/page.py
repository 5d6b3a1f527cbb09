"""Writes docs/families.md and its pictures from the files in benchmarks/generators/results and
benchmarks/generators/ablations.

python benchmarks/generators/page.py
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "benchmarks" / "generators"
RESULTS, ABLATIONS = FOLDER / "results", FOLDER / "ablations"
PAGE, IMAGES = ROOT / "docs" / "families.md", ROOT / "docs" / "images"
HEAD = """\
# The families, measured

What each family makes of few real images; which to take is on [Generators](generators.md).
*Accuracy* is that of a classifier trained on 100 synthetic images per class **alone**, on the test
split; beside it stands one trained on the real images themselves. It says how much of the classes a
family has caught, and is no gain: whether images help *beside* the real ones is what
[`synthaug gain`](results.md) measures. *Agreement* is how often a classifier that was trained on
the whole training split sees the class that an image was made for; precision to coverage are taken
in its features, against as many other real images. *Diversity* is the mean distance of two samples
of a class over that of two real images, of the class where it is least: below 0.3, or with a recall
below 0.3, a generator counts as collapsed. *s* are CPU seconds of training. One run
each, with one seed: differences of a few points are chance.

The pictures show a few images of scikit-learn's digits, of Fashion-MNIST (Xiao et al. 2017, MIT
licence) and of the German Traffic Sign Recognition Benchmark (Stallkamp et al. 2012, for research).

Written by `python benchmarks/generators/page.py` from `benchmarks/generators/results/` and
`ablations/`.
"""
COLUMNS = """\
| family | scope | accuracy | agreement | precision | recall | density | coverage | diversity \
| s | images/s |
|---|---|---|---|---|---|---|---|---|---|---|
"""
OPTIONS = """\

## Options, with and without

Each option changed alone, from the family's defaults (but `certainty`, which the Wasserstein loss
does not go with), over paired seeds: of the images drawn, the generator and the classifier.
*Accuracy* as above, its mean; *change* is that from the defaults, with the least and the most of
the seeds; *diversity* is the mean distance of two samples of a class over that of two real images,
of the class where it is least. Over three seeds a change of a point is chance.

A discriminator that judges pairs (`pack=2`) makes the images of a GAN more diverse; that they teach
more by it may be chance. Augmenting all that it sees costs variety; augmenting as little as it
needs (`certainty=0.6`, the default) does not, but is no better here than no augmentation, beyond
chance. What hurts: telling the class late, a class that is concatenated, the Wasserstein loss (more
than to do without `certainty`, as it has to), and perhaps least squares.
Attention, R1, codes, the residual backbone, the mode-seeking and the BCE loss change little. Of a
VAE's images those beyond the codes of two real ones teach most by themselves; its losses and priors
change little, and the independence penalty does what it is for: less of the class can be read from
the code. Two differences one after the other are one too many.
"""
OPTION_COLUMNS = """\
| family | option | accuracy | change | diversity | class read from code |
|---|---|---|---|---|---|
"""
LABEL, GAP, SCALE = 190, 6, 2  # pixels


def read_results() -> list[dict[str, Any]]:
    return _read(RESULTS)


def read_ablations() -> list[dict[str, Any]]:
    return _read(ABLATIONS)


def page(results: list[dict[str, Any]], ablations: list[dict[str, Any]]) -> str:
    sections = "".join(map(_section, results))
    return HEAD + sections + (OPTIONS + "".join(map(_ablation, ablations)) if ablations else "")


def _read(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def _section(result: dict[str, Any]) -> str:
    command = f"--per-class {result['per_class']} --steps {result['steps']} --seed {result['seed']}"
    picture = f"images/{_stem(result)}.png"
    return (
        f"\n## {Path(result['data']).stem}, {result['per_class']} per class\n\n"
        f"Trained on the real images: {_beside(result, 'train_on_real')}. The classifier that "
        f"agreement is taken from: {_beside(result, 'judge')}. {_where(result)}; "
        f"`python benchmarks/generators/measure.py {result['data']} {command}`"
        f"{_settings(result['rows'])}.\n\n{COLUMNS}"
        + "".join(map(_row, result["rows"]))
        + f"\n![Samples of every family beside real images]({picture})\n"
    )


def _beside(result: dict[str, Any], name: str) -> str:
    """The accuracy of one of the classifiers that rows stand beside, and what it was for those that
    were not measured again."""
    rows = result["rows"]
    told = " and ".join(
        f"{100 * each:.1f}" for each in sorted({r[name] for r in rows if name in r})
    )
    latest = " and ".join(dict.fromkeys(f"`{r['family']}`" for r in rows if name not in r))
    return f"{100 * result[name]:.1f} %" + (
        f" ({told} % when the rows other than {latest} were measured)" if told else ""
    )


def _where(result: dict[str, Any]) -> str:
    told = {name: {version} for name, version in result["versions"].items()}
    # Rows that were not measured again keep the version that they were measured with.
    told["synthaug"] |= {row["synthaug"] for row in result.get("rows", []) if "synthaug" in row}
    versions = ", ".join(f"{name} {' and '.join(sorted(own))}" for name, own in told.items())
    threads = f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    return f"On {result['device']}, {threads}; {versions}"


def _settings(rows: Iterable[dict[str, Any]]) -> str:
    """The further options of the rows that are not the families' defaults."""
    options = {"scope": "--scope", "steps": "--fit-steps", "batch_size": "--batch-size"}
    told: dict[str, list[str]] = {}
    for row in rows:
        if row["settings"]:
            given = " ".join(f"{options[key]} {value}" for key, value in row["settings"].items())
            told.setdefault(given, []).append(row["family"])
    scoped = sum("--scope" in given for given in told)
    return "".join(
        f", and with `{given}` for "
        + ("the rows of that scope" if "--scope" in given and scoped == 1 else " and ".join(those))
        for given, those in sorted(told.items())
    )


def _row(row: dict[str, Any]) -> str:
    shares = (row[name] for name in ("precision", "recall", "density", "coverage"))
    return (
        f"| `{row['family']}` | {_scope(row)} | {100 * row['accuracy']:.1f} | "
        f"{100 * row['agreement']:.1f} | "
        + " | ".join(f"{value:.2f}" for value in shares)
        + f" | {_two(row.get('diversity'))} | {row['fit_seconds']:.0f} | "
        f"{row['images_a_second']} |\n"
    )


def _two(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _scope(row: dict[str, Any]) -> str:
    return str(row["settings"].get("scope", "shared"))


def _ablation(result: dict[str, Any]) -> str:
    rows = result["rows"]
    names = list(dict.fromkeys((row["family"], row["option"]) for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    command = (
        f"python benchmarks/generators/ablate.py {result['data']} --per-class "
        f"{result['per_class']} --steps {result['steps']} --seeds {len(seeds)}"
    )
    return (
        f"\n### {Path(result['data']).stem}, {result['per_class']} per class, seeds "
        f"{', '.join(map(str, seeds))}\n\n{_where(result)}; `{command}`.\n\n{OPTION_COLUMNS}"
        + "".join(_option(rows, family, option) for family, option in names)
    )


def _option(rows: list[dict[str, Any]], family: str, option: str) -> str:
    of_family = [row for row in rows if row["family"] == family]
    own = {row["seed"]: row for row in of_family if row["option"] == option}
    plain = {row["seed"]: row for row in of_family if row["option"] == "default"}
    changes = [100 * (own[s]["accuracy"] - plain[s]["accuracy"]) for s in own if s in plain]
    change = f"{np.mean(changes):+z.1f} ({min(changes):+z.1f} to {max(changes):+z.1f})"
    read = [row["class_from_code"] for row in own.values() if row["class_from_code"] is not None]
    return (
        f"| `{family}` | {option if option == 'default' else f'`{option}`'} | "
        f"{100 * np.mean([row['accuracy'] for row in own.values()]):.1f} | "
        f"{'' if option == 'default' else change} | "
        f"{np.mean([row['diversity'] for row in own.values()]):.2f} | "
        f"{f'{100 * np.mean(read):.0f} %' if read else ''} |\n"
    )


def _stem(result: dict[str, Any]) -> str:
    return f"families-{Path(result['data']).stem}-{result['per_class']}"


def picture(result: dict[str, Any]) -> Image.Image:
    """The strips of a file, one under another, each with its name."""
    folder = RESULTS / f"{Path(result['data']).stem}-{result['per_class']}-seed{result['seed']}"
    strips = [("real images", folder / "real.png")]
    for row in result["rows"]:
        apart = _scope(row) != "shared"
        name = row["family"] + ("-per-class" if apart else "")
        label = row["family"] + ("\none for each class" if apart else "")
        strips.append((label, folder / f"{name}.png"))
    shown = [(label, Image.open(path).convert("RGB")) for label, path in strips]
    width, height = (SCALE * side for side in shown[0][1].size)
    sheet = Image.new("RGB", (LABEL + width, len(shown) * (height + GAP) - GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (label, strip) in enumerate(shown):
        top = index * (height + GAP)
        sheet.paste(strip.resize((width, height), Image.Resampling.NEAREST), (LABEL, top))
        pen.multiline_text((6, top + 6), label, fill="black", font_size=16)
    return sheet


if __name__ == "__main__":
    found = read_results()
    PAGE.write_text(page(found, read_ablations()))
    for each in found:
        picture(each).save(IMAGES / f"{_stem(each)}.png", optimize=True)
