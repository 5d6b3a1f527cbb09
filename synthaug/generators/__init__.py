"""Generators: learn from labelled images, and make more of them.

A family derives from `Generator`, says which random choices an image needs (`plan`) and how they
become images (`render`), and is added by `register` on its class.

May import `core`, `data` and `metrics`.
"""

from synthaug.generators.base import Generator
from synthaug.generators.composite import Blend, Chain, Composite, singles
from synthaug.generators.composition_gan import CompositionGAN
from synthaug.generators.conditional_gan import ConditionalGAN
from synthaug.generators.conditional_vae import EXTRAPOLATE, ConditionalVAE
from synthaug.generators.learning.watching import summary_writer
from synthaug.generators.non_learned import NonLearned, PatchSwap, RandomField, StyleSwap
from synthaug.generators.real_images import FEWEST_IMAGES
from synthaug.generators.registry import (
    Variant,
    generator_class,
    load_generator,
    register,
    registrations,
    with_current_names,
)
from synthaug.generators.saving import GENERATOR_KIND, origins_of, read_generator_manifest
from synthaug.generators.session import FitSession
from synthaug.generators.transfer_vae import TransferVAE
from synthaug.generators.vae_gan import VAEGAN

__all__ = [
    "EXTRAPOLATE",
    "FEWEST_IMAGES",
    "GENERATOR_KIND",
    "VAEGAN",
    "Blend",
    "Chain",
    "Composite",
    "CompositionGAN",
    "ConditionalGAN",
    "ConditionalVAE",
    "FitSession",
    "Generator",
    "NonLearned",
    "PatchSwap",
    "RandomField",
    "StyleSwap",
    "TransferVAE",
    "Variant",
    "generator_class",
    "load_generator",
    "origins_of",
    "read_generator_manifest",
    "register",
    "registrations",
    "singles",
    "summary_writer",
    "with_current_names",
]
