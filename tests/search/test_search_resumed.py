"""A search that goes on where another ended."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from search_scores import REAL, Made, good

import synthaug.search.rounds as rounds
import synthaug.search.search as search
import synthaug.search.space as space
from synthaug.classifiers import TrainConfig
from synthaug.core import InputError
from synthaug.gain import Arm
from synthaug.generators import registrations
from synthaug.search import Budget

pytest.importorskip("optuna", reason="needs Optuna")


@pytest.mark.usefixtures("on_disk")
def test_a_round_that_was_interrupted_is_taken_up(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the proposals that it had, so that the search is the one it would have been."""
    train = Made.train

    def stopped(self: Made, *others: Any, **options: Any) -> None:
        if options.get("seeds") == [1]:
            raise KeyboardInterrupt
        train(self, *others, **options)

    monkeypatch.setattr(Made, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(good, budget=Budget(trials=12))
    monkeypatch.setattr(Made, "train", train)
    mix, made = run(good, budget=Budget(trials=12))
    monkeypatch.undo()
    assert sum(mix.search["trials"].values()) == 12
    usual = {first["generator"] for first in space.FIRST}
    assert usual <= {name.split()[0] for name, seed in made.trained if seed == 0}


@pytest.mark.usefixtures("on_disk")
def test_a_search_in_pieces_is_the_whole_search(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for trials in (4, 8, 12):
        pieces, _ = run(good, budget=Budget(trials=trials))
    (tmp_path / "search.db").unlink()
    whole, _ = run(good, budget=Budget(trials=12))
    assert pieces.search["tried"] == whole.search["tried"]
    assert pieces.search["trials"] == whole.search["trials"]


def test_where_time_is_over_the_best_so_far_is_taken_to_the_end(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(rounds.time, "monotonic", lambda: next(clock))
    mix, made = run(good, budget=Budget(seconds=2))
    assert mix.search["trials"] == {"complete": 1, "pruned": 4, "fail": 0}
    assert mix.search["waiting"] == 3
    assert mix.search["tried"][0]["arm"].startswith("style-swap")
    clock = iter(range(1000))
    mix, again = run(good, budget=Budget(seconds=3))
    first = {name for name, seed in made.trained if seed == 0 and " 0.25 " in name}
    assert first & {name for name, seed in again.trained if seed == 0}


@pytest.mark.parametrize("writes", [0, 1, 3, 7])
@pytest.mark.parametrize("step", ["enqueue_trial", "ask"])
def test_a_search_that_was_stopped_as_it_began_tries_the_usual_ways(
    run: Callable, monkeypatch: pytest.MonkeyPatch, step: str, writes: int
) -> None:
    import optuna

    left, plain = writes, getattr(optuna.Study, step)

    def stopped(self: Any, *given: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        made = plain(self, *given, **options)
        if left < 0:
            raise KeyboardInterrupt  # when it is written, and nothing more is
        return made

    _, whole = run(good, budget=Budget(trials=8))
    other = {"budget": Budget(trials=8), "families": [*registrations()][::-1]}  # another search
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, step, stopped)
        with pytest.raises(KeyboardInterrupt):
            run(good, **other)
    mix, again = run(good, **other)
    begun = [{name for name, seed in made.trained if seed == 0} for made in (again, whole)]
    assert begun[0] == begun[1]  # equals may be halved in another order
    assert sum(mix.search["trials"].values()) == 8


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("name", ["a%20b", "a?b", "a#b:c", "ä b"])
def test_proposals_are_kept_where_they_belong_whatever_that_is_called(
    tmp_path: Path, name: str
) -> None:
    import optuna

    (tmp_path / name).mkdir()
    with rounds.storage_in(optuna, tmp_path / name / "search.db") as storage:
        optuna.create_study(study_name="one", storage=storage)
    assert [path.name for path in tmp_path.rglob("*.db")] == ["search.db"]
    assert (tmp_path / name / "search.db").stat().st_size > 0


@pytest.mark.usefixtures("on_disk")
def test_proposals_that_are_damaged_are_named(tmp_path: Path) -> None:
    import optuna

    file = tmp_path / "search.db"
    with rounds.storage_in(optuna, file) as storage:
        optuna.create_study(study_name="one", storage=storage)
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"not a database" * 99):
        file.write_bytes(damaged)
        with (
            pytest.raises(InputError, match=r"search\.db: damaged; remove it, and the search"),
            rounds.storage_in(optuna, file) as storage,
        ):
            optuna.load_study(study_name="one", storage=storage).ask()


@pytest.mark.usefixtures("on_disk")
def test_two_processes_do_not_search_alike_in_one_place(
    run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fcntl")
    inner: list[str] = []
    train = Made.train

    def beside(self: Made, *others: Any, **options: Any) -> None:
        if not inner:
            inner.append("")
            with pytest.raises(InputError, match="another process is at the same search"):
                run(good, budget=Budget(trials=1))
            monkeypatch.setattr(search, "open_comparison", outer)
        train(self, *others, **options)

    outer = search.open_comparison
    monkeypatch.setattr(Made, "train", beside)
    run(good, budget=Budget(trials=1))
    assert inner


def test_a_disk_that_fills_up_is_warned_of(run: Callable, monkeypatch: Any) -> None:
    """The images of all proposals stay there until the search is over."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.warns(UserWarning, match=r"take 0\.0 GB at least .* name a place with more"):
        run(good)


def test_a_search_with_another_recipe_is_another_search(
    run: Callable,
) -> None:
    """Though its arms are called the same, and its runs are kept in the same place."""
    run(good, budget=Budget(trials=5))
    others = [Arm(arm.name, TrainConfig(weight_decay=0.1)) for arm in REAL]
    mix, made = run(good, others, budget=Budget(trials=5))
    assert sum(mix.search["trials"].values()) == 5
    assert len({name for name, seed in made.trained if seed == 0}) >= 5


@pytest.mark.usefixtures("on_disk")
def test_a_search_goes_on_where_another_ended(run: Callable) -> None:
    first, before = run(good, budget=Budget(trials=6))
    again, after = run(good, budget=Budget(trials=18))
    assert sum(first.search["trials"].values()) == 6
    assert sum(again.search["trials"].values()) == 18
    with_synthetic = [
        (name, seed) for name, seed in before.trained if " hard" in name or " mixed" in name
    ]
    assert before.recalled == []
    assert sorted(after.recalled) == sorted(each for each in with_synthetic if each[1] in (0, 1, 2))
    tried = {name for name, seed in before.trained if seed == 0}
    assert len({name for name, seed in after.trained if seed == 0} - tried) > 5
    assert again.search["check"]["points"] >= first.search["check"]["points"]


@pytest.mark.usefixtures("on_disk")
def test_its_file_is_closed_before_its_directory_is_removed(run: Callable) -> None:
    _, made = run(good, budget=Budget(trials=1))
    assert made.left_open == []
