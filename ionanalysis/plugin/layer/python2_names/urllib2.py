"""`urllib2` of Python 2. Texts given as `data` are sent as UTF-8."""

from urllib import request as _request
from urllib.error import HTTPError, URLError  # noqa: F401
from urllib.parse import quote, unquote  # noqa: F401
from urllib.request import *


class Request(_request.Request):
    def __init__(self, url, data=None, *args, **kwargs):
        super().__init__(url, _bytes(data), *args, **kwargs)


def urlopen(url, data=None, *args, **kwargs):
    return _request.urlopen(url, _bytes(data), *args, **kwargs)


def _bytes(data):
    return data.encode("utf-8") if isinstance(data, str) else data
