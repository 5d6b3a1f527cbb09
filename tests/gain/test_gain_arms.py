import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synthaug import ConditionalGAN, InputError, StyleSwap, TrainConfig, TransferVAE
from synthaug.gain import Source
from synthaug.gain.arms import distilled_arm, fit_key, real_arm, real_arms, smoothed_arm

BASE = TrainConfig(policy="shift-flip", weight_decay=5e-3)


def test_an_arm_without_synthetic_images_is_made_again_from_its_name() -> None:
    plain = real_arms(BASE, balanced=False)
    smoothed = [smoothed_arm(arm) for arm in plain]
    arms = [*plain, *smoothed, *map(distilled_arm, plain + smoothed)]
    arms += [distilled_arm(arm, own=False) for arm in plain + smoothed]
    assert len({arm.name for arm in arms}) == len(arms) == 6 * len(plain)
    for arm in arms:
        assert real_arm(arm.name, BASE) == arm
    with pytest.raises(InputError, match="partner: expected one of classical, "):
        real_arm("cutout", BASE)


def test_a_source_is_one_thing_with_settings_that_it_has() -> None:
    with pytest.raises(InputError, match="source 'both': expected either a generator or a pool"):
        Source("both", StyleSwap(), pool=Path("pool"))
    with pytest.raises(InputError, match="source: expected a name in text, got 3"):
        Source(3, StyleSwap())  # type: ignore[arg-type]
    with pytest.raises(
        InputError, match=r"expected a generator, as StyleSwap\(\), got 'style-swap'"
    ):
        Source("x", "style-swap")  # type: ignore[arg-type]
    message = "source 'x': sampling: expected some of .*donors.*, got 'donor'"
    with pytest.raises(InputError, match=message):
        Source("x", StyleSwap(), {"donor": "within"})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda: Source("x", StyleSwap(cells=-1)), "source 'x': cells: expected an integer of at"),
        (
            lambda: Source("x", TransferVAE(), {"donors": "everyone"}),
            "source 'x': donors: expected 'any' or 'within', got 'everyone'",
        ),
        (
            lambda: Source("x", StyleSwap(), filters={"taste": 2.0}),
            "source 'x': filters: expected distance or memorization, got 'taste'",
        ),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_trained(
    source: Callable[[], Source], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        source()


def test_settings_may_be_numbers_of_numpy() -> None:
    made = ConditionalGAN(pack=np.int64(2))  # type: ignore[arg-type]
    assert Source("x", made).generator is made


OWN_FAMILY = """
import sys
from dataclasses import dataclass
from pathlib import Path
from joblib.externals.loky.backend.reduction import dumps
from synthaug import StyleSwap
from synthaug.gain.arms import fit_key

@dataclass
class Mine(StyleSwap):
    cells: int = 2

Path(sys.argv[1]).write_bytes(dumps((Mine(), fit_key(Mine()))))
"""


def test_other_processes_know_the_code_of_a_family_in_a_script(tmp_path: Path) -> None:
    """By it they name what is kept, and cannot read the script's code."""
    script = tmp_path / "script.py"
    script.write_text(OWN_FAMILY)
    subprocess.run([sys.executable, script, tmp_path / "sent"], check=True)
    mine, key = pickle.loads((tmp_path / "sent").read_bytes())
    assert "class Mine" in key
    assert fit_key(mine) == key


def test_only_uneven_classes_have_arms_against_that() -> None:
    even, uneven = real_arms(BASE, balanced=True), real_arms(BASE, balanced=False)
    assert {arm.name for arm in uneven} - {arm.name for arm in even} == {
        "oversampled",
        "logit-adjusted",
    }
    assert smoothed_arm(even[0]).config.label_smoothing > 0 == even[0].config.label_smoothing
