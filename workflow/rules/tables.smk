"""The paper's tables, this run's rows below the printed ones.

INPUTS: metrics.json of the config's experiments, workflow/published/*.csv
OUTPUTS: <results>/tables/{table2,table3,table4}.csv, .md, .tex and .html
"""


# What tables share. Each of the rules below, and an ablation, inherits it and adds which
# runs it shows and how (`spec`: workflow/schemas/table.schema.yaml). It makes none itself.
rule table:
    input:
        **shown(seed=[]),
    output:
        **table_files("<results>/tables/{table}"),
    log:
        "<logs>/tables/{table}.log",
    wildcard_constraints:
        table=either([]),
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("table"),
    params:
        code=code("reporting.results", "reporting.tables", "reporting.table_formats"),
        spec=None,
        resamples=resamples_of,
        prefix=subpath(output.csv, strip_suffix=".csv"),
    shell:
        "python -m mlrpl table --spec {params.spec:q} --published {input.published:q}"
        " --metrics {input.metrics:q} {params.resamples} --output {params.prefix:q} &> {log:q}"


# What ablations that are tables inherit: all but `input`, which their files give.
use rule table as table_ablation with:
    output:
        **table_files(
            "<results>/ablations/<ablation>",
            category="Ablations",
            caption="../report/ablation.rst",
        ),
    log:
        "<logs>/ablations/<ablation>.log",
    params:
        spec=of_ablation("spec"),
        caption=of_ablation("caption"),


use rule table as table2 with:
    input:
        **shown(["table2"], **with_intervals("table2"), **experiment("table2")),
    output:
        **table_files(
            "<results>/tables/table2",
            category="Tables",
            caption="../report/table2.rst",
            labels={"table": "Table 2", "shows": "mAP at every proportion"},
        ),
    log:
        "<logs>/tables/table2.log",
    params:
        spec=spec(
            {
                **with_cost("table2"),
                "title": "mAP at $proportions known labels",
                "layout": "proportions",
                **with_intervals("table2"),
            },
            **experiment("table2"),
        ),


use rule table as table3 with:
    input:
        **shown(["table3"], **with_intervals("table3"), **experiment("table3")),
    output:
        **table_files(
            "<results>/tables/table3",
            category="Tables",
            caption="../report/table3.rst",
            labels={"table": "Table 3", "shows": "average OF1 and CF1"},
        ),
    log:
        "<logs>/tables/table3.log",
    params:
        spec=spec(
            {
                **with_cost("table3"),
                "title": "OF1 and CF1, averaged over $proportions known labels",
                "layout": "averages",
                "metrics": ["OF1", "CF1"],
                **with_intervals("table3"),
            },
            **experiment("table3"),
        ),


use rule table as table4 with:
    input:
        **shown(["table4"], **with_intervals("table4"), **experiment("table4")),
    output:
        **table_files(
            "<results>/tables/table4",
            category="Tables",
            caption="../report/table4.rst",
            labels={"table": "Table 4", "shows": "one module, the other, both"},
        ),
    log:
        "<logs>/tables/table4.log",
    params:
        spec=spec(
            {
                **with_cost("table4"),
                "title": "mAP of the baseline with one module, the other, and both",
                "layout": "proportions",
                **with_intervals("table4"),
            },
            **experiment("table4"),
        ),


rule tables:
    input:
        [
            getattr(rules, name).output
            for name in ("table2", "table3", "table4")
            if name in config["experiments"]
        ],
