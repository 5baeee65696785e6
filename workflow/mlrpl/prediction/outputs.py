"""Scores of pictures as a listing, as CSV and as JSON, written as they come."""

import csv
import json
import sys
from collections.abc import Sequence
from typing import Protocol, TextIO

import numpy as np
from tqdm import tqdm

from mlrpl.prediction.scoring import Scored

COLUMNS = ("picture", "class", "probability", "threshold", "present")


class Output(Protocol):
    """Takes pictures one by one."""

    def write(self, scored: Scored) -> None:
        """Write one picture's scores."""

    def close(self) -> None:
        """Write what comes after the last one."""


class _Ranked:
    """What all formats share: the classes of a picture, the most probable first."""

    def __init__(
        self,
        file: TextIO,
        classes: Sequence[str],
        thresholds: Sequence[float],
        top: int | None,
    ):
        """Write to an open file.

        Args:
            file: the file.
            classes: C names.
            thresholds: [C], from which probability on a class is present.
            top: how many classes of a picture to write; None for all.
        """
        self.file, self.classes, self.top = file, classes, top
        self.thresholds = np.asarray(thresholds)

    def ranked(self, scored: Scored) -> list[tuple[str, float, float, bool]]:
        """Return class, probability, threshold and presence."""
        p = np.asarray(scored.probabilities, np.float64)
        return [
            (self.classes[c], float(p[c]), float(t), bool(p[c] >= t))
            for c in np.argsort(-p, kind="stable")[: self.top]
            for t in [self.thresholds[c]]
        ]

    def close(self) -> None:
        """Write nothing more."""


class Listing(_Ranked):
    """For a reader: `*` before the classes that count as present."""

    def write(self, scored: Scored) -> None:
        """Write one picture's scores."""
        width = max(map(len, self.classes))
        lines = [
            f"  {'*' if present else ' '} {name:{width}}  {p:.3f}"
            for name, p, _, present in self.ranked(scored)
        ]
        text = "\n".join([scored.path, *lines])
        # Around the progress bar, where both are on one terminal.
        tqdm.write(text, file=self.file) if self.file is sys.stdout else print(
            text, file=self.file
        )


class Csv(_Ranked):
    """A row for each picture and class."""

    def __init__(self, *args, **options):
        """Write the columns' names first."""
        super().__init__(*args, **options)
        self._writer = csv.writer(self.file, lineterminator="\n")
        self._writer.writerow(COLUMNS)

    def write(self, scored: Scored) -> None:
        """Write one picture's scores."""
        for name, p, threshold, present in self.ranked(scored):
            row = (scored.path, name, f"{p:.6g}", f"{threshold:.6g}", int(present))
            self._writer.writerow(row)


class Json(_Ranked):
    """A list with an object for each picture, one on each line."""

    def __init__(self, *args, **options):
        """Begin the list."""
        super().__init__(*args, **options)
        self._before = "[\n"

    def write(self, scored: Scored) -> None:
        """Write one picture's scores."""
        classes = [
            dict(zip(COLUMNS[1:], found, strict=True)) for found in self.ranked(scored)
        ]
        entry = {"picture": scored.path, "classes": classes}
        self.file.write(self._before + json.dumps(entry, ensure_ascii=False))
        self._before = ",\n"

    def close(self) -> None:
        """End the list."""
        self.file.write("[]\n" if self._before == "[\n" else "\n]\n")


FORMATS = {"table": Listing, "csv": Csv, "json": Json}
