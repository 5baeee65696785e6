"""A small workflow whose jobs a stand-in has done, to be changed and planned again."""

import shutil
from pathlib import Path

import yaml

from support.workflow_tree import copy_tree, snakemake

SMALL = {
    "proportions": [0.5],
    "datasets": {
        "coco2014": None,
        "voc2007": {"root": "voc"},
        "mine": {
            "format": "csv",
            "root": "mine",
            "words": {"b": "bee", "a": "ay"},
            "splits": {
                "train": {"images": "i.zip", "labels": "l.csv", "shards": 2},
                "test": {"images": "i.zip", "labels": "l.csv"},
            },
        },
    },
    "glove": {"root": "vectors"},
    "encoder": {"model": "own/model.json", "pretrained": "own/weights.pt"},
    "ablations": ["pooled", "transfer"],
    "experiments": {
        "table2": {"seeds": [0], "systems": None},
        "table3": None,
        "table4": {"proportions": [0.5]},
        **dict.fromkeys(["figure3", "figure4", "figure5", "figure6", "figure9"]),
        "localisation": None,
        "figure8": {
            "datasets": ["mine"],
            "methods": ["sarl+gamma_neg=2", "sarl+gamma_neg=3"],
            "proportions": [0.5],
        },
    },
}
FILES = (
    "voc/VOCtrainval_06-Nov-2007.tar",
    "voc/VOCtest_06-Nov-2007.tar",
    "mine/i.zip",
    "mine/l.csv",
    "vectors/glove.840B.300d.zip",
    "own/model.json",
    "own/weights.pt",
)


class Finished:
    """A small workflow that has run, to be changed and planned again."""

    def __init__(self, repository: Path, folder: Path, run: bool = True):
        self.folder = copy_tree(repository, folder, stand_in=True)
        for name in FILES:
            self.write(name, name)
        self.overlay({})
        if run:
            self.run("--cores", "2", "--quiet")

    @classmethod
    def copy(cls, of: Path, folder: Path) -> "Finished":
        """A workflow that has run elsewhere; nothing in it knows its folder."""
        copied = cls.__new__(cls)
        copied.folder = shutil.copytree(of, folder, symlinks=True)
        return copied

    def arguments(self, *arguments: str) -> list[str]:
        return [*arguments, "--resources", "gpu=1", "--configfile", "small.yaml"]

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True, parents=True)
        (self.folder / name).write_text(text)

    def overlay(self, changes: dict) -> None:
        """Put the small config with changes of its top-level keys in place."""
        self.write("small.yaml", yaml.safe_dump({**SMALL, **changes}))

    def plan(self, *targets: str) -> str:
        arguments = self.arguments("-n", "--cores", "8")
        done = snakemake(self.folder, *targets, *arguments)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def edit(self, name: str, text: str = "EDITED = 1") -> None:
        """Add a line to a file; by default one of code."""
        path = self.folder / name
        path.write_text(path.read_text() + f"\n{text}\n")

    def run(self, *arguments: str) -> str:
        """Run Snakemake in the folder; return what it printed."""
        done = snakemake(self.folder, *self.arguments(*arguments))
        assert done.returncode == 0, done.stdout
        return done.stdout
