"""The base of every generator: fitting, sampling, saving, loading.

A family says which random choices an item needs (`plan`) and how planned items become images
(`render`). Plan and render are apart so that item *i* depends on (seed, *i*) alone: all choices
are drawn before any batch is cut.
"""

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from synthaug.core import (
    MANIFEST,
    Draws,
    InputError,
    Progress,
    as_seed,
    channels_last,
    expand_path,
    expect_count,
    expect_progress,
    expect_writable,
    plain_torch,
    plain_values,
    resolve_device,
    torch_stream,
    until_saved,
    versions,
)
from synthaug.data import LabelledImages, Samples, to_float, to_stored, white_of
from synthaug.generators.real_images import labels_to_sample, training_images, validation_images
from synthaug.generators.rendering import render_in_blocks
from synthaug.generators.saving import (
    read_generator,
    read_generator_manifest,
    read_white,
    write_generator,
)
from synthaug.generators.session import FitSession, depth_of, identity_of_aids


class Generator(ABC):
    """Base of all generators.

    A family is a dataclass whose fields are its settings, nothing else, and which implements
    `train`, `build`, `plan` and `render`. `synthaug.generators.register` on its class adds it to
    the others; one that has nothing to learn derives from `NonLearned` and needs the last two only.

    Attributes:
        name: The registered name, as "vae"; of a class that is not registered, the class's own.
        networks: The networks of a fitted generator: one for all classes, or one for each.

    Examples:
        >>> from synthaug import Generator, StyleSwap, read_images
        >>> generator: Generator = StyleSwap().fit(read_images("digits"), device="cpu")
        >>> generator.name, generator.sample(2).images.shape
        ('style-swap', (20, 1, 16, 16))
    """

    name: ClassVar[str]
    networks: nn.ModuleList

    _training_data: LabelledImages
    _device: torch.device
    _white: int  # the stored number that is 1 where images are floats
    _metadata: dict[str, Any]

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls.name = cls.__name__  # until it is registered; never that of the class it derives from

    @abstractmethod
    def train(self, data: LabelledImages, session: FitSession) -> list[nn.Module]:
        """Train the networks to sample from: one for all classes, or one for each.

        Args:
            data: Real images, at least two of each class.
            session: Seed, device, checkpoint and what else a fit is given. What the metadata should
                say about the training goes into `session.notes`.

        Returns:
            The networks on `session.device`, of the form that `build` gives them.
        """

    @abstractmethod
    def build(self, image_shape: tuple[int, int, int], classes: int) -> list[nn.Module]:
        """Build the same networks untrained, to load weights into.

        Args:
            image_shape: (C, H, W) of the images.
            classes: How many classes there are.
        """

    @abstractmethod
    def plan(self, labels: np.ndarray, draws: Draws) -> dict[str, np.ndarray]:
        """Draw all that is random about the images to make.

        Args:
            labels: Class of each image, int64 (M,).
            draws: Random numbers, of which row *i* depends on the seed and *i* alone.

        Returns:
            Arrays (M, ...), under names of the family's own.
        """

    @abstractmethod
    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        """Make images of planned items.

        Args:
            network: The network of all classes; or where each class has one, that of the class
                whose images are used of the result.
            plan: Rows of what `plan` drew, tensors (B, ...) on the generator's device.

        Returns:
            Images, float32 (B, C, H, W) in [0, 1].
        """

    def check_settings(self) -> None:  # noqa: B027 - nothing to check is a valid answer
        """Raise `InputError` for a setting that makes no sense; called by `fit` and `sample`."""

    @property
    def learns(self) -> bool:
        """Tell whether anything is trained; one that is not is a non-learned control."""
        return True

    @property
    def keeps_images(self) -> bool:
        """Tell whether samples start from real images, so that a saved generator holds them."""
        return True

    @property
    def changes_images(self) -> bool:
        """Tell whether each sample is a changed image, so that it can change what others made."""
        return False

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Return an unfitted generator with settings as JSON has them, lists in place of tuples.

        Args:
            settings: Arguments of the constructor; the others are left at their defaults.

        Raises:
            InputError: For a setting that there is not.

        Examples:
            >>> from synthaug import TransferVAE
            >>> TransferVAE.from_settings({"strength": [0.5, 1.0]}).settings["strength"]
            (0.5, 1.0)
        """
        names = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        foreign = sorted(set(settings) - names)
        if foreign:
            raise InputError(f"unknown settings {foreign} of {cls.__name__}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """Return an unfitted generator with some settings in place of its own.

        Args:
            settings: Arguments of the constructor; the others stay as they are.

        Raises:
            InputError: For a setting that there is not.
        """
        return self.from_settings({**self.settings, **settings})

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes of the images it was fitted to."""
        return tuple(self.training_data.classes)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images it was fitted to, and of its samples."""
        return self.training_data.image_shape

    @property
    def image_dtype(self) -> np.dtype[Any]:
        """The type of the images it was fitted to, uint8 or uint16, and of its samples."""
        return self.training_data.images.dtype

    @property
    def metadata(self) -> dict[str, Any]:
        """The training images' fingerprint, settings, seed, versions and seconds of the fit."""
        self._expect_fitted()
        # How it samples can be changed after fitting.
        return {**self._metadata, "settings": plain_values(self.settings)}

    @property
    def device(self) -> torch.device:
        """The device that it samples on: where it was fitted, or where it was loaded to."""
        self._expect_fitted()
        return self._device

    @property
    def training_data(self) -> LabelledImages:
        """The real images that it was fitted to; none of them where a loaded one keeps none."""
        self._expect_fitted()
        return self._training_data

    def _expect_fitted(self) -> None:
        if not hasattr(self, "_training_data"):
            raise InputError(f"this {self.name} is not fitted; call fit(data) first")

    def real_images(self, indices: Tensor) -> Tensor:
        """Return training images for `render`.

        Args:
            indices: Places in `training_data`, int64 (B,).

        Returns:
            Images on the generator's device, float32 (B, C, H, W) in [0, 1].
        """
        images = self.training_data.images[indices.cpu().numpy()]
        return to_float(images, self._device, self._white)

    def base_images(self, plan: dict[str, Tensor]) -> Tensor:
        """Return the images that `render` changes, of a family of which `changes_images` is true.

        Args:
            plan: What was planned, with places in `training_data` under "image". In a chain the
                images that the parts before made take the place of those.

        Returns:
            Images on the generator's device, float32 (B, C, H, W) in [0, 1].
        """
        return plan["input"] if "input" in plan else self.real_images(plan["image"])

    @plain_torch()
    def fit(
        self,
        data: Any,
        *,
        seed: int = 0,
        device: str = "auto",
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
        start: str | Path | None = None,
        validation: Any = None,
        log: str | Path | None = None,
    ) -> Self:
        """Learn from labelled images.

        Args:
            data: `LabelledImages`, or anything that `read_images` takes.
            seed: Settles the weights and the order of images.
            device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", ...
            checkpoint: File that training resumes from, if it is there, and saves its state to.
            progress: Called with (steps done, steps in all).
            start: Directory of a saved generator of the same family and sizes to go on from.
                Classes are matched by name; the metadata say which were not found in it.
            validation: Other real images of the same classes, given as `data` are; of a source with
                validation images, those. Up to ten times a run, at least a hundred steps apart, a
                probe learns from samples alone and is scored on them; the most useful moving
                average (mean of accuracy and coverage) is kept, and training ends when three looks
                found no better one. Images that are trained on are left out, with a warning.
            log: Directory for TensorBoard: losses, diversity, usefulness, grids of samples.

        Returns:
            The generator itself, fitted.

        Raises:
            InputError: For a class with fewer than two images, for images to judge by of which more
                than 5 % are trained on and for a `log` that is no directory.
            TrainingError: When a loss is no longer a number.

        Examples:
            >>> from synthaug import StyleSwap, read_images
            >>> StyleSwap().fit(read_images("digits"), device="cpu").image_shape
            (1, 16, 16)
        """
        self.normalise_settings()
        seed = as_seed(seed)
        expect_progress(progress)
        data = training_images(data)
        if validation is not None:
            validation = validation_images(validation, data)
        began = time.perf_counter()
        target = resolve_device(device)
        if isinstance(start, Generator):
            raise InputError("start: expected the directory of a saved generator; save it first")
        if log is not None:
            log = expand_path(log)
            expect_writable(f"log {log}", log)
        first = None if start is None else self._read_start(expand_path(start), device)
        identity = f"{self.name} {self.settings} {data.fingerprint} seed {seed}"
        identity += identity_of_aids(first, validation) + str(depth_of(data) or "")
        file = None if checkpoint is None else expand_path(checkpoint)
        session = FitSession(seed, target, identity, file, progress, first, validation, log)
        with until_saved() as resumed:  # what is looked at after a training may fail, too
            networks = self.train(data, session)
        fitted = self._with_networks(networks, data, target, white_of(data.images))
        fitted._metadata = {
            "family": self.name,
            "settings": self.settings,
            **session.describe(data, resumed.seconds + time.perf_counter() - began),
            "holds_real_images": self.keeps_images,
            **session.notes,
        }
        # Only now, and all at once: a run that breaks off leaves the generator as it was.
        vars(self).update(vars(fitted))
        return self

    @classmethod
    def _read_start(cls, directory: Path, device: str) -> Self:
        """Load the generator to start from, which is one of this family."""
        manifest = read_generator_manifest(directory)
        if manifest.get("family") not in (cls.name, cls.__name__):
            raise InputError(
                f"{directory}: expected a {cls.name} to start from, got a {manifest.get('family')}"
            )
        return cls.load(directory, manifest, device)

    def normalise_settings(self) -> None:
        """Bring settings to what JSON holds, so that what is loaded samples as what was fitted.

        Raises:
            InputError: For settings that do not fit.
        """
        for field in fields(self):  # type: ignore[arg-type]
            setattr(self, field.name, plain_values(getattr(self, field.name)))
        self.check_settings()

    def _with_networks(
        self,
        networks: Iterable[nn.Module],
        data: LabelledImages,
        device: torch.device,
        white: int,
    ) -> Self:
        """Return this generator fitted: with these networks and images, and their white."""
        fitted = copy.copy(self)
        # Of one layout, whether they were trained or read: kernels differ in the last bits.
        fitted.networks = channels_last(nn.ModuleList(networks).eval())
        fitted._training_data, fitted._device, fitted._white = data, device, white
        return fitted

    @plain_torch()
    def sample(
        self,
        labels: int | np.ndarray | Tensor,
        *,
        seed: int = 0,
        batch_size: int = 256,
        progress: Progress | None = None,
    ) -> Samples:
        """Make synthetic images.

        Item *i* depends on (seed, *i*, labels[i]) alone.

        Args:
            labels: Class of each image, int64 (M,); or one number: that many of every class.
            seed: Settles all that is random about the images.
            batch_size: Images on the device at once, rounded up to whole blocks of 64; it changes
                memory and speed, not the result.
            progress: Called with (images made, images in all).

        Returns:
            Images of the shape and integer type of the training images, which of 16 bits use as
            many as those do; and their labels.

        Raises:
            InputError: For labels out of range, and for settings that make no sense.
        """
        data = self.training_data
        self.check_settings()
        expect_count("batch_size", batch_size)
        expect_progress(progress)
        labels = labels_to_sample(labels, len(data.classes))
        plan = self.plan(labels, Draws(seed, len(labels)))
        images = np.empty((len(labels), *data.image_shape), dtype=data.images.dtype)
        with torch.inference_mode():
            rendered = render_in_blocks(self._render_labels, plan, labels, self._device, batch_size)
            for rows, batch in rendered:
                images[rows] = to_stored(batch, images.dtype, self._white)
                if progress:
                    progress(rows.stop, len(labels))
        return Samples(images, labels)

    def _render_labels(self, plan: dict[str, Tensor], labels: np.ndarray) -> Tensor:
        """Render planned items of these classes, each by the network that knows its class."""
        if len(self.networks) == 1:
            return self.render(self.networks[0], plan)
        rendered = {label: self.render(self.networks[label], plan) for label in np.unique(labels)}
        return torch.stack([rendered[label][i] for i, label in enumerate(labels)])

    def save(self, directory: str | Path) -> None:
        """Write the generator; an older generator there is replaced whole, anything else refused.

        Families that start from real images store those too: treat the directory like the data.
        A family of your own is loaded where its class has been imported.

        Args:
            directory: Where to write; `load_generator` reads it.

        Raises:
            InputError: For settings that were changed to what it cannot sample with.
        """
        data = self.training_data
        self.normalise_settings()
        if _shapes(self._empty_networks(data)) != _shapes(self.networks):
            raise InputError(
                f"this {self.name} has the weights of other settings than it has now; set back "
                "what was changed, or fit it again"
            )
        images = data if self.keeps_images else data.subset(np.arange(0))
        write_generator(expand_path(directory), self.networks, images, self.metadata)

    @plain_torch()
    def _empty_networks(self, data: LabelledImages) -> nn.ModuleList:
        """Build networks of these settings for such images that have learned nothing."""
        with torch_stream(0, "load"):  # the user's own stays where it was
            return nn.ModuleList(self.build(data.image_shape, len(data.classes)))

    @classmethod
    @plain_torch()
    def load(cls, directory: Path, manifest: dict[str, Any], device: str) -> Self:
        """Load a generator of this class; `load_generator` finds the class by the manifest.

        Args:
            directory: Where `save` wrote it.
            manifest: The content of its manifest.
            device: Where it samples: "auto", "cpu", "cuda:0".

        Raises:
            InputError: If files are damaged, or of settings that this version does not know.
        """
        settings, classes = manifest.get("settings"), manifest.get("classes")
        if not isinstance(settings, dict) or not isinstance(classes, list):
            raise InputError(f"{directory}: damaged ({MANIFEST} lacks settings or classes)")
        try:
            generator = cls.from_settings(settings)
            generator.check_settings()
        except InputError as error:
            version = manifest.get("versions", {}).get("synthaug")
            cause = "were its settings changed?"
            if version != versions()["synthaug"]:
                cause = f"it was written by another version ({version})"
            raise InputError(f"{directory}: {error}; {cause}") from None
        target = resolve_device(device)
        images, weights = read_generator(directory, classes)
        networks = generator._empty_networks(images)
        try:
            networks.load_state_dict(weights)
        except RuntimeError:  # its message lists every weight
            raise InputError(
                f"{directory}: damaged (the weights are not those of this {cls.name}); fit it again"
            ) from None
        white = read_white(directory, manifest, images)
        fitted = generator._with_networks(networks.to(target), images, target, white)
        extra = {"kind", "classes", "files"}
        fitted._metadata = {k: v for k, v in manifest.items() if k not in extra}
        return fitted


def _shapes(networks: nn.Module) -> dict[str, torch.Size]:
    return {name: each.shape for name, each in networks.state_dict().items()}
