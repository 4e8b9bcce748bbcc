"""Compare two results: a table of their numbers, and with -o an HTML page with the curves of both."""

import json
from pathlib import Path


def add_arguments(parser):
    parser.add_argument("first", type=Path, metavar="A", help="result directory")
    parser.add_argument("second", type=Path, metavar="B", help="result directory to compare it with")
    parser.add_argument("-o", "--output", type=Path, metavar="PAGE.html", help="write a page, too")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")


def run(args):
    from ionanalysis.report.comparison import compare_results, table_text, write_comparison

    values = compare_results(args.first, args.second)
    if args.output is not None:
        write_comparison(args.first, args.second, args.output)
    if args.json:
        print(
            json.dumps({one.name: {"a": one.first, "b": one.second, "change": one.change} for one in values}, indent=2)
        )
    else:
        print(table_text(values, [args.first.resolve().name, args.second.resolve().name]))
