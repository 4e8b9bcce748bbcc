"""The run database: make it, add users, references and results."""

import json
import shlex
import sys
from importlib.util import find_spec

from ionanalysis.cli._from_options import add_options, from_args
from ionanalysis.errors import UsageError
from ionanalysis.options.rundb import DatabaseOptions


def add_arguments(parser):
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (add, work, summary) in ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        add(action)
        add_options(action, DatabaseOptions)
        action.set_defaults(work=work)


def configure_database(options, server=None, *, is_new=False):
    """Set this process up for a database.

    Parameters
    ----------
    options : DatabaseOptions
    server : ServerOptions, optional
    is_new : bool
        Whether its file and folder are made where they are not there.

    Raises
    ------
    UsageError
        If an extra of the package is not installed.
    InputError
        If the address or its folder cannot be used.
    """
    try:
        from ionanalysis.rundb.settings import configure, make_place

        if is_new:
            make_place(options.address)
        if options.address.startswith("postgres") and find_spec("psycopg") is None:
            raise UsageError("this database needs psycopg; install ionanalysis[server,postgres].")
        configure(options, server)
    except ImportError as error:
        if (error.name or "ionanalysis").startswith("ionanalysis"):
            raise
        raise UsageError(f"the run database needs {error.name}; install ionanalysis[server].") from None


def run(args):
    configure_database(from_args(DatabaseOptions, args), is_new=args.work is _init)
    from ionanalysis.rundb.setup import demand_tables, told_in_words

    with told_in_words():
        if args.work is not _init:
            demand_tables()
        args.work(args)


def _add_init(parser):
    pass


def _init(args):
    from ionanalysis.rundb.setup import make_tables

    make_tables()
    print(
        "The tables are there, and what a server begins with in them. "
        f"Next: ionanalysis db user ionadmin {_where(args)}",
        file=sys.stderr,
    )


def _where(args):
    """The option that leads to the database, as a shell takes it; without a password that an address may hold."""
    options = from_args(DatabaseOptions, args)
    if options.database is None:
        return f"--data {shlex.quote(options.data)}"
    return "--database ADDRESS" if "://" in options.database else f"--database {shlex.quote(options.database)}"


def _add_user(parser):
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--password", metavar="P", help="its password; asked for when left out and stdin is a terminal")
    parser.add_argument("--admin", "--superuser", dest="superuser", action="store_true", help="may do everything")
    parser.add_argument("--json", action="store_true", help="print name and API key as JSON")


def _user(args):
    from ionanalysis.rundb.setup import set_up_user

    password = args.password
    if password is None and sys.stdin.isatty():
        from getpass import getpass

        password = getpass(f"password of {args.name}: ")
        if getpass("once more: ") != password:
            raise UsageError("the two passwords differ.")
    key = set_up_user(args.name, password, superuser=args.superuser)
    print(json.dumps({"username": args.name, "api_key": key}) if args.json else key)


def _add_reference(parser):
    parser.add_argument("name", metavar="NAME", help="the short name that plans use, such as hg19")
    parser.add_argument("fasta", metavar="FASTA", help="its sequences, plain or compressed with gzip")
    parser.add_argument("--title", metavar="T", default="", help="its long name (default: NAME)")
    parser.add_argument("--species", metavar="S", default="", help="whose genome it is")
    parser.add_argument("--version", metavar="V", default="", help="of the genome")
    parser.add_argument("--notes", metavar="N", default="", help="anything else")
    parser.add_argument("--index", action="store_true", help="index it now (default: at the first alignment)")
    parser.add_argument("--json", action="store_true", help="print its address and facts as JSON")


def _reference(args):
    from ionanalysis.rundb.references import ReferenceFacts, add_reference

    facts = ReferenceFacts(title=args.title, species=args.species, version=args.version, notes=args.notes)
    row = add_reference(args.name, args.fasta, facts, index_now=args.index)
    if args.json:
        told = {"id": row.pk, "short_name": row.short_name, "identity_hash": row.identity_hash}
        print(json.dumps({**told, "genome_length": row.genome_length}))
    print(f"Plans may name {row.short_name} now: {row.genome_length} bases.", file=sys.stderr)


def _add_ingest(parser):
    parser.add_argument("result_dirs", nargs="+", metavar="RESULT_DIR", help="what `ionanalysis run -o` made")


def _ingest(args):
    from ionanalysis.rundb.life.ingest import ingest

    for folder in args.result_dirs:
        print(ingest(folder).pk)


def record_result(folder):
    """Take a result into the configured database; its number there.

    Raises
    ------
    InputError
        If the database has no tables, or the folder is no result.
    """
    from ionanalysis.rundb.life.ingest import ingest
    from ionanalysis.rundb.setup import demand_tables, told_in_words

    with told_in_words():
        demand_tables()
        return ingest(folder).pk


ACTIONS = {
    "init": (_add_init, _init, "make the tables, or bring them up to date, and add what a server begins with"),
    "user": (_add_user, _user, "add a user or change one, and print its API key"),
    "reference": (_add_reference, _reference, "add a reference that plans may name, over a FASTA file"),
    "ingest": (_add_ingest, _ingest, "record results with their runs and metrics, and print their numbers"),
}
