"""The lines of Python that a run ends with do what was measured."""

from synthaug.classifiers import Recipe
from synthaug.gain.advice import next_steps
from synthaug.gain.arms import Arm, synthetic_arm, transfer_sources
from synthaug.generators import TransferVAE


def test_the_generator_is_made_with_the_settings_that_were_measured() -> None:
    partner = Arm("classical", Recipe())
    source = transfer_sources(TransferVAE(steps=400, donors="within"))[0]
    arm = synthetic_arm(source, partner, 0.25, "hard")
    lines = next_steps(arm, partner, data="data", steps=10, batch_size=8)
    assert "TransferVAE(steps=400, donors='any').fit(read_images('data'))" in lines
    assert "ratio=0.25" in lines
