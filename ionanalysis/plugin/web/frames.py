"""Pages of plugins, as they are given to a sandboxed frame (plugin.md 4.2 to 4.5)."""

import json
import re

ACTIONS = {"config": "config.html", "plan": "plan.html", "report": "instance.html", "about": "about.html"}
"""File of each page."""

SANDBOX = "allow-scripts allow-forms allow-modals allow-popups"
"""Without allow-same-origin: a page of a plugin can neither read our pages nor use our cookies."""

_HEAD = re.compile(r"<head\b[^>]*>", re.I)
_HEAD_END = re.compile(r"</head\s*>", re.I)
_DOCTYPE = re.compile(r"\s*(?:<!--.*?-->\s*)*<!doctype[^>]*>", re.I | re.S)


def frame_page(text, variables, plan, token):
    """A plugin's page with what it finds in `window`.

    Parameters
    ----------
    text : str
        The file as it is: there is no template processing.
    variables : dict
        JavaScript variables, plain JSON.
    plan : dict
        `TB_plan_json`, set after the document only.
    token : str
        What its requests to the server carry.

    Returns
    -------
    str
    """
    # Before all scripts of the page: what stands for the parent window, and the token on requests.
    start = f'<script src="/static/frame.js" data-token="{token}"></script>'
    script = _script(variables)
    head = _HEAD.search(text)
    doctype = _DOCTYPE.match(text)
    place = head.end() if head else doctype.end() if doctype else 0
    text = text[:place] + start + text[place:]
    end = _HEAD_END.search(text)
    if end:
        text = text[: end.start()] + script + text[end.start() :]
    else:
        text = text[: place + len(start)] + script + text[place + len(start) :]
    return text + _script({**variables, "TB_plan_json": plan})


def page_text(folder, action):
    """HTML of one of the pages in a plugin's folder; None if it has none."""
    path = folder / ACTIONS[action]
    if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
        return None
    return path.read_text("utf-8", errors="replace")


def nothing_to_show(action):
    """The page where a plugin has none."""
    return f"<!DOCTYPE html>\n<p>There is nothing to show: the plugin has no {ACTIONS[action]}.</p>\n"


def _script(variables):
    lines = "".join(f"var {name} = {_literal(value)};\n" for name, value in variables.items())
    return f"<script>\n{lines}</script>"


def _literal(value):
    """JSON that may stand in a script: no tag, comment or line end of JavaScript comes from it."""
    text = json.dumps(value)
    return (
        text.replace("<", "\\u003c").replace(">", "\\u003e").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    )
