"""Loaded by every Python that a plugin of tier "compat" starts: puts the compatibility layer in place.

Python 2 finds this folder, too, when a plugin calls it with the same PYTHONPATH: there it does nothing. A
`sitecustomize` that this one hides is run after it.
"""

import sys


def _install():
    import os
    from importlib.machinery import PathFinder

    here = os.path.dirname(os.path.abspath(__file__))
    # Last on the path: what is installed under one of these names wins.
    sys.path.append(os.path.join(here, "python2_names"))
    import _ionanalysis_layer

    _ionanalysis_layer.install()
    others = [folder for folder in sys.path if os.path.abspath(folder or ".") != here]
    hidden = PathFinder.find_spec("sitecustomize", others)
    if hidden is not None and hidden.loader is not None:
        from importlib.util import module_from_spec

        hidden.loader.exec_module(module_from_spec(hidden))


if sys.version_info[0] >= 3:  # noqa: UP036
    _install()
