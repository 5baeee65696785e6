"""The paper's figures, with the printed numbers where it prints them.

INPUTS: metrics.json of the config's experiments, workflow/published/*.csv
OUTPUTS: <results>/figures/{figure4,figure7,figure8}.pdf and .png
"""

# What each shows apart from its settings: see workflow/schemas/figure.schema.yaml.
FIGURES = {
    "figure4": {
        "kind": "curve",
        "title": "Semantic decoupling (SD) and semantic attention (SA)",
        "gain": {
            "method": "sarl",
            "baseline": "sarl+visual=semantic_attention",
            "published": "SD - SA",
        },
    },
    "figure7": {
        "kind": "curve",
        "title": "P-ASL and P-BCE",
        "gain": {
            "method": "sarl",
            "baseline": "sarl+loss=p_bce",
            "published": "P-ASL - P-BCE",
        },
    },
    "figure8": {
        "kind": "curve",
        "title": "The focusing parameters of P-ASL",
        "panels": [{"x": "gamma_pos"}, {"x": "gamma_neg"}],
    },
}


# Ablations inherit from this rule, as they do from `table`.
rule figure:
    input:
        metrics=lambda w: EXPERIMENTS[w.figure],
        published=lambda w: published("table2", w.figure),
        code=code(
            "figure_drawing", "figures", "metrics", "published", "results", "specs"
        ),
    output:
        pdf="<results>/figures/{figure}.pdf",
        png=report(
            "<results>/figures/{figure}.png",
            category="Figures",
            caption="../report/{figure}.rst",
        ),
    log:
        "<logs>/figures/{figure}.log",
    wildcard_constraints:
        figure=either(name for name in FIGURES if name in EXPERIMENTS),
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    params:
        spec=lambda w: experiment_spec(w.figure, FIGURES[w.figure]),
        prefix=subpath(output.pdf, strip_suffix=".pdf"),
    shell:
        "python -m mlrpl figure --spec {params.spec:q} --published {input.published}"
        " --metrics {input.metrics} --output {params.prefix} &> {log}"


rule figures:
    input:
        collect(
            "<results>/figures/{figure}.{format}",
            figure=[name for name in FIGURES if name in EXPERIMENTS],
            format=["pdf", "png"],
        ),
