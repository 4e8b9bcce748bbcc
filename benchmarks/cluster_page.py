"""The tables of docs/cluster.md, made from figures of `benchmarks.pipeline`."""

from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "cluster.md"
_BEGIN, _END = "<!-- figures: python -m benchmarks.pipeline --page FIGURES.json -->", "<!-- end of figures -->"

CHIP_WELLS, CHIP_FLOWS = 165e6, 500
BLOCK_WELLS = 1288 * 1332
"""A block of the instrument's 540 chip (basecaller.md 11.3)."""

IN_BLOCKS = ("beadfind", "sigproc", "calibration", "basecaller")
"""Stages whose blocks go to workers; of calibration the training call, the fit is of the whole chip."""


def write_page(figures, page=PAGE):
    """Put tables of these figures between the marks of the page."""
    text = page.read_text("utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(f"{before}{_BEGIN}\n\n{tables(figures)}\n\n{_END}{after}", "utf-8")


def tables(figures):
    """Text of the tables: what was measured, and what follows for a chip of 165 million wells."""
    runs, machine = figures["runs"], figures["machine"]
    first = runs[0]
    measured = [
        f"Measured {figures['started'][:10]} on {machine['processor']}, {machine['cores']} cores shared with a load of "
        f"{figures['load']:.1f}; seconds of wall clock, and of CPU time in brackets.",
        "",
        "| stage | " + " | ".join(_named(run) for run in runs) + " |",
        "| --- |" + " --- |" * len(runs),
        *(
            f"| {name} | "
            + " | ".join(f"{run['stages'][name]['wall_s']:.1f} ({run['stages'][name]['cpu_s']:.1f})" for run in runs)
            + " |"
            for name in first["stages"]
        ),
        "| most memory of a worker, MB | " + " | ".join(f"{run['worker_mb']:.0f}" for run in runs) + " |",
        "| most memory of the main process, MB | " + " | ".join(f"{run['main_mb']:.0f}" for run in runs) + " |",
    ]
    return "\n".join([*measured, "", *_sized(runs)])


def _named(run):
    workers = "1 worker" if run["workers"] == 1 else f"{run['workers']} workers"
    return f"{run['side']} × {run['side']} × {run['flows']}, blocks {run['block']} × {run['block']}, {workers}"


def _sized(runs):
    """A chip of 540 from the run with one worker: time goes with wells and flows."""
    first = runs[0]
    scale = CHIP_WELLS * CHIP_FLOWS / (first["side"] ** 2 * first["flows"])
    hours = {name: stage["cpu_s"] * scale / 3600 for name, stage in first["stages"].items()}
    shared = sum(hours[name] for name in IN_BLOCKS if name in hours)
    alone = {name: value for name, value in hours.items() if name not in (*IN_BLOCKS, "report", "plugins")}
    grown = _hours_of_growth(runs)
    lines = [
        "| stage of a 540 chip, 500 flows | CPU hours | without what does not grow | runs |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {value:,.0f} | {grown[name]:,.0f} | "
            f"{'on workers' if name in IN_BLOCKS else 'on threads of the main host'} |"
            for name, value in hours.items()
            if name in IN_BLOCKS or name in alone
        ),
        "",
        "| workers of one core | hours for the stages on workers | in all, with 16 cores at the main host |",
        "| --- | --- | --- |",
    ]
    for n_workers in (96, 192, 384, 768):
        in_blocks = shared / n_workers
        lines.append(f"| {n_workers} | {in_blocks:.1f} | {in_blocks + sum(alone.values()) / 16:.1f} |")
    raw = first["raw_bytes"] * scale / 1e12
    result = first["result_bytes"] * scale / 1e12
    return [
        *lines,
        "",
        f"{_memory(runs)} "
        f"Images as simulated, without compression in time, would take {raw:.1f} TB, the result {result:.1f} TB.",
    ]


def _hours_of_growth(runs):
    """CPU hours by what a chip takes more than a smaller one of as many blocks: start-up and the like left out."""
    large = runs[0]
    small = next(
        run
        for run in runs
        if run["side"] < large["side"] and run["side"] * large["block"] == large["side"] * run["block"]
    )
    per_well = {
        name: max(stage["cpu_s"] - small["stages"][name]["cpu_s"], 0.0) / (large["side"] ** 2 - small["side"] ** 2)
        for name, stage in large["stages"].items()
    }
    return {name: CHIP_WELLS * CHIP_FLOWS / large["flows"] * value / 3600 for name, value in per_well.items()}


def _memory(runs):
    """What a worker holds, and for a block of a large chip where these blocks are large enough to tell."""
    base, per_well = worker_memory(runs)
    if per_well * runs[0]["block"] ** 2 < 0.1 * base:
        return (
            f"A worker holds {runs[0]['worker_mb']:.0f} MB, libraries above all: blocks of these sizes are too "
            "small to tell how memory grows with a block."
        )
    return (
        f"A worker holds {base:.0f} MB and {1e3 * per_well:.1f} kB per well of its block: "
        f"{(base + per_well * BLOCK_WELLS) / 1e3:.1f} GB for a block of 1288 × 1332 wells, "
        f"{(base + per_well * BLOCK_WELLS / 4) / 1e3:.1f} GB for a quarter of one."
    )


def worker_memory(runs):
    """MB of a worker without wells, and per well of its block, from two cuts of the same chip."""
    large = next(run for run in runs if run["workers"] == 1)
    small = next(run for run in runs if run["side"] == large["side"] and run["block"] < large["block"])
    per_well = max(large["worker_mb"] - small["worker_mb"], 0.0) / (large["block"] ** 2 - small["block"] ** 2)
    return small["worker_mb"] - per_well * small["block"] ** 2, per_well
