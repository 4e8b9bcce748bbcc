"""Barcode sets: how far apart their barcodes are in flow space, and which pairs will be confused."""

import json

from ionanalysis.cli._from_options import add_options, from_args
from ionanalysis.errors import InputError, UsageError
from ionanalysis.options.barcodes import BarcodeCheckOptions

_WIDEST_MATRIX = 24
"""Barcodes up to which all distances are printed without being asked for."""


def add_arguments(parser):
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="distances in flow space, pairs that will be confused, suggested cutoff and separation",
        description="Compare all barcodes of a set, with key and adapter, in the flows of a run. Exit code 3 if the "
        "set cannot be used: two barcodes give the same flows, or the file is no barcode set.",
    )
    check.add_argument("barcodes", metavar="CSV|NAME", help="barcode set: a CSV file, or the name of a shipped set")
    check.add_argument("--json", action="store_true", help="print one JSON object, with all distances")
    check.add_argument("--matrix", action="store_true", help="print all distances of a large set, too")
    add_options(check, BarcodeCheckOptions)


def run(args):
    from ionanalysis.basecaller.barcode_distances import barcode_distances
    from ionanalysis.io.barcode_set import open_barcode_set

    options = from_args(BarcodeCheckOptions, args)
    try:
        barcodes = open_barcode_set(args.barcodes)
    except UsageError as error:
        # Here the set is the input of the command, not one of its options.
        raise InputError(str(error)) from None
    try:
        found = barcode_distances(barcodes, options)
    except InputError as error:
        raise InputError(f"{args.barcodes}: {error}") from None
    if args.json:
        print(json.dumps(_plain(barcodes.name, found, options), indent=2))
    else:
        print("\n".join(_lines(barcodes.name, found, options, args.matrix)))
    same = [pair for pair in found.confused if pair.flow_errors == 0]
    if same:
        first, second = found.names[same[0].first], found.names[same[0].second]
        raise InputError(
            f"{args.barcodes}: {first} and {second} give the same flows and no read can tell them apart; "
            "remove one of them from the set."
        )


def _plain(name, found, options):
    """The result as plain values."""
    return {
        "set": name,
        "n_barcodes": len(found),
        "options": options.to_json(),
        "first_flow": found.first_flow,
        "synchronised": found.synchronised,
        "least_distance": found.least_distance,
        "suggested": {
            "flow_error_cutoff": found.flow_cutoff,
            "cutoff": found.cutoff,
            "separation": found.separation,
        },
        "barcodes": [
            {"name": name, "sequence": sequence, "adapter": adapter, "last_flow": int(last)}
            for name, sequence, adapter, last in zip(
                found.names, found.sequences, found.adapters, found.last_flow, strict=True
            )
        ],
        "nearest": [_plain_pair(found, pair) for pair in found.nearest],
        "confused": [_plain_pair(found, pair) for pair in found.confused],
        "flow_errors": found.flow_errors.tolist(),
    }


def _plain_pair(found, pair):
    return {
        "first": found.names[pair.first],
        "second": found.names[pair.second],
        "flow_errors": pair.flow_errors,
        "signal_distance": round(pair.signal_distance, 4),
        "undecided": round(pair.undecided, 6),
        "swapped": round(pair.swapped, 6),
        "meaning": pair.meaning,
    }


def _lines(name, found, options, with_matrix):
    least = found.least_distance
    yield (
        f"{name}: {len(found)} barcodes in flows {found.first_flow} to {int(found.last_flow.max())} "
        f"(key {options.key}, flow order {options.flow_order})"
    )
    yield f"least distance: {'only one barcode' if least is None else _errors(least)}"
    if not found.synchronised:
        yield "not flow-synchronised: barcodes end in different flows, only the flows that two share are compared"
    if least:
        yield (
            f"suggested: cutoff {found.flow_cutoff:g} with mode 1; cutoff {found.cutoff:g} and separation "
            f"{found.separation:g} with mode 2"
        )
    yield ""
    yield from _nearest_table(found)
    if with_matrix or 1 < len(found) <= _WIDEST_MATRIX:
        yield ""
        yield from _matrix(found)
    yield ""
    if not found.confused:
        yield (
            f"no pair is nearer than {_errors(options.least_errors)}, none leaves more than "
            f"{_percent(options.most_undecided)} of its reads undecided"
        )
        return
    yield f"{len(found.confused)} pair{'s' if len(found.confused) > 1 else ''} will be confused:"
    rows = [
        (
            found.names[pair.first],
            found.names[pair.second],
            str(pair.flow_errors),
            _percent(pair.undecided),
            _percent(pair.swapped),
            pair.meaning,
        )
        for pair in found.confused
    ]
    yield from _aligned(("barcode", "barcode", "flow errors", "undecided", "swapped", "meaning"), rows)


def _nearest_table(found):
    nearest = {pair.first: pair for pair in found.nearest}
    rows = []
    for number, (name, sequence, adapter) in enumerate(zip(found.names, found.sequences, found.adapters, strict=True)):
        pair = nearest.get(number)
        beside = (
            (found.names[pair.second], str(pair.flow_errors), f"{pair.signal_distance:.2f}", _percent(pair.undecided))
            if pair
            else ("-",) * 4
        )
        rows.append((name, sequence, adapter or "-", str(found.last_flow[number]), *beside))
    header = ("barcode", "sequence", "adapter", "last flow", "nearest", "flow errors", "signal distance", "undecided")
    return _aligned(header, rows)


def _matrix(found):
    yield "flow errors that make one barcode another:"
    rows = [(name, *map(str, row)) for name, row in zip(found.names, found.flow_errors.tolist(), strict=True)]
    yield from _aligned(("", *found.names), rows)


def _errors(number):
    return f"{number} flow error{'' if number == 1 else 's'}"


def _percent(share):
    return f"{100 * share:.2g} %" if share >= 1e-6 else "0 %"


def _aligned(header, rows):
    """Lines with columns lined up; numbers to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    is_text = [any(row[i][:1].isalpha() for row in rows) for i in range(len(header))]
    for row in (header, *rows):
        cells = (
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(row, widths, is_text, strict=True)
        )
        yield "  ".join(cells).rstrip()
