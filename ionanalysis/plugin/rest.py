"""Requests of plugins to the REST API (plugin.md 2.1, `get_restobj`)."""

import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request

LONGER_S = 5
"""Seconds that each attempt waits longer than the one before."""


def get_object(url, params, *, timeout, attempts, log):
    """GET `url`; return the decoded JSON, else the raw body, or None on an HTTP error or when all attempts failed.

    Parameters
    ----------
    url : str
    params : dict
        Query parameters.
    timeout : float
        Seconds to wait at first; each time-out adds `LONGER_S`.
    attempts : int
    log : logging.Logger

    Notes
    -----
    Certificates are not checked: the servers of instruments sign their own.
    """
    address = f"{url}?{urllib.parse.urlencode(params)}"
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        log.error("%s: is no web address.", url)
        return None
    unchecked = ssl.create_default_context()
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    for attempt in range(attempts):
        try:
            with urllib.request.urlopen(address, timeout=timeout, context=unchecked) as answer:
                body = answer.read()
            break
        except urllib.error.HTTPError as error:
            log.error("%s: the server answers %s %s.", url, error.code, error.reason)
            return None
        except TimeoutError:
            log.warning("%s: no answer within %g s (attempt %d of %d).", url, timeout, attempt + 1, attempts)
            timeout += LONGER_S
        except OSError as error:
            if isinstance(getattr(error, "reason", None), TimeoutError):
                timeout += LONGER_S
            log.warning("%s: %s (attempt %d of %d).", url, error, attempt + 1, attempts)
            if attempt + 1 < attempts:
                time.sleep(min(attempt, 2))
    else:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body
