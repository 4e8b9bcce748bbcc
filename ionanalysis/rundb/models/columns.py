"""The kinds of column of the run database, by the names that rest-api.md 2.11 gives them.

What a column is decides what the API's schema says of it: `Char` has no default of its own, `Text` has the empty
one; a column that is `blank` and not null has the empty default and is "blank"; dates that the server sets say `true`.
"""

import json

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import (
    CASCADE,
    SET_NULL,
    ForeignKey,
    Index,
    ManyToManyField,
    Model,
    OneToOneField,
    UniqueConstraint,
)
from django.utils.timezone import now

__all__ = [
    "CASCADE",
    "SET_NULL",
    "BigInteger",
    "Bool",
    "Char",
    "CommandLines",
    "Date",
    "Float",
    "ForeignKey",
    "Index",
    "Integer",
    "Json",
    "ManyToManyField",
    "Model",
    "OneToOneField",
    "Row",
    "Text",
    "UniqueConstraint",
    "now",
]

# Without lengths: both databases keep texts of any length at no cost, and no name is cut or refused for its length.
Char = models.CharField
Text = models.TextField
Integer = models.IntegerField
BigInteger = models.BigIntegerField
Float = models.FloatField
Bool = models.BooleanField
Date = models.DateTimeField


class Row(models.Model):
    """What all tables share: a 32-bit key `id`, and a name under the application `rundb`."""

    class Meta:
        abstract = True
        app_label = "rundb"


DEEPEST = 100
"""How deep lists and objects may lie in each other in a JSON column, so that all that is stored can be shown again."""


def is_deep(value):
    """Whether lists and objects lie deeper in each other than `DEEPEST`."""
    outer = [value]
    for _ in range(DEEPEST + 1):
        inner = (one.values() if isinstance(one, dict) else one for one in outer if isinstance(one, dict | list))
        outer = [one for many in inner for one in many]
    return bool(outer)


class Json(models.TextField):
    """Any JSON value, kept as compact text (filters of the API search that text); ``{}`` where nothing is given."""

    def __init__(self, *args, **options):
        self.schema_default = options.pop("schema_default", "{}")
        super().__init__(*args, **options)

    def deconstruct(self):
        name, path, args, options = super().deconstruct()
        if self.schema_default != "{}":
            options["schema_default"] = self.schema_default
        return name, path, args, options

    def get_default(self):
        return {}

    def from_db_value(self, value, expression, connection):
        return self.to_python(value)

    def to_python(self, value):
        if value is None or value == "":
            return {}
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValidationError(f"{self.name} is not JSON: {value[:80]!r}") from None

    def get_prep_value(self, value):
        """The text that is stored.

        Raises
        ------
        ValidationError
            If the value is a text that is not JSON, holds what JSON cannot, or goes too deep.
        """
        value = self.to_python(value)
        if is_deep(value):
            raise ValidationError(f"{self.name} cannot be kept as JSON: more than {DEEPEST} levels lie in each other")
        try:
            return json.dumps(value, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError) as problem:
            raise ValidationError(f"{self.name} cannot be kept as JSON: {problem}") from None

    def get_db_prep_value(self, value, connection, prepared=False):
        return value if prepared else self.get_prep_value(value)

    def get_lookup(self, lookup_name):
        return _as_text.get_lookup(lookup_name)

    def value_to_string(self, obj):
        return self.get_prep_value(self.value_from_object(obj))


# Filters compare the stored text with the text of the request.
_as_text = models.TextField()


class CommandLines(Row):
    """A row that holds the command lines of an analysis and of its thumbnail."""

    beadfindargs = Char(blank=True)
    thumbnailbeadfindargs = Char(blank=True)
    analysisargs = Char(blank=True)
    thumbnailanalysisargs = Char(blank=True)
    prebasecallerargs = Char(blank=True)
    prethumbnailbasecallerargs = Char(blank=True)
    calibrateargs = Char(blank=True)
    thumbnailcalibrateargs = Char(blank=True)
    basecallerargs = Char(blank=True)
    thumbnailbasecallerargs = Char(blank=True)
    alignmentargs = Char(blank=True)
    thumbnailalignmentargs = Char(blank=True)
    ionstatsargs = Char(blank=True)
    thumbnailionstatsargs = Char(blank=True)

    class Meta:
        abstract = True
