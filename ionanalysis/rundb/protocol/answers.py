"""Refusals that carry their own status, and which of our own and the libraries' errors they stand for."""

import logging

from django.core.exceptions import FieldError, ObjectDoesNotExist, SuspiciousOperation, ValidationError
from django.db import DataError, IntegrityError, OperationalError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.utils.html import escape
from tastypie.exceptions import ApiFieldError, BadRequest, NotFound

from ionanalysis.errors import IonAnalysisError

_LOG = logging.getLogger("ionanalysis.rundb")
BUSY_S = "10"
"""Seconds after which a client may ask a busy database again."""
SORRY = "Sorry, this request could not be processed. Please try again later."


class Refusal(Exception):
    """An answer in place of the one that was asked for: status, JSON body (or none), further headers."""

    def __init__(self, status, body=None, **headers):
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def unauthorized():
    """What a request without valid credentials gets."""
    return Refusal(401, WWW_Authenticate='Basic Realm="Torrent Browser"')


def quoted(text):
    """`text` with the marks of HTML escaped, but for quotes."""
    return escape(str(text)).replace("&#x27;", "'").replace("&#39;", "'").replace("&quot;", '"')


def is_busy(problem):
    """Whether the database was left no turn by other writers: nothing is wrong, and the request may come again."""
    return isinstance(problem, OperationalError) and "is locked" in str(problem)


def refusal_for(problem):
    """The refusal that says what went wrong (rest-api.md 2.10), without any of the server's own workings.

    Parameters
    ----------
    problem : Exception

    Returns
    -------
    Refusal
    """
    match problem:
        case Refusal():
            return problem
        case BadRequest() | ApiFieldError():
            return Refusal(400, {"error": quoted(problem.args[0] if problem.args else "")})
        case ValidationError():
            return Refusal(400, {"error": quoted("; ".join(problem.messages))})
        case NotFound():
            return Refusal(404, {"error_message": SORRY})
        case ObjectDoesNotExist() | Http404():
            return Refusal(404)
        case IonAnalysisError():
            return Refusal(400, {"error": quoted(problem)})
        case FieldError():
            return Refusal(400, {"error": "Invalid lookup or ordering for this field."})
        case IntegrityError():
            return Refusal(400, {"error": "A column's rule is broken: a value is missing, or one must be unique."})
        case DataError() | OverflowError() | UnicodeError() | RecursionError():
            return Refusal(400, {"error": "A value does not fit its column."})
        case SuspiciousOperation() | MultiPartParserError():
            return Refusal(400, {"error": "The request is not valid: its form is broken, or has too many fields."})
        case OperationalError() if is_busy(problem):
            return Refusal(503, {"error_message": SORRY}, Retry_After=BUSY_S)
        case OperationalError() if "user-defined function" in str(problem) or "interrupted" in str(problem):
            return Refusal(400, {"error": "The regular expression is not valid or takes too long."})
    _LOG.error("a request failed", exc_info=problem)
    return Refusal(500, {"error_message": SORRY})
