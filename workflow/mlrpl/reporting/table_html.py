"""A table as HTML: a page of its own, or a part of one.

The table scrolls in a box of its own, so that a page is never wider than its window;
the first column stays in view, and rows of this run are tinted.
"""

import html
import re

from mlrpl.reporting.table_grid import Grid, Head, Line, Text
from mlrpl.reporting.table_model import DIFFERENCE, INTERVAL, RUN

STYLE = """\
:root { color-scheme: light; --ink: #1b1f24; --dim: #57606a; --line: #d0d7de;
  --paper: #fff; --own: #eaf3fb; --own-dim: #f4f9fd; }
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
.box { overflow-x: auto; width: fit-content; max-width: 100%;
  border: 1px solid var(--line); border-radius: 4px; }
table { border-collapse: separate; border-spacing: 0; font-size: 13px;
  font-variant-numeric: tabular-nums; }
h2.title, h4.title { font-size: 1.05rem; margin: 0 0 .6rem; }
td, th { padding: 3px 9px; white-space: nowrap; text-align: left;
  vertical-align: baseline; font-weight: normal; }
thead th { font-weight: 600; background: #f6f8fa; vertical-align: bottom; }
thead tr:last-child th, thead th[rowspan] { border-bottom: 1px solid var(--ink); }
th.over { text-align: center; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; }
td i { color: var(--dim); font-style: normal; font-size: 11px; }
tbody th[scope=row], thead tr:first-child th:first-child { position: sticky;
  left: 0; z-index: 1; min-width: 7rem; max-width: min(16rem, 38vw);
  white-space: normal; overflow-wrap: anywhere; border-right: 1px solid var(--line); }
tbody th[scope=row] { background: var(--paper); }
tr.own td, tr.own th[scope=row] { background: var(--own); }
tr.difference td, tr.difference th[scope=row] { background: var(--own-dim);
  color: var(--dim); font-size: 12px; }
tr.difference th[scope=row] { padding-left: 1.6em; }
tr.group th { border-top: 1px solid var(--ink); background: #f6f8fa; padding: 0; }
tr.group span { position: sticky; left: 0; display: inline-block; padding: 3px 9px;
  font-weight: 600; white-space: normal; max-width: min(60rem, 84vw); }
.notes { color: var(--dim); font-size: 12.5px; max-width: 75ch; margin: .6rem 0 0; }
@media (max-width: 700px) { th.over { text-align: left; } }
@media print { .box { overflow: visible; border: 0; } }
"""
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def to_html(grid: Grid) -> str:
    """Return a table as a page of its own, as the report shows it."""
    return page(grid.title, to_fragment(grid))


def page(title: str, body: str, style: str = "") -> str:
    """Return a whole page.

    Args:
        title: as text.
        body: HTML.
        style: CSS besides that of tables.
    """
    return PAGE.format(title=html.escape(title), style=STYLE + style, body=body)


def body_of(text: str) -> str:
    """Return what a page that `to_html` returned shows, as a part of another page."""
    found = re.search(r"<body>\n(.*)\n</body>", text, re.DOTALL)
    if not found:
        return html.escape(text)
    return re.sub(r"(</?)h2\b", r"\1h4", found.group(1))


def to_fragment(grid: Grid, titled: bool = True) -> str:
    """Return a table with its notes as a part of a page, below its title."""
    columns = len(grid.heads)
    rows = []
    for group in grid.groups:
        if group.title:
            text = f"<span>{html.escape(group.title)}</span>"
            cell = f'<th scope="rowgroup" colspan="{columns}">{text}</th>'
            rows.append(f'<tr class="group">{cell}</tr>')
        rows += [_line(line, grid.heads) for line in group.lines]
    name, notes = html.escape(grid.title), html.escape(" ".join(grid.notes))
    return "\n".join(
        [
            *([f'<h2 class="title">{name}</h2>'] if titled else []),
            f'<div class="box" tabindex="0" role="region" aria-label="{name}">',
            f"<table>\n<thead>\n{_heading(grid.heads)}\n</thead>\n<tbody>",
            *rows,
            "</tbody>\n</table>\n</div>",
            *([f'<p class="notes">{notes}</p>'] if notes else []),
        ]
    )


def _heading(heads: list[Head]) -> str:
    """Two rows where some headings are below a shared one, else one."""
    above, below = [], []
    shared = any(head.over for head in heads)
    span = ' rowspan="2"' if shared else ""
    for i, head in enumerate(heads):
        align = ' class="n"' if head.number else ""
        text = html.escape(head.text)
        if not head.over:
            above.append(f'<th scope="col"{align}{span}>{text}</th>')
            continue
        below.append(f'<th scope="col"{align}>{text}</th>')
        if i == 0 or heads[i - 1].over != head.over:
            rest = heads[i:]
            others = (j for j, other in enumerate(rest) if other.over != head.over)
            count = next(others, len(rest))
            over = html.escape(head.over)
            above.append(
                f'<th class="over" scope="colgroup" colspan="{count}">{over}</th>'
            )
    rows = [above, below] if shared else [above]
    return "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)


def _line(line: Line, heads: list[Head]) -> str:
    below = ' class="difference"'
    kinds = {RUN: ' class="own"', INTERVAL: below, DIFFERENCE: below}
    cells = [f'<th scope="row">{_breakable(line.cells[0].text)}</th>']
    for cell, head in zip(line.cells[1:], heads[1:], strict=True):
        align = ' class="n"' if head.number else ""
        cells.append(f"<td{align}>{_cell(cell)}</td>")
    return f"<tr{kinds.get(line.kind, '')}>{''.join(cells)}</tr>"


def _cell(cell: Text) -> str:
    text = html.escape(cell.text)
    text = f"<b>{text}</b>" if cell.bold else text
    return f"{text} <i>± {html.escape(cell.spread)}</i>" if cell.spread else text


def _breakable(text: str) -> str:
    """A method's name may go on in the next line before an override."""
    return html.escape(text).replace("+", "<wbr>+")
