r"""A table as a LaTeX float to `\input`: booktabs and graphicx are all that it needs.

It fits the page, whatever that is: a table that is wider than the text, or that with
its notes would be higher, is scaled. A deviation is a subscript, the titles of groups
are lines of their own, and long words go on in a second line of their cell, so that
little has to be scaled.
"""

import itertools
import re
import unicodedata
from collections.abc import Iterator

from mlrpl.reporting.table_grid import Grid, Head, Line, Text
from mlrpl.reporting.table_model import DIFFERENCE, INTERVAL

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",
    "±": r"$\pm$",
    "−": "$-$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "γ": r"$\gamma$",
    "₊": "$_+$",
    "₋": "$_-$",
    "\u2009": r"\,",
    "\u00a0": "~",
    **{character: "\\" + character for character in "&%$#_{}"},
}
PLAIN = "–—‘’“”…€"  # besides Latin letters, what pdflatex knows of itself
LABEL = 26  # letters of a line's title, after which it goes on in a second line
HEADING = 10  # letters of a heading, likewise
HEIGHT = r".7\textheight"  # of a table; the rest is for its caption and its notes
FIT_HEIGHT = (
    rf"\resizebox*{{!}}{{\ifdim\totalheight>{HEIGHT} {HEIGHT}\else\totalheight\fi}}{{%"
)
FIT_WIDTH = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


def to_latex(grid: Grid, label: str) -> str:
    """Return a float `table*`, which fills the text's width in one column or two.

    Args:
        grid: the table.
        label: the float's is `tab:` and this.
    """
    columns = len(grid.heads)
    rules = "".join("r" if head.number else "l" for head in grid.heads)
    title = escaped(grid.title)
    lines = [
        r"% \input it; needs \usepackage{booktabs} and \usepackage{graphicx}",
        r"\begin{table*}",
        r"  \centering",
        r"  \setlength{\belowcaptionskip}{6pt}",
        rf"  \caption{{{title}}}",
        rf"  \label{{tab:{label}}}",
        r"  \footnotesize",
        r"  \setlength{\tabcolsep}{3pt}",
        f"  {FIT_HEIGHT}",
        f"  {FIT_WIDTH}",
        rf"  \begin{{tabular}}{{@{{}}{rules}@{{}}}}",
        r"    \toprule",
        *_heading(grid.heads),
    ]
    previous = None
    for group in grid.groups:
        first = previous is None or previous.parts[:1] != group.parts[:1]
        lines.append(r"    \midrule" if first else r"    \addlinespace")
        if group.title:
            text = rf"\textit{{{escaped(group.title)}}}"
            lines.append(rf"    \multicolumn{{{columns}}}{{@{{}}l}}{{{text}}} \\")
        lines += [_line(line, grid.heads) for line in group.lines]
        previous = group
    lines += [
        r"    \bottomrule",
        r"  \end{tabular}}}",
        *_below(grid),
        r"\end{table*}",
        "",
    ]
    text = "\n".join(lines)
    if foreign := sorted(set(text) - set(PLAIN) - set(map(chr, range(0x180)))):
        shown = " ".join(foreign)
        return f"% {shown} need xelatex or lualatex, and a font that has them\n{text}"
    return text


def escaped(text: str) -> str:
    """Return text as LaTeX prints it: nothing in it is a command."""
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf"))
    text = "".join(SPECIAL.get(character, character) for character in text)
    return text.replace("--", "-{}-").replace("--", "-{}-")


def _below(grid: Grid) -> Iterator[str]:
    """The notes, in the float and as wide as the text."""
    if grid.notes:
        yield r"  \par\medskip"
        yield r"  \begin{minipage}{\linewidth}\scriptsize"
        yield from (f"    {escaped(note)}" for note in grid.notes)
        yield r"  \end{minipage}"


def _heading(heads: list[Head]) -> Iterator[str]:
    """The headings; above them those that neighbours share, over a thin rule."""
    if any(head.over for head in heads):
        cells, rules, start = [], [], 1
        for over, shared in itertools.groupby(heads, key=lambda head: head.over):
            count = len(list(shared))
            if over:
                cells.append(rf"\multicolumn{{{count}}}{{c}}{{{escaped(over)}}}")
                rules.append(rf"\cmidrule(lr){{{start}-{start + count - 1}}}")
            else:
                cells += [""] * count
            start += count
        yield "    " + _ampersands(cells)
        yield "    " + "".join(rules)
    yield "    " + _ampersands(
        [_stacked(head.text, HEADING, "r" if head.number else "l") for head in heads]
    )


def _line(line: Line, heads: list[Head]) -> str:
    cells = []
    for cell, head in zip(line.cells, heads, strict=True):
        text = _number(cell) if head.number else _stacked(cell.text, LABEL, "l")
        if line.kind in (DIFFERENCE, INTERVAL) and text:
            text = rf"\textit{{{text}}}" if head.number else rf"\quad\textit{{{text}}}"
        cells.append(text)
    return "    " + _ampersands(cells)


def _number(cell: Text) -> str:
    """A number in math where it has a deviation or is bold, so that both align."""
    text = escaped(cell.text)
    if cell.spread:
        mean = rf"\mathbf{{{text}}}" if cell.bold else text
        return rf"${mean}_{{\pm {escaped(cell.spread)}}}$"
    return rf"\textbf{{{text}}}" if cell.bold else text


def _stacked(text: str, letters: int, side: str) -> str:
    """Long text on several lines of one cell, broken at spaces and before a +."""
    lines: list[str] = []
    for word in re.findall(r"\s?[^\s+]+|\s?\+[^\s+]*", text):
        if lines and len(lines[-1]) + len(word) <= letters:
            lines[-1] += word
        else:
            lines.append(word.lstrip())
    if len(lines) < 2:
        return escaped(text)
    body = r"\\".join(map(escaped, lines))
    return rf"\shortstack[{side}]{{{body}}}"


def _ampersands(texts: list[str]) -> str:
    return " & ".join(texts) + r" \\"
