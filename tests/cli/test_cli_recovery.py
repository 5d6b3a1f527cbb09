"""Processes that are interrupted or killed: what they say, what they leave, and how they go on."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from torch.optim.optimizer import register_optimizer_step_post_hook

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals differ there"),
    pytest.mark.usefixtures("tiny_networks"),
]

# Sampling that takes as long as it is waited for, within the writing of a pool.
SLOW_POOL = """
import time
import synthaug.pool.sample_pool as pools
write = pools.write_array
def slow(path, array):
    write(path, array)
    time.sleep(600)
pools.write_array = slow
from synthaug.cli.main import run
run()
"""
# Small networks with checkpoints every few steps, and the command line.
PROGRAM = """
import synthaug.classifiers.networks as networks
import synthaug.core.training
import tiny_network
networks.SmallResNet = tiny_network.Tiny
synthaug.core.training.optimize.__kwdefaults__["checkpoint_every"] = 10
from synthaug.cli.main import run
run()
"""
# Of every process that is started: what is being written is not done for as long as anybody waits.
SLOW_DISK = """
import os, time
os.fsync = lambda _: time.sleep(600)
"""
PATIENCE = 90  # seconds
GOES_ON = "; run the same command again to go on from what was saved, if anything was"
INTERRUPTED, TERMINATED = f"interrupted{GOES_ON}", f"terminated{GOES_ON}"


@contextmanager
def started(
    *words: str | Path, program: str = PROGRAM, path: Path | str = ""
) -> Iterator[subprocess.Popen]:
    """`synthaug WORDS` in a session of its own, which is over when the block ends; `path` has
    modules for all of its processes."""
    tests = str(Path(__file__).parents[1])
    places = os.pathsep.join(filter(None, [str(path), tests, os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)],
        # No program is at hand, as in a slim container: not even pgrep, to find processes with.
        env={**os.environ, "PATH": "", "PYTHONPATH": places},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # What starts the tests in the background may have them ignore interruptions, and a process
        # inherits that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        yield process
    finally:
        process.kill()
        for each in members(process.pid):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        process.communicate()


def members(session: int) -> list[int]:
    """The processes of a session that are not just waiting to be reaped."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, owner = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:4]
        except OSError:
            continue  # it has ended in the meantime
        if int(owner) == session and state != "Z":
            found.append(int(entry.name))
    return found


def wait_until(condition: Callable[[], Any], process: subprocess.Popen | None = None) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it took too long"
        if process is not None:
            assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def finished_cells(cache: Path) -> list[Path]:
    return sorted(path.parent for path in cache.glob("*/cells/[!.]*/manifest.json"))


def leftovers(folder: Path) -> list[Path]:
    """Files and folders that were being written."""
    return [path for path in folder.rglob("*") if path.name.endswith((".partial", ".old"))]


FIT = ("--generator", "vae", "--device", "cpu")


def test_an_interrupted_fit_leaves_its_checkpoint_only(data: Path, tmp_path: Path) -> None:
    output, checkpoint = tmp_path / "generator", tmp_path / "generator.checkpoint"
    with started("fit", data, *FIT, "--steps", "100000", "-o", output) as process:
        wait_until(checkpoint.exists, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert (out, err) == ("", INTERRUPTED + "\n")
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_a_terminated_sampling_leaves_nothing(generator: Path, tmp_path: Path) -> None:
    words = ("sample", generator, "--per-class", "4", "-o", tmp_path / "pool")
    with started(*words, "--device", "cpu", program=SLOW_POOL) as process:
        wait_until(lambda: leftovers(tmp_path), process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (143, "", "terminated\n")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_fit_goes_on_to_the_same_weights(
    call: Callable, data: Path, tmp_path: Path
) -> None:
    output, whole = tmp_path / "generator", tmp_path / "whole"
    checkpoint = tmp_path / "generator.checkpoint"
    words = ("fit", data, *FIT, "--steps", "60")
    with started(*words, "-o", output) as process:
        wait_until(checkpoint.exists, process)
        process.kill()
    assert not output.exists()
    assert checkpoint.exists()
    other = call(*words, "--seed", "1", "-o", output)
    assert other.status == 2
    assert "the checkpoint of another run" in other.err
    assert call(*words, "-o", output).status == 0
    assert call(*words, "-o", whole).status == 0
    resumed, undisturbed = (load_file(each / "weights.safetensors") for each in (output, whole))
    assert resumed.keys() == undisturbed.keys()
    assert all(np.array_equal(resumed[key], undisturbed[key]) for key in resumed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["generator", "whole"]


def test_a_fit_whose_result_cannot_be_written_is_not_lost(
    call: Callable, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("fit", data, *FIT, "--steps", "6", "-o", tmp_path / "generator")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("synthaug.generators.base.write_generator", full)
        done = call(*words)
    assert (done.status, done.err) == (1, "error: No space left on device\n")
    assert [path.name for path in tmp_path.iterdir()] == ["generator.checkpoint"]
    steps: list[object] = []
    hook = register_optimizer_step_post_hook(lambda *step: steps.append(step))
    assert call(*words).status == 0
    hook.remove()
    assert not steps  # nothing is trained again
    assert [path.name for path in tmp_path.iterdir()] == ["generator"]


@pytest.mark.parametrize("format", ["folder", "tar"])
def test_an_export_to_a_full_disk_says_where(
    call: Callable, pool: Path, format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", full)
    target = tmp_path / "made"
    done = call("export", pool, "-o", target, "--format", format)
    assert (done.status, done.err) == (1, f"error: {target}: No space left on device\n")
    assert not target.exists()


def test_a_gain_whose_result_cannot_be_written_is_shown(
    call: Callable, data: Path, quick: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("synthaug.gain.Gain.save", full)
    place = ("--cache", tmp_path / "cells", "--json", tmp_path / "gain.json", "--quiet")
    done = call("gain", data, *quick, *place)
    assert (done.status, done.err) == (1, "error: No space left on device\n")
    assert "Recommended: " in done.out


@pytest.mark.skipif(not Path("/proc").exists(), reason="counts processes in /proc")
def test_a_stopped_gain_leaves_finished_runs_only_and_no_process(
    data: Path, quick: tuple, tmp_path: Path
) -> None:
    cache, target = tmp_path / "cells", tmp_path / "result.json"
    slow = (*quick, "--steps", "6", "--jobs", "2")
    with started("gain", data, *slow, "--cache", cache, "--json", target) as process:
        wait_until(lambda: finished_cells(cache), process)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
        wait_until(lambda: not members(process.pid))
    assert process.returncode == 143
    assert out == ""
    assert err.splitlines()[-1] == TERMINATED
    assert list(tmp_path.iterdir()) == [cache]
    assert finished_cells(cache)
    assert leftovers(cache) == []


@pytest.mark.skipif(not Path("/proc").exists(), reason="counts processes in /proc")
def test_a_gain_that_is_stopped_while_its_processes_write_leaves_nothing(
    data: Path, quick: tuple, tmp_path: Path
) -> None:
    """They are killed, so that what they were writing is the first one's to clear away."""
    cache, path = tmp_path / "cells", tmp_path / "modules"
    path.mkdir()
    (path / "sitecustomize.py").write_text(SLOW_DISK)
    with started("gain", data, *quick, "--jobs", "2", "--cache", cache, path=path) as process:
        wait_until(lambda: leftovers(cache), process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        wait_until(lambda: not members(process.pid))
    assert leftovers(tmp_path) == []


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds processes in /proc")
def test_a_killed_gain_says_nothing_of_what_its_processes_shared(
    data: Path, quick: tuple, tmp_path: Path
) -> None:
    """The process that clears it away, the last one to end, warns of it otherwise."""
    words = (*quick, "--steps", "6", "--jobs", "2", "--cache", tmp_path / "cells", "--quiet")
    with started("gain", data, *words) as process:
        wait_until(lambda: finished_cells(tmp_path / "cells"), process)
        process.kill()  # before it sees its processes end, and tells of that
        for each in {*members(process.pid)} - trackers(process.pid):
            os.kill(each, signal.SIGKILL)
        _, err = process.communicate(timeout=PATIENCE)  # once the trackers have ended, too
    assert err == ""


def trackers(session: int) -> set[int]:
    """Of a session's processes those that clear away what the others shared."""
    return {
        each
        for each in members(session)
        if b"resource_tracker import main" in Path(f"/proc/{each}/cmdline").read_bytes()
    }


def test_a_killed_gain_goes_on_to_the_same_result(
    call: Callable, data: Path, quick: tuple, tmp_path: Path
) -> None:
    cache = tmp_path / "cells"
    words = ("gain", data, *quick, "--steps", "4")
    with started(*words, "--cache", cache, "--json", tmp_path / "killed.json") as process:
        wait_until(lambda: len(finished_cells(cache)) >= 5, process)
        process.kill()
    assert not (tmp_path / "killed.json").exists()
    before = {path: path.stat() for path in finished_cells(cache)}
    files = {path: path.stat() for cell in before for path in cell.iterdir()}
    resumed = call(*words, "--cache", cache, "--keep", "--json", tmp_path / "resumed.json")
    assert resumed.status == 0, resumed.err
    assert len(finished_cells(cache)) > len(before)
    for path, known in {**before, **files}.items():
        now = path.stat()
        assert (now.st_ino, now.st_mtime_ns) == (known.st_ino, known.st_mtime_ns), path
    whole = tmp_path / "whole.json"
    assert call(*words, "--cache", tmp_path / "others", "--json", whole).status == 0
    assert result(tmp_path / "resumed.json") == result(whole)
    # And all of it goes when a run that uses it is done.
    assert call(*words, "--cache", cache).status == 0
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["predicted.npy", "weights.safetensors", "tested-*.npy", "manifest.json"]
)
def test_a_damaged_cell_is_named(
    call: Callable, data: Path, quick: tuple, kept: Path, tmp_path: Path, name: str
) -> None:
    cache = tmp_path / "cells"
    shutil.copytree(kept, cache)
    if name == "weights.safetensors":  # of no use to those that have said what they are asked
        for said in cache.glob("*/cells/*/tested-*.npy"):
            said.unlink()
    for damaged in cache.glob(f"*/cells/*/{name}"):
        damaged.write_text("{}" if name == "manifest.json" else "cut short")
    done = call("gain", data, *quick, "--cache", cache)
    assert done.status == 2, done
    message = done.err.splitlines()[-1]
    assert message.startswith("error: ") and "--debug" not in message
    assert str(cache) in message and "damaged (" in message
    assert message.endswith("; remove it, and it is trained again")


@pytest.fixture(scope="module")
def kept(
    call: Callable, data: Path, quick: tuple, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The cells of a gain that is done."""
    cache = tmp_path_factory.mktemp("kept") / "cells"
    done = call("gain", data, *quick, "--cache", cache, "--keep")
    assert done.status == 0, done.err
    return cache


def result(path: Path) -> dict[str, Any]:
    """What `gain --json` wrote, without times and the command itself."""
    value = json.loads(path.read_text())
    for arm in value["arms"]:
        assert all(seconds > 0 for seconds in arm.pop("seconds"))
    del value["protocol"]["command"]
    return value
