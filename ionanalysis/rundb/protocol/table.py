"""The base of all resources: a declaration of a few lines becomes a table that the API serves.

A resource names the model whose rows it shows and declares its relations and computed fields; columns come by
themselves. ``class Chip(Table, rows=models.Chip): ...`` is served under its name in lower case.
"""

from functools import cache
from typing import Any
from urllib.parse import quote

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Prefetch
from django.db.models.constants import LOOKUP_SEP
from django.urls import get_script_prefix
from tastypie.constants import ALL, ALL_WITH_RELATIONS
from tastypie.exceptions import BadRequest
from tastypie.paginator import Paginator
from tastypie.resources import ModelDeclarativeMetaclass, ModelResource

from ionanalysis.rundb.protocol.answers import Refusal
from ionanalysis.rundb.protocol.asking import filters_of, ordering_of
from ionanalysis.rundb.protocol.kinds import Many, of_column, schema_of
from ionanalysis.rundb.protocol.wire import json_response
from ionanalysis.rundb.protocol.writing import Writing, at_address

RESOURCES: dict[str, Any] = {}
EVERYTHING = "all"
VERBS = ("get", "post", "put", "delete", "patch")
ROOT = "rundb/api/v1/"
MESH_ROOT = "rundb/api/mesh/v1/"


class _TableType(ModelDeclarativeMetaclass):
    """Turns the keywords of a declaration into what the library reads.

    Keywords
    --------
    rows : django.db.models.Model
        The model. Without one the class is a base of others.
    name : str
        The resource's name; the class's in lower case unless given.
    where : django.db.models.Q or callable
        Which rows are shown.
    only, hidden : sequence of str
        Columns that are shown (all), and that are not.
    filters, orders : "all" or sequence of str
        Fields that lists may be filtered and ordered by.
    secret : sequence of str
        Columns that only administrators and a row's owner see, that only administrators set, and that no list is
        searched by.
    order : sequence of str
        Order of lists where the request has none.
    limit, max_limit : int
        Objects in a page, as a rule and at most (0: any number).
    methods : sequence of str
        HTTP methods, of list and object.
    returns_data : bool
        Whether writing answers with the object.
    key : str
        The column that addresses name.
    served : bool
        Whether it has an address; objects that only come nested have none.
    mesh : bool
        Whether it is shared with linked servers.
    """

    def __new__(cls, class_name, bases, attrs, *, rows=None, name=None, **options):
        if rows is None:
            attrs["Meta"] = type("Meta", (), {"abstract": True})
            return super().__new__(cls, class_name, bases, attrs)
        served = options.pop("served", True)
        attrs["Meta"] = type("Meta", (), _meta(rows, name or class_name.lower(), served, options))
        made = super().__new__(cls, class_name, bases, attrs)
        made._meta.filtering = _usable(made, made._meta.filters, ALL_WITH_RELATIONS)
        made._meta.ordering = list(_usable(made, made._meta.orders, ALL))
        if served:
            RESOURCES[made._meta.resource_name] = made
        return made

    def __init__(cls, class_name, bases, attrs, **options):
        super().__init__(class_name, bases, attrs)


def _meta(rows, name, served, options):
    meta = {
        "object_class": rows,
        "queryset": rows._default_manager.all(),
        "resource_name": name,
        "served": served,
        "where": (options.pop("where", None),),  # in a tuple, or a function would become a method
        "fields": options.pop("only", None),
        "excludes": list(options.pop("hidden", ())),
        "filters": options.pop("filters", EVERYTHING),
        "orders": options.pop("orders", EVERYTHING),
        "order": tuple(options.pop("order", ())),
        "secret": tuple(options.pop("secret", ())),
        "limit": options.pop("limit", 20),
        "max_limit": options.pop("max_limit", 1000),
        "always_return_data": options.pop("returns_data", False),
        "detail_uri_name": options.pop("key", "pk"),
        "mesh": options.pop("mesh", False),
        "root": options.pop("root", ROOT),
    }
    methods = options.pop("methods", VERBS)
    meta["list_allowed_methods"], meta["detail_allowed_methods"] = list(methods), list(methods)
    if options:
        raise TypeError(f"a resource has no option {', '.join(sorted(options))}")
    return meta


def _usable(resource, names, value):
    """What the schema says of filters or of ordering: the given `names`, or all columns and relations of the model."""
    if names == EVERYTHING:
        names = [name for name in resource.base_fields if resource.has_column(name)]
    return {name: value for name in names if name not in resource._meta.secret}


class Table(Writing, ModelResource, metaclass=_TableType):
    """A resource over the rows of a model."""

    @classmethod
    def get_fields(cls, fields=None, excludes=None):
        """Fields of all columns but keys of other tables, which appear only where they are declared."""
        columns = {}
        for column in cls._meta.object_class._meta.concrete_fields:
            shown = fields is None or column.name in fields
            if shown and not column.is_relation and column.name not in excludes and column.name not in cls.base_fields:
                columns[column.name] = of_column(column)
        return columns

    @classmethod
    def address(cls, key=None):
        """The path of the list, or of the object with that key; empty where it has none."""
        if not cls._meta.served:
            return ""
        path = f"{get_script_prefix()}{cls._meta.root}{cls._meta.resource_name}/"
        return path if key is None else f"{path}{quote(str(key), safe='')}/"

    def get_resource_uri(self, bundle_or_obj=None, url_name=None):
        if bundle_or_obj is None:
            return self.address()
        row = getattr(bundle_or_obj, "obj", bundle_or_obj)
        return self.address(getattr(row, self._meta.detail_uri_name))

    @classmethod
    def may_filter(cls, name):
        """Whether a list may be filtered by that field."""
        return name in cls.base_fields and name in cls._meta.filtering

    @classmethod
    def may_order(cls, name):
        """Whether a list may be ordered by that field."""
        return name in cls.base_fields and name in cls._meta.ordering

    @classmethod
    def has_column(cls, name):
        """Whether a field stands for a column or relation, directly or through relations."""
        attribute, model = cls.base_fields[name].attribute, cls._meta.object_class
        if not isinstance(attribute, str) or not attribute:
            return False
        try:
            for step in attribute.split(LOOKUP_SEP):
                column = model._meta.get_field(step)
                model = column.related_model or model
        except (FieldDoesNotExist, AttributeError):
            return False
        return True

    def rows(self):
        """The rows that the resource shows."""
        query = self._meta.object_class._default_manager.all()
        (where,) = self._meta.where
        if where is None:
            return query
        return query.filter(where() if callable(where) else where)

    def narrow(self, request, rows):
        """A hook: apply the parameters that have a meaning of their own (rest-api.md 2.9)."""
        return rows

    def filters_among(self, parameters):
        """A hook: the parameters that are filters, without those that have a meaning of their own."""
        return parameters

    def asked_for(self, request):
        """The rows that a request's parameters choose, in their order.

        Raises
        ------
        BadRequest
            If a parameter is not allowed, or has a value of the wrong type.
        """
        rows = self.chosen(request)
        keys = ordering_of(self, request.GET) or list(self._meta.order)
        # The last key's own direction, so that an index serves both.
        tie = "-pk" if keys and str(keys[-1]).startswith("-") else "pk"
        return rows.order_by(*keys, tie)

    def chosen(self, request):
        """The rows that a request's filters leave; each comes once, though a to-many relation may hold it twice."""
        parameters = request.GET.copy()
        if "api_key" in parameters:
            # These say who asks, not what for.
            for name in ("username", "api_key", "pluginresult", "system_id"):
                parameters.pop(name, None)
        conditions, many = filters_of(self, self.filters_among(parameters))
        rows = self.narrow(request, self.rows())
        try:
            if many:
                model = self._meta.object_class
                return rows.filter(pk__in=model._default_manager.filter(**conditions).values("pk"))
            return rows.filter(**conditions)
        except (ValueError, TypeError):
            raise BadRequest("Invalid resource lookup data provided (mismatched type).") from None

    @classmethod
    def with_relations(cls, rows):
        """`rows` with the rows that their fields lead to, in one query per relation."""
        ahead, along = _relations(cls)
        rows = rows.prefetch_related(*(lead() for lead in ahead))
        return rows.select_related(*along) if along else rows

    def page(self, request, rows):
        """The part of `rows` that the request asks for, as the library lays it out: ``meta`` and ``objects``.

        Keys come first and whole rows, with what they lead to, for one page only: a database that sorts carries less.
        """
        keys = rows.values_list("pk", flat=True)
        page = Paginator(
            request.GET, keys, resource_uri=request.path, limit=self._meta.limit, max_limit=self._meta.max_limit
        ).page()
        found = self.with_relations(self._meta.object_class._default_manager.all()).in_bulk(list(page["objects"]))
        page["objects"] = [found[key] for key in page["objects"] if key in found]
        return page

    def shown(self, request, row, *, in_list):
        """The object of a row as the wire has it, in plain Python."""
        bundle = self.full_dehydrate(self.build_bundle(obj=row, request=request), for_list=in_list)
        if not (request.user.is_superuser or getattr(row, "owner_id", None) == request.user.pk):
            bundle.data.update(dict.fromkeys(self._meta.secret))
        return bundle

    def answer_with(self, request, row, status):
        """The answer that holds a row as it is stored now, with what the request gave it beside its columns."""
        stored = self.with_relations(type(row)._default_manager.filter(pk=row.pk)).get()
        stored.told = getattr(row, "told", {})
        return json_response(request, self.shown(request, stored, in_list=False), status=status)

    def whole_list(self, request, page):
        """A hook: what a list holds beside its page."""
        return page

    def found(self, key):
        """The row with that key.

        Raises
        ------
        Refusal
            404 if there is none.
        """
        row = self.find(key)
        if row is None:
            raise Refusal(404)
        return row

    def at(self, uri):
        """The row at one of the resource's addresses, or None."""
        return at_address(type(self), uri)

    def build_schema(self):
        """The schema, without what newer releases of the library add (rest-api.md 2.11)."""
        return schema_of(self._meta, self.fields)


@cache
def _relations(resource):
    """Queries that fetch what a resource's fields lead to, and names of the to-one relations to join."""
    ahead, along = [], []
    for field in resource.base_fields.values():
        if not field.is_related or not resource.has_column(field.instance_name):
            continue
        path = field.attribute
        if isinstance(field, Many) or field.full:
            relation = resource._meta.object_class._meta.get_field(path) if LOOKUP_SEP not in path else None
            ahead.append(lambda path=path, field=field, by=relation: Prefetch(path, _ahead(field, by)))
        elif LOOKUP_SEP in path or not hasattr(resource._meta.object_class, f"{path}_id"):
            along.append(path)
    return tuple(ahead), tuple(along)


def _ahead(field, relation):
    """Rows that a field leads to: whole ones where they are shown, else their keys and what is read of them."""
    resource = field.to_class
    rows = resource._meta.object_class._default_manager.order_by("pk")
    if field.full:
        return resource.with_relations(rows)
    if relation is None or resource._meta.detail_uri_name != "pk":
        return rows
    return rows.only("pk", *field.reads, *([relation.field.name] if relation.one_to_many else []))
