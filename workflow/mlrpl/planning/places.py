"""Where the files of a run lie if a storage provider keeps what it makes.

Results and downloads are in the storage then. What the config names on this machine
(`root` of a data set or of vectors, an encoder's files) and what comes with the
workflow (printed numbers) stay where they are, and jobs read them there.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Places:
    """Tells files in the storage from those beside it."""

    def __init__(
        self, config: Mapping[str, Any], beside: Callable[[str], str] | None = None
    ):
        """Take the configuration, and what marks a file that is not in the storage.

        Args:
            config: the checked configuration.
            beside: returns a path so marked that Snakemake looks for it on this
                machine; None where there is no storage and no difference.
        """
        self.stored = beside is not None
        self._beside = beside
        folders = (config["results"], config["data_dir"])
        self._made = tuple(f"{os.path.normpath(folder)}{os.sep}" for folder in folders)

    def of(self, path: str) -> str:
        """Return a path, marked if it is not in the storage."""
        if self._beside is None or os.path.normpath(path).startswith(self._made):
            return path
        return self._beside(path)

    def of_all(self, paths: Sequence[str]) -> list[str]:
        """Return paths, each marked if it is not in the storage."""
        return [self.of(path) for path in paths]
