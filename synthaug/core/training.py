"""The one training loop: everything in the package that learns by gradient runs through it.

A step is one optimiser update of every phase (a VAE or a classifier has one phase, a GAN two).
All randomness of step *t* follows the stream (seed, "step", t), so a run that was killed and
resumed from its checkpoint ends with the same weights as one that was not.
"""

import copy
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from synthaug.core.checkpoint import Checkpoint, done_with
from synthaug.core.devices import as_native, mixed_precision
from synthaug.core.distributed import ALONE, Team
from synthaug.core.errors import InputError, TrainingError
from synthaug.core.files import expect_file
from synthaug.core.seeding import torch_stream

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""

Watch = Callable[[int, nn.Module], float | None]
"""Called now and then with (steps done, the moving average, in evaluation mode); it may say how
useful that is, more being better."""

LOOKS, APART = 10, 100  # how often a run is watched; not sooner than so many steps apart
PATIENCE = 3  # looks without a better one, after which a run is over
LOG_EVERY = 10  # steps


@dataclass(frozen=True)
class Phase:
    """One optimiser and the loss that it lowers.

    Attributes:
        name: Name in logs.
        optimizer: The optimiser.
        loss: Maps the step's batch to a scalar tensor.
    """

    name: str
    optimizer: torch.optim.Optimizer
    loss: Callable[[Any], Tensor]


@dataclass(frozen=True)
class Schedule:
    """Length of a run and the shape of its learning rate: linear warm-up, then half a cosine."""

    steps: int
    warmup: int = 0

    def factor(self, step: int) -> float:
        """Return the factor of the base learning rate at `step`.

        Examples:
            >>> schedule = Schedule(100, warmup=10)
            >>> [round(schedule.factor(t), 3) for t in (0, 9, 10, 55, 99)]
            [0.1, 1.0, 1.0, 0.5, 0.0]
        """
        if step < self.warmup:
            return (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class Session:
    """The seed and device of a training, and how it is watched and resumed.

    Attributes:
        seed: The seed.
        device: The device.
        identity: Tells the training that a checkpoint belongs to.
        checkpoint: A file to resume from and to save to, also at the end; then it is `done_with`.
            The file of another training is refused.
        progress: Called with (steps done, steps in all).
        watch: Judges the moving average up to ten times a training, the last time at its end. Where
            it returns how useful that is, the best one is kept, and the training ends when three
            looks found no better one.
        log: Called with (steps done, losses by phase) every ten steps.
        ended: Called at the end with the steps that were done, also before it was resumed.
        team: The processes that share the training, each with a share of every batch.
    """

    seed: int
    device: torch.device
    identity: str = ""
    checkpoint: Path | None = None
    progress: Progress | None = None
    watch: Watch | None = None
    log: Callable[[int, dict[str, float]], None] | None = None
    ended: Callable[[int], None] | None = None
    team: Team = ALONE

    def __post_init__(self) -> None:
        if self.checkpoint:
            expect_file(f"checkpoint {self.checkpoint}", self.checkpoint)


def adam(
    parameters: Iterable[nn.Parameter], rate: float, betas: tuple[float, float] = (0.9, 0.999)
) -> torch.optim.Optimizer:
    """Return Adam in one pass over each parameter, in a quarter of the time of torch's default."""
    return torch.optim.Adam(parameters, rate, betas=betas, fused=True)


def optimize(
    module: nn.Module,
    phases: Sequence[Phase],
    batches: Callable[[int], Any],
    schedule: Schedule,
    session: Session,
    *,
    averaged: nn.Module | None = None,
    ema_decay: float = 0.99,
    clip: float = 5.0,
    networks: int = 1,
    checkpoint_every: int = 200,
) -> nn.Module:
    """Train `module`, and return the exponential moving average of its weights.

    Where `session.watch` judges averages, the best one is returned.

    Args:
        module: The networks to train.
        phases: The losses and optimisers of a step.
        batches: Maps a step to its batch, which depends on the step alone.
        schedule: Number of steps and learning rate.
        session: Seed, device, checkpoint and progress.
        averaged: The part of `module` to average; default all of it.
        ema_decay: Of the moving average.
        clip: Largest norm of a phase's gradient.
        networks: Number of networks, stacked along each parameter's first axis, that the loss is
            the mean of. Each then learns as if it were alone.
        checkpoint_every: Seconds between checkpoints.

    Raises:
        TrainingError: If a loss is not finite.
        InputError: If the checkpoint is of another training.
    """
    source = module if averaged is None else averaged
    decay = min(ema_decay, 1 - 10 / (schedule.steps + 10))
    average = _Average(source, decay)
    best = _Best(average.module.eval()) if session.watch else None
    modules = {"module": module, "average": average} | ({"best": best} if best else {})
    optimizers = {phase.name: phase.optimizer for phase in phases}
    state = Checkpoint(modules, optimizers, session.identity)
    apart = max(APART, -(-schedule.steps // LOOKS))
    checkpoint = session.checkpoint
    start = state.load(checkpoint) if checkpoint and checkpoint.exists() else 0
    starts = session.team.gather(start)
    if len(set(starts)) > 1:  # they would average gradients of other steps
        raise InputError(
            f"checkpoint {checkpoint}: the processes found it after {starts} steps; name a file "
            "that all of them share"
        )
    base_rates = [[group["lr"] for group in phase.optimizer.param_groups] for phase in phases]
    losses: dict[str, Tensor] = {}
    member = () if session.team.size == 1 else ("process", session.team.rank)
    module.train()
    is_settled = False  # what has settled is kept as a whole run: none goes on from there
    for step in range(start, schedule.steps):
        with torch_stream(session.seed, "step", step, *member, device=session.device):
            batch = batches(step)
            for phase, rates in zip(phases, base_rates, strict=True):
                for group, rate in zip(phase.optimizer.param_groups, rates, strict=True):
                    group["lr"] = rate * schedule.factor(step)
                losses[phase.name] = _update(phase, batch, step, clip, networks, session)
        average.follow()
        steps_done = step + 1
        if session.log and steps_done % LOG_EVERY == 0:
            session.log(steps_done, {name: loss.item() for name, loss in losses.items()})
        if (
            session.watch
            and best
            and (steps_done % apart == 0 or apart < steps_done == schedule.steps)
        ):
            score = session.watch(steps_done, average.module) if session.team.leads else None
            best.heed(session.team.tell(score), average.module)
            is_settled = best.is_settled
        over = steps_done == schedule.steps or is_settled
        if checkpoint and session.team.leads and (over or steps_done % checkpoint_every == 0):
            _expect_finite(losses, step)  # a state that is broken would break every resumed run
            state.save(checkpoint, schedule.steps if over else steps_done)
        if session.progress:
            session.progress(steps_done, schedule.steps)
        if is_settled:
            break
    result = best.best_module if best and best.is_judged else average.module.eval()
    # Statistics of batch norm are each process's own. What is told arrives where it was: on a CPU
    # all processes have the same.
    own = {name: value.cpu() for name, value in result.state_dict().items()}
    result.load_state_dict(session.team.tell(own))
    if not all(bool(torch.isfinite(values).all()) for values in result.state_dict().values()):
        if checkpoint and session.team.leads:
            checkpoint.unlink(missing_ok=True)
        raise TrainingError(
            "training ended with weights or statistics that are not finite; lower the learning "
            "rate, or look for images that are all one value"
        )
    if checkpoint and session.team.leads:
        done_with(checkpoint)
    if session.ended:
        session.ended(int(average.steps))
    return result


class _Average(nn.Module):
    """The exponential moving average of a module's weights and statistics, from its first step on.

    Counters are copied. torch's `AveragedModel` looks for all tensors anew in each step, which
    takes as long as half a step of a small network, and on a GPU averages each counter by itself.
    """

    steps: Tensor

    def __init__(self, source: nn.Module, decay: float) -> None:
        super().__init__()
        self.module = copy.deepcopy(source)
        self.register_buffer("steps", torch.tensor(0))
        self._approach = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        self._stores = [_stores_of(self.module), _stores_of(source)]

    @torch.no_grad()
    def follow(self) -> None:
        """Take up the state of the module after one more step."""
        has_started = bool(self.steps)
        ours: dict[bool, list[Tensor]] = {True: [], False: []}  # by whether it is averaged
        theirs: dict[bool, list[Tensor]] = {True: [], False: []}
        for mine, source in zip(*map(_tensors, self._stores), strict=True):
            is_averaged = has_started and mine.is_floating_point()
            ours[is_averaged].append(mine)
            theirs[is_averaged].append(source)
        if ours[True]:
            self._approach(ours[True], theirs[True], None)
        if ours[False]:
            torch._foreach_copy_(ours[False], theirs[False])
        self.steps += 1


Stores = Sequence[Mapping[str, Tensor | None]]


def _stores_of(module: nn.Module) -> Stores:
    """Return where all parts of a module keep their weights and statistics."""
    return [tensors for part in module.modules() for tensors in (part._parameters, part._buffers)]


def _tensors(stores: Stores) -> list[Tensor]:
    """Return the present tensors, each once: some may have been replaced."""
    present = [value for each in stores for value in each.values() if value is not None]
    return list({id(value): value for value in present}.values())


class _Best(nn.Module):
    """The most useful moving average so far, and for how many looks it has been that."""

    score: Tensor
    stale: Tensor

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.best_module = copy.deepcopy(module)
        self.register_buffer("score", torch.tensor(-math.inf, dtype=torch.float64))
        self.register_buffer("stale", torch.tensor(0))

    @property
    def is_judged(self) -> bool:
        return math.isfinite(self.score.item())

    @property
    def is_settled(self) -> bool:
        return self.stale.item() >= PATIENCE

    def heed(self, score: float | None, module: nn.Module) -> None:
        if score is None:
            return
        self.stale += 1
        if score > self.score.item():
            self.score.fill_(score)
            self.stale.zero_()
            self.best_module.load_state_dict(module.state_dict())


def _update(
    phase: Phase, batch: Any, step: int, clip: float, networks: int, session: Session
) -> Tensor:
    with mixed_precision(session.device):
        loss = phase.loss(batch)
    # On a GPU reading the loss waits for the device, so it is read now and then only.
    if session.device.type == "cpu" or step % 50 == 0:
        _expect_finite({phase.name: loss}, step)
    # Not before the forward pass, and the loss is given back with its graph: where nothing of the
    # last step is left, the allocator returns its memory to the system and asks for it anew.
    phase.optimizer.zero_grad(set_to_none=True)
    with as_native(session.device):
        (loss * networks).backward()  # type: ignore[no-untyped-call]
    parameters = [p for group in phase.optimizer.param_groups for p in group["params"]]
    session.team.average(p.grad for p in parameters if p.grad is not None)
    if networks == 1:
        nn.utils.clip_grad_norm_(parameters, clip)
    else:
        clip_each(parameters, clip)
    phase.optimizer.step()
    return loss


def _expect_finite(losses: Mapping[str, Tensor], step: int) -> None:
    for name, loss in losses.items():
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the {name} loss became {loss.item()} at step {step}; lower the learning rate, or "
                "look for images that are all one value"
            )


def clip_each(parameters: Sequence[Tensor], clip: float) -> None:
    """Limit the gradient's norm of each of G networks by itself; parameters are (G, ...)."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norms = torch.stack([torch.linalg.vector_norm(g.reshape(len(g), -1), dim=1) for g in gradients])
    factors = (clip / (torch.linalg.vector_norm(norms, dim=0) + 1e-6)).clamp(max=1)
    for gradient in gradients:
        gradient.mul_(factors.view(-1, *[1] * (gradient.ndim - 1)))
