"""A bar for each rule in the place of Snakemake's lines, where somebody looks on."""

import logging
import queue
import sys
from logging.handlers import QueueHandler, QueueListener
from typing import Any

# The name that Snakemake gives its own handler of the terminal.
LINES = "DefaultStreamHandler"


def show_bars(manager: Any) -> None:
    """Let the plugin `rich` show a run on a terminal, if nothing else was asked for.

    A profile names a logger for terminals and for files alike; this is for terminals
    alone. Snakemake's own lines stay in a dry run, with `--logger`, `--quiet`,
    `--verbose` or `--printshellcmds`, where the output is no terminal, and where the
    plugin is missing. Its log file has them always.

    Args:
        manager: Snakemake's manager of loggers.
    """
    settings = manager.settings
    lines = [one for one in manager.logger.handlers if one.name == LINES]
    stream = sys.stdout if settings.stdout else sys.stderr
    asked = (
        *(settings.dryrun, settings.quiet, settings.verbose),
        *(settings.printshellcmds, settings.debug_dag, settings.skip_plugin_handlers),
        settings.log_level_override is not None,
    )
    if any(asked) or manager.plugin_handlers or not (lines and stream.isatty()):
        return
    try:
        from snakemake_logger_plugin_rich import LogHandler
    except ImportError:
        return
    handler = LogHandler(settings, None)
    waiting: queue.Queue[logging.LogRecord] = queue.Queue(-1)
    manager.plugin_handlers = [handler]
    manager.queue_listener = QueueListener(waiting, handler, respect_handler_level=True)
    manager.queue_listener.start()
    manager.logger.addHandler(QueueHandler(waiting))
    for one in lines:
        manager.logger.removeHandler(one)
