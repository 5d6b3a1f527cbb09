"""What a Chain makes of its parts, beside what the contract suite asks of every family."""

import numpy as np
import pytest

from synthaug import (
    Chain,
    ConditionalGAN,
    ConditionalVAE,
    InputError,
    PatchSwap,
    RandomField,
    StyleSwap,
    TransferVAE,
)
from synthaug.core import Draws

LABELS = np.arange(60) % 3
SHIFT = RandomField(cells=1, flow=0.0, gain=0.0, bias=0.05)
STILL = RandomField(flow=0.0, gain=0.0, bias=0.0)
TINY = {"steps": 2, "batch_size": 4, "latent": 3}


def test_every_part_changes_what_those_before_it_made(data):
    chain = Chain((SHIFT, SHIFT, SHIFT)).fit(data, device="cpu")
    plan = chain.plan(LABELS, Draws(0, 60))
    expected = data.images[plan["0 image"]] / 255
    for index in range(3):
        expected = (expected + plan[f"{index} bias"]).clip(0, 1)
    got = chain.sample(LABELS).images / 255
    assert np.abs(got - expected).max() < 0.51 / 255 + 1e-5


def test_parts_of_one_kind_draw_apart(data):
    plan = Chain((SHIFT, SHIFT)).fit(data, device="cpu").plan(LABELS, Draws(0, 60))
    correlation = np.corrcoef(plan["0 bias"].ravel(), plan["1 bias"].ravel())[0, 1]
    assert abs(correlation) < 0.5


@pytest.mark.parametrize(
    "part",
    [StyleSwap(cells=1), PatchSwap(), TransferVAE(**TINY), ConditionalVAE(**TINY, width=4)],
    ids=lambda part: part.name,
)
def test_a_part_makes_first_in_a_chain_what_it_makes_alone(part, data):
    chain = Chain((part, STILL)).fit(data, seed=3, device="cpu")
    alone = type(part)(**part.settings).fit(data, seed=3, device="cpu")
    got, expected = chain.sample(LABELS, seed=1).images, alone.sample(LABELS, seed=1).images
    # What a chain hands on is not rounded to stored values in between.
    assert np.abs(got.astype(int) - expected).max() <= 1


def test_a_part_that_makes_images_anew_comes_first(data):
    gan = ConditionalGAN(steps=1, batch_size=4, width=4)
    message = "expected after the first only generators that change images, got a gan"
    with pytest.raises(InputError, match=message):
        Chain((StyleSwap(), gan)).fit(data, device="cpu")
    assert len(Chain((gan, StyleSwap())).fit(data, device="cpu").sample(2)) == 6
    with pytest.raises(InputError, match="got a vae, which makes them anew"):
        Chain((StyleSwap(), ConditionalVAE(sampling="prior"))).fit(data, device="cpu")


def test_a_chain_learns_where_a_part_does():
    assert not Chain().learns
    assert Chain((PatchSwap(), TransferVAE())).learns


def test_no_chain_of_chains(data):
    with pytest.raises(InputError, match="two generators or more, none a Blend or Chain"):
        Chain((Chain(), StyleSwap())).fit(data, device="cpu")
