"""Finds what Python 3 cannot run in the files of a plugin. Reports only: source code is never rewritten."""

import ast
import re
import warnings
from pathlib import Path

from ionanalysis.plugin.info import Problem

MAX_FILES = 2000
MAX_BYTES = 4 << 20
"""Of a file; longer ones are data."""

_ITERATORS = {"iteritems": "items", "iterkeys": "keys", "itervalues": "values"}
_VIEWS = ("keys", "values", "items")
_LAZY = ("filter", "map", "zip")

# What the parser says, or the line it stops at, and what that was in Python 2.
_BY_MESSAGE = (
    (r"Missing parentheses in call to 'print'", "a print statement; write print(...)"),
    (r"Missing parentheses in call to 'exec'", "an exec statement; write exec(...)"),
    (r"multiple exception types must be parenthesized", "`except X, e`; write `except X as e`"),
    (r"leading zeros in decimal integer", "an octal number such as 0755; write 0o755"),
    (r"inconsistent use of tabs|unindent does not match", "tabs and blanks mixed; indent with blanks"),
)
_OLD_EXCEPT = r"^\s*except\s+[\w.]+\s*,\s*[a-z]\w*\s*:"
_BY_LINE = (
    (r"^\s*print\s+[^(=]|^\s*print\s*>>", "a print statement; write print(...)"),
    (_OLD_EXCEPT, "`except X, e`; write `except X as e`"),
    (r"^\s*raise\s+[\w.]+\s*,", '`raise X, "text"`; write raise X("text")'),
    (r"<>", "`<>`; write !="),
    (r"`[^`]+`", "backticks; write repr(...)"),
    (r"\b0[0-7]+\b", "an octal number such as 0755; write 0o755"),
    (r"\b\d+[lL]\b", "a long number such as 10L; write 10"),
    (r"\bur['\"]", "a text ur'...'; write r'...'"),
)


def python2_problems(folder):
    """Problems of all Python files below `folder`: the first line that does not parse, or all idioms that fail.

    Returns
    -------
    problems : list of Problem
    """
    folder = Path(folder)
    problems = []
    files = (path for path in sorted(folder.rglob("*.py")) if not _is_hidden(path.relative_to(folder)))
    for n_files, path in enumerate(files):
        if n_files == MAX_FILES:
            break
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_BYTES:
            problems += problems_of_source(path.read_bytes(), path.relative_to(folder).as_posix())
    return problems


def _is_hidden(path):
    return any(part.startswith(".") for part in path.parts)


def problems_of_source(source, name):
    """As `python2_problems`, for the bytes of one file.

    >>> [str(problem) for problem in problems_of_source(b"print 'reads'", "MyPlugin.py")]
    ['MyPlugin.py, line 1: a print statement; write print(...) (Python 2)']
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except SyntaxError as error:
        return [Problem(name, error.lineno or 1, _meaning(error, source))]
    except (ValueError, RecursionError, MemoryError) as error:
        return [Problem(name, 1, f"cannot be parsed ({error})")]
    return sorted(set(_idioms(tree, name, _lines(source))), key=lambda problem: problem.line)


def _meaning(error, source):
    line = _line(source, error.lineno or 1)
    for patterns, text in ((_BY_MESSAGE, error.msg), (_BY_LINE, line)):
        found = next((meaning for pattern, meaning in patterns if re.search(pattern, text)), None)
        if found:
            return f"{found} (Python 2)"
    return f"{error.msg}: {line.strip()[:80]}"


def _line(source, number):
    lines = _lines(source)
    return lines[number - 1] if 0 < number <= len(lines) else ""


def _lines(source):
    return re.split("\r\n|\r|\n", source.decode("utf-8", "replace"))


def _idioms(tree, name, lines):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            of_six = isinstance(node.func.value, ast.Name) and node.func.value.id in ("six", "future")
            if node.func.attr in _ITERATORS and not node.args and not of_six:
                instead = _ITERATORS[node.func.attr]
                yield Problem(name, node.lineno, f"{node.func.attr}() is gone from dict; write {instead}()")
            elif node.func.attr == "has_key" and len(node.args) == 1:
                yield Problem(name, node.lineno, "has_key(x) is gone from dict; write `x in`")
        elif isinstance(node, ast.ExceptHandler) and _is_old_except(node, lines):
            # Python 3.14 takes the name for a second type.
            yield Problem(name, node.lineno, "`except X, e`; write `except X as e` (Python 2)")
        elif isinstance(node, ast.Expr) and _is_print(node.value):
            yield Problem(name, node.lineno, "print alone prints nothing; write print()")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.RShift) and _is_print(node.left):
            yield Problem(name, node.lineno, "print >> file, ...; write print(..., file=file)")
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Call):
            called = node.value.func
            if isinstance(called, ast.Attribute) and not node.value.args:
                what = called.attr if called.attr in _VIEWS else ""
            else:
                what = called.id if isinstance(called, ast.Name) and called.id in _LAZY else ""
            if what:
                yield Problem(name, node.lineno, f"{what}(...)[...]: {what} gives no list; write list(...)[...]")


def _is_old_except(node, lines):
    return isinstance(node.type, ast.Tuple) and re.search(_OLD_EXCEPT, lines[node.lineno - 1]) is not None


def _is_print(node):
    return isinstance(node, ast.Name) and node.id == "print"
