"""Bars in the place of Snakemake's lines: on a terminal, with no other wish."""

import io
import logging
import os
import pty
import select
import subprocess
import sys

import pytest
from snakemake.logging import LoggerManager
from snakemake.settings.types import OutputSettings, Quietness

from mlrpl.planning.bars import LINES, show_bars
from support.workflow_tree import copy_tree


class Terminal(io.StringIO):
    def isatty(self):
        return True


def names(logger) -> list[str]:
    return [one.name or type(one).__name__ for one in logger.handlers]


@pytest.fixture
def shown(monkeypatch):
    """Handlers of a logger after `show_bars`, on a terminal or not."""
    managers = []

    def made(stream, **settings):
        monkeypatch.setattr(sys, "stderr", stream)
        manager = LoggerManager(logging.Logger("test"), OutputSettings(**settings))
        managers.append(manager)
        show_bars(manager)
        return names(manager.logger)

    yield made
    for manager in managers:
        manager.stop()


def test_a_terminal_has_bars(shown):
    assert shown(Terminal()) == ["QueueHandler"]


@pytest.mark.parametrize(
    "settings",
    [
        *({"dryrun": True}, {"verbose": True}, {"printshellcmds": True}),
        {"quiet": {Quietness.RULES}},
    ],
)
def test_what_is_asked_for_stays(shown, settings):
    assert shown(Terminal(), **settings) == [LINES]


def test_a_file_has_lines(shown):
    assert shown(io.StringIO()) == [LINES]


def test_without_the_plugin_there_are_lines(shown, monkeypatch):
    monkeypatch.setitem(sys.modules, "snakemake_logger_plugin_rich", None)
    assert shown(Terminal()) == [LINES]


@pytest.mark.workflow
@pytest.mark.parametrize("fails", [False, True])
def test_a_run_on_a_terminal(repository, tmp_path, fails):
    """Bars, and below them what a run says last."""
    folder = copy_tree(repository, tmp_path / "tree", stand_in=not fails)
    (folder / "examples").symlink_to(repository / "examples")
    target = "results/own_data/data/mine/test.h5"
    config = folder / "mine.yaml"
    text = (repository / "examples/own_data/config.yaml").read_text()
    config.write_text(text.replace("select: test", "select: teast") if fails else text)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "snakemake", target, "--cores", "1"]
    run = subprocess.Popen(
        [*command, "--configfile", config], cwd=folder, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    while select.select([ours], [], [], 120)[0]:
        try:
            said += os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert run.wait(60) == fails
    text = said.decode()
    assert "Total Progress" in text and "rule index_csv:" not in text
    if fails:
        *_, rule, log, why, end = text.rstrip().splitlines()
        assert rule.endswith("Failed: rule index_csv (dataset=mine, split=test)")
        assert log.endswith("logs/own_data/data/mine/test.log")
        assert "no row has split teast" in why and end.startswith("select one of")
