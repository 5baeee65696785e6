"""What the rule files share, the checked configuration, paths and the runs of a setting.

This file alone holds functions; what they compute is in workflow/mlrpl/config/plan.py.
"""

import atexit
import functools
import inspect
import json
import os
import re
import sys
from pathlib import Path

# Jobs find the package where it lies, inside a conda environment too (`--sdm conda`
# clears PYTHONPATH before the prefix), and run the python that runs Snakemake.
# The workflow may run from any folder, and as a module of another one: it is found
# from this file.
WORKFLOW = Path(str(workflow.current_basedir.get_path_or_uri(secret_free=True)))
WORKFLOW = WORKFLOW.resolve().parent
shell.prefix(
    "set -euo pipefail; "
    "export PYTHONPATH={WORKFLOW:q}${{PYTHONPATH:+:$PYTHONPATH}}; "
)
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), os.getenv("PATH", "")])
)
sys.path.insert(0, str(WORKFLOW))

from mlrpl.config import ablations, dependencies, files, made, plan, specs, targets
from mlrpl.config import names as method_names
from mlrpl.config import shown as shown_runs
from mlrpl.config.validation import validate
from mlrpl.doctor import cluster
from mlrpl.doctor import jobs as asks
from mlrpl.errors import UserError
from mlrpl.reporting import endings
from mlrpl.runtime import forkserver


def drop_default_rate_limit():
    """Let jobs of this machine start when cores are free, and at no other time.

    By default Snakemake limits them to 100 a second, for which each look at the queue
    asks for another one a second later: one more a second for every job that has ended,
    after 400 jobs a core's time (Snakemake pull request 3744). A limit that was asked
    for stays.
    """
    scheduler = workflow.scheduler
    limit = getattr(scheduler, "job_rate_limiter", None)
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        scheduler.job_rate_limiter = None


def prepare_executor():
    """Before the first job: what jobs here share, or what those elsewhere need."""
    if workflow.local_exec:
        forkserver.start()
        drop_default_rate_limit()
        return
    for fault in cluster.faults(workflow.executor_plugin.name, config):
        one_line(fault)
    Path(config["results"]).mkdir(parents=True, exist_ok=True)
    forkserver.forget()


def say_last(text):
    """Print below all that Snakemake still says."""
    if text:
        atexit.register(print, text, file=sys.stderr)


def failed_jobs():
    """What to say of the jobs that failed; of several, of the first in order of rules."""
    failed = getattr(workflow.scheduler, "failed", ())
    jobs = sorted((job for job in failed if not job.is_group()), key=str)
    if not jobs:
        return ""
    job, *others = jobs
    return endings.failure(
        job.rule.name, job.wildcards_dict, [str(log) for log in job.log], len(others)
    )


def one_line(error):
    """Stop with the error's line alone: a mistake of the user has no traceback."""
    sys.exit(f"Error: {error}")


try:
    for path in workflow.configfiles:
        files.read(path)  # with checks that Snakemake's own reading lacks
    # Under the caller's config, which may hold what differs alone, the project's own.
    config = files.merge(files.read(WORKFLOW.parent / "config.yaml"), config)
    given = {k: v for k, v in workflow.config_settings.config.items() if k in config}
    config = validate(files.merge(config, files.typed(given)))
except UserError as error:
    one_line(error)

# On a node, which runs one job: `prepare_executor` has made the folder.
if workflow.remote_exec and (unseen := cluster.unseen(config)):
    one_line(unseen)

DATASETS = config["datasets"]
ENCODER = config["encoder"]
DOWNLOADS = plan.downloads(config)
# How a job runs, which changes no number, is a resource; what it computes, a parameter.
DEVICE = config["device"]
GPU = int(DEVICE != "cpu")  # on CPUs as many jobs at once as there are cores
JOBS = asks.Jobs(config)
ABLATIONS = ablations.names()
try:
    CHOSEN_ABLATIONS = ablations.chosen(config)
except UserError as error:
    one_line(error)
# The runs that a table, a figure or a chosen ablation names: what metrics.csv waits for.
NAMED_RUNS = set()
# Of each ablation by its name: contents and caption; of each of their rules: its file.
ABLATION_CONTENTS = {}
ABLATION_RULES = {}
# The ablation whose file is being read.
READING = {"ablation": None}
# What rules give the report, for its first page: file, section, title and caption.
REPORTED = []


wildcard_constraints:
    dataset="|".join(DATASETS),
    split="train|test",
    shard=r"\d+",
    method=r"[a-z0-9_]+(\+[a-z_]+=[A-Za-z0-9_.-]+)*",
    prop=r"0\.\d*[1-9]|1\.0",
    seed=r"0|[1-9]\d*",


def inspected(function):
    """The function with its parameters noted, which Snakemake asks for at every call.

    To find them takes longer than most functions here: a seventh of a plan's time.
    """
    function.__signature__ = inspect.signature(function)
    return function


def literal(value):
    """A parameter as it stands; in a plain one `{name}` would be a wildcard."""
    return inspected(lambda wildcards: value)


def either(names):
    """A wildcard's pattern: one of these names; of none, nothing matches."""
    return "|".join(map(re.escape, names)) or r"(?!)"


def of_format(name):
    """The data sets that one of the index rules reads."""
    return either(d for d in DATASETS if DATASETS[d]["format"] == name)


def split_file(key, split=None):
    """Input function: images, annotations or labels of the split; a wildcard if None."""
    return inspected(
        lambda wildcards: plan.split_source(
            config, wildcards.dataset, split or wildcards.split, key
        )
    )


def of_images(path):
    """Input function: a file of the data set whose images a data set has."""
    return inspected(
        lambda wildcards: path.format(dataset=plan.images_of(config, wildcards.dataset))
    )


@inspected
def train_index(wildcards):
    """Input function: what the test split is compared with when it is read."""
    train = f"<results>/data/{wildcards.dataset}/train.h5"
    return train if wildcards.split == "test" else []


@inspected
def train_split(wildcards, input):
    """The command line arguments for that comparison."""
    if wildcards.split != "test":
        return ""
    images = plan.split_source(config, wildcards.dataset, "train", "images")
    return plan.flags({"beside": str(input.beside), "beside_images": images})


def shards(split):
    """Input function: all feature files of a split, of the kind that a run reads."""

    @functools.cache
    def files(dataset, folder):
        path = f"<results>/features/{plan.images_of(config, dataset)}/{split}/{folder}"
        count = DATASETS[dataset]["splits"][split]["shards"]
        return [f"{path}{shard}.h5" for shard in range(count)]

    @functools.cache
    def folder(method):
        method_options(method)  # a mistake in the name stops here, in one line
        return plan.features_folder(config, method)

    return inspected(
        lambda wildcards: files(wildcards.dataset, folder(wildcards.method))
    )


def flags(wildcards, *keys, split=None):
    """Command line arguments of a data set's keys and, given a split, of the split's."""
    entry = DATASETS[wildcards.dataset]
    entry = {**entry, **entry["splits"].get(split or wildcards.get("split"), {})}
    return plan.flags({key: entry.get(key) for key in keys})


def code(*modules):
    """A hash of what modules and their imports say, for a rule's parameters.

    An edit of what they compute runs the rule's jobs again; a comment does not.
    """
    return dependencies.code_hash(*modules)


def takes(name):
    """Resources of a rule's jobs: memory, time and disk, as `mlrpl doctor` has them.

    A cluster reserves them and kills by them; without one nothing is limited by them
    unless the command line says so (`--resources mem_mb=64000`).
    """

    def resource(key):
        def value(wildcards, input, threads, attempt):
            named = {
                key: [files] if isinstance(files, str) else list(files)
                for key, files in input.items()
            } or {"": list(input)}
            found = {key: sum(map(asks.size_mb, files)) for key, files in named.items()}
            return getattr(JOBS.ask(name, wildcards, found, threads, attempt), key)

        return inspected(value)

    keys = ("mem_mb", "runtime", "disk_mb")
    differs = asks.DIFFERS.get(name, keys)
    plain = asks.Ask()
    return {k: resource(k) if k in differs else getattr(plain, k) for k in keys}


@functools.cache
def method_options(method):
    """Every option of a run; a name that is not the run's own one stops here."""
    try:
        name = plan.canonical(config, method)
        if name != method:
            one_line(f"{method} is the same run as {name}; ask for {name}")
        return plan.method_options(config, name)
    except UserError as error:
        one_line(error)


@inspected
def train_code(wildcards):
    """The code behind a training: the loop, and the parts that the method consists of."""
    return code(*dependencies.training_modules(method_options(wildcards.method)))


@inspected
def context_file(wildcards):
    """Input function: the tokens of a run's context, unless it starts at random."""
    text = method_options(wildcards.method).get("context_init", "random")
    return [] if text == "random" else f"<results>/clip/context/{text}.json"


def settings(
    dataset=None, method=None, prop=None, seed=None, also=(), file="metrics.json"
):
    """The files of every combination; what is left out is all that the config has.

    `also` has further groups of runs, each a dict of the first four. The runs that the
    files need follow by themselves, and their numbers go into metrics.csv.
    """
    try:
        runs = plan.runs(config, dataset, method, prop, seed, also)
    except UserError as error:
        one_line(error)
    if READING["ablation"] in (None, *CHOSEN_ABLATIONS):
        NAMED_RUNS.update(runs)
    return [f"<results>/runs/{run}/{file}" for run in runs]


def named(file, chosen=sorted):
    """Input function: a file of all runs that `settings` was asked for, or of some."""
    return lambda wildcards: [
        f"<results>/runs/{run}/{file}" for run in chosen(sorted(NAMED_RUNS))
    ]


@functools.cache
def made_besides():
    """The metrics of runs that are there though nothing names them, up to date ones."""
    return [
        str(run.metrics)
        for run in made.made_runs(config)
        if run.current and run.name not in NAMED_RUNS
    ]


def other_metrics(wildcards):
    """Parameter: what metrics.csv has besides its input, runs made as targets."""
    return made_besides()


def experiment(name):
    """The runs of one of the config's experiments, as `settings` takes them."""
    return plan.experiment(config, name)


def spec(contents, **runs):
    """Parameter of a table or figure: the JSON of its contents (`spec_text`)."""
    return literal(spec_text(contents, **runs))


def spec_text(contents, **runs):
    """The JSON of a table's or a figure's contents, runs as `settings` takes them."""
    name = READING["ablation"]
    where = f"ablation {name}" if name else f"{contents.get('title')}"
    try:
        specs.check_keys(where, contents, specs.kind_of(contents), known=())
        found = plan.spec(config, contents, **runs)
        specs.check(where, found)
    except UserError as error:
        one_line(error)
    return json.dumps(found, sort_keys=True)


def shown(printed=(), interval=False, epoch="last", **runs):
    """What a table or figure is made of: metrics and printed numbers.

    The runs are as `settings` takes them; `printed` names files in workflow/published.
    With `interval` the resamples of an epoch's test images belong to it.
    """
    resamples = settings(**runs, file=f"resamples_{epoch}.h5") if interval else []
    return {
        "metrics": settings(**runs),
        "published": [
            os.path.relpath(WORKFLOW / f"published/{name}.csv") for name in printed
        ],
        "resamples": resamples,
    }


def with_intervals(name):
    """What `shown` and `spec` take for an experiment that asks for intervals."""
    wanted = config["experiments"].get(name, {}).get("interval", False)
    return {"interval": True} if wanted else {}


def resamples_of(wildcards, input):
    """Parameter of a table or figure: its resamples, of which there may be none."""
    return plan.flags({"resamples": list(input.resamples)})


def reported(path, labels, category=None, caption=None, folded=False):
    """A file for the report, and for its first page."""
    if category:
        said = [text for text in labels.values() if isinstance(text, str)]
        section = "Every number" if path.endswith(".csv") else category
        item = {"section": section, "title": ": ".join(said)}
        if caption:  # a path from the rule's file, as Snakemake takes it
            here = workflow.current_basedir.get_path_or_uri(secret_free=True)
            file = Path(str(here)) / caption
            text = file.read_text("utf-8") if file.is_file() else ""
            # What Snakemake fills in for each job, the first page cannot.
            item["caption"] = "" if "{{" in text or "{%" in text else text
        REPORTED.append((path, {**item, "folded": folded}))

    def of_job(wildcards, output):
        return {
            k: v(wildcards, output) if callable(v) else v for k, v in labels.items()
        }

    # Snakemake takes one function of all labels, not one for each.
    filled = of_job if any(map(callable, labels.values())) else labels
    return report(path, labels=filled, category=category, caption=caption)


def first_page(files):
    """What of some files the report's first page shows, and as what.

    Returns:
        Paths, and for each an item of workflow/schemas/overview.schema.yaml.
    """
    asked = {str(path) for path in files}
    found = {}
    for pattern, item in REPORTED:
        path = pattern.replace("<results>", config["results"])
        if "<ablation>" not in path:
            found[path] = item
            continue
        for name, contents in ABLATION_CONTENTS.items():
            said = {"title": name, "caption": contents["caption"]}
            found[path.replace("<ablation>", name)] = {**item, **said}

    def place(path):
        number = re.match(r"(?:Table|Figure) (\d+)", found[path]["title"])
        return path.endswith(".csv"), int(number.group(1)) if number else 1000

    return {path: found[path] for path in sorted(found, key=place) if path in asked}


def with_cost(name):
    """Contents of one of the config's tables: time and memory, if it asks for them."""
    wanted = config["experiments"].get(name, {}).get("cost", False)
    return {"cost": True} if wanted else {}


def own_name(prefix):
    """A label: the name of what a rule makes, where it has no other."""
    if "<ablation>" in prefix:
        return lambda wildcards, output: Path(output[0]).stem
    return Path(prefix).name


def example_files(name):
    """The files of examples of a figure, one a data set; its runs go into metrics.csv."""
    settings(**experiment(name))
    datasets = config["experiments"].get(name, {}).get("datasets", [])
    return [f"<results>/examples/{name}/{dataset}.h5" for dataset in datasets]


def run_files(wildcards):
    """Input function: the files of all runs of a figure on a data set."""
    runs = plan.runs_of(config, wildcards.figure, wildcards.dataset)
    masks = {run.split("/", 2)[2] for run in runs}
    known = f"<results>/data/{wildcards.dataset}/known"
    return {
        "record": [f"<results>/runs/{run}/run.json" for run in runs],
        "weights": [f"<results>/runs/{run}/weights.safetensors" for run in runs],
        "scores": [f"<results>/runs/{run}/scores.h5" for run in runs],
        "known": [f"{known}/{mask}.npy" for mask in sorted(masks)],
    }


def maps_of_test(wildcards):
    """Input function: the maps of all test images."""
    count = DATASETS[wildcards.dataset]["splits"]["test"]["shards"]
    return [
        of_images(f"<results>/features/{{dataset}}/test/{shard}.h5")(wildcards)
        for shard in range(count)
    ]


def table_files(prefix, labels=None, **in_report):
    """The files of a table; the HTML goes into the report."""
    files = {kind: f"{prefix}.{kind}" for kind in ("csv", "md", "tex", "html")}
    labels = labels or {"table": own_name(prefix)}
    return {**files, "html": reported(files["html"], labels, **in_report)}


def figure_files(prefix, labels=None, **in_report):
    """The files of a figure; the PNG goes into the report."""
    files = {kind: f"{prefix}.{kind}" for kind in ("pdf", "png")}
    labels = labels or {"figure": own_name(prefix)}
    return {**files, "png": reported(files["png"], labels, **in_report)}


def ablation_file(name):
    """The file of an ablation, which is read next, after a look at its rules' names."""
    path = WORKFLOW / f"ablations/{name}.smk"
    try:
        found = ablations.check_file(path, ABLATION_RULES)
    except UserError as error:
        one_line(error)
    ABLATION_RULES.update(dict.fromkeys(found, path.name))
    READING["ablation"] = name
    return str(path)


def ablation(printed=(), kind="table", **given):
    """Input of the ablation in the file that is being read: runs, contents, or both.

    Keys are those of `settings` (method, prop, seed, ...) and of a table's or figure's
    contents (workflow/schemas); `printed` as `shown` takes it.
    """
    name = READING["ablation"]
    try:
        runs, contents = ablations.divided(name, given, kind)
    except UserError as error:
        one_line(error)
    if kind == "figure":
        contents = {"kind": "curve", **contents}
    path = WORKFLOW / f"ablations/{name}.smk"
    ABLATION_CONTENTS[name] = {
        "spec": spec_text({"title": name, **contents}, **runs),
        "caption": ablations.caption(path) or contents.get("title", name),
    }
    resampled = {k: contents[k] for k in ("interval", "epoch") if k in contents}
    return shown(printed, **resampled, **runs)


def of_ablation(key):
    """Parameter of an ablation's rule: its `spec` or its `caption`, by the file made."""

    def found(wildcards, output):
        value = ABLATION_CONTENTS[Path(output[0]).stem][key]
        return value(wildcards) if callable(value) else value

    return found


def keep_names(path, before, after):
    """Stop if a file gave another meaning to a name that the workflow uses."""
    for name in before:
        if not name.startswith("__") and after.get(name) is not before[name]:
            one_line(f"{path}: assigns {name}, which the workflow uses; rename it")


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

    names = {found.name for found in workflow.rules}
    for target in get_argument_parser().parse_args(sys.argv[1:]).targets:
        known = target in names or os.path.exists(target)
        if known or any(found.is_producer(target) for found in workflow.rules):
            continue
        files = [
            str(path)
            for found in workflow.rules
            for path in found.products()
            if not found.has_wildcards()
        ]
        try:
            targets.explain(target, config, [*names, *files])
        except UserError as error:
            one_line(error)
