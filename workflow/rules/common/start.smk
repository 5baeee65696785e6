"""Where the workflow lies, the checked configuration, and what its parts share.

Helpers of the rule files are in this folder alone; what they compute is plain Python in
workflow/mlrpl/planning and workflow/mlrpl/config.
"""

import atexit
import json
import os
import sys
from pathlib import Path

from snakemake.io import sourcecache_entry

# Jobs find the package where it lies, inside a conda environment too (`--sdm conda`
# clears PYTHONPATH before the prefix), and run the python that runs Snakemake.
# The workflow may run from any folder, and as a module of another one: it is found
# from this file.
WORKFLOW = Path(str(workflow.current_basedir.get_path_or_uri(secret_free=True)))
WORKFLOW = WORKFLOW.resolve().parents[1]
shell.prefix(
    "set -euo pipefail; "
    "export PYTHONPATH={WORKFLOW:q}${{PYTHONPATH:+:$PYTHONPATH}}; "
)
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), os.getenv("PATH", "")])
)
sys.path.insert(0, str(WORKFLOW))

from mlrpl.config import ablations, arguments, files, made, plan, raw_files, targets
from mlrpl.config import names as method_names
from mlrpl.config import shown as shown_runs
from mlrpl.config.validation import validate
from mlrpl.doctor import cluster
from mlrpl.doctor import jobs as asks
from mlrpl.errors import UserError
from mlrpl.planning.ablation_files import AblationFiles, keep_names
from mlrpl.planning.bars import show_bars
from mlrpl.planning.first_page import FirstPage
from mlrpl.planning.functions import either, inspected, literal, one_line, stops
from mlrpl.planning.garbage import collect_rarely
from mlrpl.planning.inputs import Inputs
from mlrpl.planning.places import Places
from mlrpl.planning.queue import drop_default_rate_limit, failed_jobs
from mlrpl.planning.resources import takes as resources_of
from mlrpl.planning.runs import Runs, resamples_of
from mlrpl.reporting import endings
from mlrpl.runtime import forkserver

if workflow.is_main_process:
    collect_rarely()
    show_bars(workflow.logger_manager)

try:
    for path in workflow.configfiles:
        files.read(path)  # with checks that Snakemake's own reading lacks
    # Under the caller's config, which may hold what differs alone, the project's own.
    config = files.merge(files.read(WORKFLOW.parent / "config.yaml"), config)
    given = {k: v for k, v in workflow.config_settings.config.items() if k in config}
    config = validate(files.merge(config, files.typed(given)))
    CHOSEN_ABLATIONS = ablations.chosen(config)
except UserError as error:
    one_line(error)

# Where a storage provider fetches files for each job, it is given all that it reads.
STORED = workflow.storage_settings.default_storage_provider
PLACES = Places(
    config, (lambda path: sourcecache_entry(path, path)) if STORED else None
)

# On a node, which runs one job: `prepare_executor` has made the folder.
if workflow.remote_exec and not STORED and (unseen := cluster.unseen(config)):
    one_line(unseen)

DATASETS = config["datasets"]
ENCODER = config["encoder"]
DOWNLOADS = raw_files.downloads(config)
# How a job runs, which changes no number, is a resource; what it computes, a parameter.
DEVICE = config["device"]
GPU = int(DEVICE != "cpu")  # on CPUs as many jobs at once as there are cores
JOBS = asks.Jobs(config)
ABLATIONS = ablations.names()
# What the rules of this configuration read, which runs something names, ablations, and
# what the report's first page shows.
INPUTS = Inputs(config, PLACES)
RUNS = Runs(config, CHOSEN_ABLATIONS, PLACES)
ABLATION_FILES = AblationFiles(RUNS)
FIRST_PAGE = FirstPage(config["results"])


wildcard_constraints:
    dataset="|".join(DATASETS),
    split="train|test",
    shard=r"\d+",
    method=r"[a-z0-9_]+(\+[a-z_]+=[A-Za-z0-9_.-]+)*",
    prop=r"0\.\d*[1-9]|1\.0",
    seed=r"0|[1-9]\d*",


def prepare_executor():
    """Before the first job: what jobs here share, or what those elsewhere need."""
    if workflow.local_exec:
        forkserver.start()
        drop_default_rate_limit(workflow.scheduler)
        return
    for fault in cluster.faults(workflow.executor_plugin.name, config):
        one_line(fault)
    if not STORED:
        Path(config["results"]).mkdir(parents=True, exist_ok=True)
    forkserver.forget()


def say_last(text):
    """Print below all that Snakemake still says."""
    if text:
        atexit.register(print, text, file=sys.stderr)


@stops
def check_targets():
    """Stop at a target on the command line that nothing makes, with what may be meant.

    Only where this workflow is the whole one: one that has it as a module has targets of
    its own.
    """
    called = Path(sys.argv[0]).name in ("snakemake", "__main__.py")
    main = Path(workflow.main_snakefile).resolve().parent == WORKFLOW.parent
    if not called or not main:
        return
    from snakemake.cli import get_argument_parser

    asked = get_argument_parser().parse_args(sys.argv[1:]).targets
    for target in targets.unmade(asked, workflow.rules):
        targets.explain(target, config, targets.known(workflow.rules))
