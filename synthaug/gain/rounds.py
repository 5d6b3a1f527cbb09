"""Proposals for a way of mixing, and how many of them: each is trained seed after seed, and given
up early where others do better (successive halving)."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthaug.errors import InputError, TrainingError
from synthaug.gain.arms import Arm
from synthaug.gain.space import FIRST, propose
from synthaug.gain.trials import Trials
from synthaug.gain.trials.study import short_digest

REPEATS = 20  # rounds without a new proposal, after which the space is taken as searched
WORST = -100.0  # points: what a proposal counts that cannot be trained


@dataclass(frozen=True)
class Budget:
    """How long the search goes on: seconds or proposals, whichever ends first.

    Raises `InputError` where neither is given, or one of them is not above 0.

    >>> from synthaug.gain import Budget
    >>> Budget(seconds=1200), Budget(trials=30)
    (Budget(seconds=1200, trials=None), Budget(seconds=None, trials=30))
    """

    seconds: float | None = None
    trials: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is None and self.trials is None:
            raise InputError("budget: expected seconds or a number of trials")
        for name, value in (("seconds", self.seconds), ("trials", self.trials)):
            if value is not None and value <= 0:
                raise InputError(f"budget: expected {name} above 0, got {value}")


class Rounds:
    """Proposals of Optuna, trained in rounds of as many as there are processes; kept beside the
    cells, so that a search goes on later."""

    def __init__(
        self,
        trials: Trials,
        optuna: Any,
        baseline: Arm,
        partners: list[Arm],
        families: Sequence[str],
        jobs: int,
        seed: int,
    ) -> None:
        self._trials, self._baseline, self._jobs = trials, baseline, jobs
        self._optuna, self._families = optuna, list(families)
        self._partners = {arm.name: arm for arm in partners}
        self._arms: dict[str, Arm] = {}
        trials.study.directory.mkdir(parents=True, exist_ok=True)
        told = (self._families, partners, baseline, trials.teacher, trials.steps, trials.seeds)
        place = f"sqlite:///{trials.study.directory / 'search.db'}"
        self._storage = optuna.storages.RDBStorage(place)
        self._study = optuna.create_study(
            study_name=short_digest(repr(told)),
            storage=self._storage,
            load_if_exists=True,
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed % 2**32, n_startup_trials=len(FIRST)),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        )
        if not self._study.trials:
            usual = {
                "ratio": 0.25,
                "soft labels": False,
                "filter": "none",
                "partner": partners[0].name,
            }
            for first in FIRST:
                if first["generator"] in self._families:
                    self._study.enqueue_trial({**usual, "scope": "shared", **first})

    def close(self) -> None:
        """Let go of the file that it is kept in."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def run(self, budget: Budget) -> Arm | None:
        """The best of what was trained on every seed; None where nothing was."""
        began, repeats = time.monotonic(), 0
        while not self._over(budget, time.monotonic() - began) and repeats < REPEATS:
            room = self._jobs
            if budget.trials is not None:
                room = min(room, budget.trials - len(self._finished()))
            known = len(self._tried())
            self._round([self._study.ask() for _ in range(room)])
            repeats = repeats + 1 if len(self._tried()) == known else 0
        done = [t for t in self._finished() if t.state.name == "COMPLETE"]
        if not done:
            return None
        return self._arm(max(done, key=lambda trial: trial.value))

    def _over(self, budget: Budget, seconds: float) -> bool:
        enough = budget.trials is not None and len(self._finished()) >= budget.trials
        return enough or (budget.seconds is not None and seconds >= budget.seconds)

    def _finished(self) -> list[Any]:
        # Not `trials`, which copies all of them each time.
        known = self._study.get_trials(deepcopy=False)
        return [trial for trial in known if trial.state.is_finished()]

    def _tried(self) -> set[str]:
        """The names of all that was tried, however it ended."""
        return {trial.user_attrs["arm"] for trial in self._finished()}

    def _round(self, asked: list[Any]) -> None:
        living = [(trial, self._arm(trial)) for trial in asked]
        for trial, arm in living:
            trial.set_user_attr("arm", arm.name)
        over: dict[Arm, list[float]] = {arm: [] for _, arm in living}
        for rung, seed in enumerate(self._trials.seeds, start=1):
            living = self._trained(living, seed)
            for trial, arm in list(living):
                scores = self._trials.validation([arm, self._baseline], seeds=[seed])
                over[arm].append(100 * float(scores[arm][0] - scores[self._baseline][0]))
                trial.report(float(np.mean(over[arm])), step=rung)
                if rung < len(self._trials.seeds) and trial.should_prune():
                    self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
                    living.remove((trial, arm))
        for trial, arm in living:
            self._study.tell(trial, float(np.mean(over[arm])))

    def _trained(self, living: list[tuple[Any, Arm]], seed: int) -> list[tuple[Any, Arm]]:
        """Those that could be trained: filters may leave too little, a training may diverge."""
        try:
            self._trials.train([arm for _, arm in living], "searching", seeds=[seed])
            return living
        except (InputError, TrainingError):
            pass
        kept = []
        for trial, arm in living:
            try:
                self._trials.train([arm], "searching", seeds=[seed])
                kept.append((trial, arm))
            except (InputError, TrainingError) as error:
                # Optuna learns nothing from what has failed, and would propose it again.
                trial.set_user_attr("error", str(error))
                trial.report(WORST, step=len(self._trials.seeds))
                self._study.tell(trial, state=self._optuna.trial.TrialState.PRUNED)
        return kept

    def _arm(self, trial: Any) -> Arm:
        """The arm that a proposal stands for; the same object for the same proposal."""
        if not hasattr(trial, "suggest_categorical"):
            trial = self._optuna.trial.FixedTrial(trial.params)
        classes = len(self._trials.study.train.classes)
        proposed = propose(trial, self._families, self._partners, classes)
        return self._arms.setdefault(proposed.name, proposed)

    def table(self) -> list[dict[str, Any]]:
        """What was tried on every seed, the best first: points over the baseline."""
        done = {t.user_attrs["arm"]: t for t in self._finished() if t.state.name == "COMPLETE"}
        ordered = sorted(done.items(), key=lambda item: -item[1].value)
        return [{"arm": name, "points": round(trial.value, 2)} for name, trial in ordered]

    def counts(self) -> dict[str, int]:
        """How many proposals ended how."""
        ends = [
            "fail" if "error" in trial.user_attrs else trial.state.name.lower()
            for trial in self._finished()
        ]
        return {end: ends.count(end) for end in ("complete", "pruned", "fail")}
