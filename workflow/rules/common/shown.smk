"""Runs by what shows them: tables, figures, ablations, and the report's first page."""

settings = stops(RUNS.settings)
named = RUNS.files_of_named
other_metrics = RUNS.other_metrics
experiment = RUNS.experiment
spec_text = stops(RUNS.spec_text)
shown = stops(RUNS.shown)
example_files = stops(RUNS.example_files)
ablation_file = stops(ABLATION_FILES.next_file)
ablation = stops(ABLATION_FILES.ablation)
of_ablation = ABLATION_FILES.of_job
keep_names = stops(keep_names)


def spec(contents, **runs):
    """Parameter of a table or figure: the JSON of its contents (`Runs.spec_text`)."""
    return literal(spec_text(contents, **runs))


def with_intervals(name):
    """What `shown` and `spec` take for an experiment that asks for intervals."""
    return RUNS.asked(name, "interval")


def with_cost(name):
    """Contents of one of the config's tables: time and memory, if it asks for them."""
    return RUNS.asked(name, "cost")


def reported(path, labels, category=None, caption=None, folded=False):
    """A file for the report, and for its first page."""
    if category:
        text = None
        if caption:  # a path from the rule's file, as Snakemake takes it
            here = workflow.current_basedir.get_path_or_uri(secret_free=True)
            file = Path(str(here)) / caption
            text = file.read_text("utf-8") if file.is_file() else ""
        FIRST_PAGE.add(path, labels, category, text, folded)

    def of_job(wildcards, output):
        return {
            k: v(wildcards, output) if callable(v) else v for k, v in labels.items()
        }

    # Snakemake takes one function of all labels, not one for each.
    filled = of_job if any(map(callable, labels.values())) else labels
    return report(path, labels=filled, category=category, caption=caption)


def own_name(prefix):
    """A label: the name of what a rule makes, where it has no other."""
    if "<ablation>" in prefix:
        return lambda wildcards, output: Path(output[0]).stem
    return Path(prefix).name


def table_files(prefix, labels=None, **in_report):
    """The files of a table; the HTML goes into the report."""
    files = {kind: f"{prefix}.{kind}" for kind in ("csv", "md", "tex", "html")}
    labels = labels or {"table": own_name(prefix)}
    return {**files, "html": reported(files["html"], labels, **in_report)}


def figure_files(prefix, labels=None, **in_report):
    """The files of a figure; the PNG goes into the report."""
    files = {kind: f"{prefix}.{kind}" for kind in ("pdf", "png")}
    labels = labels or {"figure": own_name(prefix)}
    return {**files, "png": reported(files["png"], labels, **in_report)}
