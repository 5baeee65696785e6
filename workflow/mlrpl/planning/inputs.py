"""Input files and arguments of the jobs of one configuration, by their wildcards.

Paths begin with `<results>`, which Snakemake replaces (`pathvars` in the Snakefile).
Functions with a parameter `wildcards` are input functions and functions of parameters
as Snakemake calls them: `wildcards` has the attributes that the rule's paths have.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mlrpl.config import arguments, dependencies, plan, raw_files
from mlrpl.encoder import shard_list
from mlrpl.errors import UserError
from mlrpl.planning.functions import either, inspected, stops
from mlrpl.planning.places import Places


class Inputs:
    """What jobs of one configuration read; what was looked up is kept."""

    def __init__(self, config: Mapping[str, Any], places: Places | None = None):
        """Take a checked configuration.

        Args:
            config: the configuration.
            places: where files lie. A job sees its input files alone where a storage
                provider fetches them; otherwise it sees what lies beside them too.
        """
        self.places = places or Places(config)
        self.config = config
        self.datasets = config["datasets"]
        self._options: dict[str, dict[str, Any]] = {}
        self._folders: dict[str, str] = {}
        self._shards: dict[tuple[str, str, str], list[str]] = {}
        self._code: dict[tuple[str, ...], str] = {}
        self._train_code: dict[str, str] = {}

    def of_format(self, name: str) -> str:
        """Return the pattern of the data sets that one of the index rules reads."""
        return either(d for d in self.datasets if self.datasets[d]["format"] == name)

    def split_file(self, key: str, split: str | None = None) -> Callable:
        """Return the input function of a split's images, annotations or labels.

        Args:
            key: which of them.
            split: of which split; None for that of the wildcard.
        """
        return inspected(
            lambda wildcards: self.places.of(
                raw_files.split_source(
                    self.config, wildcards.dataset, split or wildcards.split, key
                )
            )
        )

    def of_images(self, path: str) -> Callable:
        """Return the input function of a file that all with the same images share.

        Args:
            path: the file, with `{dataset}` for the data set whose images they are.
        """
        return inspected(
            lambda wildcards: path.format(
                dataset=plan.images_of(self.config, wildcards.dataset)
            )
        )

    def train_index(self, wildcards: Any) -> str | list[str]:
        """Return what the test split is compared with when it is read."""
        if wildcards.split != "test":
            return []
        train = f"<results>/data/{wildcards.dataset}/train.h5"
        if not self.places.stored:
            return train
        return [train, self.places.of(self._train_images(wildcards.dataset))]

    def train_split(self, wildcards: Any, input: Any) -> str:
        """Return the command line arguments for that comparison."""
        if wildcards.split != "test":
            return ""
        if self.places.stored:
            beside, images = map(str, input.beside)
        else:
            beside, images = str(input.beside), self._train_images(wildcards.dataset)
        return arguments.flags({"beside": beside, "beside_images": images})

    def _train_images(self, dataset: str) -> str:
        return raw_files.split_source(self.config, dataset, "train", "images")

    def flags(self, wildcards: Any, *keys: str, split: str | None = None) -> str:
        """Return command line arguments of a data set's keys and of its split's.

        Args:
            wildcards: with `dataset`, and `split` where the job is of one.
            keys: what of them; a key that is not there is left out.
            split: another split than that of the wildcard.
        """
        entry = self.datasets[wildcards.dataset]
        split = split or wildcards.get("split")
        entry = {**entry, **entry["splits"].get(split, {})}
        return arguments.flags({key: entry.get(key) for key in keys})

    def shards(self, split: str) -> Callable:
        """Return the input function of a split's feature files that a run reads.

        That is the list of them (`encoder.shard_list`), and where files are fetched
        for each job, the files after it.
        """

        @stops
        def files(wildcards: Any) -> list[str]:
            folder = self._folder(wildcards.method)
            images = plan.images_of(self.config, wildcards.dataset)
            listed = f"<results>/features/{images}/{split}/{folder}{shard_list.NAME}"
            if not self.places.stored:
                return [listed]
            return [listed, *self._files(wildcards.dataset, split, folder)]

        return files

    def shards_of_split(self, wildcards: Any) -> list[str]:
        """Return all feature files of a split (`split`), of one `kind`."""
        return self._files(wildcards.dataset, wildcards.split, wildcards.kind)

    def _folder(self, method: str) -> str:
        """Return where a run's feature files are below a split's."""
        if method not in self._folders:
            self.method_options(method)  # a mistake in the name stops here
            self._folders[method] = plan.features_folder(self.config, method)
        return self._folders[method]

    def _files(self, dataset: str, split: str, folder: str) -> list[str]:
        key = dataset, split, folder
        if key not in self._shards:
            images = plan.images_of(self.config, dataset)
            path = f"<results>/features/{images}/{split}/{folder}"
            count = self.datasets[dataset]["splits"][split]["shards"]
            self._shards[key] = [f"{path}{shard}.h5" for shard in range(count)]
        return self._shards[key]

    def maps_of_test(self, wildcards: Any) -> list[str]:
        """Return the files with the maps of all test images."""
        return self._files(wildcards.dataset, "test", "")

    def method_options(self, method: str) -> dict[str, Any]:
        """Return every option of a run.

        Raises:
            UserError: it is no run, or goes by another name.
        """
        if method not in self._options:
            name = plan.canonical(self.config, method)
            if name != method:
                raise UserError(f"{method} is the same run as {name}; ask for {name}")
            self._options[method] = plan.method_options(self.config, name)
        return self._options[method]

    def train_code(self, wildcards: Any) -> str:
        """Return the hash of a training's code: the loop and the method's parts."""
        method = wildcards.method
        if method not in self._train_code:
            modules = dependencies.training_modules(self.method_options(method))
            self._train_code[method] = self.code(*modules)
        return self._train_code[method]

    def code(self, *modules: str) -> str:
        """Return a hash of what modules and their imports say (`code_hash`).

        An edit of what they compute runs the rule's jobs again; a comment does not.
        """
        if modules not in self._code:
            self._code[modules] = dependencies.code_hash(*modules)
        return self._code[modules]

    def context_file(self, wildcards: Any) -> str | list[str]:
        """Return the tokens of a run's context, unless it starts at random."""
        chosen = self.method_options(wildcards.method)
        text = chosen.get("context_init", "random")
        return [] if text == "random" else f"<results>/clip/context/{text}.json"

    def run_files(self, wildcards: Any) -> dict[str, list[str]]:
        """Return the files of all runs of a figure (`figure`) on a data set."""
        runs = plan.runs_of(self.config, wildcards.figure, wildcards.dataset)
        masks = {run.split("/", 2)[2] for run in runs}
        known = f"<results>/data/{wildcards.dataset}/known"
        return {
            "record": [f"<results>/runs/{run}/run.json" for run in runs],
            "weights": [f"<results>/runs/{run}/weights.safetensors" for run in runs],
            "scores": [f"<results>/runs/{run}/scores.h5" for run in runs],
            "known": [f"{known}/{mask}.npy" for mask in sorted(masks)],
        }
