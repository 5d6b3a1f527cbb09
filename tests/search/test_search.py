"""The search for a way of mixing: what it proposes, gives up, and recommends. Scores are made up,
so that nothing is trained; the command's own test trains."""

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from measurement import search as search_for_mix
from scipy import stats

import synthaug.search.rounds as rounds
import synthaug.search.search as search
import synthaug.search.space as space
from synthaug.classifiers import TrainConfig
from synthaug.core import InputError, TrainingError
from synthaug.data import LabelledImages
from synthaug.gain import Arm
from synthaug.gain.baselines import Tuning
from synthaug.generators import Composite, StyleSwap, TransferVAE, registrations
from synthaug.mixing import MixConfig
from synthaug.search import Budget

pytest.importorskip("optuna", reason="needs Optuna")
REAL = [Arm("classical", TrainConfig()), Arm("mixup", TrainConfig(mix="mixup"))]
Score = Callable[[Arm, int], float]


class Made:
    """Trials whose scores are made up."""

    def __init__(self, score: Score, directory: Path, train: LabelledImages) -> None:
        plan = ([], "ten of the images")
        self.experiment = SimpleNamespace(
            directory=directory,
            train=train,
            plan=lambda _: plan,
            folds=lambda _: [SimpleNamespace(name="all", trained=train)],
        )
        self.metric, self.steps = "accuracy", 0
        self.seeds: list[int] = []
        self.teacher = REAL[0]
        self.trained: list[tuple[str, int]] = []
        self.recalled: list[tuple[str, int]] = []
        self.left_open: list[str] = []
        self._score = score

    def train(
        self,
        arms: Sequence[Arm],
        what: str,
        *,
        seeds: list[int] | None = None,
        to_test: bool = True,
    ) -> None:
        for arm in arms:
            if arm.source is not None and arm.source.filters == {"memorization": 0.25}:
                raise InputError("the filters left nothing")
            self.trained += [(arm.name, seed) for seed in seeds or self.seeds]

    def expect_trained(self, arms: Sequence[Arm], seeds: list[int]) -> None:
        pass

    def validation(
        self, arms: Sequence[Arm], *, seeds: list[int] | None = None
    ) -> dict[Arm, np.ndarray]:
        return {arm: np.array([self._score(arm, s) for s in seeds or self.seeds]) for arm in arms}

    def race(self, arms: Sequence[Arm], what: str, *, beside: Sequence[Arm]) -> None:
        self.train(arms, what)

    def differences(self, arm: Arm, other: Arm, seeds: list[int]) -> list[float]:
        return [100 * (self._score(arm, seed) - self._score(other, seed)) for seed in seeds]

    def resolution(self, seed: int) -> float:
        return 0.1

    def recall(self, arm: Arm, seeds: list[int]) -> None:
        self.recalled += [(arm.name, seed) for seed in seeds]

    def taken_over(self) -> tuple[int, float]:
        return 0, 0.0

    def seeds_of(self, arm: Arm) -> list[int]:
        return self.seeds

    def best(self, arms: Sequence[Arm]) -> Arm:
        return max(arms, key=lambda arm: float(self.validation([arm])[arm].mean()))


@pytest.fixture
def on_disk() -> None:
    """For tests of the file that proposals are kept in."""


@pytest.fixture(autouse=True)
def in_memory(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proposals are kept in memory, by the name of their file, in most tests: what is proposed is
    the same, and Optuna's database takes most of the time."""
    import optuna

    kept: dict[Path, optuna.storages.InMemoryStorage] = {}

    def storage_in(_: Any, path: Path) -> nullcontext:
        return nullcontext(kept.setdefault(path, optuna.storages.InMemoryStorage()))

    if "on_disk" not in request.fixturenames:
        monkeypatch.setattr(rounds, "storage_in", storage_in)


def open_files(name: str) -> list[str]:
    """Those of this process that have the name, where the system tells."""
    links = [path.readlink() for path in Path("/proc/self/fd").glob("*") if path.is_symlink()]
    return [str(link) for link in links if link.name == name]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[MixConfig, Made]]:
    images = np.tile(np.arange(40, dtype=np.uint8)[:, None, None, None], (1, 1, 8, 8))
    train = LabelledImages(images, np.repeat([0, 1], 20), ["a", "b"])

    def searched(score: Score, **options: Any) -> tuple[MixConfig, Made]:
        made = Made(score, tmp_path, train)

        @contextmanager
        def opened(experiment: Any, seeds: list[int], **others: Any) -> Iterator[Made]:
            made.seeds = seeds
            yield made
            made.left_open = open_files("search.db")

        monkeypatch.setattr(search, "open_comparison", opened)
        monkeypatch.setattr(search, "tune", lambda *_: Tuning(TrainConfig(), 100, []))
        monkeypatch.setattr(search, "without_synthetic", lambda *_, **__: (REAL, REAL[0]))
        return search_for_mix(train, **{"budget": Budget(trials=40), "jobs": 2, **options}), made

    return searched


def good(arm: Arm, seed: int) -> float:
    """Half the images, more with style swap at a low ratio on MixUp, and some luck."""
    value = 0.5 + 0.01 * (arm.config.mix == "mixup")
    if arm.source is not None:
        value += 0.03 if arm.source.name.startswith("style-swap") else -0.05
        value -= 0.1 * (arm.ratio - 0.125)
    return value + 0.001 * (seed % 3)


def test_the_best_way_is_found_and_checked_on_seeds_of_its_own(run: Callable) -> None:
    mix, made = run(good, budget=Budget(trials=100))
    assert isinstance(mix.generator, StyleSwap)
    assert (mix.ratio, mix.training["partner"]) == (0.125, "mixup")
    assert mix.training["recipe"]["mix"] == "mixup"
    assert mix.search["checked_over"] == "mixup"
    # Each proposal on the seeds of the search; the winner and the baseline on the others, last.
    searching = [seed for _, seed in made.trained[: -2 * 3]]
    assert set(searching) == {0, 1, 2} == set(mix.search["seeds"])
    assert [seed for _, seed in made.trained[-2 * 3 :]] == 2 * [3, 4, 5]
    assert mix.search["check"]["points"] == pytest.approx(3.0)
    assert mix.recommended


def test_a_recipe_says_what_its_images_leave_open(run: Callable) -> None:
    others = np.random.default_rng(0).integers(0, 255, (21, 1, 8, 8), np.uint8)
    others[0] = 0  # as one of the training images is
    validation = LabelledImages(others, np.zeros(21, np.int64), ["a", "b"])
    mix, _ = run(good, validation=validation)
    twice, unseen, alike, judged, length = mix.search["caveats"]
    assert length.startswith("the number of steps was given, not tuned")
    assert judged.startswith("all seeds are judged by the same validation images")
    assert twice == "1 of the 21 validation images are train images, too"
    assert unseen.startswith("there is no validation image of 'b'")
    assert alike.startswith("all seeds train on the same real images")


def test_those_that_others_beat_or_that_cannot_be_trained_are_given_up(run: Callable) -> None:
    mix, made = run(good, budget=Budget(trials=60))
    ends = mix.search["trials"]
    assert ends["pruned"] >= 5 and ends["complete"] >= 5
    assert sum(ends.values()) == 60
    per_seed = [len({name for name, at in made.trained if at == seed}) for seed in range(3)]
    assert per_seed[0] > 1.5 * per_seed[1] > 1.5 * per_seed[2]
    assert mix.generator is not None
    assert "memorization" not in mix.filters
    # What failed teaches the search: a third of the space fails, and it is not proposed as often.
    assert 1 <= ends["fail"] <= 12


def test_each_round_keeps_its_better_half_whatever_its_order(run: Callable) -> None:
    """The second best of the first round comes after the best, and only just behind it."""
    names = ["blend", "style-swap"]

    def close(arm: Arm, seed: int) -> float:
        places = [place for place, name in enumerate(names) if arm.name.startswith(name)]
        return 0.5 if arm.source is None else 0.531 - 0.001 * places[0] if places else 0.4

    _, made = run(close, budget=Budget(trials=8))
    for name in names:
        assert {seed for arm, seed in made.trained if arm.startswith(name)} >= {0, 1, 2}
    others = {arm for arm, seed in made.trained if seed == 2 and "0.25" in arm}
    assert all(arm.startswith(tuple(names)) for arm in others)


def test_none_is_tried_twice_nor_counted_twice(run: Callable) -> None:
    mix, made = run(good, families=["style-swap", "patch-swap"], budget=Budget(trials=50))
    ends = mix.search["trials"]
    trained = {name for name, seed in made.trained if seed == 0 and "swap" in name}
    assert len(trained) + ends["fail"] == sum(ends.values()) == 50
    shown = {row["arm"]: row["points"] for row in mix.search["tried"]}
    for name, points in shown.items():
        ratio = float(re.findall(r" (0\.\d+) ", name)[0])
        over = (0.03 if name.startswith("style-swap") else -0.05) - 0.1 * (ratio - 0.125)
        expected = over - 0.01 * ("mixup" not in name)
        assert points == pytest.approx(100 * expected, abs=0.01)


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
    for trials in (8, 16, 24):
        pieces, _ = run(good, budget=Budget(trials=trials))
    (tmp_path / "search.db").unlink()
    whole, _ = run(good, budget=Budget(trials=24))
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


def test_where_the_winner_cannot_be_checked_the_next_one_is(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, winner = Made.train, run(good)[0].search["best"]

    def failing(self: Made, arms: Sequence[Arm], what: str, **options: Any) -> None:
        if what == "checking the best" and winner in [arm.name for arm in arms]:
            raise InputError("the filters left 3 of 400 images")
        train(self, arms, what, **options)

    monkeypatch.setattr(Made, "train", failing)
    mix, _ = run(good)
    assert mix.search["best"] not in (None, winner)
    assert any(winner in each and "left 3 of 400" in each for each in mix.search["caveats"])


def test_the_one_that_is_not_clearly_beaten_is_the_one_shown(run: Callable) -> None:
    """Of the two that a way with mixed labels has to beat."""

    def noisy(arm: Arm, seed: int) -> float:
        if arm.distilled:
            return 0.5 + 0.1 * (seed % 3)  # on the mean far behind, but not on each seed
        return 0.6 if arm.source is None else 0.7 if arm.labels == "mixed" else 0.5

    mix, _ = run(noisy)
    assert mix.labels == "mixed" and not mix.recommended
    assert mix.search["checked_over"].endswith("distilled")
    assert mix.search["check"]["low"] <= 0
    # To be seen, a gain has to be seen over each of them.
    assert mix.search["smallest_detectable"] > mix.search["check"]["smallest_detectable"]


def test_how_small_a_gain_it_could_have_seen_is_that_of_its_own_test(run: Callable) -> None:
    mix, _ = run(lambda arm, seed: 0.5 + 0.01 * (arm.source is not None) * (1 + seed % 3))
    check = mix.search["check"]
    assert check["per_seed"] == pytest.approx([1.0, 2.0, 3.0])
    assert mix.recommended  # one-sided at 5 %, which the usual interval would not show
    assert 0 < check["low"] < 0.5
    # Power of a one-sided t test with 2 degrees of freedom.
    noncentral = check["smallest_detectable"] / (1 / np.sqrt(3))
    power = stats.nct.sf(stats.t.ppf(0.95, 2), 2, noncentral)
    assert power == pytest.approx(0.8, abs=1e-4)


def test_a_way_has_to_beat_what_it_is_without_synthetic_images(run: Callable) -> None:
    """Which may be better than the baseline, that was the best on the seeds of the search."""

    def lucky(arm: Arm, seed: int) -> float:
        if arm.source is not None:
            return 0.62 if arm.config.mix == "mixup" else 0.3
        return 0.5 + 0.05 * (
            arm.config.mix != "mixup" if seed < 3 else 2 * (arm.config.mix == "mixup")
        )

    mix, made = run(lucky)
    assert mix.training["partner"] == "mixup"
    assert ("mixup", 3) in made.trained and mix.search["checked_over"] == "mixup"
    assert mix.search["check"]["points"] == pytest.approx(2.0)


@pytest.mark.usefixtures("on_disk")
def test_a_winner_after_another_says_that_seeds_were_asked_before(run: Callable) -> None:
    def first(arm: Arm, seed: int) -> float:
        return 0.5 + 0.01 * (arm.source is not None)

    def other(arm: Arm, seed: int) -> float:
        return first(arm, seed) + 0.1 * (arm.source is not None and arm.name not in known)

    told = "went on, and all of them were checked on the same seeds"
    one, made = run(first, budget=Budget(trials=8))
    known = {name for name, _ in made.trained}
    same, _ = run(first, budget=Budget(trials=8))
    two, _ = run(other, budget=Budget(trials=24))
    assert two.search["best"] != one.search["best"] == same.search["best"]
    assert [any(told in each for each in mix.search["caveats"]) for mix in (one, same, two)] == [
        False,
        False,
        True,
    ]


def test_luck_in_the_search_is_no_recommendation(run: Callable) -> None:
    mix, _ = run(lambda arm, seed: 0.5 + (0.05 if arm.source is not None and seed < 3 else 0.0))
    assert mix.search["tried"][0]["points"] == pytest.approx(5.0)
    assert mix.search["check"]["points"] == pytest.approx(0.0)
    assert not mix.recommended
    assert mix.generator is not None  # which gain --mix-config measures all the same


def test_mixed_labels_are_no_gain_where_they_are_as_good_without_synthetic_images(
    run: Callable,
) -> None:
    """With the teacher's labels MixUp is as good with synthetic images as without."""

    def softened(arm: Arm, seed: int) -> float:
        soft = arm.distilled or (arm.source is not None and arm.labels == "mixed")
        return 0.5 + 0.05 * (soft and arm.config.mix == "mixup")

    mix, made = run(softened)
    assert (mix.labels, mix.training["partner"]) == ("mixed", "mixup")
    assert mix.search["tried"][0]["points"] == pytest.approx(5.0)
    assert mix.search["baseline"] == "classical"  # what the search compared with
    assert mix.search["checked_over"] == "mixup, distilled"
    assert ("mixup, distilled", 3) in made.trained
    assert mix.search["check"]["points"] == pytest.approx(0.0)
    assert not mix.recommended


def test_mixed_labels_have_to_gain_over_the_baseline_and_over_their_partner_with_such_labels(
    run: Callable,
) -> None:
    """Softened, MixUp was the better of the two on the seeds of the search, and the worse on the
    others: the baseline is as good as the winner there."""

    def softened(arm: Arm, seed: int) -> float:
        if arm.source is not None:
            return 0.6 * (arm.labels == "mixed" and arm.config.mix == "mixup")
        if seed < 3:
            return 0.55 if arm.distilled else 0.5
        return 0.5 if arm.distilled else 0.6

    mix, made = run(softened)
    assert mix.labels == "mixed"
    assert {("mixup, distilled", 3), ("classical", 3)} <= set(made.trained)
    assert mix.search["checked_over"] in ("classical", "mixup")
    assert not mix.recommended


def test_nothing_is_built_on_what_was_given_up(run: Callable, monkeypatch: Any) -> None:
    """It has the better mean, on fewer seeds."""
    monkeypatch.setattr(Made, "seeds_of", lambda self, arm: self.seeds[: 2 + (arm == REAL[0])])
    mix, made = run(good, budget=Budget(trials=20))
    assert mix.training["partner"] == "classical"
    assert not any(name.endswith(", mixup") for name, _ in made.trained)


def test_a_disk_that_fills_up_is_warned_of(run: Callable, monkeypatch: Any) -> None:
    """The images of all proposals stay there until the search is over."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.warns(UserWarning, match=r"take 0\.0 GB at least .* name a place with more"):
        run(good)


def test_a_search_with_another_recipe_is_another_search(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its arms are called the same, and its cells are kept in the same place."""
    run(good, budget=Budget(trials=5))
    monkeypatch.setitem(
        globals(), "REAL", [Arm(a.name, TrainConfig(weight_decay=0.1)) for a in REAL]
    )
    mix, made = run(good, budget=Budget(trials=5))
    assert sum(mix.search["trials"].values()) == 5
    assert len({name for name, seed in made.trained if seed == 0}) >= 5


def is_gan(arm: Arm) -> bool:
    return arm.source is not None and arm.source.name.startswith("gan")


def test_a_training_that_breaks_down_does_not_end_the_search(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = Made.train

    def breaking(self: Made, arms: Sequence[Arm], *others: Any, **options: Any) -> None:
        if any(is_gan(arm) for arm in arms):
            raise TrainingError("one of the processes was ended from outside")
        train(self, arms, *others, **options)

    monkeypatch.setattr(Made, "train", breaking)
    mix, _ = run(good, budget=Budget(trials=30))
    assert mix.search["trials"]["fail"] >= 1 and mix.search["trials"]["complete"] >= 5


def test_a_training_that_diverges_does_not_end_the_search(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in a round nor on the seeds of the check."""

    def diverging(_: Made, arms: Sequence[Arm], seeds: list[int]) -> None:
        for arm in arms:
            if is_gan(arm) or (arm.source is not None and max(seeds) > 2):
                raise TrainingError(f"{arm.name}: the loss is not a number")

    monkeypatch.setattr(Made, "expect_trained", diverging)
    mix, made = run(good, budget=Budget(trials=30))
    assert mix.search["trials"]["fail"] >= 1 and mix.search["trials"]["complete"] >= 5
    diverged = [each for each in mix.search["errors"] if "not a number" in each]
    assert diverged and all(each.startswith("gan") for each in diverged)
    # On the seeds of the check nothing with synthetic images could be trained at all.
    assert mix.search["best"] is None and not mix.recommended
    tried = {name for name, seed in made.trained if seed > 2}
    said = [each for each in mix.search["caveats"] if "on the seeds of the check" in each]
    assert len(said) == mix.search["trials"]["complete"]
    assert {each.partition(" could not")[0] for each in said} <= tried


def test_leaks_are_refused_before_the_search() -> None:
    images = np.random.default_rng(0).integers(0, 255, (40, 1, 8, 8), dtype=np.uint8)
    groups = np.arange(40) // 2
    train = LabelledImages(images, np.repeat([0, 1], 20), ["a", "b"], groups)
    other = LabelledImages(images, train.labels, ["a", "c"])
    with pytest.raises(InputError, match="validation: expected the training classes"):
        search_for_mix(train, Budget(trials=1), validation=other)
    with pytest.raises(InputError, match="group"):
        search_for_mix(train, Budget(trials=1), validation=train)


@pytest.mark.usefixtures("on_disk")
def test_a_search_goes_on_where_another_ended(run: Callable) -> None:
    first, before = run(good, budget=Budget(trials=10))
    again, after = run(good, budget=Budget(trials=30))
    assert sum(first.search["trials"].values()) == 10
    assert sum(again.search["trials"].values()) == 30
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


def test_a_space_that_is_searched_through_ends_before_the_budget(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "REPEATS", 30)
    mix, made = run(good, families=["random-field"], budget=Budget(seconds=3600))
    names = {name for name, _ in made.trained if name.startswith("random-field")}
    assert len(names) <= 2 * 3 * 2 * 2  # filters that leave something, ratios, labels, partners
    assert not mix.recommended  # it is worse than none


def test_a_budget_that_is_over_at_once_recommends_none(
    run: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds.Rounds, "run", lambda *_: None)
    mix, _ = run(good)
    assert (mix.generator, mix.search["check"], mix.recommended) == (None, None, False)


@pytest.mark.parametrize("most", [20, 1])
def test_one_network_a_class_only_where_classes_are_few(
    run: Callable, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "MOST_PER_CLASS", most)
    _, made = run(good, families=["gan"], budget=Budget(trials=12))
    assert any("per-class" in name for name, _ in made.trained) == (most == 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 1}, "seeds: expected an integer of at least 2, got 1"),
        ({"budget": 1200}, r"budget: expected a Budget, as Budget\(seconds=1200\), got 1200"),
        ({"families": ["diffusion"]}, "families: expected some of transfer"),
        ({"families": []}, "families: expected some of transfer"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Callable, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(good, **options)
    for wrong in ({}, {"seconds": 0.0}, {"seconds": "20m"}, {"trials": -1}, {"trials": 2.5}):
        with pytest.raises(InputError, match="budget"):
            Budget(**wrong)


def test_sampling_settings_are_in_the_recipe(run: Callable) -> None:
    def within(arm: Arm, seed: int) -> float:
        told = arm.source is not None and arm.source.sampling.get("donors") == "within"
        return 0.6 if told else 0.5

    mix, _ = run(within)
    assert isinstance(mix.generator, TransferVAE)
    assert mix.generator.donors == "within"


@pytest.mark.parametrize(
    ("family", "parts", "kinds"),
    [("blend", ["vae", "style-swap"], 3), ("chain", ["patch-swap", "style-swap"], 4)],
)
def test_a_composite_is_proposed_kept_and_read_again(
    run: Callable, tmp_path: Path, family: str, parts: list[str], kinds: int
) -> None:
    def wanted(arm: Arm, seed: int) -> float:
        return 0.6 if f"of {' and '.join(parts)}" in arm.name else 0.5

    mix, made = run(wanted, families=[family], budget=Budget(trials=40))
    mix.save(tmp_path / "recipe.json")
    assert MixConfig.load(tmp_path / "recipe.json").generator == mix.generator
    assert isinstance(mix.generator, Composite)
    assert [part.name for part in mix.generator.parts] == parts
    proposed = {name.split(" 0.")[0] for name, _ in made.trained if name.startswith(family)}
    ways = {re.sub(" (per-class|distance filter|memorization filter)", "", n) for n in proposed}
    assert len(ways) == kinds
    # A scope says nothing about what does not learn.
    assert all("vae" in name or "transfer" in name for name in proposed if "per-class" in name)
