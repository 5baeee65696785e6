"""The first page of the report: one HTML file that holds all that it shows.

It says what was reproduced and how it was made, and has every table, and every figure
with its caption. Pictures are inside, and nothing is loaded from anywhere.
"""

import base64
import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mlrpl.errors import UserError
from mlrpl.reporting import table_html
from mlrpl.reporting.table_grid import Grid

SCALE = 0.72  # pixels of the page for a dot of a picture of 200 an inch
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".svg": "image/svg+xml"}
STYLE = """\
body { padding: 0 1rem 4rem; }
main, header { max-width: 1280px; margin: 0 auto; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 1.4rem 0 .4rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .8rem; padding-bottom: .2rem;
  border-bottom: 2px solid var(--ink); }
h3, h3.title { font-size: 1rem; margin: 1.8rem 0 .5rem; }
p { max-width: 75ch; }
nav { display: flex; flex-wrap: wrap; gap: .3rem .9rem; margin: .8rem 0; }
a { color: #0550ae; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem;
  margin: 0; }
dt { color: var(--dim); }
dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 0 0 1.2rem; }
figure img { display: block; width: 100%; height: auto; }
h4.title { font-size: .95rem; font-weight: 500; margin: .2rem 0 .5rem; }
figcaption, .caption { color: var(--dim); font-size: 13.5px; max-width: 75ch;
  margin: .5rem 0 0; }
code { font-size: .92em; overflow-wrap: anywhere; }
summary { cursor: pointer; font-weight: 600; margin: 1.6rem 0 .6rem; }
@media (max-width: 600px) { dl { grid-template-columns: 1fr; }
  dd { margin-bottom: .5rem; } }
@media print { nav { display: none; } details > * { display: block; } }
"""


@dataclass(frozen=True)
class Item:
    """Something to show.

    Attributes:
        section: heading that it stands under, with others of the same.
        title: what it is called.
        file: a page of a table (.html), a picture, or something else, whose path is
            given.
        caption: what is said below it; ``code`` and *emphasis* are marked so.
        folded: whether it is closed until a reader opens it.
    """

    section: str
    title: str
    file: Path
    caption: str = ""
    folded: bool = False


def to_html(
    title: str,
    about: str,
    summary: Grid,
    facts: Mapping[str, str],
    items: Sequence[Item],
) -> str:
    """Return the page.

    Args:
        title: its heading.
        about: a paragraph below it.
        summary: what was reproduced.
        facts: how it was made, by heading.
        items: all there is to show, in order.

    Raises:
        UserError: a file that cannot be read.
    """
    sections = {
        "Printed and made": table_html.to_fragment(summary, titled=False),
        "How it was made": _facts(facts),
    }
    for item in items:
        sections[item.section] = sections.get(item.section, "") + _show(item)
    links = [f'<a href="#{_anchor(s)}">{html.escape(s)}</a>' for s in sections]
    body = [
        "<header>",
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{_marked_up(about)}</p>",
        f"<nav>{' '.join(links)}</nav>",
        "</header>\n<main>",
    ]
    for name, content in sections.items():
        heading = f"<h2>{html.escape(name)}</h2>"
        body.append(f'<section id="{_anchor(name)}">\n{heading}\n{content}\n</section>')
    return table_html.page(title, "\n".join([*body, "</main>"]), STYLE)


def _facts(facts: Mapping[str, str]) -> str:
    pairs = (
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>"
        for name, text in facts.items()
    )
    return "<dl>\n" + "\n".join(pairs) + "\n</dl>"


def _show(item: Item) -> str:
    caption = _marked_up(item.caption)
    where = f"<code>{html.escape(item.file.with_suffix('').as_posix())}</code>"
    if item.file.suffix == ".html":
        body = table_html.body_of(_text(item.file))
        body = f'{body}\n<p class="caption">{caption} Files: {where}.</p>'
        if item.folded:
            title = html.escape(item.title)
            return f"<details>\n<summary>{title}</summary>\n{body}\n</details>\n"
        return f"<h3>{html.escape(item.title)}</h3>\n{body}\n"
    heading = f"<h3>{html.escape(item.title)}</h3>"
    if kind := PICTURES.get(item.file.suffix):
        content = _bytes(item.file)
        data = base64.b64encode(content).decode()
        name, style = html.escape(item.title), _width(item.file, content)
        image = f'<img src="data:{kind};base64,{data}" alt="{name}"{style}>'
        caption = f"<figcaption>{caption} Files: {where}.</figcaption>"
        return f"<figure>\n{heading}\n{image}\n{caption}\n</figure>\n"
    path = f"<code>{html.escape(item.file.as_posix())}</code>"
    return f"<p>{path}: {caption or html.escape(item.title)}</p>\n"


def _width(path: Path, content: bytes) -> str:
    """Return how wide a picture of dots is at most, so that none is blown up."""
    if path.suffix == ".svg":
        return ""
    try:
        with Image.open(io.BytesIO(content), formats=["PNG", "JPEG"]) as picture:
            dots = picture.width
    except OSError as error:
        raise UserError(
            f"{path}: is no whole picture; let the workflow make it again"
        ) from error
    return f' style="max-width: min(100%, {round(SCALE * dots)}px)"'


def _marked_up(text: str) -> str:
    """Return a caption as HTML: ``code`` and *emphasis*, all else as it is."""
    text = html.escape(" ".join(text.split()), quote=False)
    text = re.sub(r"``(.+?)``", r"<code>\1</code>", text)
    return re.sub(r"(?<!\w)\*(\S[^*]*?)\*(?!\w)", r"<em>\1</em>", text)


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = getattr(error, "strerror", None) or "is not text"
    return UserError(f"{path}: {reason}; let the workflow make it again")
