"""A table as GitHub's Markdown: its title above, its notes below."""

import re

from mlrpl.reporting.table_grid import Grid, Text


def to_markdown(grid: Grid) -> str:
    """Return the Markdown of a table; the titles of its groups are columns."""
    heads = [*grid.labels, *(head.text for head in grid.heads)]
    right = [*(False for _ in grid.labels), *(head.number for head in grid.heads)]
    lines = [
        f"**{_escaped(grid.title)}**",
        "",
        _pipes([_escaped(head) for head in heads]),
        _pipes(["---:" if number else "---" for number in right]),
    ]
    for group in grid.groups:
        parts = [_escaped(part) for part in group.parts]
        lines += [
            _pipes(parts + [_cell(c) for c in line.cells]) for line in group.lines
        ]
    lines += ["", " ".join(_escaped(note) for note in grid.notes), ""]
    return "\n".join(lines)


def _cell(cell: Text) -> str:
    text = _escaped(cell.text)
    text = f"**{text}**" if cell.bold else text
    return f"{text} ± {cell.spread}" if cell.spread else text


def _pipes(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _escaped(text: str) -> str:
    text = " ".join(text.split())  # a line break would end the row
    return re.sub(r"([\\|*_`<>\[\]])", r"\\\1", text)
