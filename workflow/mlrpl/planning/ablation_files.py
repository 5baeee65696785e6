"""Files of ablations as they are read one after another, and what they ask for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlrpl.config import ablations
from mlrpl.errors import UserError
from mlrpl.planning.runs import Runs


class AblationFiles:
    """The ablations of a folder.

    Attributes:
        contents: by an ablation's name, its `spec` (JSON) and its `caption`.
    """

    def __init__(self, runs: Runs, folder: Path = ablations.FOLDER):
        """Take what counts their runs."""
        self._runs = runs
        self._folder = folder
        self._rules: dict[str, str] = {}
        self.contents: dict[str, dict[str, str]] = {}

    def next_file(self, name: str) -> str:
        """Return the path of an ablation, which is read next; its rules are checked.

        Raises:
            UserError: it has no rule of its name, or one that is not its own.
        """
        path = self._folder / f"{name}.smk"
        found = ablations.check_file(path, self._rules)
        self._rules.update(dict.fromkeys(found, path.name))
        self._runs.reading = name
        return str(path)

    def all_read(self) -> None:
        """Note that no file is being read any more."""
        self._runs.reading = None

    def ablation(
        self, printed: tuple[str, ...] = (), kind: str = "table", **given: Any
    ) -> dict[str, list[str]]:
        """Return the input of the ablation in the file that is being read.

        Args:
            printed: as `Runs.shown` takes it.
            kind: `table` or `figure`.
            given: runs and contents in one: keys as `Runs.settings` takes them, and
                those of a table or figure (workflow/schemas).

        Raises:
            UserError: a key, value or run that is none.
        """
        name = self._runs.reading
        assert name is not None, "outside of an ablation's file"
        runs, contents = ablations.divided(name, given, kind)
        if kind == "figure":
            contents = {"kind": "curve", **contents}
        caption = ablations.caption(self._folder / f"{name}.smk")
        self.contents[name] = {
            "spec": self._runs.spec_text({"title": name, **contents}, **runs),
            "caption": caption or contents.get("title", name),
        }
        resampled = {k: contents[k] for k in ("interval", "epoch") if k in contents}
        return self._runs.shown(printed, **resampled, **runs)

    def of_job(self, key: str) -> Callable[[Any, Any], str]:
        """Return a parameter of an ablation's rule: its `spec` or its `caption`.

        Which ablation it is, the file that is made says.
        """
        return lambda wildcards, output: self.contents[Path(output[0]).stem][key]


def keep_names(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Check that a file gave no other meaning to a name that the workflow uses.

    Args:
        path: the file.
        before: the names before it was read.
        after: those afterwards.

    Raises:
        UserError: it did.
    """
    for name in before:
        if not name.startswith("__") and after.get(name) is not before[name]:
            raise UserError(
                f"{path}: assigns {name}, which the workflow uses; rename it"
            )
