"""Functions as Snakemake calls them, and errors in them as one line."""

import inspect
import re

import pytest

from mlrpl.errors import UserError
from mlrpl.planning.functions import either, inspected, literal, stops


class Adding:
    def __init__(self, number):
        self.number = number

    def plus(self, wildcards, input):
        return self.number + wildcards + input


def test_parameters_are_those_that_snakemake_asks_for():
    def plain(wildcards, output):
        return wildcards, output

    for function in (plain, stops(plain), inspected(plain)):
        assert list(inspect.signature(function).parameters) == ["wildcards", "output"]
        assert function(1, output=2) == (1, 2)
    # Those of a method are without the object.
    for wrap in (inspected, stops):
        method = wrap(Adding(1).plus)
        assert list(inspect.signature(method).parameters) == ["wildcards", "input"]
        assert method(2, input=3) == 6


def test_an_error_of_the_user_is_the_last_line():
    @stops
    def refusing(wildcards):
        raise UserError("config key x: is wrong; mend it")

    with pytest.raises(SystemExit) as stopped:
        refusing(None)
    assert str(stopped.value) == "Error: config key x: is wrong; mend it"


def test_another_error_stays():
    @stops
    def failing(wildcards):
        raise FileNotFoundError("still to be made")

    with pytest.raises(FileNotFoundError):
        failing(None)


def test_a_literal_is_no_pattern_of_wildcards():
    assert literal('{"title": "{x}"}')(None) == '{"title": "{x}"}'


def test_either_matches_its_names_alone():
    assert re.fullmatch(either(["a.b", "c"]), "a.b")
    assert not re.fullmatch(either(["a.b", "c"]), "axb")
    assert not re.fullmatch(either([]), "")
