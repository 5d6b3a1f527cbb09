"""Train proposals for a way of mixing seed after seed, and give up early where others do better."""

import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synthaug.core import InputError, TrainingError, expect_count, expect_number, stream_seed
from synthaug.gain import Arm, Comparison, alone, short_digest, warn_of_room
from synthaug.search.space import FIRST, propose

ROUND = 8  # proposals side by side, however many processes there are: these change no choice
SAME = 3  # proposals in a row that were tried before; the next ones are drawn more varied
REPEATS = 100  # proposals in a row that were tried before; the space is taken as searched then
BEGUN = "begun"  # a search all of whose usual ways are there
WORST = -100.0  # points: what a proposal counts that cannot be trained


@dataclass(frozen=True)
class Budget:
    """The length of a search: seconds or proposals, whichever ends first.

    Args:
        seconds: Seconds, above 0.
        trials: Number of proposals, at least 1.

    Raises:
        InputError: If neither is given, or one is out of range.

    Examples:
        >>> from synthaug.search import Budget
        >>> Budget(seconds=1200), Budget(trials=30)
        (Budget(seconds=1200, trials=None), Budget(seconds=None, trials=30))
    """

    seconds: float | None = None
    trials: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is None and self.trials is None:
            raise InputError("budget: expected seconds or a number of trials")
        if self.seconds is not None:
            expect_number("budget: seconds", self.seconds)
        if self.trials is not None:
            expect_count("budget: trials", self.trials)


@contextmanager
def storage_in(optuna: Any, path: Path) -> Iterator[Any]:
    """Open Optuna's storage in a file, and close it in the end.

    The path is not written into a URL, in which some characters have another meaning.

    Raises:
        InputError: If the file is damaged.
    """

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=20, check_same_thread=False)

    storage = None
    try:
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{path.name}", engine_kwargs={"creator": connect}
        )
        yield storage
    except Exception as error:
        if not any(sign in str(error) for sign in ("malformed", "not a database")):
            raise
        raise InputError(
            f"{path}: damaged; remove it, and the search begins anew, with what is trained kept"
        ) from error
    finally:
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()


class Rounds:
    """Proposals of Optuna, trained in rounds of `ROUND`.

    They are kept beside the runs, so that a search goes on later as if it had never ended.
    """

    def __init__(
        self,
        comparison: Comparison,
        optuna: Any,
        baseline: Arm,
        base_arms: list[Arm],
        families: Sequence[str],
        seed: int,
    ) -> None:
        self._comparison, self._baseline, self._seed = comparison, baseline, seed
        self._optuna, self._families = optuna, list(families)
        self._state = optuna.trial.TrialState
        self._base_arms = {arm.name: arm for arm in base_arms}
        self._arms: dict[str, Arm] = {}
        settings = (comparison.teacher, comparison.steps, comparison.seeds)
        self._name = short_digest(repr((self._families, base_arms, baseline, *settings)))

    @contextmanager
    def opened(self) -> Iterator["Rounds"]:
        """Open the file that rounds are kept in, which one process at a time writes to."""
        directory = self._comparison.experiment.directory
        directory.mkdir(parents=True, exist_ok=True)
        lock = alone(directory / f"search-{self._name}.lock", "the same search")
        with storage_in(self._optuna, directory / "search.db") as storage, lock:
            self._open(storage)
            yield self

    def _open(self, storage: Any) -> None:
        self._study = self._optuna.create_study(
            study_name=self._name,
            storage=storage,
            load_if_exists=True,
            direction="maximize",
            pruner=self._optuna.pruners.NopPruner(),  # a round is halved when all of it is trained
        )
        if BEGUN not in self._study.user_attrs:
            usual = {
                "ratio": 0.25,
                "soft labels": False,
                "filter": "none",
                "partner": next(iter(self._base_arms)),
            }
            for first in FIRST:
                if first["generator"] in self._families:
                    parameters = {**usual, "scope": "shared", **first}
                    self._study.enqueue_trial(parameters, skip_if_exists=True)
            self._study.set_user_attr(BEGUN, True)
        for trial in self._all(self._state.RUNNING):  # of a process that was stopped
            # It may have been stopped before all that was asked for was taken up.
            parameters = trial.system_attrs.get("fixed_params", {})
            self._put_off(trial.number, {**parameters, **trial.params})
        for trial in self._finished_trials():
            if "error" not in trial.user_attrs:
                seeds = self._comparison.seeds[: len(trial.intermediate_values)]
                self._comparison.note_earlier(self._arm(trial), seeds)

    def run(self, budget: Budget) -> None:
        """Try proposals until the budget is spent, or there are no others."""
        began = time.monotonic()

        def late() -> bool:
            return budget.seconds is not None and time.monotonic() - began >= budget.seconds

        while not late():
            old_count = len(self._old_names())
            room = ROUND if budget.trials is None else min(ROUND, budget.trials - old_count)
            proposals = self._ask(room)
            if not proposals:
                return
            self._round(proposals, late)

    def best(self) -> list[Arm]:
        """Return the arms that were trained on every seed, the best first."""
        return [self._arm(trial) for trial in self._complete_trials()]

    def _complete_trials(self) -> list[Any]:
        return sorted(self._all(self._state.COMPLETE), key=lambda trial: -trial.value)

    def _all(self, *states: Any) -> list[Any]:
        # Not `trials`, which copies all of them each time.
        trials: list[Any] = self._study.get_trials(deepcopy=False, states=states)
        return trials

    def _finished_trials(self) -> list[Any]:
        return self._all(self._state.COMPLETE, self._state.PRUNED)

    def _old_names(self) -> set[str]:
        """Return the names of all proposals, however they ended."""
        return {trial.user_attrs["arm"] for trial in self._finished_trials()}

    def _ask(self, count: int) -> dict[Arm, Any]:
        """Ask for up to so many proposals that were not tried yet, by the arms they stand for."""
        old_names = self._old_names()
        # Anew in each round: a search that goes on proposes what it would have, uninterrupted.
        best, explorer = self._sampler(len(old_names)), self._sampler(len(old_names), candidates=1)
        proposals: dict[Arm, Any] = {}
        repeats = 0
        while len(proposals) < count and repeats < REPEATS:
            self._study.sampler = best if repeats < SAME else explorer
            trial = self._study.ask()
            arm = self._arm(trial)
            if arm in proposals or arm.name in old_names:
                self._study.tell(trial, state=self._state.FAIL)  # nothing to learn from
                repeats += 1
            else:
                trial.set_user_attr("arm", arm.name)
                proposals[arm], repeats = trial, 0
        return proposals

    def _sampler(self, old_count: int, candidates: int = 24) -> Any:
        """Return a sampler that proposes the best of candidates drawn near what was good."""
        with warnings.catch_warnings():
            # Until 5, Optuna called a constant liar experimental.
            warnings.simplefilter("ignore", self._optuna.exceptions.ExperimentalWarning)
            return self._optuna.samplers.TPESampler(
                seed=stream_seed(self._seed, "proposals", old_count) % 2**32,
                n_startup_trials=len(FIRST),
                multivariate=False,
                constant_liar=True,  # of a round, each is proposed knowing those before it
                n_ei_candidates=candidates,
            )

    def _round(self, proposals: Mapping[Arm, Any], late: Callable[[], bool]) -> None:
        """Train proposals seed after seed, fewer each time.

        Optuna gets the results at the end, so that an interrupted round is repeated as a whole.
        """
        points: dict[Arm, list[float]] = {arm: [] for arm in proposals}
        means: dict[Arm, float] = {}
        living = list(proposals)
        put_off: list[Arm] = []
        for rung, seed in enumerate(self._comparison.seeds, start=1):
            living = self._train_usable(living, proposals, seed)
            for arm in living:
                points[arm] += self._comparison.differences(arm, self._baseline, [seed])
                means[arm] = float(np.mean(points[arm]))
                proposals[arm].report(means[arm], step=rung)
            if rung == len(self._comparison.seeds):
                break
            living = self._better_half({arm: means[arm] for arm in living}, rung)
            if late():  # the best of them is still taken to the end, so that there is one
                living, put_off = living[:1], [*put_off, *living[1:]]
        for arm, trial in proposals.items():
            if arm in living:
                self._study.tell(trial, means[arm])
            elif arm in put_off:
                self._put_off(trial, trial.params)
            else:
                self._study.tell(trial, state=self._state.PRUNED)

    def _better_half(self, means: Mapping[Arm, float], rung: int) -> list[Arm]:
        """Return those among the better half of all so far, the best first.

        Of equals those that came first.
        """
        entrants: list[tuple[float, Arm | None]] = [
            (trial.intermediate_values[rung], None)
            for trial in self._finished_trials()
            if rung in trial.intermediate_values and "error" not in trial.user_attrs
        ]
        entrants += [(mean, arm) for arm, mean in means.items()]
        ranking = sorted(entrants, key=lambda each: -each[0])
        return [arm for _, arm in ranking[: (len(ranking) + 1) // 2] if arm is not None]

    def _put_off(self, trial: Any, params: Mapping[str, Any]) -> None:
        """Put a proposal off: it is asked for again, before any new one."""
        self._study.tell(trial, state=self._state.FAIL)
        self._study.enqueue_trial(dict(params))

    def _train_usable(
        self, living: list[Arm], proposals: Mapping[Arm, Any], seed: int
    ) -> list[Arm]:
        """Return those that could be trained: a training may diverge, a filter leave too little."""
        sources = [arm.source for arm in living if arm.source is not None]
        warn_of_room(self._comparison.experiment, sources, [seed])
        try:
            self._train(living, seed)
            return living
        except (InputError, TrainingError):
            pass
        usable = []
        for arm in living:
            try:
                self._train([arm], seed)
                usable.append(arm)
            except (InputError, TrainingError) as error:
                # Optuna learns nothing from what has failed, and would propose it again.
                proposals[arm].set_user_attr("error", str(error))
                proposals[arm].report(WORST, step=len(self._comparison.seeds))
        return usable

    def _train(self, arms: list[Arm], seed: int) -> None:
        self._comparison.train(arms, "searching", seeds=[seed], to_test=False)
        self._comparison.expect_trained(arms, [seed])

    def _arm(self, trial: Any) -> Arm:
        """Return the arm of a proposal; the same object for the same proposal."""
        if not hasattr(trial, "suggest_categorical"):
            trial = self._optuna.trial.FixedTrial(trial.params)
        classes = len(self._comparison.experiment.train.classes)
        new_arm = propose(trial, self._families, self._base_arms, classes)
        return self._arms.setdefault(new_arm.name, new_arm)

    def note_check(self, winner: str) -> int:
        """Note that it was the winner, and which one it is of all that the search ended with."""
        before = self._study.user_attrs.get("checked", [])
        names = list(dict.fromkeys([*before, winner]))
        self._study.set_user_attr("checked", names)
        return names.index(winner) + 1

    def facts(self, most: int) -> dict[str, Any]:
        """Describe the proposals.

        The best and their points over the baseline, how many ended how, how many wait for a larger
        budget, and why some could not be trained.
        """
        finished, complete = self._finished_trials(), self._complete_trials()
        errors = [trial.user_attrs["error"] for trial in finished if "error" in trial.user_attrs]
        counts = {
            "complete": len(complete),
            "pruned": len(finished) - len(complete) - len(errors),
            "fail": len(errors),
        }
        return {
            "tried": [
                {"arm": t.user_attrs["arm"], "points": round(t.value, 2)} for t in complete[:most]
            ],
            "trials": counts,
            "waiting": len(self._all(self._state.WAITING)),
            "errors": list(dict.fromkeys(errors)),
        }
