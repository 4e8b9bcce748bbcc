"""The kinds of field that resources declare, and how each goes onto the wire and comes back (rest-api.md 2.2)."""

import json
from datetime import UTC, datetime, time

from django.db import models
from django.utils.dateparse import parse_date, parse_datetime
from tastypie import fields
from tastypie.exceptions import ApiFieldError

from ionanalysis.rundb.models.columns import Json

Integer = fields.IntegerField
Float = fields.FloatField
List = fields.ListField
Dict = fields.DictField
NO_DEFAULT = fields.NOT_PROVIDED


class String(fields.CharField):
    """Text; what a computed field gives as object or list passes unchanged."""

    def convert(self, value):
        return value if value is None or isinstance(value, dict | list | bool) else str(value)

    def hydrate(self, bundle):
        value = super().hydrate(bundle)
        if isinstance(value, dict | list):
            raise ApiFieldError(f"The '{self.instance_name}' field takes a text.")
        return value if value is None else str(value)


class BigInteger(fields.ApiField):
    """A 64-bit integer, a string on the wire."""

    dehydrated_type = "string"
    help_text = fields.CharField.help_text

    def convert(self, value):
        return None if value is None else str(value)


class JsonValue(fields.ApiField):
    """A JSON column: an object on the wire, taken as an object or as its text."""

    dehydrated_type = "string"
    help_text = fields.CharField.help_text

    def hydrate(self, bundle):
        value = super().hydrate(bundle)
        if not isinstance(value, str):
            return value
        if not value.strip():
            return {}
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ApiFieldError(f"The '{self.instance_name}' field takes an object or its JSON text.") from None


_TRUTHS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "1", "on", "yes"), True),
    **dict.fromkeys(("false", "0", "off", "no", ""), False),
    **dict.fromkeys(("none", "null")),
}


class Boolean(fields.BooleanField):
    """True or false; the words of forms are understood."""

    def convert(self, value):
        return None if value is None else bool(value)

    def hydrate(self, bundle):
        value = super().hydrate(bundle)
        if isinstance(value, str):
            if value.lower() not in _TRUTHS:
                raise ApiFieldError(f"The '{self.instance_name}' field takes true or false.")
            value = _TRUTHS[value.lower()]
        return value if value is None else bool(value)


class DateTime(fields.DateTimeField):
    """A moment, in UTC; seconds count when it comes in."""

    def convert(self, value):
        return value

    def hydrate(self, bundle):
        value = fields.ApiField.hydrate(self, bundle)
        if value is None or value == "" or value is True:
            return None
        return value if isinstance(value, datetime) else moment(value, self.instance_name)


def moment(text, name):
    """The moment that a text says.

    Raises
    ------
    ApiFieldError
        If it is no date, with or without time and offset.
    """
    try:
        stamp = parse_datetime(str(text).strip())
        if stamp is None:
            day = parse_date(str(text).strip())
            stamp = day and datetime.combine(day, time())
        if stamp is not None:
            stamp = stamp.replace(microsecond=0)
            return stamp.astimezone(UTC) if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        pass
    raise ApiFieldError(f"The '{name}' field takes a date and time such as 2026-11-29T12:00:00+00:00.")


class _Related(fields.RelatedField):
    """A relation to the resource of that name; `nested` puts the object itself onto the wire.

    `to` is a name in the registry, or a class for objects that have no address of their own; `reads` names columns
    of its rows that computed fields read.
    """

    def __init__(self, to, attribute=None, *, nested=False, reads=(), **options):
        super().__init__(to, attribute or "", full=nested, **options)
        self._named = attribute
        self.reads = tuple(reads)

    def contribute_to_class(self, cls, name):
        if not self._named:
            self.attribute, self._attrs = name, [name]
        super().contribute_to_class(cls, name)

    @property
    def to_class(self):
        if isinstance(self.to, str):
            from ionanalysis.rundb.protocol.table import RESOURCES

            return RESOURCES[self.to]
        return self.to


class One(_Related, fields.ToOneField):
    """A relation to one object, or null."""

    def dehydrate(self, bundle, for_list=True):
        """The address without a look at the row it leads to, where the key is known; else as the library does it."""
        if not self.full and len(self._attrs) == 1 and self.to_class._meta.detail_uri_name == "pk":
            key = getattr(bundle.obj, f"{self.attribute}_id", None)
            if key is not None:
                return self.to_class.address(key)
        if all(step is not None for step in self._steps(bundle.obj)):
            return super().dehydrate(bundle, for_list=for_list)
        # What has gone, or was never there, must not hide the object that pointed to it.
        return None

    def _steps(self, row):
        for name in self._attrs:
            row = getattr(row, name, None)
            yield row
            if row is None:
                return


class Many(_Related, fields.ToManyField):
    """A relation to a list of objects."""


_KINDS = (
    (Json, JsonValue),
    (models.BigIntegerField, BigInteger),
    (models.BooleanField, Boolean),
    (models.DateTimeField, DateTime),
    (models.FloatField, Float),
    (models.IntegerField, Integer),
    (models.AutoField, Integer),
)


def of_column(column):
    """The field of a model's column, with the attributes of rest-api.md 2.11.

    Parameters
    ----------
    column : django.db.models.Field

    Returns
    -------
    tastypie.fields.ApiField
    """
    kind = next((kind for of, kind in _KINDS if isinstance(column, of)), String)
    options = {"attribute": column.name, "help_text": column.help_text, "null": column.null, "unique": column.unique}
    blank = column.blank and not column.null
    if blank or column.get_internal_type() == "TextField":
        options["default"] = ""
    if isinstance(column, Json):
        options["default"] = column.schema_default
    elif column.has_default():
        options["default"] = column.default
    elif isinstance(column, models.BooleanField):
        options["default"] = ""
    if getattr(column, "auto_now", False) or getattr(column, "auto_now_add", False):
        options["default"] = True
    field = kind(blank=blank or isinstance(column, models.BooleanField), **options)
    field.instance_name = column.name
    return field


def schema_of(meta, fields):
    """The schema of a resource (rest-api.md 2.11).

    Parameters
    ----------
    meta : object
        Methods, page size, filters and ordering of the resource.
    fields : dict of str to tastypie.fields.ApiField
    """
    described = {}
    for name, field in fields.items():
        described[name] = {
            "blank": field.blank,
            "default": "No default provided." if field._default is NO_DEFAULT else field.default,
            "help_text": field.help_text,
            "nullable": field.null,
            "readonly": field.readonly,
            "type": field.dehydrated_type,
            "unique": field.unique,
        }
        if field.is_related:
            described[name]["related_type"] = "to_many" if field.is_m2m else "to_one"
    schema = {
        "allowed_detail_http_methods": meta.detail_allowed_methods,
        "allowed_list_http_methods": meta.list_allowed_methods,
        "default_format": "application/json",
        "default_limit": meta.limit,
        "fields": described,
    }
    if meta.filtering:
        schema["filtering"] = meta.filtering
    if meta.ordering:
        schema["ordering"] = meta.ordering
    return schema
