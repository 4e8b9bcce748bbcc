"""`ionanalysis plugin serve`: plugins' configuration pages and results in a browser, on this machine."""

import sys
from contextlib import suppress
from pathlib import Path

from ionanalysis.cli._from_options import add_options, from_args
from ionanalysis.cli.interrupts import terminated_as_interrupt
from ionanalysis.errors import InputError
from ionanalysis.options.plugins import PluginOptions


def add_arguments(parser):
    parser.add_argument("result_dirs", nargs="*", type=Path, metavar="RESULT_DIR", help="results to show and to run on")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="[any that is free]")
    parser.add_argument("--host", default="127.0.0.1", metavar="H", help="loopback address [%(default)s]")
    add_options(parser, PluginOptions)


def run(args):
    from ionanalysis.plugin.store import PluginStore
    from ionanalysis.plugin.web.server import PluginServer
    from ionanalysis.plugin.web.site import PluginSite
    from ionanalysis.report.plugins import refresh_report

    for path in args.result_dirs:
        if not path.is_dir():
            raise InputError(f"{path}: is no directory; expected the result of a run.")
    options = from_args(PluginOptions, args)
    site = PluginSite(PluginStore(args.root), args.result_dirs, options, on_change=refresh_report)
    server = PluginServer(site, args.port, args.host)
    print("Open this in a browser; Ctrl-C ends the server and the plugins that it runs.", file=sys.stderr)
    print(server.address, flush=True)
    # Both ways to end a server are the usual ones; plugins that run are stopped.
    with suppress(KeyboardInterrupt), terminated_as_interrupt():
        server.run()
