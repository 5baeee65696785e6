"""What the README and the pages of docs/ tell a reader to write or to type."""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, language and text."""

    page: str
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text.splitlines()[0]}"


def pages(repository: Path) -> list[Path]:
    names = ("README.md", "CONTRIBUTING.md", "results/README.md")
    found = [repository / name for name in names if (repository / name).exists()]
    return found + sorted(repository.glob("docs/*.md"))


def blocks(repository: Path, *languages: str) -> list[Block]:
    """Return the fenced blocks in some languages, of all pages."""
    return [
        Block(str(page.relative_to(repository)), language, text)
        for page in pages(repository)
        for _, language, text in FENCE.findall(page.read_text(encoding="utf-8"))
        if language in languages
    ]


def commands(repository: Path, program: str) -> list[str]:
    """Return each command line of a program, in blocks or between backticks, once.

    Those with an ellipsis or a name in braces stand for others, and are left out.
    """
    found: dict[str, None] = {}
    for page in pages(repository):
        text = page.read_text(encoding="utf-8")
        lines = [
            line.split(" #")[0].strip()
            for _, language, block in FENCE.findall(text)
            if language == "sh"
            for line in re.sub(r"\\\n\s*", "", block).splitlines()
        ]
        inline = re.findall(r"`([^`]+)`", FENCE.sub("", text))
        lines += [" ".join(line.split()) for line in inline]
        for line in lines:
            line = re.sub(r"^(PYTHONPATH=\S+ )?(python -m )?", "", line)
            if line.startswith(f"{program} ") and not re.search(r"\.\.\.|[{}]", line):
                found[line] = None
    return list(found)
