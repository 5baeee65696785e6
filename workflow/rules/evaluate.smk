"""Test scores to metrics, without torch and without a GPU.

INPUTS: <results>/runs/.../scores.h5, <results>/data/{dataset}/test.h5
OUTPUTS:
    <results>/runs/.../metrics.json         one run: last and best epoch, AP of each class
    <results>/tables/metrics.csv            every number of every run that a table, a
                                            figure or an ablation names
    <results>/tables/per_class_ap.csv       the same runs, class by class
"""


rule evaluate:
    input:
        scores="<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/scores.h5",
        index="<results>/data/{dataset}/test.h5",
        code=code("average_precision", "evaluation", "metrics"),
    output:
        "<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/metrics.json",
    log:
        "<logs>/runs/{dataset}/{method}/prop={prop}/seed={seed}/evaluate.log",
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    shell:
        "python -m mlrpl evaluate --dataset {wildcards.dataset}"
        " --method {wildcards.method} --prop {wildcards.prop} --seed {wildcards.seed}"
        " --scores {input.scores} --index {input.index} --output {output} &> {log}"


rule collect:
    input:
        metrics=named_metrics,
        code=code("metrics", "results"),
    output:
        metrics=report(
            "<results>/tables/metrics.csv",
            category="Tables",
            caption="../report/metrics.rst",
        ),
        per_class="<results>/tables/per_class_ap.csv",
    log:
        "<logs>/tables/metrics.log",
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    shell:
        "python -m mlrpl collect {input.metrics} --output {output.metrics}"
        " --per-class {output.per_class} &> {log}"


rule metrics:
    input:
        rules.collect.output,
