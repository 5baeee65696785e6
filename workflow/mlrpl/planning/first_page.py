"""What rules give the report, for its first page."""

import re
from collections.abc import Iterable, Mapping
from typing import Any


class FirstPage:
    """Files of the report that its first page may show, as they are announced."""

    def __init__(self, results: str):
        """Take the folder of the results, which paths have as `<results>`."""
        self._results = results
        self._reported: list[tuple[str, dict[str, Any]]] = []

    def add(
        self,
        path: str,
        labels: Mapping[str, Any],
        category: str,
        caption: str | None = None,
        folded: bool = False,
    ) -> None:
        """Announce a file.

        Args:
            path: with `<results>`, and `<ablation>` for one of each ablation.
            labels: texts, or functions that Snakemake calls, which are left out.
            category: of Snakemake's report.
            caption: the caption's text; one with templates, which Snakemake fills in
                for each job, is left out.
            folded: whether it is shown closed.
        """
        said = [text for text in labels.values() if isinstance(text, str)]
        section = "Every number" if path.endswith(".csv") else category
        item: dict[str, Any] = {"section": section, "title": ": ".join(said)}
        if caption is not None:
            filled_in = "{{" in caption or "{%" in caption
            item["caption"] = "" if filled_in else caption
        self._reported.append((path, {**item, "folded": folded}))

    def of(
        self, files: Iterable[Any], ablations: Mapping[str, Mapping[str, str]]
    ) -> dict[str, dict[str, Any]]:
        """Return what of some files the first page shows, and as what.

        Args:
            files: paths.
            ablations: the `caption` of each ablation.

        Returns:
            Paths, tables and figures in the order of their numbers, and for each an
            item of workflow/schemas/overview.schema.yaml.
        """
        asked = {str(path) for path in files}
        found = {}
        for pattern, item in self._reported:
            path = pattern.replace("<results>", self._results)
            if "<ablation>" not in path:
                found[path] = item
                continue
            for name, contents in ablations.items():
                said = {"title": name, "caption": contents["caption"]}
                found[path.replace("<ablation>", name)] = {**item, **said}

        def place(path: str) -> tuple[bool, int]:
            number = re.match(r"(?:Table|Figure) (\d+)", found[path]["title"])
            return path.endswith(".csv"), int(number.group(1)) if number else 1000

        return {path: found[path] for path in sorted(found, key=place) if path in asked}
