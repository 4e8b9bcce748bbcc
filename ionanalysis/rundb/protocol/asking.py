"""Filters and ordering of lists (rest-api.md 2.7, 2.8): from the parameters of a request to a query."""

import re

from django.db.models.constants import LOOKUP_SEP
from tastypie.exceptions import BadRequest

SUFFIXES = frozenset(
    [
        "exact",
        "iexact",
        "contains",
        "icontains",
        "startswith",
        "istartswith",
        "endswith",
        "iendswith",
        "regex",
        "iregex",
        "in",
        "range",
        "gt",
        "gte",
        "lt",
        "lte",
        "isnull",
        "year",
        "month",
        "day",
        "week_day",
        "hour",
        "minute",
        "second",
    ]
)
_LONGEST_PATTERN = 500
_MOST_RELATIONS = 8
_WORDS = {"true": True, "True": True, "false": False, "False": False, "nil": None, "none": None, "None": None}
_FLAGS = {"1": True, "0": False}


def path_of(resource, names, *, purpose, allowed, deny):
    """The path through columns that names of fields lead along, and whether it crosses a to-many relation.

    Parameters
    ----------
    resource : Table
    names : list of str
        One field, or relations and then a field of the last of them.
    purpose : str
        Searching or ordering.
    allowed : callable
        ``(resource, name) -> bool``: whether that field may be used.
    deny : callable
        ``name -> str``: what to say where it may not.

    Raises
    ------
    BadRequest
        If a field may not be used or is computed, a plain field is followed by more, or relations are too many.
    """
    if len(names) > _MOST_RELATIONS + 1:
        raise BadRequest(f"At most {_MOST_RELATIONS} relations are followed for {purpose}.")
    steps, many = [], False
    for number, name in enumerate(names):
        if not allowed(resource, name):
            raise BadRequest(deny(name))
        if not resource.has_column(name):
            raise BadRequest(f"The '{name}' field has no 'attribute' for {purpose} with.")
        field = resource.fields[name]
        steps.append(field.attribute)
        many = many or field.is_m2m
        if number + 1 < len(names):
            if not field.is_related:
                raise BadRequest(f"The '{name}' field does not support relations.")
            resource = field.to_class()
    return LOOKUP_SEP.join(steps), many


def filters_of(resource, parameters):
    """The conditions that a request's parameters ask for.

    Parameters
    ----------
    resource : Table
    parameters : django.http.QueryDict

    Returns
    -------
    dict of str to object
        Lookups of the ORM; parameters that begin with no field of the resource are left out.
    bool
        Whether one crosses a to-many relation, so that rows could come twice.

    Raises
    ------
    BadRequest
        If a field does not allow the filter.
    """
    conditions, any_many = {}, False
    for expression in parameters:
        names = expression.split(LOOKUP_SEP)
        if names[0] not in resource.fields:
            continue
        suffix = names.pop() if len(names) > 1 and names[-1] in SUFFIXES else "exact"
        path, many = path_of(
            resource,
            names,
            purpose="searching",
            allowed=lambda of, name: of.may_filter(name),
            deny=lambda name: f"The '{name}' field does not allow filtering.",
        )
        any_many = any_many or many
        conditions[path + LOOKUP_SEP + suffix] = _value(parameters, expression, suffix)
    return conditions, any_many


def _value(parameters, expression, suffix):
    if suffix in ("in", "range"):
        values = [part for text in parameters.getlist(expression) for part in text.split(",")]
        if suffix == "range" and len(values) != 2:
            raise BadRequest(f"'{expression}' takes two values, separated by a comma.")
        return [_WORDS.get(value, value) for value in values]
    text = pattern_of(parameters, expression) if suffix in ("regex", "iregex") else parameters[expression]
    if suffix == "year" and not re.fullmatch(r"0*[1-9]\d{0,3}", text, re.ASCII):
        raise BadRequest("Invalid resource lookup data provided (mismatched type).")
    value = _WORDS.get(text, _FLAGS.get(text, text) if suffix == "isnull" else text)
    unfit = not isinstance(value, bool) if suffix == "isnull" else value is None and suffix not in ("exact", "iexact")
    if unfit:
        raise BadRequest("Invalid resource lookup data provided (mismatched type).")
    return value


def pattern_of(parameters, name):
    """The regular expression in a parameter, or None.

    Raises
    ------
    BadRequest
        If it is very long.
    """
    text = parameters.get(name)
    if text is not None and len(text) > _LONGEST_PATTERN:
        raise BadRequest(f"'{name}' takes a pattern of at most {_LONGEST_PATTERN} characters.")
    return text


def ordering_of(resource, parameters):
    """The keys by which a request wants its list ordered; none if it does not say.

    Raises
    ------
    BadRequest
        If a field does not exist or does not allow ordering.
    """
    keys = []
    for text in parameters.getlist("order_by"):
        sign, names = ("-", text[1:]) if text.startswith("-") else ("", text)
        path, _ = path_of(
            resource,
            names.split(LOOKUP_SEP),
            purpose="ordering",
            allowed=lambda of, name: of.may_order(name),
            deny=lambda name: (
                f"The '{name}' field does not allow ordering."
                if name in resource.fields
                else f"No matching '{name}' field for ordering on."
            ),
        )
        keys.append(sign + path)
    return keys
