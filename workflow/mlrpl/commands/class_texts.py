"""Arguments that give a class another text: CLASS=TEXT, or all of them as JSON."""

import argparse
import json

from mlrpl.errors import UserError

JSON_FORM = '{"CLASS": "TEXT"}'


def add_argument(
    parser: argparse.ArgumentParser, flag: str, form: str, explanation: str
) -> None:
    """Add such an argument.

    Args:
        parser: of the command.
        flag: the argument's.
        form: what a pair looks like, such as `CLASS=WORDS`.
        explanation: for the help.
    """
    parser.add_argument(
        flag,
        nargs="+",
        action="extend",
        default=[],
        metavar=form,
        help=f"{explanation}; or one JSON object, for any name of a class",
    )


def parse(texts: list[str], flag: str, form: str) -> dict[str, str]:
    """Return the texts by class.

    Args:
        texts: the arguments, pairs or one JSON object.
        flag: their flag, to be named in an error.
        form: what a pair looks like, such as `CLASS=WORDS`.

    Raises:
        UserError: an argument is not a pair, or a class is listed twice.
    """
    if len(texts) == 1 and texts[0].startswith("{"):
        return _from_json(texts[0], flag)
    pairs: list[tuple[str, str]] = []
    for text in texts:
        name, equals, words = text.partition("=")
        if not (name and equals and words):
            raise UserError(f"{flag}: {text!r} is not a pair; write {form}")
        pairs.append((name, words))
    return _each_once(pairs, flag)


def _from_json(text: str, flag: str) -> dict[str, str]:
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{flag}: is not JSON ({error}); write {JSON_FORM}") from error
    if not all(isinstance(words, str) and name and words for name, words in pairs):
        raise UserError(
            f"{flag}: has a class without a text; write {JSON_FORM}, or leave it out"
        )
    return _each_once(pairs, flag)


def _each_once(pairs: list[tuple[str, str]], flag: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, words in pairs:
        if name in found:
            raise UserError(f"{flag}: {name} is listed twice; keep one")
        found[name] = words
    return found
