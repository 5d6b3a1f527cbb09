"""All arms of one result."""

from collections.abc import Sequence

from stored import arithmetic_of, at_limit
from wording import few, percent, recommended, span

from synthaug import Gain
from synthaug.gain import ArmResult
from synthaug.gain.baselines import MOST_STEPS

JUDGED = "what suits these by chance is chosen, and recommended, more often than it should be"


def section(said: str, gain: Gain, results: Sequence[Gain] = ()) -> str:
    """All arms of one data set, under that title; the other results may tell of it, too."""
    protocol, data = gain.protocol, gain.data
    rows = "".join(arm_row(gain, arm) for arm in gain.arms)
    control = gain.gain_over_control
    pair = f"The best trained ({gain.trained}) over the best control ({gain.control})"
    beside = f" {pair}: {span(control)}." if control else ""
    versions = ", ".join(f"{name} {number}" for name, number in protocol["versions"].items())
    where = f"{protocol['device']} in {arithmetic_of(gain)}"
    length = of_length(gain) if at_limit(gain) else []
    notes = [*length, *of_judging(gain, results), *protocol["caveats"]]
    noted = "".join(f" {note[0].upper()}{note[1:]}." for note in notes)
    return f"""\
## {said}

```sh
{protocol["command"]}
```

{gain.sentence()}{beside} Recommended on validation: {recommended(gain)}.

{data["train"]:,} training, {data["validation"]:,} validation and {data["test"]:,} test images;
{len(protocol["seeds"])} seeds, {protocol["steps"]:,} steps of {protocol["batch_size"]}, recipe
`{recipe(protocol["recipe"])}`, on {where}, one thread a process. {versions}.{noted}

| arm | uses | {protocol["metric"]} | gain over baseline | validation | seconds, median |
|---|---|---|---|---|---|
{rows}
"""


def of_length(gain: Gain) -> list[str]:
    """What gain has said itself since it was measured."""
    said = f"tuning ends at {MOST_STEPS:,} steps, and they were better than half as many"
    told = any(caveat.startswith(said) for caveat in gain.protocol["caveats"])
    return [f"{said}: a longer training may take a part of the gain away"] if not told else []


def of_judging(gain: Gain, results: Sequence[Gain]) -> list[str]:
    """What gain says of seeds that are judged alike since it was measured: what another result says
    of as many images of the same set is so of this one, too."""
    if any(JUDGED in caveat for caveat in gain.protocol["caveats"]):
        return []

    def judged_on(each: Gain) -> list[object]:
        return [each.data["fingerprint"], each.data.get("validation_counts")]

    alike = [each for each in results if judged_on(each) == judged_on(gain)]
    said = [c for each in alike for c in each.protocol["caveats"] if JUDGED in c]
    return said[:1]


def recipe(settings: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items() if value)


def arm_row(gain: Gain, arm: ArmResult) -> str:
    over = "baseline" if arm.gain is None else span(arm.gain)
    name = arm.name + few(gain, arm)
    held, tested = percent(arm.choice_scores), percent(gain.scores(arm.name))
    return f"| {name} | {arm.uses} | {tested} | {over} | {held} | {arm.usual_seconds:,.0f} |\n"
