"""How objects come in: from JSON to rows, with what they are related to (rest-api.md 2.5).

A field that is left out keeps its stored value, and only columns that are given are written, so that two writers
of different fields of one row lose nothing.
"""

from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import AutoField
from django.utils.timezone import now
from tastypie.exceptions import ApiFieldError

from ionanalysis.rundb.protocol.access import demand
from ionanalysis.rundb.protocol.answers import Refusal
from ionanalysis.rundb.protocol.wire import number_of


class Writing:
    """The part of a resource that creates, changes and deletes rows."""

    # What the library and `Table` bring.
    _meta: Any
    fields: Any
    build_bundle: Any
    with_relations: Any
    rows: Any

    def received(self, request, data, row):
        """A hook: the data as they should be stored.

        Parameters
        ----------
        request : django.http.HttpRequest
        data : dict
            As sent.
        row : django.db.models.Model or None
            The row to change; None when one is created.
        """
        return data

    def errors(self, bundle):
        """A hook: what is wrong with the row in `bundle`, as a dict of field to messages."""
        return {}

    def written(self, bundle, *, created):
        """A hook: what else changes once the row is stored, in the same transaction."""

    def create(self, request, data, *, key=None, fixed=None):
        """Store a new row.

        Parameters
        ----------
        request : django.http.HttpRequest
        data : dict
            As sent; an `id` in it is ignored.
        key : str, optional
            The key that an address names.
        fixed : dict, optional
            Values of columns that the data cannot choose.

        Returns
        -------
        django.db.models.Model

        Raises
        ------
        Refusal, ApiFieldError
            If the user may not, or the data cannot be stored.
        """
        demand(request.user, "add", self._meta.object_class)
        row = self._meta.object_class(**(fixed or {}))
        if key is not None:
            setattr(row, self._meta.detail_uri_name, row._meta.pk.to_python(key) if self._by_number() else key)
        with transaction.atomic():
            bundle = self.build_bundle(obj=row, data=self.received(request, dict(data), None), request=request)
            self._fill(bundle, skip=fixed or {})
            self._demand_values(row)
            self._check(bundle)
            row.save(force_insert=True)
            if key is not None and self._by_number():
                pass_keys([type(row)])
            self._fill_lists(bundle)
            self.written(bundle, created=True)
        return row

    def update(self, request, row, data, *, nested=False):
        """Change a row's given fields.

        Parameters
        ----------
        request : django.http.HttpRequest
        row : django.db.models.Model
        data : dict
            As sent.
        nested : bool
            Whether the data came inside another object's; then data that change nothing need no permission.
        """
        if not nested:
            demand(request.user, "change", type(row))
        before = {column.attname: getattr(row, column.attname) for column in row._meta.concrete_fields}
        with transaction.atomic():
            bundle = self.build_bundle(obj=row, data=self.received(request, dict(data), row), request=request)
            given = self._fill(bundle, skip={})
            if nested and all(getattr(row, name) == value for name, value in before.items()):
                return row
            if nested:
                demand(request.user, "change", type(row))
            self._check(bundle)
            if given:
                row.save(update_fields=given | {c.name for c in row._meta.concrete_fields if getattr(c, "auto_now", 0)})
            self._fill_lists(bundle)
            self.written(bundle, created=False)
        return row

    def remove(self, request, row):
        """Delete a row, and what cannot be without it."""
        demand(request.user, "delete", type(row))
        with transaction.atomic():
            row.delete()

    def find(self, key):
        """The row with that key, or None.

        Raises
        ------
        Refusal
            404 if it cannot be a key.
        """
        if self._by_number():
            if not (str(key).isascii() and str(key).isdigit()):
                raise Refusal(404, {"error_message": "Invalid resource lookup data provided (mismatched type)."})
            if number_of(key) is None:
                return None
        if "\0" in str(key):
            return None
        return self.with_relations(self.rows()).filter(**{self._meta.detail_uri_name: key}).first()

    @classmethod
    def _by_number(cls):
        return cls._meta.detail_uri_name in ("pk", "id")

    def _fill(self, bundle, *, skip):
        """Put the given values into the row; the names of its columns that were given."""
        given = set()
        for name, field in self.fields.items():
            if name not in bundle.data or field.readonly or getattr(field, "is_m2m", False):
                continue
            column = _column(bundle.obj, field.attribute)
            if name in self._meta.secret and not bundle.request.user.is_superuser:
                continue
            if column is None or column.name in skip or (column.primary_key and not bundle.obj._state.adding):
                continue
            if isinstance(column, AutoField):
                continue
            if field.is_related:
                value = self._related(field, bundle.data[name], bundle.request)
                if not field.to_class._meta.served and _is_taken(column, value, bundle.obj):
                    # A number in part of an object does not take what belongs to another row.
                    continue
            else:
                value = column.to_python(field.hydrate(bundle))
                _check_range(name, column, value)
            if value is None and not column.null:
                continue
            setattr(bundle.obj, column.name, value)
            given.add(column.name)
        return given

    def _demand_values(self, row):
        """Refuse a new row that lacks a number, date or relation that has no default."""
        names = {getattr(field, "attribute", None): name for name, field in self.fields.items()}
        for column in row._meta.concrete_fields:
            automatic = (
                column.primary_key or getattr(column, "auto_now", False) or getattr(column, "auto_now_add", False)
            )
            if column.null or automatic or getattr(row, column.attname) is not None:
                continue
            if column.get_internal_type() == "BooleanField":
                setattr(row, column.attname, False)
                continue
            name = names.get(column.name)
            if name is None:
                # A view that does not show a column cannot ask for it.
                setattr(row, column.name, _beginning(column))
                continue
            raise ApiFieldError(f"The '{name}' field has no data and doesn't allow a default or null value.")

    def _check(self, bundle):
        errors = self.errors(bundle)
        if errors:
            raise Refusal(400, {self._meta.resource_name: errors})

    def _fill_lists(self, bundle):
        """Set the to-many relations that are given."""
        for name, field in self.fields.items():
            if not getattr(field, "is_m2m", False) or field.readonly or bundle.data.get(name) is None:
                continue
            values = bundle.data[name]
            if not isinstance(values, list):
                raise ApiFieldError(f"The '{name}' field takes a list.")
            try:
                relation = bundle.obj._meta.get_field(field.attribute)
            except FieldDoesNotExist:
                continue
            fixed = {relation.field.name: bundle.obj} if relation.one_to_many else None
            rows = [self._related(field, value, bundle.request, fixed) for value in values if value is not None]
            manager = getattr(bundle.obj, field.attribute)
            if relation.many_to_many or relation.field.null:
                manager.set(rows)
            else:
                # These cannot be without an owner: none is taken away.
                manager.add(*rows)

    def _related(self, field, value, request, fixed=None):
        """The row that a relation's value stands for: its address, or itself, stored first if it is new.

        Raises
        ------
        ApiFieldError
            If it is neither, or no row is there.
        """
        resource = field.to_class()
        if value is None or value == "":
            return None
        if isinstance(value, str):
            row = at_address(resource, value)
            if row is None:
                raise ApiFieldError(f"Could not find the provided object via resource URI '{value}'.")
            return row
        if not isinstance(value, dict):
            name = field.instance_name
            raise ApiFieldError(f"The '{name}' field was given data that was not a URI and not a dictionary-alike.")
        row = at_address(resource, value.get("resource_uri") or "") or _with_id(resource, value.get("id"))
        if row is None and not resource._meta.served and resource._meta.fields is not None:
            # Some columns of a row do not make one.
            return None
        if row is None:
            return resource.create(request, value, fixed=fixed)
        # What has no address of its own is not changed through its owner.
        if resource._meta.served and "put" in resource._meta.detail_allowed_methods:
            resource.update(request, row, value, nested=True)
        return row


def _is_taken(column, value, row):
    """Whether `value` belongs to another row than `row`, in a column where it can belong to one only."""
    if value is None or not column.one_to_one:
        return False
    return type(row)._default_manager.filter(**{column.name: value}).exclude(pk=row.pk).exists()


def _column(row, attribute):
    """The model's own column of that name, or None."""
    try:
        column = row._meta.get_field(attribute) if isinstance(attribute, str) else None
    except FieldDoesNotExist:
        return None
    return column if column is not None and getattr(column, "concrete", False) and not column.many_to_many else None


def _check_range(name, column, value):
    """Refuse a number that not every database can keep in its column."""
    if value is not None and column.get_internal_type() == "IntegerField" and not -(2**31) <= value < 2**31:
        raise ApiFieldError(f"The '{name}' field takes an integer of 32 bits.")


def _beginning(column):
    """What a column begins with that nobody can give: nothing counted, now, or the first row it can lead to."""
    if column.is_relation:
        return column.related_model._default_manager.order_by("pk").first()
    return now() if column.get_internal_type() == "DateTimeField" else 0


def at_address(resource, uri):
    """The row at an address of the resource, or of another one over the same model; None if there is none."""
    from ionanalysis.rundb.protocol.table import RESOURCES

    steps = str(uri).rstrip("/").rsplit("/", 2)
    if len(steps) != 3 or not steps[2]:
        return None
    named = RESOURCES.get(steps[1])
    if named is None or named._meta.object_class is not resource._meta.object_class:
        return None
    try:
        return named().find(steps[2])
    except Refusal:
        return None


def _with_id(resource, number):
    key = number_of(number)
    return resource._meta.object_class._default_manager.filter(pk=key).first() if key is not None else None


def pass_keys(models):
    """Let the next automatic keys come after those that were given (SQLite does so by itself)."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)
