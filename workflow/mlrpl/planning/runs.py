"""The runs that tables, figures and ablations name, and what each is made of."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mlrpl.config import arguments, made, plan, specs
from mlrpl.planning.places import Places

PUBLISHED = Path(__file__).resolve().parents[2] / "published"


class Runs:
    """The runs of one configuration that something names.

    Attributes:
        named: folders of the runs that a table, a figure or a chosen ablation names:
            what metrics.csv waits for.
        reading: the ablation whose file is being read; None outside of these.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        chosen: Iterable[str] = (),
        places: Places | None = None,
    ):
        """Take a checked configuration, the ablations that it chooses, and places."""
        self.config = config
        self._places = places or Places(config)
        self.named: set[str] = set()
        self.reading: str | None = None
        self._counted = (None, *chosen)
        self._besides: list[str] | None = None

    def settings(
        self,
        dataset: plan.Names | None = None,
        method: plan.Names | None = None,
        prop: plan.Numbers | None = None,
        seed: int | Iterable[int] | None = None,
        also: plan.Groups = (),
        file: str = "metrics.json",
    ) -> list[str]:
        """Return the files of every combination (`plan.runs`).

        The runs that the files need follow by themselves, and their numbers go into
        metrics.csv, unless an ablation names them that was not asked for.

        Raises:
            UserError: for an unknown method or override.
        """
        runs = plan.runs(self.config, dataset, method, prop, seed, also)
        if self.reading in self._counted:
            self.named.update(runs)
        return [f"<results>/runs/{run}/{file}" for run in runs]

    def files_of_named(
        self, file: str, chosen: Callable[[list[str]], list[str]] = sorted
    ) -> Callable[[Any], list[str]]:
        """Return the input function of a file of all named runs, or of some.

        Args:
            file: its name.
            chosen: which of the runs, given all in order.
        """
        return lambda wildcards: [
            f"<results>/runs/{run}/{file}" for run in chosen(sorted(self.named))
        ]

    def other_metrics(self, wildcards: Any) -> list[str]:
        """Return the metrics of runs made as targets: up to date, and not named.

        They are a parameter of metrics.csv, which has them besides its input.
        """
        if self._besides is None:
            self._besides = [
                str(run.metrics)
                for run in made.made_runs(self.config)
                if run.current and run.name not in self.named
            ]
        return self._besides

    def experiment(self, name: str) -> dict[str, Any]:
        """Return the runs of one of the config's experiments (`plan.experiment`)."""
        return plan.experiment(self.config, name)

    def asked(self, name: str, key: str) -> dict[str, bool]:
        """Return contents of a table or figure that its experiment switches on.

        Args:
            name: the experiment.
            key: `cost` (time and memory) or `interval`.
        """
        wanted = self.config["experiments"].get(name, {}).get(key, False)
        return {key: True} if wanted else {}

    def spec_text(self, contents: Mapping[str, Any], **runs: Any) -> str:
        """Return the JSON of a table's or figure's contents, with its runs.

        Raises:
            UserError: a key or value that the contents may not have, or an unknown
                method or override.
        """
        where = f"ablation {self.reading}" if self.reading else contents.get("title")
        specs.check_keys(f"{where}", contents, specs.kind_of(contents), known=())
        found = plan.spec(self.config, contents, **runs)
        specs.check(f"{where}", found)
        return json.dumps(found, sort_keys=True)

    def shown(
        self,
        printed: Iterable[str] = (),
        interval: bool = False,
        epoch: str = "last",
        **runs: Any,
    ) -> dict[str, list[str]]:
        """Return what a table or figure is made of: metrics and printed numbers.

        Args:
            printed: names of files in workflow/published.
            interval: whether the resamples of the test images belong to it.
            epoch: the epoch of these.
            runs: as `settings` takes them.

        Raises:
            UserError: for an unknown method or override.
        """
        resamples = f"resamples_{epoch}.h5"
        # What lies beside the metrics and is read too, where it would not be there.
        beside = self.settings(**runs, file="run.json") if self._places.stored else []
        return {
            "metrics": self.settings(**runs),
            "published": self._places.of_all(
                [os.path.relpath(PUBLISHED / f"{name}.csv") for name in printed]
            ),
            "resamples": self.settings(**runs, file=resamples) if interval else [],
            "records": beside,
        }

    def example_files(self, name: str) -> list[str]:
        """Return the files of examples of a figure, one a data set.

        Its runs go into metrics.csv.
        """
        self.settings(**self.experiment(name))
        datasets = self.config["experiments"].get(name, {}).get("datasets", [])
        return [f"<results>/examples/{name}/{dataset}.h5" for dataset in datasets]


def resamples_of(wildcards: Any, input: Any) -> str:
    """Return the arguments of a table's or figure's resamples; there may be none."""
    return arguments.flags({"resamples": list(input.resamples)})
