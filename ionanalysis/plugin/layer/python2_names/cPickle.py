"""`cPickle` of Python 2."""

from pickle import *  # noqa: F403
from pickle import HIGHEST_PROTOCOL, dump, dumps, load, loads  # noqa: F401
