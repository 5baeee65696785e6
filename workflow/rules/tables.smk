"""The paper's tables, this run's rows beside the printed ones.

INPUTS: metrics.json of the config's experiments, workflow/published/*.csv
OUTPUTS: <results>/tables/{table2,table3,table4}.csv, .md and .tex
"""

# What each shows apart from its settings: see workflow/schemas/table.schema.yaml.
TABLES = {
    "table2": {
        "title": "mAP at 10 % to 90 % known labels",
        "layout": "proportions",
    },
    "table3": {
        "title": "OF1 and CF1, averaged over 10 % to 90 % known labels",
        "layout": "averages",
        "metrics": ["OF1", "CF1"],
    },
    "table4": {
        "title": "mAP of the baseline with one module, the other, and both",
        "layout": "proportions",
    },
}


# Ablations inherit from this rule: see workflow/ablations/pooled.smk.
rule table:
    input:
        metrics=lambda w: EXPERIMENTS[w.table],
        published=lambda w: published(w.table),
        code=code("metrics", "published", "results", "specs", "table_formats", "tables"),
    output:
        report(
            multiext("<results>/tables/{table}", csv=".csv", md=".md", tex=".tex"),
            category="Tables",
            caption="../report/{table}.rst",
        ),
    log:
        "<logs>/tables/{table}.log",
    wildcard_constraints:
        table=either(name for name in TABLES if name in EXPERIMENTS),
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    params:
        spec=lambda w: experiment_spec(w.table, TABLES[w.table]),
        prefix=subpath(output.csv, strip_suffix=".csv"),
    shell:
        "python -m mlrpl table --spec {params.spec:q} --published {input.published}"
        " --metrics {input.metrics} --output {params.prefix} &> {log}"


rule tables:
    input:
        collect(
            "<results>/tables/{table}.{format}",
            table=[name for name in TABLES if name in EXPERIMENTS],
            format=["csv", "md", "tex"],
        ),
