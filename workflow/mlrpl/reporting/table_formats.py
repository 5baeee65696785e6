"""A table as CSV for a program; Markdown, LaTeX and an HTML page for a reader.

The CSV has one line a row of the table and keeps full precision. Its columns are
`dataset`, `dataset_title`, `source` (paper or this run), `reference`, `method`,
`title`, `metric` (where a row is one metric), `epoch`, `seeds`, and then each number
with its standard deviation beside it: `0.1`, `0.1_sd`, ..., `average`, `average_sd`.

For a reader numbers are rounded, and the best of a column is bold: of the
paper's rows and of this run's separately, for each data set.
"""

import html
import math
import re
from pathlib import Path

import pandas as pd

from mlrpl.reporting.results import write_csv
from mlrpl.reporting.tables import Cell, Column, Row, Table
from mlrpl.runtime.storage import atomic_path

LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "%": r"\%",
    "·": r"$\cdot$",
    **{character: "\\" + character for character in "&$#_{}"},
}
HTML = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 14px sans-serif; margin: 1em; }}
table {{ border-collapse: collapse; border-bottom: 2px solid; }}
caption {{ text-align: left; font-weight: bold; padding-bottom: 0.5em; }}
th {{ border-top: 2px solid; border-bottom: 1px solid; text-align: left; }}
td, th {{ padding: 2px 8px; white-space: nowrap; }}
.n {{ text-align: right; }}
.new td {{ border-top: 1px solid #999; }}
p {{ max-width: 60em; }}
</style>
<table>
<caption>{title}</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
<p>{notes}</p>
</html>
"""
WIDE = 8  # columns of numbers, from which on a LaTeX table is scaled to the page


def write(table: Table, prefix: str | Path) -> None:
    """Write PREFIX.csv, PREFIX.md, PREFIX.tex and PREFIX.html."""
    write_csv(to_frame(table), f"{prefix}.csv")
    label = Path(prefix).name
    texts = {
        "md": to_markdown(table),
        "tex": to_latex(table, label),
        "html": to_html(table),
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
            cell = row.cells.get(column.key, Cell(math.nan))
            line[column.key] = cell.mean
            if column.kind == "percent":
                line[f"{column.key}_sd"] = cell.std
        lines.append(line)
    frame = pd.DataFrame(lines)
    if "parameters" in frame:
        frame["parameters"] = frame["parameters"].round().astype("Int64")
    return frame


def to_markdown(table: Table) -> str:
    """Return the table as GitHub's Markdown, its title above and its notes below."""
    heads, aligned = _heads(table)
    lines = [
        f"**{_markdown(table.title)}**",
        "",
        _pipes([_markdown(head) for head in heads]),
        _pipes(["---:" if right else "---" for right in aligned]),
    ]
    bold = best_cells(table)
    previous = ""
    for i, row in enumerate(table.rows):
        texts = [_markdown(text) for text in _texts(table, row, previous)]
        previous = row.dataset_title
        for column in table.columns:
            mean, std = printed(row, column, table.decimals)
            mean = f"**{mean}**" if (i, column.key) in bold else mean
            texts.append(f"{mean} ± {std}" if std else mean)
        lines.append(_pipes(texts))
    lines += ["", " ".join(_markdown(note) for note in table.notes), ""]
    return "\n".join(lines)


def to_latex(table: Table, label: str) -> str:
    """Return a LaTeX table float that needs the packages booktabs and graphicx."""
    heads, aligned = _heads(table)
    rules = "".join("r" if right else "l" for right in aligned)
    caption = " ".join(_latex(text) for text in (table.title + ".", *table.notes))
    wide = len(table.columns) >= WIDE
    lines = [
        r"% needs \usepackage{booktabs} and \usepackage{graphicx}",
        r"\begin{table*}",
        r"  \centering",
        rf"  \caption{{{caption}}}",
        rf"  \label{{tab:{label}}}",
        *([r"  \resizebox{\textwidth}{!}{%"] if wide else []),
        rf"  \begin{{tabular}}{{{rules}}}",
        r"    \toprule",
        "    " + _ampersands([_latex(head) for head in heads]),
    ]
    bold = best_cells(table)
    previous, source = "", ""
    for i, row in enumerate(table.rows):
        if row.dataset_title != previous:
            lines.append(r"    \midrule")
        elif row.source != source:
            lines.append(r"    \addlinespace")
        texts = [_latex(text) for text in _texts(table, row, previous)]
        previous, source = row.dataset_title, row.source
        for column in table.columns:
            mean, std = printed(row, column, table.decimals)
            mean = _latex(mean)
            if (i, column.key) in bold:
                mean = rf"\mathbf{{{mean}}}"
            texts.append(f"${mean} \\pm {std}$" if std else mean and f"${mean}$")
            if column.kind != "percent":
                texts[-1] = mean
        lines.append("    " + _ampersands(texts))
    lines += [
        r"    \bottomrule",
        r"  \end{tabular}" + ("}" if wide else ""),
        r"\end{table*}",
        "",
    ]
    return "\n".join(lines)


def to_html(table: Table) -> str:
    """Return the table as an HTML page of its own, as the report shows it."""
    heads, aligned = _heads(table)
    bold = best_cells(table)
    lines, previous, source = [], "", ""
    for i, row in enumerate(table.rows):
        new = row.dataset_title != previous or row.source != source
        texts = [html.escape(text) for text in _texts(table, row, previous)]
        previous, source = row.dataset_title, row.source
        for column in table.columns:
            mean, std = printed(row, column, table.decimals)
            mean = f"<b>{mean}</b>" if (i, column.key) in bold else mean
            texts.append(f"{mean} ± {std}" if std else mean)
        cells = zip(texts, aligned, strict=True)
        lines.append(
            f"<tr{' class=new' if new else ''}>"
            + "".join(f"<td{' class=n' if n else ''}>{text}</td>" for text, n in cells)
            + "</tr>"
        )
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    title, notes = html.escape(table.title), html.escape(" ".join(table.notes))
    return HTML.format(title=title, head=head, rows="\n".join(lines), notes=notes)


def printed(row: Row, column: Column, decimals: int) -> tuple[str, str]:
    """Return a cell's mean and standard deviation as text, empty where absent."""
    cell = row.cells.get(column.key, Cell(math.nan))
    if math.isnan(cell.mean):
        return "", ""
    if column.kind == "parameters":
        return f"{cell.mean / 1e6:.3g} M", ""
    if column.kind == "seconds":
        return f"{cell.mean:.0f} s", ""
    std = "" if math.isnan(cell.std) else f"{cell.std:.{decimals}f}"
    return f"{cell.mean:.{decimals}f}", std


def best_cells(table: Table) -> set[tuple[int, str]]:
    """Return (row number, column key) of the best percentages, as printed.

    Rows compete within their data set's title, source and metric; where only one row
    has a value there is no best.
    """
    groups: dict[tuple, list[tuple[float, int]]] = {}
    for i, row in enumerate(table.rows):
        for column in table.columns:
            mean, _ = printed(row, column, table.decimals)
            if column.kind == "percent" and mean:
                key = (row.dataset_title, row.source, row.metric, column.key)
                groups.setdefault(key, []).append((float(mean), i))
    return {
        (i, key[-1])
        for key, values in groups.items()
        if len(values) > 1
        for value, i in values
        if value == max(values)[0]
    }


def _heads(table: Table) -> tuple[list[str], list[bool]]:
    """Return the headings, and which columns are aligned right."""
    texts = ["Data set", "Method", "Source"]
    if _shows_metric(table):
        texts.append("Metric")
    texts.append("Seeds")
    numbers = [column.heading for column in table.columns]
    return texts + numbers, [False] * (len(texts) - 1) + [True] * (len(numbers) + 1)


def _texts(table: Table, row: Row, previous: str) -> list[str]:
    """Return a row's cells before its numbers; a data set is named once."""
    title = "" if row.dataset_title == previous else row.dataset_title
    metric = [row.metric] if _shows_metric(table) else []
    return [title, row.title, row.source, *metric, row.seeds]


def _shows_metric(table: Table) -> bool:
    return len({row.metric for row in table.rows}) > 1


def _pipes(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _ampersands(texts: list[str]) -> str:
    return " & ".join(texts) + r" \\"


def _markdown(text: str) -> str:
    return re.sub(r"([\\|*_`<>\[\]])", r"\\\1", text)


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
