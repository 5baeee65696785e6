"""A table as CSV for a program; Markdown, LaTeX and an HTML page for a reader.

The CSV has one line a row of the table and keeps full precision. Its columns are
`dataset`, `dataset_title`, `source` (paper, this run, or difference: this run minus the
paper), `reference`, `method`, `title`, `metric` (where a row is one metric), `epoch`,
`seeds`, and then each number with its standard deviation beside it: `0.1`, `0.1_sd`,
..., `average`, `average_sd`. With intervals their ends follow, `0.1_low`, `0.1_high`,
and `0.1_interval` says of which kind they are.
"""

from pathlib import Path

import pandas as pd

from mlrpl.reporting.results import write_csv
from mlrpl.reporting.table_grid import Grid, to_grid
from mlrpl.reporting.table_html import to_html
from mlrpl.reporting.table_latex import to_latex
from mlrpl.reporting.table_markdown import to_markdown
from mlrpl.reporting.table_model import Table
from mlrpl.runtime.storage import atomic_path


def write(table: Table, prefix: str | Path) -> None:
    """Write PREFIX.csv, PREFIX.md, PREFIX.tex and PREFIX.html."""
    write_csv(to_frame(table), f"{prefix}.csv")
    write_grid(to_grid(table), prefix)


def write_grid(grid: Grid, prefix: str | Path) -> None:
    """Write what a reader sees: PREFIX.md, PREFIX.tex and PREFIX.html."""
    label = Path(prefix).name
    texts = {
        "md": to_markdown(grid),
        "tex": to_latex(grid, label),
        "html": to_html(grid),
    }
    for suffix, text in texts.items():
        with atomic_path(f"{prefix}.{suffix}") as temporary:
            temporary.write_text(text, encoding="utf-8")


def to_frame(table: Table) -> pd.DataFrame:
    """Return the table with unrounded numbers, one line a row."""
    heads = ["dataset", "dataset_title", "source", "reference", "method", "title"]
    if any(row.metric for row in table.rows):
        heads.append("metric")
    heads += ["epoch", "seeds"]
    lines = []
    for row in table.rows:
        line = {head: getattr(row, head) for head in heads}
        for column in table.columns:
            cell = row.cell(column.key)
            line[column.key] = cell.mean
            if column.kind == "percent":
                line[f"{column.key}_sd"] = cell.std
            if column.kind == "percent" and table.level is not None:
                line[f"{column.key}_low"] = cell.low
                line[f"{column.key}_high"] = cell.high
                line[f"{column.key}_interval"] = cell.kind
        lines.append(line)
    frame = pd.DataFrame(lines)
    if "parameters" in frame:
        frame["parameters"] = frame["parameters"].round().astype("Int64")
    return frame
