"""What every generator shares: fitting, sampling, saving, loading.

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
    arithmetic,
    as_seed,
    channels_last,
    expanded,
    expect_count,
    expect_labels,
    expect_progress,
    expect_writable,
    plain_torch,
    plain_values,
    resolve_device,
    torch_stream,
    until_saved,
    versions,
)
from synthaug.data import (
    LabelledImages,
    Samples,
    holds_integers,
    to_array,
    to_float,
    to_stored,
    white_of,
)
from synthaug.generators.real_images import training_images, validation_images
from synthaug.generators.saving import (
    read_generator,
    read_generator_manifest,
    read_white,
    write_generator,
)
from synthaug.generators.session import FitSession, identity_of_aids

BLOCK = 64  # images that are rendered together, whatever the batch size


class Generator(ABC):
    """Base of the families. Each is a dataclass whose fields are its settings, nothing else.

    _starts_from_images: whether samples start from real images.
    """

    name: ClassVar[str]

    _training_data: LabelledImages
    _device: torch.device
    _white: int  # the stored number that is 1 where images are floats
    _metadata: dict[str, Any]
    networks: nn.ModuleList

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls.name = cls.__name__  # until it is registered; never that of the class it derives from

    @abstractmethod
    def train(self, data: LabelledImages, session: FitSession) -> list[nn.Module]:
        """Train the networks to sample from: one for all classes, or one for each.

        Args:
            data: Real images, of at least two images a class.
            session: Seed, device, checkpoint and what else a fit is given. What the generator's
                metadata should say about the training goes into `session.notes`.

        Returns:
            The networks on `session.device`, as `build` has them.
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
            draws: Random numbers of which row *i* depends on the seed and *i* alone.

        Returns:
            Arrays (M, ...) by names of the family's own.
        """

    @abstractmethod
    def render(self, network: nn.Module, plan: dict[str, Tensor]) -> Tensor:
        """Make images of planned items.

        Args:
            network: One of those that `train` returned: the only one, or that of the class of all
                items that are used of the result.
            plan: Rows of the arrays of `plan` as tensors (B, ...) on the generator's device.

        Returns:
            Images float32 (B, C, H, W) in [0, 1].
        """

    def check_settings(self) -> None:  # noqa: B027 - nothing to check is a valid answer
        """Raise `InputError` for a setting that makes no sense; called by `fit` and `sample`."""

    @classmethod
    def _read_start(cls, directory: Path, device: str) -> Self:
        manifest = read_generator_manifest(directory)
        if manifest.get("family") not in (cls.name, cls.__name__):
            raise InputError(
                f"{directory}: expected a {cls.name} to start from, got a {manifest.get('family')}"
            )
        return cls.load(directory, manifest, device)

    @property
    def learns(self) -> bool:
        """Tell whether anything is trained; one that does not is a non-learned control."""
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
        """An unfitted generator with settings as JSON has them, lists in place of tuples."""
        known = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        foreign = sorted(set(settings) - known)
        if foreign:
            raise InputError(f"unknown settings {foreign} of {cls.__name__}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """Return an unfitted generator with these settings in place of its own."""
        return self.from_settings({**self.settings, **settings})

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.training_data.classes)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images it was fitted to, and of its samples."""
        return self.training_data.image_shape

    @property
    def image_dtype(self) -> np.dtype[Any]:
        """uint8 or uint16, that of the images it was fitted to, and of its samples."""
        return self.training_data.images.dtype

    @property
    def metadata(self) -> dict[str, Any]:
        """What it was trained on (a fingerprint), settings, seed, versions, seconds."""
        self._expect_fitted()
        # How it samples can be changed after fitting.
        return {**self._metadata, "settings": plain_values(self.settings)}

    @property
    def device(self) -> torch.device:
        """Where it samples: where it was fitted, or where it was loaded to."""
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

        data: `LabelledImages`, or anything that `read_images` takes.
        seed: settles the weights and the order of images.
        device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1", ...
        checkpoint: a file that training resumes from, if it is there, and saves its state to.
        progress: called with (steps done, steps in all).
        start: a saved generator of the same family and sizes to go on from. Classes are matched by
            name; the card says which were not found in it.
        validation: other real images of the same classes, given as `data` are; of a source with
            validation images, those. Up to ten times a run, at least a hundred steps apart, a probe
            learns from samples alone and is scored on them; the most useful moving average (mean of
            accuracy and coverage) is kept, and training ends when three looks found no better one.
            Images that are trained on are left out, with a warning.
        log: a directory for TensorBoard: losses, diversity, usefulness, grids of samples.

        Raises `InputError` for a class with fewer than two images, for images to judge by of which
        more than 5 % are trained on and for a `log` that is no directory, `TrainingError` when a
        loss is no longer a number.
        """
        self.normalise_settings()
        seed = as_seed(seed)
        expect_progress(progress)
        data = training_images(data)
        judged_by = None if validation is None else validation_images(validation, data)
        began = time.perf_counter()
        target = resolve_device(device)
        if isinstance(start, Generator):
            raise InputError("start: expected the directory of a saved generator; save it first")
        if log is not None:
            log = expanded(log)
            expect_writable(f"log {log}", log)
        warm = None if start is None else self._read_start(expanded(start), device)
        white = white_of(data.images)
        # Told only where images leave bits empty: all others are kept as they always were.
        dark = {} if white == np.iinfo(data.images.dtype).max else {"white": white}
        identity = f"{self.name} {self.settings} {data.fingerprint} seed {seed}"
        identity += identity_of_aids(warm, judged_by) + str(dark or "")
        file = None if checkpoint is None else expanded(checkpoint)
        session = FitSession(seed, target, identity, file, progress, warm, judged_by, log)
        with until_saved() as resumed:  # what is looked at after a training may fail, too
            networks = self.train(data, session)
        fitted = self._with_networks(networks, data, target, white)
        fitted._metadata = {
            "family": self.name,
            "settings": self.settings,
            "seed": seed,
            "data": {
                "fingerprint": data.fingerprint,
                "images": len(data),
                "per_class": data.counts.tolist(),
                **dark,
            },
            "device": str(target),
            "arithmetic": arithmetic(target),
            "versions": versions(),
            "seconds": round(resumed.seconds + time.perf_counter() - began, 2),
            "holds_real_images": self.keeps_images,
            **session.notes,
        }
        # Only now, and all at once: a run that breaks off leaves the generator as it was.
        vars(self).update(vars(fitted))
        return self

    def normalise_settings(self) -> None:
        """Settings as JSON has them, so that what is loaded samples as what was fitted does.

        Raises `InputError` for those that do not fit.
        """
        for field in fields(self):  # type: ignore[arg-type]
            setattr(self, field.name, plain_values(getattr(self, field.name)))
        self.check_settings()

    def _set_networks(
        self,
        networks: Iterable[nn.Module],
        anchors: LabelledImages,
        device: torch.device,
        white: int,
    ) -> None:
        """Sample from these networks and images from now on; `white` is that of the images which
        the networks learned from."""
        # Of one layout, whether they were trained or read: kernels differ in the last bits.
        self.networks = channels_last(nn.ModuleList(networks).eval())
        self._training_data, self._device, self._white = anchors, device, white

    def _with_networks(
        self,
        networks: Iterable[nn.Module],
        anchors: LabelledImages,
        device: torch.device,
        white: int,
    ) -> Self:
        """This generator as it would be with these networks and images."""
        sketch = copy.copy(self)
        sketch._set_networks(networks, anchors, device, white)
        return sketch

    @plain_torch()
    def sample(
        self,
        labels: int | np.ndarray | Tensor,
        *,
        seed: int = 0,
        batch_size: int = 256,
        progress: Progress | None = None,
    ) -> Samples:
        """Synthetic images.

        labels: int64 (M,), the class of each image; or one number: that many of every class.
        batch_size: images kept on the device at once, rounded up to whole blocks of 64; it changes
            memory and speed, not the result.
        progress: called with (images made, images in all).

        Item *i* depends on (seed, *i*, labels[i]) alone. Images have the shape and integer type
        of the training images, and of 16 bits use as many as those do. Raises `InputError` for
        labels out of range.
        """
        anchors = self.training_data
        self.check_settings()
        expect_count("batch_size", batch_size)
        expect_progress(progress)
        wanted = self._labels(labels, len(anchors.classes))
        plan = self.plan(wanted, Draws(seed, len(wanted)))
        images = np.empty((len(wanted), *anchors.image_shape), dtype=anchors.images.dtype)
        with torch.inference_mode():
            at_once = -(-batch_size // BLOCK) * BLOCK
            for start in range(0, len(wanted), at_once):
                stop = min(start + at_once, len(wanted))
                blocks = [
                    self._render_block(plan, wanted, first) for first in range(start, stop, BLOCK)
                ]
                made = torch.cat(blocks)[: stop - start]
                images[start:stop] = to_stored(made, images.dtype, self._white)
                if progress:
                    progress(stop, len(wanted))
        return Samples(images, wanted)

    def _render_block(self, plan: dict[str, np.ndarray], labels: np.ndarray, first: int) -> Tensor:
        """`BLOCK` planned items from `first` on, those past the end being copies of the last.

        The kernels that torch chooses, and so the last bits of their sums, depend on the size of
        the batch and on an item's place in it. Blocks of one size at fixed places keep both, so
        where each class has its own network, each renders the whole block.
        """
        rows = np.minimum(np.arange(first, first + BLOCK), len(labels) - 1)
        part = {k: torch.as_tensor(v[rows]).to(self._device) for k, v in plan.items()}
        return self._render_labels(part, labels[rows])

    def _render_labels(self, plan: dict[str, Tensor], labels: np.ndarray) -> Tensor:
        """Planned items of these classes, each by the network that knows its class."""
        if len(self.networks) == 1:
            return self.render(self.networks[0], plan)
        rendered = {label: self.render(self.networks[label], plan) for label in np.unique(labels)}
        return torch.stack([rendered[label][i] for i, label in enumerate(labels)])

    @staticmethod
    def _labels(labels: int | np.ndarray | Tensor, classes: int) -> np.ndarray:
        if isinstance(labels, (int, np.integer)) and not isinstance(labels, bool):
            if labels < 1:
                raise InputError(f"labels: expected at least 1 image per class, got {labels}")
            return np.repeat(np.arange(classes), labels)
        wanted = to_array(labels)
        if wanted.ndim != 1 or not holds_integers(wanted):
            raise InputError(f"labels: expected integers (M,), got {wanted.dtype} {wanted.shape}")
        expect_labels("labels", wanted, classes)
        return wanted.astype(np.int64)

    def real_images(self, indices: Tensor) -> Tensor:
        """Training images as floats on the generator's device."""
        return to_float(self.training_data.images[indices.cpu().numpy()], self._device, self._white)

    def base_images(self, plan: dict[str, Tensor]) -> Tensor:
        """The images that planned items change: real ones, or what a chain has made of them."""
        return plan["made"] if "made" in plan else self.real_images(plan["image"])

    def save(self, directory: str | Path) -> None:
        """Write the generator; an older generator there is replaced whole, anything else refused.

        Families that start from real images store those too: treat the directory like the data.
        A family of your own is loaded where its class has been imported.

        Raises `InputError` for settings that were changed to what it cannot sample with.
        """
        anchors = self.training_data
        self.normalise_settings()
        if _shapes(self._empty(anchors)) != _shapes(self.networks):
            raise InputError(
                f"this {self.name} has the weights of other settings than it has now; set back "
                "what was changed, or fit it again"
            )
        kept = anchors if self.keeps_images else anchors.subset(np.arange(0))
        write_generator(expanded(directory), self.networks, kept, self.metadata)

    @plain_torch()
    def _empty(self, anchors: LabelledImages) -> nn.ModuleList:
        """Networks of these settings for such images that have learned nothing."""
        with torch_stream(0, "load"):  # the user's own stays where it was
            return nn.ModuleList(self.build(anchors.image_shape, len(anchors.classes)))

    @classmethod
    @plain_torch()
    def load(cls, directory: Path, manifest: dict[str, Any], device: str) -> Self:
        """The generator in `directory`, whose manifest has been read."""
        settings, classes = manifest.get("settings"), manifest.get("classes")
        if not isinstance(settings, dict) or not isinstance(classes, list):
            raise InputError(f"{directory}: damaged ({MANIFEST} lacks settings or classes)")
        try:
            generator = cls.from_settings(settings)
            generator.check_settings()
        except InputError as error:
            written = manifest.get("versions", {}).get("synthaug")
            other = f"; it was written by another version ({written})"
            said = other if written != versions()["synthaug"] else "; were its settings changed?"
            raise InputError(f"{directory}: {error}{said}") from None
        target = resolve_device(device)
        anchors, weights = read_generator(directory, classes)
        networks = generator._empty(anchors)
        try:
            networks.load_state_dict(weights)
        except RuntimeError:  # its message lists every weight
            raise InputError(
                f"{directory}: damaged (the weights are not those of this {cls.__name__}); "
                "fit it again"
            ) from None
        white = read_white(directory, manifest, anchors)
        generator._set_networks(networks.to(target), anchors, target, white)
        extra = {"kind", "classes", "files"}
        generator._metadata = {k: v for k, v in manifest.items() if k not in extra}
        return generator


def _shapes(networks: nn.Module) -> dict[str, torch.Size]:
    return {name: each.shape for name, each in networks.state_dict().items()}
