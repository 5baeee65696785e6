"""Tables in LaTeX, set by pdflatex: they compile and fit in one column and in two."""

import json
import re
import shutil
import subprocess

import pytest

from mlrpl.config import files, plan
from mlrpl.config.validation import validate
from mlrpl.reporting import published, results, table_formats, tables, tuning_grid
from mlrpl.reporting.specs import load_spec
from mlrpl.reporting.tuning import Trial
from support.synthetic_paper import write_results
from support.tables import PUBLISHED

pytestmark = pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="needs pdflatex"
)

DOCUMENT = r"""
\documentclass%s{article}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
%s
\end{document}
"""
NASTY = r"50 % & $x^2_i$ #1 {a} ~ \input{b} <c> | `d` ''e'' -- f ± γ₊ é Łódź…"
LONG = "sarl+visual=semantic_decoupling+pooled=raw+projection=clip+context_init=a_photo"
ABLATION = {
    "title": NASTY,
    "layout": "proportions",
    "metrics": ["mAP", "OF1"],
    "columns": ["parameters"],
    "cost": True,
    "titles": {"sarl": NASTY},
}
POINTS = 5.0


@pytest.fixture(scope="module")
def folder(repository, tmp_path_factory):
    """table2 to table4 of config.yaml, an ablation with long names and odd titles."""
    folder = tmp_path_factory.mktemp("latex")
    config = validate(files.load_config(base=repository / "config.yaml"))
    two = {"title": "mAP at $proportions known labels", "layout": "proportions"}
    three = {"title": "F1", "layout": "averages", "metrics": ["OF1", "CF1"]}
    wanted = {name: plan.experiment(config, name) for name in ("table2", "table4")}
    runs = dict.fromkeys(
        run for shown in wanted.values() for run in plan.runs(config, **shown)
    )
    long = {"method": ["sarl", LONG], "prop": [0.1, 0.9], "seed": [0, 1]}
    runs |= dict.fromkeys(plan.runs(config, **long))
    paths = write_results(config, list(runs), folder)
    made = {
        "table2": (two, wanted["table2"], "table2"),
        "table3": (three, wanted["table2"], "table3"),
        "table4": ({**two, "cost": True}, wanted["table4"], "table4"),
        "ablation": (ABLATION, long, "table2"),
    }
    for name, (contents, shown, source) in made.items():
        spec = load_spec(json.dumps(plan.spec(config, contents, **shown)), "table")
        frame = results.load_metrics(paths, tables.extras(spec))
        printed = published.load_published([PUBLISHED / f"{source}.csv"])
        table = tables.build(spec, frame, printed)
        table_formats.write(table, folder / name)
    options = {"lr": 1e-5, "warmup_epochs": 0, "context_init": "a_photo_of_a"}
    options |= {f"option_{i}": 0.001 * i for i in range(9)}
    trials = [
        Trial(*("voc2007", LONG, 0.5, 0), 0.2, {**options, "lr": lr, "n": lr}, 80, 9)
        for lr in (0.1, 0.01)
    ]
    table_formats.write_grid(tuning_grid.to_grid(trials), folder / "tuning")
    return folder


@pytest.mark.parametrize("columns", ["", "[twocolumn]"], ids=["one", "two"])
@pytest.mark.parametrize("name", ["table2", "table3", "table4", "ablation", "tuning"])
def test_a_table_fits_the_page(folder, name, columns):
    document = f"{name}{len(columns)}"
    text = DOCUMENT % (columns, rf"\input{{{name}}}")
    (folder / f"{document}.tex").write_text(text)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", document],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-2000:]
    over = re.findall(r"Overfull \\[hv]box \(([\d.]+)pt", done.stdout)
    assert all(float(points) <= POINTS for points in over), over
    assert "Float too large" not in done.stdout
    assert "Missing character" not in (folder / f"{document}.log").read_text("latin-1")
    if shutil.which("pdftotext"):
        pdf = str(folder / f"{document}.pdf")
        said = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True)
        said = " ".join(said.stdout.decode().split())
        assert "Bold: the best" in said
        if name == "tuning":
            return
        assert "this run" in said and "printed in the paper" in said
        assert "SARL" in said or name == "ablation"
