"""The command line: `python -m mlrpl COMMAND`, one module of `commands` each.

Only the module of the named command is imported, so that a command that needs no
torch starts without it.
"""

import argparse
import importlib
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

from mlrpl import __version__
from mlrpl.commands import usage
from mlrpl.errors import UserError
from mlrpl.runtime import faults, forkclient, streams

COMMANDS = {
    "doctor": "say what is there, missing and needed, before a long run",
    "check": "read every picture and label of the data sets, and name all faults",
    "download": "fetch one file and check that it is whole",
    "index": "read a data set's image list and label matrix",
    "boxes": "where the objects of a split are, as its annotations have them",
    "drop": "drop labels at random: the partial labels of one proportion and seed",
    "glove": "class vectors out of GloVe's published text file or zip",
    "clipvectors": "class vectors out of CLIP's own text tower, without GloVe",
    "encoder": "what training needs of CLIP: text tower, class tokens, projection",
    "weights": "fetch the weights of an open_clip tag, as a file",
    "context": "the tokens of a text that context vectors start from",
    "features": "frozen image features of one shard of a split, into HDF5",
    "shards": "the list of a split's feature files, for trainings",
    "train": "train one setting from cached features",
    "predict": "which classes pictures show, by a trained setting, and where",
    "export": "a trained setting as one file, for predict",
    "evaluate": "metrics of one setting from its test scores",
    "resample": "metrics of one setting's resampled test images",
    "collect": "one tidy CSV of the metrics of many settings",
    "localise": "how well a run's attention finds the objects of the classes",
    "localisation": "the table of that, beside chance",
    "examples": "test images for a figure, with scores and attention of some runs",
    "pictures": "a figure of such images as PDF and PNG",
    "table": "a table as CSV, Markdown and LaTeX beside the published numbers",
    "figure": "a figure as PDF and PNG beside the published numbers",
    "compare": "methods against one of them, or two folders of results, with intervals",
    "cost": "hours, memory and energy of finished runs, added up",
    "runs": "what has run and its mAP, or two runs class by class",
    "curves": "training curves of some runs as PDF and PNG",
    "per_class": "the AP of each class, one column a method, as an HTML page",
    "overview": "one HTML page with all tables and figures, and what they say",
    "tune": "a method's trials by validation mAP, or the recipes that won",
    "methods": "what each method is made of, where it is from, what it trains",
    "bench": "how fast this machine is: encoder, cache, training step, evaluation",
    "completion": "the completion of bash, zsh or tcsh for this command, by shtab",
    "demo": "make the embedded demo's data sets, word vectors and small CLIP",
    "forkserver": "carry out small commands in forks of one process, for the workflow",
}


NOT_WHOLE = (
    "the package is installed without the project's other files; install it with "
    "`pip install --editable .` in the project's folder"
)

# Commands whose product is what they print; what others print beside a file is a note.
PRINTED = ("bench", "check", "doctor", "methods", "predict", "runs", "completion")


def main(argv: list[str] | None = None) -> int:
    """Run one command; return the exit status (1 for a user's mistake).

    The command of this process, `argv` being None, is left to a fork server if one
    runs.
    """
    given = sys.argv[1:] if argv is None else argv
    try:
        if argv is None:
            # An exception cleans up half-written files; the signal's default would not.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            status = forkclient.ask(given)
            if status is not None:
                return status
        return run_command(given)
    except KeyboardInterrupt:
        print(f"mlrpl {' '.join(given[:1])}: interrupted", file=sys.stderr)
        return 130


def run_command(argv: list[str]) -> int:
    """Run one command in this process; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="mlrpl",
        description="Multi-label recognition with partial labels.",
        epilog=usage.listing(COMMANDS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mlrpl {__version__}")
    parser.add_argument("command", metavar="COMMAND", help="`COMMAND --help` says more")
    if not argv:
        parser.print_help()
        return 0
    command = parser.parse_args(argv[:1]).command
    if command not in COMMANDS:
        parser.error(usage.unknown(command, COMMANDS))
    module = importlib.import_module(f"mlrpl.commands.{command}")
    parser = argparse.ArgumentParser(
        prog=f"mlrpl {command}",
        description=COMMANDS[command],
        epilog=usage.examples(command),
        formatter_class=usage.Formatter,
    )
    module.add_arguments(parser)
    args = parser.parse_args(argv[1:])
    try:
        to_file = any(word.startswith("--output") for word in argv)
        product = command in PRINTED or not to_file
        with streams.forgiving(errors_alone=product):
            return carry_out(module, command, args)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def installed_whole() -> bool:
    """Return whether the files beside the package are there: schemas, the config."""
    return (Path(__file__).resolve().parents[1] / "schemas").is_dir()


def carry_out(module: ModuleType, command: str, args: argparse.Namespace) -> int:
    """Run a command; its user's mistakes, and the system's refusals, are one line."""
    try:
        module.run(args)
        sys.stdout.flush()
    except UserError as error:
        fault = str(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        fault = faults.described(error)
    except (MemoryError, RuntimeError) as error:
        if not (fault := faults.memory_fault(error) or ""):
            raise
    else:
        return 0
    fault = fault if installed_whole() else f"{fault}; {NOT_WHOLE}"
    print(f"mlrpl {command}: error: {fault}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
