"""The trials of one method as a table for a reader: what differs, what it gave."""

from collections.abc import Sequence

from mlrpl.config.method_strings import format_value
from mlrpl.reporting.specs import percent
from mlrpl.reporting.table_grid import Grid, Group, Head, Line, Text
from mlrpl.reporting.table_model import RUN
from mlrpl.reporting.tuning import Trial


def to_grid(trials: Sequence[Trial]) -> Grid:
    """Return trials as a table, in their order; what all have in common is a note.

    Args:
        trials: of one method on one data set, at least one.
    """
    first = trials[0]
    names = dict.fromkeys(name for trial in trials for name in trial.options)
    values = {name: [_value(trial, name) for trial in trials] for name in names}
    differs = [name for name in names if len(set(values[name])) > 1]
    best = max(f"{trial.found:.2f}" for trial in trials)
    lines = [
        Line(
            [
                Text(str(i + 1)),
                *(Text(values[name][i]) for name in differs),
                Text(f"{trial.found:.2f}", bold=f"{trial.found:.2f}" == best),
                Text(f"{trial.seconds:.0f} s"),
            ],
            RUN,
        )
        for i, trial in enumerate(trials)
    ]
    heads = [
        Head("Place"),
        *(Head(name, number=True) for name in differs),
        Head("Validation mAP", number=True),
        Head("Training time", number=True),
    ]
    same = ", ".join(f"{n} = {values[n][0]}" for n in names if n not in differs)
    notes = [
        f"{first.dataset}, {percent(first.prop)} known labels, seed {first.seed}; "
        f"{percent(first.validation)} of the training images are held out.",
        "The validation mAP is that of their known labels after the last epoch, in "
        "percent; no test image has a part in it.",
        *([f"Alike in all trials: {same}."] if same else []),
        "Bold: the best.",
    ]
    title = f"Trials of {first.method} on {first.dataset}"
    return Grid(title, heads, [Group("", lines)], notes)


def _value(trial: Trial, name: str) -> str:
    """An option as text; empty where it does not apply."""
    return format_value(trial.options[name]) if name in trial.options else ""
