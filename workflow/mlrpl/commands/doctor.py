"""`mlrpl doctor`: what is there, missing and needed, before a long run."""

import argparse
import sys

from mlrpl.commands.config_arguments import add_config_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument(
        "--workflow-profile",
        "--profile",
        dest="profile",
        metavar="FOLDER",
        help="take the config files and the executor that a profile names",
    )
    parser.add_argument(
        "--cores", type=int, help="that snakemake will be given (default: all)"
    )
    parser.add_argument(
        "--hashes", action="store_true", help="read the files and compare their hashes"
    )


def run(args: argparse.Namespace) -> None:
    from mlrpl.config import files as config_files
    from mlrpl.config.validation import validate
    from mlrpl.doctor import machine, report
    from mlrpl.doctor.findings import examine
    from mlrpl.errors import UserError

    if args.cores is not None and args.cores < 1:
        raise UserError(f"--cores: {args.cores} is not allowed; give at least 1")
    files, values, executor = args.configfile, args.config, None
    if args.profile:
        executor = config_files.executor(args.profile)
        named, settings = config_files.profile(args.profile)
        # On the command line a key replaces that of the profile.
        files, values = files or named, values or settings
    config = validate(config_files.load_config(files, values))
    if args.hashes:
        print("reading the files for their hashes ...", file=sys.stderr)
    findings = examine(config, machine.look(), args.cores, args.hashes, executor)
    print(report.screen(findings, [config_files.BASE, *files, *values]))
    if findings.faults:
        sys.exit(1)
