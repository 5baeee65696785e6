"""Test scores to metrics, without torch and without a GPU.

INPUTS: <results>/runs/.../scores.h5, <results>/data/{dataset}/test.h5
OUTPUTS:
    <results>/runs/.../metrics.json         one run: last and best epoch, AP of each class
    <results>/runs/.../thresholds.json      of a run with a validation split, beside it
    <results>/tables/metrics.csv            every number of every run: of those that a
                                            table, a figure or an ablation names, and
                                            of others that are there
    <results>/tables/per_class_ap.csv       the same runs, class by class
"""


rule evaluate:
    """The metrics of one training."""
    input:
        scores="<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/scores.h5",
        index=of_images("<results>/data/{dataset}/test.h5"),
    output:
        "<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/metrics.json",
    log:
        "<logs>/runs/{dataset}/{method}/prop={prop}/seed={seed}/evaluate.log",
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("evaluate"),
    params:
        code=code("evaluation.score_files"),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m mlrpl evaluate --dataset {wildcards.dataset:q}"
        " --method {wildcards.method:q} --prop {wildcards.prop:q} --seed {wildcards.seed:q}"
        " --scores {input.scores:q} --index {input.index:q} --output {output:q}"
        " --thresholds {params.folder:q}/thresholds.json &> {log:q}"


rule collect:
    """metrics.csv and per_class_ap.csv."""
    input:
        metrics=named("metrics.json"),
    output:
        metrics=reported(
            "<results>/tables/metrics.csv",
            category="Tables",
            caption="../report/metrics.rst",
            labels={"table": "metrics.csv", "shows": "every number of every run"},
        ),
        per_class=reported(
            "<results>/tables/per_class_ap.csv",
            category="Tables",
            caption="../report/per_class.rst",
            labels={"table": "per_class_ap.csv", "shows": "the AP of each class"},
        ),
    log:
        "<logs>/tables/metrics.log",
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("collect"),
    params:
        code=code("reporting.results"),
        others=other_metrics,
        said=lambda w: made.contents_hash(other_metrics(w)),
    shell:
        "python -m mlrpl collect {input.metrics:q} {params.others:q} --output {output.metrics:q}"
        " --per-class {output.per_class:q} &> {log:q}"


rule metrics:
    """Every number of every run, as one CSV, and the AP of each class."""
    input:
        rules.collect.output,
