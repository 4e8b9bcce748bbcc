"""`cPickle` of Python 2."""

from pickle import *
from pickle import HIGHEST_PROTOCOL, dump, dumps, load, loads  # noqa: F401
