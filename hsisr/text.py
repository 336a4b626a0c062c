"""Text from files and users, made safe for terminals, Markdown, spreadsheets and pictures."""

import re
import unicodedata
from typing import Any, Final

from hsisr.errors import one_line

_MARKDOWN: Final = re.compile(r"([\\`|<>\[\]])")


def printable(text: str) -> str:
    r"""Lines of text without control characters, which could rewrite a terminal.

    >>> printable("crs\tx\x1b[2J\nline 2")
    'crs\tx\\x1b[2J\nline 2'
    """
    return "".join(
        c if _is_harmless(c) else c.encode("unicode_escape").decode()
        for c in text.encode("utf-8", "backslashreplace").decode()
    )


def _is_harmless(c: str) -> bool:
    return c.isprintable() or c in "\n\t" or unicodedata.category(c) == "Zs"


def markdown_cell(text: str) -> str:
    r"""Text as one cell, or one line, of Markdown, in which nothing of it is markup.

    >>> markdown_cell("a|b [x](y)")
    'a\\|b \\[x\\](y)'
    """
    return _MARKDOWN.sub(r"\\\1", one_line(text))


def csv_cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula; numbers stay.

    >>> csv_cell("=cmd|' /C calc'!A0"), csv_cell("-1.5"), csv_cell(-2)
    ("'=cmd|' /C calc'!A0", '-1.5', -2)
    """
    if not isinstance(value, str):
        return value
    text = one_line(value)
    try:
        float(text)
    except ValueError:
        return f"'{text}" if text.startswith(("=", "+", "-", "@")) and len(text) > 1 else text
    return text


def picture_label(text: str) -> str:
    r"""Text for a picture, where matplotlib would take dollar signs for formulas.

    >>> picture_label(r"$\frac$")
    '\\$\\frac\\$'
    """
    return printable(text).replace("$", r"\$")
