"""The first page of the report, and what it shows besides tables and figures.

INPUTS: all that the config's tables, figures and ablations make, and how it was made
OUTPUTS:
    <results>/report/index.html         one page that holds everything, for any browser
    <results>/report/classes.html       the AP of each class, one column a method
    <results>/report/curves.pdf, .png   training curves of one setting a data set
"""

TITLES = {name: method_names.title(config, name) for name in config["methods"]}
DATASET_TITLES = {name: dataset["title"] for name, dataset in DATASETS.items()}


rule curves:
    input:
        run=named("run.json", shown_runs.examples),
        history=named("history.csv", shown_runs.examples),
    output:
        **figure_files(
            "<results>/report/curves",
            category="Figures",
            caption="../report/curves.rst",
            labels={"figure": "Training curves", "shows": "loss and test mAP"},
        ),
    log:
        "<logs>/report/curves.log",
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("curves"),
    params:
        code=code("reporting.training_curves", "reporting.run_files"),
        titles=lambda w: json.dumps(TITLES),
        datasets=lambda w: json.dumps(DATASET_TITLES),
        prefix=subpath(output.pdf, strip_suffix=".pdf"),
    shell:
        "python -m mlrpl curves {input.history:q} --titles {params.titles:q}"
        " --datasets {params.datasets:q} --output {params.prefix:q} &> {log:q}"


rule classes:
    input:
        rules.collect.output.per_class,
    output:
        reported(
            "<results>/report/classes.html",
            category="Tables",
            caption="../report/classes.rst",
            labels={"table": "Classes", "shows": "the AP of each class, as a page"},
            folded=True,
        ),
    log:
        "<logs>/report/classes.log",
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("classes"),
    params:
        code=code("reporting.class_table", "reporting.results", "reporting.table_html"),
        methods=lambda w: json.dumps(TITLES),
        datasets=lambda w: json.dumps(DATASET_TITLES),
    shell:
        "python -m mlrpl per_class {input:q} --methods {params.methods:q}"
        " --datasets {params.datasets:q} --output {output:q} &> {log:q}"


ON_FIRST_PAGE = FIRST_PAGE.of(
    [*RESULTS, *rules.curves.output, *rules.classes.output], ABLATION_FILES.contents
)


rule overview:
    input:
        shown=list(ON_FIRST_PAGE),
        results=RESULTS,
        runs=named("run.json"),
    output:
        report(
            "<results>/report/index.html",
            category="1 Overview",  # the report sorts by name
            caption="../report/overview.rst",
            labels={"page": "Overview", "shows": "what was reproduced, and how"},
        ),
    log:
        "<logs>/report/overview.log",
    localrule: True
    conda:
        "../../envs/mlrpl.yaml"
    threads: 1
    resources:
        **takes("overview"),
    params:
        code=code("reporting.overview", "reporting.summary", "reporting.provenance"),
        contents=lambda w: json.dumps(
            {
                "title": "Multi-label recognition with partial labels",
                "about": (WORKFLOW / "report/overview.rst").read_text("utf-8"),
                "items": list(ON_FIRST_PAGE.values()),
            }
        ),
    shell:
        "python -m mlrpl overview --contents {params.contents:q}"
        " --shown {input.shown:q} --runs {input.runs:q} --output {output:q} &> {log:q}"
