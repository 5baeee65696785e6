"""Options chosen on training images that are held out; `snakemake tuning` asks for it.

INPUTS: history.csv and run.json of the trials, which are runs as any other
OUTPUTS:
    <results>/tuning/{dataset}/{method}.csv, .md, .tex and .html
                                              a method's trials, the best first
    <results>/tuning/recipes.yaml             the best of each method, for --configfile
"""

from mlrpl.config import tuning

TUNING = config["tuning"] or {"datasets": [], "methods": []}


rule trials:
    """A method's trials, the best first."""
    input:
        run=lambda w: [
            f"<results>/runs/{run}/run.json"
            for run in tuning.runs(config, w.dataset, w.method)
        ],
        history=lambda w: [
            f"<results>/runs/{run}/history.csv"
            for run in tuning.runs(config, w.dataset, w.method)
        ],
    output:
        **table_files(
            "<results>/tuning/{dataset}/{method}",
            category="Tuning",
            caption="../report/tuning.rst",
            labels={"data set": "{dataset}", "method": "{method}"},
        ),
    log:
        "<logs>/tuning/{dataset}/{method}.log",
    wildcard_constraints:
        dataset=either(TUNING["datasets"]),
        method=either(TUNING["methods"]),
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("trials"),
    params:
        code=code(
            "reporting.tuning", "reporting.tuning_grid", "reporting.table_formats"
        ),
        options=lambda w: tuning.recipe_options(config, w.method),
    shell:
        "python -m mlrpl tune --runs {input.run:q} --options {params.options:q}"
        " --output {output.csv:q} &> {log:q}"


rule recipes:
    """The best options of each method, as a config file."""
    input:
        lambda w: (
            [
                f"<results>/tuning/{dataset}/{method}.csv"
                for method in TUNING["methods"]
                for dataset in TUNING["datasets"]
            ]
            or one_line("config key tuning: it is off; name methods and a search")
        ),
    output:
        "<results>/tuning/recipes.yaml",
    log:
        "<logs>/tuning/recipes.log",
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("recipes"),
    params:
        code=code("reporting.tuning"),
    shell:
        "python -m mlrpl tune --tables {input:q} --output {output:q} &> {log:q}"


rule tuning:
    """Options chosen on training images that are held out."""
    input:
        rules.recipes.output,
