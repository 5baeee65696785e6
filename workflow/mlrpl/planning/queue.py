"""Snakemake's queue of jobs: how fast it starts them, and which of them failed.

It is taken as Snakemake hands it over, and nothing of Snakemake is imported.
"""

from typing import Any

from mlrpl.reporting import endings

# What Snakemake limits the start of jobs to by default: their number, and seconds.
DEFAULT_RATE = (100, 1)


def drop_default_rate_limit(scheduler: Any) -> None:
    """Let jobs of this machine start when cores are free, and at no other time.

    By default Snakemake limits them to 100 a second, for which each look at the queue
    asks for another one a second later: one more a second for every job that has ended,
    after 400 jobs a core's time (Snakemake pull request 3744). A limit that was asked
    for stays.
    """
    limit = getattr(scheduler, "job_rate_limiter", None)
    if limit and (limit.max_jobs, limit.timespan) == DEFAULT_RATE:
        scheduler.job_rate_limiter = None


def failed_jobs(scheduler: Any) -> str:
    """Return what to say of the jobs that failed; nothing where none did.

    Of several, of the first in the order of rules.
    """
    failed = getattr(scheduler, "failed", ())
    jobs = sorted((job for job in failed if not job.is_group()), key=str)
    if not jobs:
        return ""
    job, *others = jobs
    return endings.failure(
        job.rule.name, job.wildcards_dict, [str(log) for log in job.log], len(others)
    )
