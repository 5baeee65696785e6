"""Arguments that give a class another text: CLASS=TEXT."""

from mlrpl.errors import UserError


def parse(texts: list[str], flag: str, form: str) -> dict[str, str]:
    """Return the texts by class.

    Args:
        texts: the arguments.
        flag: their flag, to be named in an error.
        form: what one looks like, such as `CLASS=WORDS`.

    Raises:
        UserError: an argument is not a pair, or a class is listed twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, words = text.partition("=")
        if not (name and equals and words):
            raise UserError(f"{flag}: {text!r} is not a pair; write {form}")
        if name in pairs:
            raise UserError(f"{flag}: {name} is listed twice; keep one")
        pairs[name] = words
    return pairs
