"""Figures as text tables, and the scaling that they show."""


def stage_table(figures):
    """Lines of a table: one row per stage, chip and number of threads."""
    header = ("stage", "chip", "threads", "wells·flows", "wall s", "CPU s", "wells·flows/s per core", "peak MB")
    rows = [
        (
            f["stage"],
            f["chip"],
            str(f["threads"]),
            f"{f['n_items']:,}",
            f"{f['wall_s']:.2f}",
            f"{f['cpu_s']:.2f}",
            f"{rate(f):,.0f}",
            f"{f['peak_mb']:.0f}",
        )
        for f in figures
    ]
    return aligned(header, rows)


def rate(figure):
    """Items per second of CPU time."""
    return figure["n_items"] / max(figure["cpu_s"], 1e-9)


def scaling(figures):
    """How each stage scales: speed-up with threads, and rate on the largest chip relative to the smallest.

    Returns
    -------
    list of dict
        ``stage``; ``speed_up`` by number of threads on the largest chip; ``rate_ratio``, 1 if the time grows in
        proportion to the chip; ``peak_mb_per_1000_wells`` of growth from the smallest to the largest chip.
    """
    found = []
    for stage in dict.fromkeys(f["stage"] for f in figures):
        own = [f for f in figures if f["stage"] == stage]
        small, large = min(own, key=_size)["n_items"], max(own, key=_size)["n_items"]
        by_threads = {f["threads"]: f for f in own if f["n_items"] == large}
        single = by_threads[min(by_threads)]
        smallest = next(f for f in own if f["n_items"] == small and f["threads"] == single["threads"])
        n_more = single["n_wells"] - smallest["n_wells"]
        found.append(
            {
                "stage": stage,
                "speed_up": {threads: single["wall_s"] / f["wall_s"] for threads, f in sorted(by_threads.items())},
                "rate_ratio": rate(single) / rate(smallest),
                "mb_per_1000_wells": 1000 * (single["peak_mb"] - smallest["peak_mb"]) / n_more if n_more else None,
            }
        )
    return found


def scaling_table(scalings):
    header = ("stage", "speed-up with threads", "rate, largest : smallest chip", "MB per 1000 wells more")
    rows = [
        (
            s["stage"],
            ", ".join(f"{threads}: {factor:.2f}" for threads, factor in s["speed_up"].items()),
            f"{s['rate_ratio']:.2f}",
            "–" if s["mb_per_1000_wells"] is None else f"{s['mb_per_1000_wells']:.1f}",
        )
        for s in scalings
    ]
    return aligned(header, rows)


def kernel_table(figures):
    """Lines of a table: time per item of each build of each kernel, and how much faster it is than its twin."""
    header = ("kernel", "build", "ns per item", "item", "times as fast as the twin")
    twins = {f["kernel"]: _ns(f) for f in figures if f["build"] == "reference"}
    rows = [
        (f["kernel"], f["build"], f"{_ns(f):,.2f}", f["unit"], f"{twins[f['kernel']] / _ns(f):,.0f}") for f in figures
    ]
    return aligned(header, rows)


def aligned(header, rows):
    """Lines with the columns of `rows` lined up, text left and numbers right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    is_text = [any(c.isalpha() for row in rows for c in row[i]) for i in range(len(header))]
    return [
        "  ".join(
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(row, widths, is_text, strict=True)
        ).rstrip()
        for row in (header, *rows)
    ]


def _ns(figure):
    return 1e9 * figure["cpu_s"] / figure["n_items"]


def _size(figure):
    return figure["n_items"]
