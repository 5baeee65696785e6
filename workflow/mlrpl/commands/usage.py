"""How commands are listed, and an example of each for its `--help`."""

import argparse
import difflib
from collections.abc import Mapping

# What a person types; the other commands are jobs of the workflow.
FOR_PEOPLE = (
    *("doctor", "check", "runs", "methods", "predict", "export", "compare", "tune"),
    *("bench", "demo", "completion"),
)
# Carried out by the workflow for itself.
INNER = ("forkserver",)

SETTING = "--dataset mine --method sarl --prop 0.5 --seed 0"
MODEL = "--model RN101-quickgelu --pretrained openai --image-size 448"
RUN = "voc2007/sarl/prop=0.5/seed=0"
# By command, its words after the name, one example a line.
EXAMPLES = {
    "doctor": "--configfile mine.yaml",
    "check": "--configfile mine.yaml",
    "runs": f"\n--compare voc2007/coop/prop=0.5/seed=0 {RUN}",
    "methods": "",
    "predict": f"results/runs/{RUN} cat.jpg",
    "export": f"results/runs/{RUN} --output sarl.mlrpl",
    "compare": "--runs results/a results/b --output results/compared",
    "bench": "--quick --parts step",
    "demo": "data --output results/demo/world",
    "completion": "bash > ~/.local/share/bash-completion/completions/mlrpl",
    "tune": "--tables results/tuning/voc2007/sarl.csv --output recipes.yaml",
    "download": "--url https://example.org/v.zip --output data/v.zip",
    "index": "csv --images i.zip --labels l.csv --select train --dataset mine "
    "--split train --output train.h5",
    "drop": "--index train.h5 --prop 0.5 --seed 0 --output known.npy",
    "glove": "--vectors glove.zip --index train.h5 --output glove.npy",
    "clipvectors": "--clip mine.safetensors --output glove.npy",
    "encoder": f"{MODEL} --index train.h5 --output mine.safetensors",
    "context": "--model RN101-quickgelu --text a_photo_of_a --output c.json",
    "features": f"{MODEL} --images i.zip --index train.h5 --output 0.h5",
    "shards": "--count 16 --output results/features/coco2014/train/shards.json",
    "evaluate": f"{SETTING} --scores scores.h5 --index test.h5 --output m.json",
    "collect": "results/runs/*/*/*/*/metrics.json --output metrics.csv",
    "boxes": "voc --images VOCtest_06-Nov-2007.tar --index test.h5 --output boxes.h5",
    "weights": "--model RN101-quickgelu --pretrained openai --output rn101.safetensors",
    "train": f"{SETTING} --options '{{\"epochs\": 5}}' --train-features train/*.h5 "
    "--test-features test/*.h5 --train-index train.h5 --test-index test.h5 "
    "--known known.npy --glove glove.npy --clip mine.safetensors --output-dir run",
    "resample": f"{SETTING} --scores scores.h5 --index test.h5 --output last.h5",
    "localise": f"results/runs/{RUN} --index test.h5 --boxes boxes.h5 "
    "--features test/*.h5 --output localisation.json",
    "localisation": "--spec contents.json --runs */localisation.json --output table",
    "examples": f"attention --runs results/runs/{RUN} --index test.h5 "
    "--images VOCtest_06-Nov-2007.tar --features test/*.h5 --output examples.h5",
    "pictures": "--spec contents.json --examples examples.h5 --output figure3",
    "table": "--spec contents.json --metrics */metrics.json --output table4",
    "figure": "--spec contents.json --metrics */metrics.json --output figure4",
    "cost": "results/runs --output results/tables/cost",
    "curves": f"results/runs/{RUN}/history.csv --output curves",
    "per_class": 'per_class_ap.csv --methods \'{"sarl": "SARL"}\' '
    '--datasets \'{"voc2007": "VOC 2007"}\' --output per_class.html',
    "overview": "--contents contents.json --shown table4.html --output index.html",
}


class Formatter(
    argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter
):
    """Help with the default of each option that has one, and examples as they stand."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help or ""
        if "default" in text or not action.option_strings or not text:
            return text
        if action.default in (None, [], False, argparse.SUPPRESS):
            return text
        return super()._get_help_string(action)


def listing(commands: Mapping[str, str]) -> str:
    """Return all commands, those for people first, and what each does."""
    jobs = [name for name in commands if name not in (*FOR_PEOPLE, *INNER)]
    people = [name for name in FOR_PEOPLE if name in commands]
    lines = ["commands:", *_lines(people, commands)]
    lines += ["", "jobs of the workflow, which a person may run too:"]
    return "\n".join([*lines, *_lines(jobs, commands)])


def examples(command: str) -> str | None:
    """Return a command's examples for the end of its help; None without one."""
    if command not in EXAMPLES:
        return None
    lines = (f"  mlrpl {command} {words}" for words in EXAMPLES[command].split("\n"))
    return "\n".join(["example:", *map(str.rstrip, lines)])


def unknown(command: str, commands: Mapping[str, str]) -> str:
    """Return what to say of a command that there is not."""
    close = difflib.get_close_matches(command, commands, n=1)
    hint = f"did you mean {close[0]}?" if close else "`mlrpl --help` lists the commands"
    return f"{command}: no such command; {hint}"


def _lines(names: list[str], commands: Mapping[str, str]) -> list[str]:
    return [f"  {name:13}{commands[name]}" for name in names]
