"""Resources that show one object of the server itself, and no table."""

from types import SimpleNamespace
from typing import Any

from django.urls import get_script_prefix
from tastypie import fields

from ionanalysis.rundb.protocol.kinds import schema_of
from ionanalysis.rundb.protocol.table import RESOURCES, ROOT


class Single:
    """One object at the address of a list; subclasses give it with a route to the empty path."""

    texts: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    list_methods: tuple[str, ...] = ("get",)
    mesh = False
    _meta: Any

    def __init_subclass__(cls):
        name = cls.__name__.lower()
        cls._meta = SimpleNamespace(
            resource_name=name,
            list_allowed_methods=list(cls.list_methods),
            detail_allowed_methods=[],
            limit=0,
            filtering={},
            ordering=[],
            mesh=cls.mesh,
            object_class=None,
        )
        RESOURCES[name] = cls

    @classmethod
    def address(cls):
        """The path of the object."""
        return f"{get_script_prefix()}{ROOT}{cls._meta.resource_name}/"

    def find(self, key):
        """Nothing: it has no keys."""
        return None

    def build_schema(self):
        """The schema; flags have the standard sentence of texts (rest-api.md 2.11)."""
        shown = {"null": True, "blank": True, "readonly": True}
        kinds = {name: fields.CharField(**shown) for name in self.texts}
        kinds |= {name: fields.BooleanField(help_text=fields.CharField.help_text, **shown) for name in self.flags}
        return schema_of(self._meta, kinds)
