"""How long a list of the REST API takes over 100,000 rows, and what a request costs the server.

``python -m benchmarks.rundb [--rows N] [--database URL]``: makes a database of N runs with a report and metrics each,
asks a server in this process, and prints the median and the slowest of 30 answers of each list.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from ionanalysis.options.rundb import DatabaseOptions
from ionanalysis.rundb.settings import configure

QUERIES = (
    ("results", ""),
    ("results", "order_by=-timeStamp&status=Completed"),
    ("results", "experiment__chipType=530&order_by=-id"),
    ("results", "offset=90000"),
    ("experiment", "order_by=-date"),
    ("compositeexperiment", ""),
    ("libmetrics", "report__id=777"),
    ("qualitymetrics", "order_by=-q20_bases"),
    ("plannedexperiment", ""),
    ("dnabarcode", "name=IonXpress"),
    ("chip", ""),
)


def fill(n_rows):
    """Make `n_rows` plans, runs, settings, reports and metrics."""
    from django.utils.timezone import now

    from ionanalysis.rundb import models

    moment, chips = now(), ("520", "530", "540", "318")

    def numbers(model):
        kinds = ("IntegerField", "FloatField", "BigIntegerField")
        return {c.name: 1 for c in model._meta.concrete_fields if c.get_internal_type() in kinds and not c.null}

    def add(model, make):
        return model.objects.bulk_create([make(n) for n in range(n_rows)], batch_size=1000)

    storage = models.ReportStorage.objects.get(name="Home")
    plans = add(models.PlannedExperiment, lambda n: models.PlannedExperiment(planName=f"plan{n}", date=moment))
    runs = add(
        models.Experiment,
        lambda n: models.Experiment(
            plan=plans[n], expName=f"run{n}", unique=f"run{n}", expDir=f"/raw/{n}", chipType=chips[n % 4], flows=500,
            cycles=15, date=moment, pgmName="S5", runtype="GENS", status="run", ftpStatus="Complete",
        ),
    )  # fmt: skip
    settings = add(
        models.ExperimentAnalysisSettings,
        lambda n: models.ExperimentAnalysisSettings(experiment=runs[n], reference="hg19", date=moment),
    )
    reports = add(
        models.Results,
        lambda n: models.Results(
            experiment=runs[n], eas=settings[n], reportstorage=storage, resultsName=f"Auto_run{n}", status="Completed",
            processedflows=500, processedCycles=15, framesProcessed=100, analysisVersion="", timeToComplete="0",
            reportLink=f"/output/Home/Auto_run{n}/",
        ),
    )  # fmt: skip
    for model in (models.AnalysisMetrics, models.LibMetrics, models.QualityMetrics):
        _copy_to_all(model, reports[0], numbers(model))


def _copy_to_all(model, report, numbers):
    """Give each report a row of `model` like that of `report`."""
    from django.db import connection

    model.objects.create(report=report, **numbers)
    own = [column.column for column in model._meta.concrete_fields if column.name not in ("id", "report")]
    names = ", ".join(f'"{name}"' for name in own)
    mine = ", ".join(f'one."{name}"' for name in own)
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO {table} ("report_id", {names}) SELECT r.id, {mine} FROM rundb_results r, {table} one '
            f"WHERE one.report_id = %s AND r.id <> %s",
            [report.pk, report.pk],
        )


def ask(client, name, query):
    """Median and slowest time of 30 answers, in ms, and their number of queries."""
    from django.db import connection

    import ionanalysis.rundb.urls  # noqa: F401  (declares the resources)
    from ionanalysis.rundb.protocol import RESOURCES

    path = f"{RESOURCES[name].address()}?{query}"
    n_queries = 0

    def count(execute, *arguments):
        nonlocal n_queries
        n_queries += 1
        return execute(*arguments)

    with connection.execute_wrapper(count):
        answer = client.get(path)
    assert answer.status_code == 200, answer.content
    times = []
    for _ in range(30):
        begin = time.perf_counter()
        client.get(path)
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times), max(times), n_queries


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--database", help="a database of its own; made in a temporary folder unless given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        configure(DatabaseOptions(database=options.database or str(Path(folder) / "rundb.sqlite3")))
        from django.db import connection
        from django.test import Client
        from tastypie.models import ApiKey

        from ionanalysis.rundb.setup import make_tables

        make_tables()
        begin = time.perf_counter()
        fill(options.rows)
        print(f"made in {time.perf_counter() - begin:.0f} s")
        key = ApiKey.objects.get(user__username="ionadmin").key
        client = Client(SERVER_NAME="localhost", HTTP_AUTHORIZATION=f"ApiKey ionadmin:{key}")
        print(f"{options.rows:,} runs, lists of 20 objects")
        print(f"{'list':62} {'median ms':>10} {'slowest ms':>11} {'queries':>8}")
        for name, query in QUERIES:
            median, slowest, n_queries = ask(client, name, query)
            print(f"{name + ('?' + query if query else ''):62} {median:10.1f} {slowest:11.1f} {n_queries:8d}")
        connection.close()


if __name__ == "__main__":
    main()
