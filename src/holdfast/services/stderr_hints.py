"""What to do about a server that failed, told from what it wrote to standard error."""

import re

_VARIABLE = r"\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)\b"
_NEEDS_VARIABLE = "the server needs the variable {0}: put it into its env"
_HINTS = (
    (
        r"No module named '?([\w.]+)'?",
        "install the Python module {0} for the Python that runs the server",
    ),
    (
        r"Cannot find (?:module|package) '([^']+)'",
        "run npm install in the server's folder ({0} is missing)",
    ),
    (r"KeyError: '([A-Z][A-Z0-9_]{2,})'", _NEEDS_VARIABLE),
    (
        r"(?i:variable|env(?:ironment)?|missing|required|must set|not set)[^\n]{0,40}?" + _VARIABLE,
        _NEEDS_VARIABLE,
    ),
    (
        _VARIABLE + r"[^\n]{0,40}?(?i:not set|missing|required|undefined|must be set)",
        _NEEDS_VARIABLE,
    ),
    (r"(?i)(EADDRINUSE|address already in use)", "another process uses its port: end that one"),
    (r"(?i)(permission denied|EACCES)", "check the permissions of the server's files"),
    (r"(SyntaxError)", "its code does not run in this version of its language"),
)


def hint_in(stderr: str) -> str | None:
    """The likely fix, or None."""
    for pattern, hint in _HINTS:
        match = re.search(pattern, stderr)
        if match:
            return hint.format(match[1])
    return None


def speaks_of_variable(hint: str | None) -> bool:
    """Whether the fix is to set a variable."""
    return hint is not None and hint.startswith(_NEEDS_VARIABLE[:30])
