"""Text searches as the API promises them, also on SQLite, whose LIKE ignores letter case (rest-api.md 10, item 5)."""

import regex
from django.db.models import CharField, TextField, lookups

_LONGEST_SEARCH_S = 0.5


class _OnSqlite(lookups.BuiltinLookup):
    """A search for a text as it is, by the functions of SQLite that count letter case."""

    template: str

    def process_rhs(self, compiler, connection):
        if connection.vendor != "sqlite":
            return super().process_rhs(compiler, connection)
        return lookups.BuiltinLookup.process_rhs(self, compiler, connection)

    def as_sqlite(self, compiler, connection):
        left, left_values = self.process_lhs(compiler, connection)
        right, right_values = self.process_rhs(compiler, connection)
        count = self.template.count("{right}")
        return self.template.format(left=left, right=right), [*left_values, *(list(right_values) * count)]


class Contains(_OnSqlite, lookups.Contains):
    template = "instr({left}, {right}) > 0"


class StartsWith(_OnSqlite, lookups.StartsWith):
    template = "substr({left}, 1, length({right})) = {right}"


class EndsWith(_OnSqlite, lookups.EndsWith):
    template = "(length({right}) = 0 OR substr({left}, -length({right})) = {right})"


def register():
    """Let text columns use these searches."""
    for column in (CharField, TextField):
        for lookup in (Contains, StartsWith, EndsWith):
            column.register_lookup(lookup)


def prepare_connection(connection, **_):
    """Give a new connection to SQLite what it needs."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("REGEXP", 2, _regexp, deterministic=True)


def _regexp(pattern, text):
    if pattern is None or text is None:
        return None
    # Some short patterns take for ever on some short texts; the request that brought one ends here.
    return bool(regex.search(pattern, str(text), timeout=_LONGEST_SEARCH_S))
