"""A page as a browser shows it: Chromium without a window."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome", "chrome")
        if (path := shutil.which(name))
    ),
    None,
)
# In front of the page, so that it sees what goes wrong while the page is loaded.
WATCH = """<script>
window.faults = [];
addEventListener("error", e => faults.push(String(e.message || e.target.src)), true);
for (const kind of ["error", "warn"]) {
  const before = console[kind];
  console[kind] = (...said) => { faults.push(said.join(" ")); before(...said); };
}
</script>"""
# Around it: a frame as wide as asked, since a window has a least width.
FRAME = """<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<iframe id="page" style="border:0;width:{width}px;height:1000px" srcdoc="{page}">
</iframe>
<pre id="found"></pre>
<script>
document.getElementById("page").onload = event => {{
  const w = event.target.contentWindow, d = w.document, top = d.documentElement;
  const boxes = [...d.querySelectorAll("body *")].filter(e => !e.closest(".box"));
  document.getElementById("found").textContent = JSON.stringify({{
    faults: w.faults, inner: w.innerWidth, scroll: top.scrollWidth,
    pictures: [...d.images].map(i => [i.alt, i.complete, i.naturalWidth, i.width]),
    wide: boxes.filter(e => e.getBoundingClientRect().right > w.innerWidth + 0.5)
      .map(e => e.tagName + " " + e.textContent.slice(0, 40)),
    asked: w.performance.getEntriesByType("resource").map(e => e.name)
      .filter(name => !name.startsWith("data:")),
    sticky: [...d.querySelectorAll(".box")].map(box => {{
      const cell = box.querySelector("tbody th[scope=row]");
      box.scrollLeft = 10000;
      const moved = box.scrollLeft > 0;
      const left = cell.getBoundingClientRect().left - box.getBoundingClientRect().left;
      return [moved, Math.round(left)];
    }}),
  }});
}};
</script>"""


@dataclass(frozen=True)
class Seen:
    """What a browser says of a page.

    Attributes:
        faults: what scripts and the console say is wrong, and what cannot be loaded.
        inner: width of the window, in pixels.
        scroll: width of what is in it.
        pictures: (text instead, whether loaded, own width, width here) of each.
        wide: what reaches over the right edge and is not in a box that scrolls.
        asked: addresses that were asked for something.
        sticky: of each box with a table, whether it scrolls to the side, and how far
            right of the box's edge the first column stands when it has been.
    """

    faults: list[str]
    inner: int
    scroll: int
    pictures: list[tuple[str, bool, int, int]]
    wide: list[str]
    asked: list[str]
    sticky: list[tuple[bool, int]]


def look(page: Path, width: int, folder: Path) -> Seen:
    """Open a page in a window of some width.

    Args:
        page: an HTML file.
        width: of the window, in pixels.
        folder: where the browser may write.
    """
    text = page.read_text(encoding="utf-8").replace("<head>", f"<head>{WATCH}", 1)
    frame = folder / f"frame{width}.html"
    inside = html.escape(text, quote=True)
    frame.write_text(FRAME.format(width=width, page=inside), encoding="utf-8")
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"),
            *("--disable-dev-shm-usage", f"--user-data-dir={folder / 'profile'}"),
            *("--virtual-time-budget=8000", "--window-size=1600,1000"),
            *("--enable-logging=stderr", "--dump-dom", frame.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found and found.group(1), done.stderr[-2000:]
    seen = json.loads(html.unescape(found.group(1)))
    said = re.findall(r":CONSOLE[^\]]*\] \"(.*?)\"", done.stderr)
    return Seen(**{**seen, "faults": seen["faults"] + said})
