"""The paper's figures, with the printed numbers where it prints them.

INPUTS: metrics.json of the config's experiments, workflow/published/*.csv
OUTPUTS: <results>/figures/{figure4,figure7,figure8}.pdf and .png
"""


# What figures share, as rule `table` for tables (workflow/schemas/figure.schema.yaml).
rule figure:
    input:
        **shown(seed=[]),
    output:
        **figure_files("<results>/figures/{figure}"),
    log:
        "<logs>/figures/{figure}.log",
    wildcard_constraints:
        figure=either([]),
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("figure"),
    params:
        code=code("reporting.results", "reporting.figures", "reporting.class_figure"),
        spec=None,
        resamples=resamples_of,
        prefix=subpath(output.pdf, strip_suffix=".pdf"),
    shell:
        "python -m mlrpl figure --spec {params.spec:q} --published {input.published:q}"
        " --metrics {input.metrics:q} {params.resamples} --output {params.prefix:q} &> {log:q}"


# What ablations that are figures inherit: all but `input`, which their files give.
use rule figure as figure_ablation with:
    output:
        **figure_files(
            "<results>/ablations/<ablation>",
            category="Ablations",
            caption="../report/ablation.rst",
        ),
    log:
        "<logs>/ablations/<ablation>.log",
    params:
        spec=of_ablation("spec"),
        caption=of_ablation("caption"),


use rule figure as figure4 with:
    input:
        **shown(
            ["table2", "figure4"], **with_intervals("figure4"), **experiment("figure4")
        ),
    output:
        **figure_files(
            "<results>/figures/figure4",
            category="Figures",
            caption="../report/figure4.rst",
            labels={"figure": "Figure 4", "shows": "SD and SA"},
        ),
    log:
        "<logs>/figures/figure4.log",
    params:
        spec=spec(
            {
                "kind": "curve",
                "title": "Semantic decoupling (SD) and semantic attention (SA)",
                "titles": {
                    "sarl+visual=semantic_decoupling": "Semantic decoupling (SD)",
                    "sarl+visual=semantic_attention": "Semantic attention (SA)",
                },
                "gain": {
                    "method": "sarl+visual=semantic_decoupling",
                    "baseline": "sarl+visual=semantic_attention",
                    "published": "SD - SA",
                },
                **with_intervals("figure4"),
            },
            **experiment("figure4"),
        ),


use rule figure as figure7 with:
    input:
        **shown(
            ["table2", "figure7"], **with_intervals("figure7"), **experiment("figure7")
        ),
    output:
        **figure_files(
            "<results>/figures/figure7",
            category="Figures",
            caption="../report/figure7.rst",
            labels={"figure": "Figure 7", "shows": "P-ASL and P-BCE"},
        ),
    log:
        "<logs>/figures/figure7.log",
    params:
        spec=spec(
            {
                "kind": "curve",
                "title": "P-ASL and P-BCE",
                "titles": {"sarl+loss=p_asl": "P-ASL", "sarl+loss=p_bce": "P-BCE"},
                "gain": {
                    "method": "sarl+loss=p_asl",
                    "baseline": "sarl+loss=p_bce",
                    "published": "P-ASL - P-BCE",
                },
                **with_intervals("figure7"),
            },
            **experiment("figure7"),
        ),


use rule figure as figure8 with:
    input:
        **shown(
            ["table2", "figure8"], **with_intervals("figure8"), **experiment("figure8")
        ),
    output:
        **figure_files(
            "<results>/figures/figure8",
            category="Figures",
            caption="../report/figure8.rst",
            labels={"figure": "Figure 8", "shows": "focusing parameters of P-ASL"},
        ),
    log:
        "<logs>/figures/figure8.log",
    params:
        spec=spec(
            {
                "kind": "curve",
                "title": "The focusing parameters of P-ASL",
                # Each panel varies one parameter; the other has the paper's value.
                "panels": [
                    {"x": "gamma_pos", "fixed": {"gamma_neg": 2}},
                    {"x": "gamma_neg", "fixed": {"gamma_pos": 1}},
                ],
                **with_intervals("figure8"),
            },
            **experiment("figure8"),
        ),


rule figures:
    input:
        [
            getattr(rules, name).output
            for name in ("figure4", "figure7", "figure8")
            if name in config["experiments"]
        ],
