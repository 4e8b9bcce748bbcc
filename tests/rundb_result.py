"""A result for tests of the run database: simulated, analysed, and taken in."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from ionanalysis.cli.main import main
from ionanalysis.metrics.tf_stats import write_tf_stats


@dataclass(frozen=True)
class Ingested:
    """A result, and the row of its report."""

    folder: Path
    report: int
    run: int

    def json(self, name):
        """Content of one of its files."""
        return json.loads((self.folder / name).read_text())


def analysed(folder, database, rows):
    """Simulate a chip, analyse it with a reference, and take the result into a database."""
    from ionanalysis.rundb.life.ingest import ingest

    run, result = folder / "run", folder / "Auto_life_1"
    chip = "--level wells --size 24x24 --flows 120 --seed 5 --tf 0.3 --barcodes IonXpress --barcode-count 2"
    assert main(["simulate", str(run), *chip.split()]) == 0
    options = ["--from", "basecaller", "--recalibration", "none", "--barcodes", "IonXpress", "--threads", "1"]
    options += ["--reference", str(run / "reference.fasta"), "--database", str(database)]
    assert main(["run", str(run), "-o", str(result), *options]) == 0
    first = rows.Results.objects.get(folder=str(result.resolve()))
    # So small a chip has too few reads of each fragment for the usual threshold.
    write_tf_stats(result / "basecaller_results", run / "DefaultTFs.fasta", least_reads=5)
    assert ingest(result).pk == first.pk
    return Ingested(result.resolve(), first.pk, first.experiment_id)


def copy_of(ingested, folder, *, log=(), **params):
    """A copy of a result's folder, without large files, that says it is of another run.

    Parameters
    ----------
    ingested : Ingested
    folder : Path
        Where it lies; its name is that of the report.
    log : dict
        Entries of the run's log that it has besides.
    params
        Other values of `ion_params_00.json`.
    """
    shutil.copytree(ingested.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("*.bam*", "*.h5", "plugin_*"))
    path = folder / "ion_params_00.json"
    content = json.loads(path.read_text()) | {"pathToData": f"{folder}/raw", "resultsName": folder.name} | params
    content["exp_json"]["log"] |= dict(log)
    path.write_text(json.dumps(content))
    return folder
