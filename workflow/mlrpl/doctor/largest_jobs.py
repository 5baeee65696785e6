"""What the largest jobs of a configuration ask of a cluster, before any has run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlrpl.config import plan
from mlrpl.config.options import reads_tokens
from mlrpl.doctor import jobs
from mlrpl.doctor.work import Sizes, Work, kind_of


@dataclass(frozen=True)
class JobNeed:
    """What the largest job of a rule asks of a cluster; `name` is its run or split."""

    rule: str
    name: str
    ask: jobs.Ask


def job_needs(config: Mapping[str, Any], work: Work, found: Sizes) -> list[JobNeed]:
    """Return what trainings, features and the text side ask for, the largest of each.

    The numbers are those of the rules, which know the sizes of their inputs; here these
    are counted. What cannot be counted is left out.
    """
    asking = jobs.Jobs(config)
    views = len(plan.views_of(config, "train"))
    asked: list[JobNeed] = []
    for run in dict.fromkeys(map(kind_of, work.runs)):
        name, method = run.split("/")
        train, test = found.splits[name]["train"], found.splits[name]["test"]
        if None in (found.feature, train.images, train.classes, test.images):
            continue
        tokens = reads_tokens(plan.method_options(config, method))
        size = found.feature.token_bytes if tokens else found.feature.bytes
        labels = (2 * train.images + test.images) * train.classes
        small = labels + (found.text.bytes if found.text else 0)
        inputs = {
            "train_features": train.images * views * size / 1e6,
            "test_features": test.images * size / 1e6,
            "": small / 1e6,
        }
        threads = config["threads"]["train"]
        ask = asking.ask("train", {"method": method}, inputs, threads)
        asked.append(JobNeed("train", run, ask))
    for name, folder in work.feature_files(config):
        rule = "tokens" if folder else "features"
        for split in found.splits[name]:
            wildcards = {"dataset": name, "split": split}
            threads = config["threads"]["features"]
            ask = asking.ask(rule, wildcards, {}, threads)
            asked.append(JobNeed(rule, f"{name}/{split}", ask))
    by_rule: dict[str, JobNeed] = {}
    for need in asked:
        first = by_rule.setdefault(need.rule, need)
        if (need.ask.mem_mb, need.ask.runtime) > (first.ask.mem_mb, first.ask.runtime):
            by_rule[need.rule] = need
    return list(by_rule.values())
