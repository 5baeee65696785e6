"""The page on tables: its blocks are right, and what it names is there."""

import ast
import json
import re
import shutil
import subprocess

import pytest
import yaml

from mlrpl.config import files, plan, specs
from mlrpl.config.validation import validate
from mlrpl.reporting.specs import load_spec
from mlrpl.reporting.table_formats import write
from mlrpl.reporting.tables import EXTRAS
from support.synthetic_metrics import write_run
from support.tables import build, spec


@pytest.fixture(scope="module")
def page(repository):
    return (repository / "docs/tables.md").read_text()


def block(page, language):
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.M | re.S)
    return text


def test_the_configuration_asks_for_cost(page, repository):
    config = files.load_config(base=repository / "config.yaml")
    valid = validate(files.merge(config, yaml.safe_load(block(page, "yaml"))))
    assert valid["experiments"]["table4"]["cost"] is True
    assert len(valid["experiments"]["table4"]["methods"]) == 4


def test_the_ablation_has_contents_of_a_table(page, repository):
    text = block(page, "python")
    call = re.search(r"ablation\((.*)\),\n$", text, re.S).group(1)
    (keywords,) = [
        node.keywords
        for node in ast.walk(ast.parse(f"dict({call})"))
        if isinstance(node, ast.Call)
    ]
    given = {word.arg: ast.literal_eval(word.value) for word in keywords}
    specs.check_keys("page", given, "table")
    config = validate(files.load_config(base=repository / "config.yaml"))
    runs = {key: given.pop(key) for key in ("method", "prop")}
    contents = {"layout": "proportions", **given}
    found = plan.spec(config, contents, **runs)
    assert load_spec(json.dumps(found), "table")["cost"] is True
    assert set(found["columns"]) <= set(EXTRAS)
    plan.runs(config, **runs)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_document_is_set(page, tmp_path):
    path = write_run(tmp_path, "sarl", 0.1, 0, 80.0)
    write(build(spec(), [path], "table2"), tmp_path / "results/tables/table2")
    (tmp_path / "d.tex").write_text(block(page, "latex"))
    for _ in range(2):  # the second time knows the label
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert done.returncode == 0, done.stdout[-2000:]
    assert "undefined" not in done.stdout


def test_columns_of_the_csv_are_as_the_page_says(page, tmp_path):
    path = write_run(tmp_path, "sarl", 0.1, 0, 80.0)
    (tmp_path / "t").mkdir()
    write(build(spec(), [path], "table2"), tmp_path / "t/table2")
    header = (tmp_path / "t/table2.csv").read_text().splitlines()[0].split(",")
    said = page[page.index("Columns of the CSV") : page.index("## In LaTeX")]
    named = [name for name in re.findall(r"`([\w.]+)`", said) if name != "paper"]
    assert [name for name in header if name in named] == [
        name for name in named if name in header
    ]
    assert {"source", "reference", "0.1_sd", "average_sd"} <= set(named)
