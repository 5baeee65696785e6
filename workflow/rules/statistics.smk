"""How far numbers would move with other test images and other seeds.

INPUTS: <results>/runs/.../scores.h5, <results>/data/{dataset}/test.h5
OUTPUTS:
    <results>/runs/.../resamples_{epoch}.h5       metrics of a run's resampled test images
    <results>/comparisons/{experiment}.csv, .md, .json and _classes.csv
                                                  methods against one, with intervals
    <results>/tables/cost.csv, .md                hours and energy of the finished runs
"""

from mlrpl.config import comparing

COMPARED = comparing.against(config)
# What is compared besides mAP.
COMPARED_METRICS = {"table3": ["OF1", "CF1"]}


rule resample:
    """The metrics of a run's resampled test images."""
    input:
        scores="<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/scores.h5",
        index="<results>/data/{dataset}/test.h5",
    output:
        "<results>/runs/{dataset}/{method}/prop={prop}/seed={seed}/resamples_{epoch}.h5",
    log:
        "<logs>/runs/{dataset}/{method}/prop={prop}/seed={seed}/resamples_{epoch}.log",
    wildcard_constraints:
        epoch="last|best|validated",
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("resample"),
    params:
        code=code("statistics.resample_files"),
    shell:
        "python -m mlrpl resample --dataset {wildcards.dataset:q}"
        " --method {wildcards.method:q} --prop {wildcards.prop:q} --seed {wildcards.seed:q}"
        " --scores {input.scores:q} --index {input.index:q} --epoch {wildcards.epoch:q}"
        " --output {output:q} &> {log:q}"


rule comparison:
    """An experiment's methods against one of them."""
    input:
        lambda w: settings(**experiment(w.experiment), file="resamples_last.h5"),
    output:
        csv="<results>/comparisons/{experiment}.csv",
        md="<results>/comparisons/{experiment}.md",
        json="<results>/comparisons/{experiment}.json",
        classes="<results>/comparisons/{experiment}_classes.csv",
    log:
        "<logs>/comparisons/{experiment}.log",
    wildcard_constraints:
        experiment=either(COMPARED),
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("comparison"),
    params:
        code=code(
            "statistics.run_folders",
            "statistics.comparisons",
            "reporting.comparisons",
            "reporting.reruns",
        ),
        against=lambda w: COMPARED[w.experiment],
        metric=lambda w: COMPARED_METRICS.get(w.experiment, ["mAP"]),
        titles=lambda w: json.dumps(comparing.titles(config, w.experiment)),
        prefix=subpath(output.csv, strip_suffix=".csv"),
    shell:
        "python -m mlrpl compare {input:q} --against {params.against:q}"
        " --metric {params.metric:q} --titles {params.titles:q} --output {params.prefix:q}"
        " &> {log:q}"


rule comparisons:
    """Each experiment that has `against`, with intervals."""
    input:
        lambda w: (
            expand("<results>/comparisons/{experiment}.csv", experiment=COMPARED)
            or one_line(
                "config key experiments: none has `against`; name a method there"
            )
        ),


rule cost:
    """Hours, memory and energy of the trainings that tables and figures are made of."""
    input:
        lambda w: [f"<results>/runs/{run}/run.json" for run in sorted(RUNS.named)],
    output:
        csv="<results>/tables/cost.csv",
        md="<results>/tables/cost.md",
    log:
        "<logs>/tables/cost.log",
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("cost"),
    params:
        code=code("reporting.cost"),
        prefix=subpath(output.csv, strip_suffix=".csv"),
    shell:
        "python -m mlrpl cost {input:q} --output {params.prefix:q} &> {log:q}"
