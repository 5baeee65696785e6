"""`mlrpl completion SHELL`: the completion of a shell for this command, by shtab."""

import argparse

SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="print the script of this shell")


def run(args: argparse.Namespace) -> None:
    from mlrpl.errors import UserError

    try:
        import shtab
    except ImportError as error:
        raise UserError("shtab is not installed; pip install shtab") from error
    print(shtab.complete(whole_parser(), shell=args.shell))


def whole_parser() -> argparse.ArgumentParser:
    """Return one parser of all commands; the command line itself makes them singly."""
    import importlib

    from mlrpl.__main__ import COMMANDS
    from mlrpl.commands.usage import INNER

    parser = argparse.ArgumentParser(prog="mlrpl")
    added = parser.add_subparsers(dest="command")
    for name, text in COMMANDS.items():
        if name not in INNER:
            module = importlib.import_module(f"mlrpl.commands.{name}")
            module.add_arguments(added.add_parser(name, help=text))
    return parser
