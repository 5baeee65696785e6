"""Memory, time and disk of a rule's jobs, as functions that Snakemake calls."""

from collections.abc import Callable
from typing import Any

from mlrpl.doctor import jobs
from mlrpl.planning.functions import inspected

KEYS = ("mem_mb", "runtime", "disk_mb")


def takes(asks: jobs.Jobs, rule: str) -> dict[str, int | Callable]:
    """Return the resources of a rule's jobs, as `mlrpl doctor` has them.

    A cluster reserves them and kills by them; without one nothing is limited by them
    unless the command line says so (`--resources mem_mb=64000`).

    Args:
        asks: what jobs of the configuration ask for.
        rule: the rule's name.

    Returns:
        Each of `KEYS`: a number, or a function where it differs from job to job.
    """

    def resource(key: str) -> Callable:
        def value(wildcards: Any, input: Any, threads: int, attempt: int) -> int:
            named = {
                key: [files] if isinstance(files, str) else list(files)
                for key, files in input.items()
            } or {"": list(input)}
            found = {key: jobs.files_mb(files) for key, files in named.items()}
            return getattr(asks.ask(rule, wildcards, found, threads, attempt), key)

        return inspected(value)

    differs = jobs.DIFFERS.get(rule, KEYS)
    plain = jobs.Ask()
    return {
        key: resource(key) if key in differs else getattr(plain, key) for key in KEYS
    }
