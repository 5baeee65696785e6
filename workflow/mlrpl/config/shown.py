"""Which of the runs that a workflow makes stand for the others in its report."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """What the folder of a run says: {dataset}/{method}/prop={prop}/seed={seed}."""

    dataset: str
    method: str
    prop: float
    seed: int

    @classmethod
    def of(cls, run: str) -> "Setting":
        """Read a folder as `plan.runs` returns it."""
        dataset, method, prop, seed = run.split("/")
        share, number = prop.removeprefix("prop="), seed.removeprefix("seed=")
        return cls(dataset, method, float(share), int(number))


def examples(runs: Iterable[str]) -> list[str]:
    """Return, for each data set, one run of each method, all of one setting.

    The proportion is the one at which most methods run, and of several the one nearest
    to the middle; the seed is the lowest. Methods with overrides are left out where
    there are others.
    """
    settings = {run: Setting.of(run) for run in runs}
    chosen = []
    for dataset in dict.fromkeys(s.dataset for s in settings.values()):
        mine = {run: s for run, s in settings.items() if s.dataset == dataset}
        plain = {run: s for run, s in mine.items() if "+" not in s.method}
        mine = plain or mine
        groups: dict[tuple[float, int], list[str]] = {}
        for run, setting in mine.items():
            groups.setdefault((setting.prop, setting.seed), []).append(run)
        best = max(groups, key=lambda k: (len(groups[k]), -abs(k[0] - 0.5), -k[1]))
        chosen += groups[best]
    return chosen
