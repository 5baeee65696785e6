"""Trials by their validation mAP, and the recipes that the best of them make.

Of a trial only its options, its time and the validation mAP after its last epoch are
read: no test image has a part in a choice.
"""

import csv
import io
import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlrpl.config.method_strings import format_value
from mlrpl.errors import UserError
from mlrpl.runtime.storage import atomic_path

# A table's columns; those of the options stand between them.
FIRST = ["dataset", "trial", "prop", "seed", "validation"]
LAST = ["validation_mAP", "seconds"]


@dataclass(frozen=True)
class Trial:
    """One run of a tuning.

    Attributes:
        name: the method with its overrides.
        prop: proportion of known labels.
        validation: share of the training images that are held out.
        options: what a recipe of it has; only options that apply.
        found: validation mAP after the last epoch, percent.
        seconds: of its training.
    """

    dataset: str
    name: str
    prop: float
    seed: int
    validation: float
    options: dict[str, Any]
    found: float
    seconds: float

    @property
    def method(self) -> str:
        """The method without overrides."""
        return self.name.partition("+")[0]


def table(paths: Iterable[str | Path], options: Sequence[str]) -> list[Trial]:
    """Return the trials of one method on one data set, the best first.

    Args:
        paths: `run.json` files, each with its `history.csv` beside it.
        options: names of those that a recipe has.

    Raises:
        UserError: a file that cannot be read, or a run without a validation mAP.
    """
    trials = []
    for path in map(Path, paths):
        run, found = _run(path), _validation(path.with_name("history.csv"))
        chosen = run["options"]
        trials.append(
            Trial(
                *(run[key] for key in ("dataset", "method", "prop", "seed")),
                validation=chosen["validation"],
                options={k: chosen[k] for k in options if k in chosen},
                found=found,
                seconds=run["seconds"]["train"],
            )
        )
    return sorted(trials, key=lambda trial: -trial.found)


def write_table(trials: Sequence[Trial], path: str | Path) -> None:
    """Write trials as CSV; the cell of an option that does not apply is empty."""
    names = dict.fromkeys(name for trial in trials for name in trial.options)
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*FIRST, *names, *LAST])
        for t in trials:
            options = (
                format_value(t.options[k]) if k in t.options else "" for k in names
            )
            start = [t.dataset, t.name, t.prop, t.seed, t.validation]
            writer.writerow([*start, *options, t.found, t.seconds])


def read_tables(paths: Iterable[str | Path]) -> list[Trial]:
    """Return the trials of tables that `write_table` wrote.

    Raises:
        UserError: a file that is no such table.
    """
    trials = []
    for path in paths:
        rows = list(csv.DictReader(io.StringIO(_text(Path(path)))))
        try:
            trials += [_trial(row) for row in rows]
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: is no table of trials ({error}); make it with "
                "`mlrpl tune --runs`"
            ) from error
    return trials


def _trial(row: dict[str, str]) -> Trial:
    options = {k: _value(v) for k, v in row.items() if k not in FIRST + LAST and v}
    return Trial(
        *(row["dataset"], row["trial"], float(row["prop"]), int(row["seed"])),
        validation=float(row["validation"]),
        options=options,
        found=float(row["validation_mAP"]),
        seconds=float(row["seconds"]),
    )


def _value(text: str) -> Any:
    """Return what `format_value` made text of."""
    try:
        return json.loads(text)
    except ValueError:
        return text


@dataclass(frozen=True)
class Choice:
    """What was chosen for a method.

    Attributes:
        best: the trial, on the first data set.
        found: the mean over the data sets of its validation mAP.
        worst: that of the trial with the lowest.
        count: number of trials.
        seconds: of all their trainings.
    """

    best: Trial
    found: float
    worst: float
    count: int
    seconds: float


def choose(trials: Sequence[Trial]) -> dict[str, Choice]:
    """Return what has the best mean over the data sets, by method.

    Of trials that are equal the first is taken.

    Args:
        trials: of all methods on all data sets, with the same for each data set.

    Raises:
        UserError: a trial that was not run on each data set.
    """
    datasets = dict.fromkeys(trial.dataset for trial in trials)
    grouped: dict[str, dict[str, list[Trial]]] = {}
    for trial in trials:
        grouped.setdefault(trial.method, {}).setdefault(trial.name, []).append(trial)
    choices = {}
    for method, own in grouped.items():
        for name, runs in own.items():
            if [trial.dataset for trial in runs] != list(datasets):
                raise UserError(
                    f"tuning: {name} is not there once for each of "
                    f"{', '.join(datasets)}; give the tables of all of them"
                )
        means = {
            name: math.fsum(trial.found for trial in runs) / len(runs)
            for name, runs in own.items()
        }
        best = max(means, key=means.get)
        choices[method] = Choice(
            *(own[best][0], means[best], min(means.values()), len(own)),
            seconds=math.fsum(t.seconds for runs in own.values() for t in runs),
        )
    return choices


def write_recipes(trials: Sequence[Trial], path: str | Path) -> None:
    """Write what was chosen as the recipes `tuned` of a config file.

    Comments say what it was chosen on, and with what budget.

    Raises:
        UserError: as `choose`, or trials of several proportions, seeds or shares.
    """
    settings = {(t.prop, t.seed, t.validation) for t in trials}
    if len(settings) != 1:
        raise UserError(
            "tuning: the tables are not of one proportion, seed and share of held-out "
            "images; make them with one configuration"
        )
    [(prop, seed, share)] = settings
    choices = choose(trials)
    datasets = list(dict.fromkeys(trial.dataset for trial in trials))
    most = max(choice.count for choice in choices.values())
    minutes = sum(choice.seconds for choice in choices.values()) / 60
    mean = f", the mean over {len(datasets)} data sets" if len(datasets) > 1 else ""
    about = (
        "Options that the recipe `tuned` has for each method. Chosen by the "
        f"validation mAP after the last epoch{mean}, on training images that were held "
        "out, by their known labels alone; no test image had a part. Data: "
        f"{', '.join(datasets)}; {100 * prop:g} % known labels, seed {seed}, "
        f"{100 * share:g} % of the training images held out. At most {most} trials a "
        f"method, {len(trials)} trainings in all, {minutes:.1f} minutes."
    )
    lines = [f"# {line}" for line in textwrap.wrap(about, 86)]
    lines += ["recipes:", "  tuned:"]
    for method, choice in choices.items():
        lines.append(
            f"    # {choice.count} trials, {choice.seconds / 60:.1f} minutes, "
            f"{choice.worst:.2f} to {choice.found:.2f}: {choice.best.name}"
        )
        block = yaml.safe_dump({method: choice.best.options}, sort_keys=False)
        lines.append(textwrap.indent(block.rstrip("\n"), " " * 4))
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); run its training first"
        ) from error


def _run(path: Path) -> dict[str, Any]:
    """Return the content of a `run.json`."""
    try:
        run = json.loads(_text(path))
        needed = run["dataset"], run["method"], run["prop"], run["seed"]
        needed += run["options"]["validation"], run["seconds"]["train"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: is not a training's ({error}); train the run again"
        ) from error
    return run


def _validation(path: Path) -> float:
    """Return the last validation mAP of a `history.csv`."""
    rows = list(csv.DictReader(io.StringIO(_text(path))))
    try:
        return float(rows[-1]["validation_mAP"])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: no validation mAP in its last line; train the run with "
            "validation above 0"
        ) from error
