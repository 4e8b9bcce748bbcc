"""`Queue` of Python 2."""

from queue import *
