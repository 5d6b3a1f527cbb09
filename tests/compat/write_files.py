"""Write the files of version 0.5.0 that `test_compat.py` reads, with the code of that version.

    python write_files.py FOLDER

Kept to show how they were made; later versions have other names.
"""

import json
import sys
from pathlib import Path

import numpy as np

import synthaug as s
from synthaug.gain import Source
from synthaug.mixing import MixRecipe

FOLDER = Path(sys.argv[1])
TINY = {"steps": 2, "batch_size": 4, "latent": 3}
GENERATORS = {
    "transfer": s.TransferVAE(**TINY),
    "vae": s.ConditionalVAE(**TINY, width=4),
    "vae-per-class": s.ConditionalVAE(**TINY, width=4, scope="per-class"),
    "vaegan": s.VAEGAN(**TINY, width=4),
    "composition": s.CompositionGAN(steps=2, batch_size=4, width=4),
    "gan": s.ConditionalGAN(**TINY, width=4),
    "blend": s.Blend((s.ConditionalVAE(**TINY, width=4), s.StyleSwap())),
    "chain": s.Chain((s.PatchSwap(), s.StyleSwap(cells=4))),
    "style-swap": s.StyleSwap(cells=4),
    "patch-swap": s.PatchSwap(),
    "random-field": s.RandomField(),
}


def small(data: s.LabelledImages, per_class: int) -> s.LabelledImages:
    """The first images of two classes."""
    rows = [np.flatnonzero(data.labels == label)[:per_class] for label in (0, 1)]
    part = data.subset(np.concatenate(rows))
    return s.LabelledImages(part.images, part.labels, ["zero", "one"])


train, test = (
    small(s.read_images("digits", split=split, image_size=8), 12) for split in ("train", "test")
)
samples = {}
for name, generator in GENERATORS.items():
    fitted = generator.fit(train, device="cpu")
    fitted.save(FOLDER / "generators" / name)
    samples[name] = fitted.sample(np.array([0, 1, 1]), seed=3).images
np.savez_compressed(FOLDER / "samples.npz", **samples)

swap = s.StyleSwap(cells=4).fit(train, device="cpu")
rule = s.MemorizationFilter(0.01)
s.SamplePool.create(FOLDER / "pools" / "filtered", swap, 3, filters=[rule], reference=train)
made = swap.sample(2, seed=1)
soft = np.full((4, 2), 0.5, np.float32)
elsewhere = s.Samples(made.images, made.labels, soft, np.ones(4, np.float32))
s.SamplePool.from_samples(FOLDER / "pools" / "soft", elsewhere, train.classes, source="simulator")

training = {"partner": "mixup", "recipe": {"policy": "shift"}, "steps": 5, "batch_size": 8}
mix = MixRecipe(s.TransferVAE(donors="within"), 0.25, "hard", {"distance": 2.0}, training)
mix.save(FOLDER / "mix.json")
MixRecipe(None, training=training, recommended=False).save(FOLDER / "none.json")

gain = s.measure_gain(
    train,
    test,
    arms="quick",
    sources=[Source("style-swap", s.StyleSwap(cells=4))],
    seeds=2,
    steps=2,
    recipe=s.Recipe(),
    batch_size=8,
    device="cpu",
    name="digits",
)
gain.save(FOLDER / "gain.json")
verdict = {"verdict": gain.verdict, "points": gain.gain.points, "baseline": gain.baseline}
(FOLDER / "verdict.json").write_text(json.dumps(verdict))
