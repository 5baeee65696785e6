"""A user's mistake is one line, whatever text it is made of."""

import pytest

from mlrpl.errors import UserError, printable

TEXTS = {
    "a plain line, é ü 漢 \u200d": "a plain line, é ü 漢 \u200d",
    "two\nlines\r\nhere": "two lines  here",
    "\x1b[1mbold\x1b[0m \x1b[38;5;1mred": "bold red",
    "\x1b]0;a title\x07rest": "rest",
    "\x1b]8;;http://x\x1b\\link": "link",
    "\x1bPq device \x1b\\end": "end",
    "bell\x07 del\x7f csi\x9b2J nul\x00": "bell  del  csi 2J nul ",
    "cut \x1b": "cut ",
    "\x1bc reset": " reset",
}


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_that_a_terminal_obeys_is_left(text):
    assert printable(text) == TEXTS[text]
    assert str(UserError(text)) == TEXTS[text]
    assert printable(printable(text)) == TEXTS[text]
