"""From raw public data to the tables and figures of multi-label recognition with
partial labels. `snakemake --cores 8 --resources gpu=1` runs what config.yaml says.
"""

import os

from snakemake.utils import min_version

min_version("9.19")


# The caller's own; what it lacks is in the project's (workflow/rules/common/start.smk).
if os.path.exists("config.yaml"):

    configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common/start.smk"
include: "workflow/rules/common/inputs.smk"
include: "workflow/rules/common/shown.smk"


if config["container"]:

    container: config["container"]


pathvars:
    results=config["results"],
    logs=config["logs"],
    data=config["data_dir"],
    ablation="none",  # of the file that is being read, below


include: "workflow/rules/demo.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/labels.smk"
include: "workflow/rules/embeddings.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/examples.smk"
include: "workflow/rules/tuning.smk"
include: "workflow/rules/statistics.smk"


onstart:
    prepare_executor()


# The last lines on the screen: numbers and places, or what failed.
onsuccess:
    say_last(endings.success(config, sorted(RUNS.named)))


onerror:
    say_last(failed_jobs(workflow.scheduler))


# An ablation is a file with a rule `ablation_` and its name, and a target: drop one in.
WORKFLOWS_OWN = dict(globals())
for ablation_name in ABLATIONS:

    pathvars:
        ablation=ablation_name,

    ablation_path = ablation_file(ablation_name)

    include: ablation_path

    keep_names(ablation_path, WORKFLOWS_OWN, globals())


ABLATION_FILES.all_read()


rule ablations:
    """Every table and figure of workflow/ablations/."""
    input:
        [getattr(rules, f"ablation_{name}").output for name in ABLATIONS],


# What the report's first page shows, and all that a run makes besides.
RESULTS = [
    *rules.tables.input,
    *rules.figures.input,
    *rules.pictures_and_boxes.input,
    *rules.metrics.input,
    *(
        path
        for name in CHOSEN_ABLATIONS
        for path in getattr(rules, f"ablation_{name}").output
    ),
]


include: "workflow/rules/report.smk"


rule all:
    """Tables, figures, metrics, and the ablations that the configuration chooses."""
    default_target: True
    input:
        RESULTS,
        rules.overview.output,


check_targets()
