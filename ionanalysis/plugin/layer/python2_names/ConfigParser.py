"""`ConfigParser` of Python 2: keys may be repeated, `;` behind a blank starts a comment, `readfp` is there."""

import configparser as _new
from configparser import *


class _AsBefore:
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{"strict": False, "inline_comment_prefixes": (";",), **kwargs})

    def readfp(self, fp, filename=None):
        self.read_file(fp, filename)


class RawConfigParser(_AsBefore, _new.RawConfigParser):
    pass


class ConfigParser(_AsBefore, _new.ConfigParser):
    pass


SafeConfigParser = ConfigParser
