"""Names that Python 2 or older libraries had, put back for plugins (plugin.md 8.1).

Source code is never changed. Modules of the standard library are mended at once where they are loaded, all others right
after their import. docs/plugins.md lists what this can mend and what it cannot.
"""

import builtins
import functools
import os
import sys

BUILTINS_SWITCH = "IONANALYSIS_PYTHON2_BUILTINS"
"""Environment variable: 0 leaves the builtins of Python 3 alone."""

_NUMPY_NAMES = {"int": int, "float": float, "bool": bool, "object": object, "str": str, "complex": complex, "long": int}
_ABSTRACT = (
    "Callable Container Hashable Iterable Iterator Mapping MutableMapping MutableSequence MutableSet Sequence Set"
)


def install():
    """Put the layer in place. Calling it again changes nothing."""
    if os.environ.get(BUILTINS_SWITCH, "1") != "0":
        for name, value in _python2_builtins().items():
            if not hasattr(builtins, name):
                setattr(builtins, name, value)
    for name, patch in PATCHES.items():
        if name in sys.modules:
            patch(sys.modules[name])
    if not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())


class _AfterImport:
    """Lets the other finders find a module, and patches it when it has been executed."""

    def find_spec(self, name, path, target=None):
        patch = PATCHES.get(name)
        if patch is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find and finder is not self else None
            if spec is not None:
                break
        else:
            return None
        # Loaders that are classes are the interpreter's own and shared; what they load is in memory already.
        if spec.loader is not None and not isinstance(spec.loader, type):
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                patch(module)

            spec.loader.exec_module = exec_module
        return spec


def _python2_builtins():
    return {
        "basestring": str,
        "unicode": str,
        "xrange": range,
        "raw_input": input,
        "long": int,
        "unichr": chr,
        "reduce": functools.reduce,
    }


def _give(module, **values):
    for name, value in values.items():
        if name not in vars(module):
            setattr(module, name, value)


def _patch_numpy(numpy):
    _give(numpy, **_NUMPY_NAMES, float_=numpy.float64, complex_=numpy.complex128)
    _give(numpy, string_=numpy.bytes_, unicode_=numpy.str_, NaN=numpy.nan, Inf=numpy.inf)


def _patch_matplotlib(matplotlib):
    use = matplotlib.use

    @functools.wraps(use)
    def use_with_warn(backend, warn=None, force=True):
        # The second place was that of `warn`, which is gone.
        return use(backend, force=force)

    matplotlib.use = use_with_warn


def _patch_mlab(mlab):
    def prctile(x, p=(0.0, 25.0, 50.0, 75.0, 100.0)):
        """Percentiles of `x`, as matplotlib had them until release 2.2."""
        import numpy

        return numpy.percentile(numpy.ravel(x), p)

    _give(mlab, prctile=prctile)


def _patch_json_encoder(encoder):
    default = encoder.JSONEncoder.default

    def default_with_numpy(self, value):
        """NumPy scalars as plain numbers; all else as before."""
        if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
            return value.item()
        return default(self, value)

    encoder.JSONEncoder.default = default_with_numpy


def _patch_datastructures(datastructures):
    from collections import OrderedDict

    _give(datastructures, SortedDict=OrderedDict)


def _patch_django_conf(conf):
    configure = conf.LazySettings.configure

    def configure_as_before(self, *args, **options):
        """`configure` that knows the template settings of Django 1.x, followed by `django.setup`."""
        configure(self, *args, **_with_templates(options))
        import django

        django.setup()

    conf.LazySettings.configure = configure_as_before


def _with_templates(options):
    options = dict(options)
    folders = options.pop("TEMPLATE_DIRS", options.pop("TEMPLATE_DIR", ()))
    debug = options.pop("TEMPLATE_DEBUG", False)
    context = options.pop("TEMPLATE_CONTEXT_PROCESSORS", ())
    options.pop("TEMPLATE_LOADERS", None)
    if "TEMPLATES" not in options:
        options["TEMPLATES"] = [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [folders] if isinstance(folders, str) else list(folders),
                "APP_DIRS": bool(options.get("INSTALLED_APPS")),
                "OPTIONS": {"debug": bool(debug), "context_processors": list(context)},
            }
        ]
    options.setdefault("LOGGING_CONFIG", None)
    return options


def _patch_urllib(urllib):
    moved = {
        **dict.fromkeys(["quote", "quote_plus", "unquote", "unquote_plus", "urlencode"], "urllib.parse"),
        **dict.fromkeys(["urlopen", "urlretrieve", "pathname2url", "url2pathname"], "urllib.request"),
    }

    def moved_name(name):
        if name not in moved:
            raise AttributeError(f"module 'urllib' has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(moved[name]), name)

    _give(urllib, __getattr__=moved_name)


def _patch_itertools(itertools):
    _give(itertools, izip=zip, imap=map, ifilter=filter, izip_longest=itertools.zip_longest)


def _patch_collections(collections):
    import collections.abc

    _give(collections, **{name: getattr(collections.abc, name) for name in _ABSTRACT.split()})


PATCHES = {
    "collections": _patch_collections,
    "django.conf": _patch_django_conf,
    "django.utils.datastructures": _patch_datastructures,
    "itertools": _patch_itertools,
    "json.encoder": _patch_json_encoder,
    "matplotlib": _patch_matplotlib,
    "matplotlib.mlab": _patch_mlab,
    "numpy": _patch_numpy,
    "os": lambda os: _give(os, getcwdu=os.getcwd),
    "string": lambda string: _give(string, maketrans=str.maketrans, letters=string.ascii_letters),
    "sys": lambda sys: _give(sys, maxint=sys.maxsize),
    "urllib": _patch_urllib,
}
