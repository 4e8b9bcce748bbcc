"""`IonPlugin`, the class that every plugin derives from (plugin.md 2.1 to 2.3).

Plugin processes see it as ``ion.plugin.IonPlugin``. Its names are a contract with plugins written for
Torrent Suite; nothing here may depend on `__init__` having run, because plugins override it.
"""

import functools
import inspect
import json
import logging
import subprocess
from pathlib import Path

from ionanalysis.io.atomic import write_whole

UNKNOWN = "(Unknown)"
"""Text of a version or an author that a plugin does not give."""

REGISTRY: dict[str, type] = {}
"""Plugin classes that this process has seen, by class name and by `name`."""

_FRAMEWORK_CLASSES = ("IonPlugin", "IonLaunchPlugin")
_TEXTS = ("author", "version")
_SETTINGS = ("major_block", "runtypes", "features", "runlevels", "depends", "requires", "provides")
_RESULTS = ("output", "results")


class _LazySetting:
    """A setting that a class method computes, read like an attribute of class or instance."""

    def __init__(self, method):
        self.method = method
        self.values = {}

    def __get__(self, instance, owner):
        if owner not in self.values:
            self.values[owner] = self.method.__get__(None, owner)()
        return self.values[owner]


class IonPlugin:
    """Base of all plugins. Override `version` and `launch`, and what else is needed.

    Attributes of the class
    -----------------------
    name : str
        Name of the class, unless given.
    version : str
        ``Major.Minor.Revision.Build``.
    runtypes, runlevels, features, depends : list of str
        Members of `RunType`, `RunLevel`, `Feature`; names of plugins to run after.
    major_block : bool
        Whether ``*_block.html`` is shown in the main part of the report.
    requires_configuration : bool
        Whether an empty configuration refuses the launch.
    output, results : dict, or method that returns one
        Written to ``output.json`` and ``results.json`` after a launch that returned a true value.
    """

    name = ""
    version: str | None = None
    runtypes: list = []  # noqa: RUF012 (plugins replace, never extend them; the type is part of the contract)
    runlevels: list = []  # noqa: RUF012
    features: list = []  # noqa: RUF012
    depends: list = []  # noqa: RUF012
    major_block = False
    requires_configuration = False
    requires: list = ["BAM"]  # noqa: RUF012
    output: dict = {}  # noqa: RUF012
    results: dict = {}  # noqa: RUF012
    log = logging.getLogger("ion.plugin.runtime")
    call = staticmethod(subprocess.call)

    context: dict
    blockcount: int
    exit_status: int
    plugin: object
    analysis: object
    pluginresult: object
    data: dict

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if cls.__name__ in _FRAMEWORK_CLASSES:
            return
        if not vars(cls).get("name"):
            cls.name = cls.__name__
        for attribute in _TEXTS:
            text = _class_text(cls, attribute)
            setattr(cls, attribute, text)
            setattr(cls, f"__{attribute}__", text)
        for attribute in _SETTINGS:
            method = inspect.getattr_static(cls, attribute, None)
            if isinstance(method, classmethod):
                setattr(cls, attribute, _LazySetting(method))
        for attribute in _RESULTS:
            method = inspect.getattr_static(cls, attribute, None)
            if inspect.isfunction(method):
                cached = functools.cached_property(method)
                cached.__set_name__(cls, attribute)
                setattr(cls, attribute, cached)
        REGISTRY[cls.__name__] = cls
        if isinstance(cls.name, str):
            REGISTRY[cls.name] = cls

    def __new__(cls, *args, **kwargs):
        # Not in __init__: plugins override it and forget to call ours.
        plugin = super().__new__(cls)
        plugin.context = {}
        plugin.blockcount = 0
        plugin.exit_status = -1
        plugin.plugin = None
        plugin.analysis = None
        plugin.pluginresult = None
        plugin.data = {}
        return plugin

    def __init__(self, *args, **kwargs):
        """Accepts anything, as the original does."""

    @functools.cached_property
    def startplugin(self):
        """The content of ``startplugin.json`` in the working directory. May be assigned."""
        path = Path("startplugin.json")
        if not path.is_file():
            raise FileNotFoundError(
                f"{path.absolute()} is missing: a plugin runs in its result directory, where the framework puts it."
            )
        return json.loads(path.read_text(encoding="utf-8"))

    @functools.cached_property
    def runinfo(self):
        """``startplugin["runinfo"]``."""
        return self.startplugin["runinfo"]

    @functools.cached_property
    def plugin_parameters(self):
        """``runinfo["plugin"]``."""
        return self.runinfo["plugin"]

    @functools.cached_property
    def configuration(self):
        """The global configuration; that of this launch is ``startplugin["pluginconfig"]``."""
        return self.plugin_parameters["pluginconfig"]

    def launch(self, data=None):
        """Do the work. Override it; a true return value makes `results` and `output` be written."""
        raise NotImplementedError(f"{type(self).__name__} does not override launch().")

    def pre_launch(self, data=None):
        """Called on the node just before `launch`; a false value declines the launch."""
        return True

    def post_launch(self):
        """Never called, as in the original."""

    def pre_block(self, block):
        """Never called, as in the original."""
        return hasattr(self, "block")

    def post_block(self, block):
        """Never called, as in the original."""
        return True

    def getUserInput(self):  # noqa: N802 (a name of the contract)
        """First global configuration of a new installation, or None."""
        return None

    def barcodetable_columns(self):
        """Columns of the barcode table, ``[{"field": ..., "editable": ...}, ...]``; none by default."""
        return []

    def barcodetable_data(self, data, planconfig={}, globalconfig={}):  # noqa: B006 (never changed here)
        """Rows of the barcode table: `data`, a list of objects, changed where the plugin wishes."""
        return data

    def custom_validation(self, configuration, run_mode):
        """Messages about a configuration; `run_mode` is ``manual`` or ``pipeline``."""
        return []

    def validate(self, configuration, run_mode):
        """All messages about a configuration; an empty list lets the plugin start. Not to be overridden."""
        issues = []
        if self.requires_configuration and not configuration:
            issues.append(f"{self.name} needs a configuration before it can run.")
        return issues + list(self.custom_validation(configuration, run_mode) or [])

    def launch_wrapper(self, data=None, dry_run=True):
        """Run `pre_launch`, `launch` and `generate_output`.

        Returns
        -------
        outcome : str
            ``dry run``, ``declined``, or ``true``, ``false``, ``none`` after what `launch` returned. The
            process ends with 0 in any case, as in the original (plugin.md 2.3).
        """
        self.log.info("%s v%s", self.name, self.version)
        if dry_run:
            return "dry run"
        if not self.pre_launch():
            self.log.warning("%s declined to run: pre_launch() returned a false value.", self.name)
            return "declined"
        status = self.launch()
        if status:
            self.generate_output()
            return "true"
        self.log.warning("%s: launch() returned %r; results and output are not written.", self.name, status)
        return "none" if status is None else "false"

    def generate_output(self):
        """Write ``output.json`` and ``results.json`` from the attributes that are not empty."""
        for attribute in _RESULTS:
            content = getattr(self, attribute)
            if content:
                write_whole(f"{attribute}.json", json.dumps(content, indent=2, default=_plain))

    def get_restobj(self, resource, params={}, timeout=30, attempts=5):  # noqa: B006 (never changed here)
        """GET ``<api_url>/v1/<resource>/`` with this plugin's key; see `ionanalysis.plugin.rest.get_object`."""
        from ionanalysis.plugin import rest  # what the web needs would double the start of every plugin

        key = {"pluginresult": self.runinfo["pluginresult"], "api_key": self.runinfo["api_key"]}
        url = f"{self.runinfo['api_url'].rstrip('/')}/v1/{resource.strip('/')}/"
        return rest.get_object(url, {**params, **key}, timeout=timeout, attempts=attempts, log=self.log)

    @classmethod
    def _metadata(cls):
        return {"name": cls.__name__, "version": cls.version, "description": description_of(cls)}


def description_of(plugin_class):
    """The docstring of a plugin class, that of `IonPlugin` not taken for it; empty with a warning."""
    docs = inspect.cleandoc(plugin_class.__doc__ or "")
    if not docs:
        plugin_class.log.warning("%s has no docstring; it is shown as the plugin's description.", plugin_class.__name__)
    return docs


def _class_text(cls, attribute):
    """`author` or `version` as text: a value, a class or static method, or a property read on the class."""
    value = inspect.getattr_static(cls, attribute, None)
    if isinstance(value, property):
        value = value.fget(cls) if value.fget else None
    else:
        value = getattr(cls, attribute, None)
        if callable(value):
            value = value()
    return UNKNOWN if value is None or value == "" else str(value)


def _plain(value):
    """NumPy values as plain ones; `json` calls it for what it does not know."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{value!r} cannot be written as JSON.")
