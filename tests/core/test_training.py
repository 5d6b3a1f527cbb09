"""The training loop: schedule, moving average, checkpoints, failures."""

import itertools
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import synthaug.core.checkpoint
from synthaug.core import (
    InputError,
    Phase,
    Schedule,
    Session,
    Team,
    TrainingError,
    optimize,
    read_tensors,
    tensor_bytes,
    until_saved,
)

CPU = torch.device("cpu")


class Interrupted(Exception):
    pass


class Pair(nn.Module):
    """Two small networks that are trained against each other."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))


OF_OPTIMIZE = ("averaged", "ema_decay", "checkpoint_every")


def run(steps=8, *, module=None, seed=0, loss=None, clip=5.0, **options):
    how = {name: options.pop(name) for name in OF_OPTIMIZE if name in options}
    module = module or Pair()
    phases = [
        Phase(
            name,
            torch.optim.Adam(getattr(module, name).parameters(), lr=0.1),
            loss or (lambda x: (module.two(module.one(x)) - x).pow(2).mean()),
        )
        for name in ("one", "two")
    ]
    result = optimize(
        module,
        phases,
        lambda step: torch.randn(6, 3),
        Schedule(steps),
        Session(seed, CPU, **options),
        clip=clip,
        **how,
    )
    return module, result


def interrupt_after(steps):
    def progress(done, total):
        if done == steps:
            raise Interrupted

    return progress


def equal(first, second):
    first, second = first.state_dict(), second.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_schedule_warms_up_and_falls_along_half_a_cosine():
    schedule = Schedule(110, warmup=10)
    assert [schedule.factor(t) for t in range(10)] == pytest.approx([t / 10 for t in range(1, 11)])
    for step in range(10, 110):
        expected = (1 + math.cos(math.pi * (step - 10) / 100)) / 2
        assert schedule.factor(step) == pytest.approx(expected)
    assert schedule.factor(110) == pytest.approx(0.0)


def test_schedule_of_warm_up_alone_and_of_one_step():
    assert [Schedule(2, warmup=2).factor(t) for t in (0, 1)] == [0.5, 1.0]
    assert Schedule(1).factor(0) == 1.0


def test_learning_rate_follows_the_schedule():
    rates = []
    module = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)

    def loss(x):
        rates.append(optimizer.param_groups[0]["lr"])
        return module(x).pow(2).mean()

    schedule = Schedule(5, warmup=2)
    phases = [Phase("it", optimizer, loss)]
    optimize(module, phases, lambda _: torch.ones(1, 2), schedule, Session(0, CPU))
    assert rates == pytest.approx([0.5 * schedule.factor(t) for t in range(5)])


@pytest.mark.parametrize(("steps", "asked", "decay"), [(8, 0.99, 8 / 18), (8, 0.3, 0.3)])
def test_result_is_the_exponential_moving_average(steps, asked, decay):
    module = Pair()
    path = []

    def note(done, total):
        path.append({k: v.clone() for k, v in module.state_dict().items()})

    _, result = run(steps, module=module, ema_decay=asked, progress=note)
    for name, value in result.state_dict().items():
        if not value.is_floating_point():
            assert value == path[-1][name] > 0  # what is counted is not averaged
            continue
        expected = path[0][name]
        for later in path[1:]:
            expected = decay * expected + (1 - decay) * later[name]
        torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-4)


class Restless(nn.Module):
    """Two layers share a weight; each step puts a new tensor in the place of a statistic."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)
        self.two.weight = self.one.weight
        self.register_buffer("seen", torch.zeros(3))

    def loss(self, x):
        self.seen = self.seen + x.mean(0)
        return (self.two(self.one(x)) - x).pow(2).mean()


def test_what_is_averaged_is_what_the_module_has_now():
    module, (tested, weight) = Restless(), ([], [])

    def note(done, total):
        tested.append(module.seen.clone())
        weight.append(module.one.weight.detach().clone())

    _, result = run(module=module, loss=module.loss, ema_decay=0.3, progress=note)
    for path, found in ((tested, result.seen), (weight, result.one.weight)):
        expected = path[0]
        for later in path[1:]:
            expected = 0.3 * expected + 0.7 * later
        torch.testing.assert_close(found, expected)
    assert result.two.weight is result.one.weight and result.one.weight is not module.one.weight


def test_result_is_the_part_that_was_asked_for_in_eval_mode():
    module = Pair()
    _, result = run(module=module, averaged=module.two)
    assert result.state_dict().keys() == module.two.state_dict().keys()
    assert not result.training
    assert result is not module.two


def test_same_seed_same_weights_whatever_was_drawn_before():
    _, first = run()
    torch.rand(17)
    _, second = run()
    _, other = run(seed=1)
    assert equal(first, second)
    assert not equal(first, other)


def test_global_random_numbers_are_left_alone():
    module = Pair()
    before = torch.get_rng_state()
    run(module=module)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("stopped", [3, 4, 7])
def test_resuming_ends_with_the_same_bits(tmp_path, stopped):
    path = tmp_path / "state"
    whole_module, whole = run()
    with pytest.raises(Interrupted):
        run(checkpoint=path, checkpoint_every=3, progress=interrupt_after(stopped))
    seen = []
    module, result = run(
        checkpoint=path, checkpoint_every=3, progress=lambda done, _: seen.append(done)
    )
    assert seen[0] == stopped // 3 * 3 + 1
    assert seen[-1] == 8
    assert equal(module, whole_module)
    assert equal(result, whole)
    assert not path.exists()


def test_what_was_learned_stays_in_the_checkpoint_until_it_is_saved(tmp_path):
    path = tmp_path / "state"
    whole_module, whole = run()
    with pytest.raises(OSError, match="disk full"), until_saved():
        run(checkpoint=path)
        raise OSError("disk full")
    assert path.exists()
    with until_saved():
        with until_saved():
            module, result = run(checkpoint=path, progress=lambda *_: pytest.fail("trained"))
        assert path.exists()
    assert equal(module, whole_module)
    assert equal(result, whole)
    assert not path.exists()


def test_the_seconds_of_a_run_that_was_resumed_are_those_of_all_its_parts(tmp_path, monkeypatch):
    path, ticks = tmp_path / "state", itertools.count(0, 10)  # a look at the clock is 10 s later
    clock = SimpleNamespace(perf_counter=lambda: next(ticks))
    monkeypatch.setattr(synthaug.core.checkpoint, "time", clock)
    taken = []
    for stopped in (2, 4, 6):
        with pytest.raises(Interrupted), until_saved() as resumed:
            run(checkpoint=path, checkpoint_every=2, progress=interrupt_after(stopped))
        taken.append(resumed.seconds)
    assert taken == [0, 10, 20]
    with until_saved() as resumed:
        run(checkpoint=path)
    assert resumed.seconds == 30


def test_a_checkpoint_of_other_weights_is_named(tmp_path):
    path = tmp_path / "state"
    with pytest.raises(Interrupted):
        run(checkpoint=path, checkpoint_every=1, progress=interrupt_after(2))
    tensors, metadata = read_tensors(path)
    weight = tensors["module/one.weight"]
    path.write_bytes(tensor_bytes({**tensors, "module/one.weight": weight[..., None]}, metadata))
    with pytest.raises(InputError, match=r"not those of this training.*remove it"):
        run(checkpoint=path)


class OneResumes(Team):
    """As seen by the first of two processes whose disks are their own."""

    def gather(self, value):
        return [value, 0]


def test_processes_that_resume_at_other_steps_are_refused(tmp_path):
    """They would average the gradients of those, and the one that is ahead end first."""
    path = tmp_path / "state"
    with pytest.raises(Interrupted):
        run(checkpoint=path, checkpoint_every=1, progress=interrupt_after(2))
    with pytest.raises(InputError, match=r"state: the processes found it after \[2, 0\] steps"):
        run(checkpoint=path, team=OneResumes())


def test_a_resumed_run_does_not_keep_its_file_open(tmp_path):
    """Windows would neither replace nor remove it."""
    path = tmp_path / "state"
    with pytest.raises(Interrupted):
        run(checkpoint=path, checkpoint_every=1, progress=interrupt_after(2))
    mapped = []

    def look(*_):
        maps = Path("/proc/self/maps")
        mapped.append(maps.exists() and str(path) in maps.read_text())

    run(checkpoint=path, progress=look)
    assert mapped
    assert not any(mapped)


@pytest.mark.parametrize("text", [b"", b"notes", b"\x02\0\0\0\0\0\0\0{}"])
def test_unreadable_checkpoint(tmp_path, text):
    path = tmp_path / "state"
    path.write_bytes(text)
    with pytest.raises(InputError, match=r"state: .*remove it"):
        run(checkpoint=path, identity="this")
    assert path.read_bytes() == text


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (".", "expected a file to write, this is a directory"),
        ("notes/state", "cannot write in .*notes .*; name another place"),
    ],
)
def test_a_checkpoint_that_cannot_be_written_is_refused_before_training(tmp_path, place, message):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(InputError, match=f"checkpoint .*: {message}"):
        run(checkpoint=tmp_path / place, progress=lambda *_: pytest.fail("trained"))


def test_checkpoint_of_another_run(tmp_path):
    path = tmp_path / "state"
    with pytest.raises(Interrupted):
        run(checkpoint=path, checkpoint_every=1, identity="this", progress=interrupt_after(2))
    with pytest.raises(InputError, match=r"another run .*; name another file or remove it"):
        run(checkpoint=path, identity="that")


def test_gradients_are_clipped():
    module = nn.Linear(4, 1, bias=False)
    nn.init.zeros_(module.weight)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    phase = Phase("it", optimizer, lambda x: 1000 * module(x).sum())
    optimize(module, [phase], lambda _: torch.ones(1, 4), Schedule(1), Session(0, CPU), clip=0.5)
    assert module.weight.norm().item() == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_loss_that_is_no_number(value):
    module = Pair()

    def loss(x):
        return module.two(module.one(x)).mean() * value

    with pytest.raises(TrainingError, match=r"the one loss became .* at step 0"):
        run(module=module, loss=loss)


def test_weights_that_are_no_numbers():
    """On a GPU a loss is read now and then only, so that its last ones may not have been."""
    module = nn.Linear(4, 1, bias=False)

    class Broken(torch.optim.SGD):
        def step(self, closure=None):
            with torch.no_grad():
                module.weight.fill_(float("nan"))

    phase = Phase("it", Broken(module.parameters(), lr=1.0), lambda x: module(x).sum())
    with pytest.raises(TrainingError, match="weights or statistics that are not finite"):
        optimize(module, [phase], lambda _: torch.ones(1, 4), Schedule(1), Session(0, CPU))
