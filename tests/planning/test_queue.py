"""Snakemake's queue: the default limit of starts, and which jobs failed."""

from types import SimpleNamespace

import pytest

from mlrpl.planning.queue import drop_default_rate_limit, failed_jobs


@pytest.mark.parametrize(
    ("limit", "timespan", "stays"), [(100, 1, False), (10, 1, True), (100, 60, True)]
)
def test_only_the_default_limit_goes(limit, timespan, stays):
    limiter = SimpleNamespace(max_jobs=limit, timespan=timespan)
    scheduler = SimpleNamespace(job_rate_limiter=limiter)
    drop_default_rate_limit(scheduler)
    assert (scheduler.job_rate_limiter is limiter) == stays


def test_another_scheduler_is_left_alone():
    drop_default_rate_limit(SimpleNamespace())
    drop_default_rate_limit(None)


class Job:
    def __init__(self, name, log, group=False):
        self.rule = SimpleNamespace(name=name)
        self.wildcards_dict = {"dataset": "voc2007"}
        self.log = [log]
        self.group = group

    def __str__(self):
        return self.rule.name

    def is_group(self):
        return self.group


def test_the_first_of_the_failed_is_named_and_the_others_counted(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("reading\nValueError: no such class\n")
    jobs = [Job("train", "x"), Job("index_voc", str(log)), Job("all", "y", group=True)]
    said = failed_jobs(SimpleNamespace(failed=jobs))
    assert "index_voc" in said and "voc2007" in said and str(log) in said
    assert "train" not in said and "1" in said


def test_nothing_is_said_where_nothing_failed():
    assert failed_jobs(SimpleNamespace(failed=[])) == ""
    assert failed_jobs(SimpleNamespace()) == ""
