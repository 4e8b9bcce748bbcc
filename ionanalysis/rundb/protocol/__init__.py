"""The protocol of the REST API (rest-api.md 2): the one place that knows the library which speaks it.

Resources take their base and their kinds of field from here and know nothing else of it, so that the library could
be replaced.
"""

from ionanalysis.rundb.protocol.access import demand, demand_administrator, demand_own_site
from ionanalysis.rundb.protocol.answers import Refusal
from ionanalysis.rundb.protocol.asking import pattern_of
from ionanalysis.rundb.protocol.kinds import (
    BigInteger,
    Boolean,
    DateTime,
    Dict,
    Float,
    Integer,
    JsonValue,
    List,
    Many,
    One,
    String,
)
from ionanalysis.rundb.protocol.serving import route, serve, several, top_level
from ionanalysis.rundb.protocol.single import Single
from ionanalysis.rundb.protocol.table import MESH_ROOT, RESOURCES, Table
from ionanalysis.rundb.protocol.wire import body_of, json_response, number_of, plain

__all__ = [
    "MESH_ROOT",
    "RESOURCES",
    "BigInteger",
    "Boolean",
    "DateTime",
    "Dict",
    "Float",
    "Integer",
    "JsonValue",
    "List",
    "Many",
    "One",
    "Refusal",
    "Single",
    "String",
    "Table",
    "body_of",
    "demand",
    "demand_administrator",
    "demand_own_site",
    "json_response",
    "number_of",
    "pattern_of",
    "plain",
    "route",
    "serve",
    "several",
    "top_level",
]
