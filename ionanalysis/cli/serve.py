"""Serve the REST API and the run pages."""

import sys
from contextlib import suppress

from ionanalysis.cli._from_options import add_options, from_args
from ionanalysis.cli.db import configure_database
from ionanalysis.cli.interrupts import terminated_as_interrupt
from ionanalysis.options.plugins import PluginOptions
from ionanalysis.options.rundb import DatabaseOptions, ServerOptions


def add_arguments(parser):
    add_options(parser, DatabaseOptions, ServerOptions, PluginOptions)


def run(args):
    options = from_args(ServerOptions, args)
    configure_database(from_args(DatabaseOptions, args), options)
    from ionanalysis.rundb.server import RunServer

    server = RunServer(options, from_args(PluginOptions, args))
    print("Ctrl-C ends the server.", file=sys.stderr)
    print(server.address, flush=True)
    with suppress(KeyboardInterrupt), terminated_as_interrupt():
        server.run()
