"""From nothing to reads: simulates a small chip, runs the pipeline on it, and scores the reads against the truth."""

import sys
from pathlib import Path

from ionanalysis.cli.interrupts import terminated_as_interrupt
from ionanalysis.cli.main import guarded
from ionanalysis.cli.progress import open_progress
from ionanalysis.cli.run import summary_text
from ionanalysis.pipeline import PipelineRequest, run_pipeline

SIZE = (100, 100)
"""Rows and columns: large enough for figures that mean something, small enough for two minutes on two cores."""

FOLDER = Path("demo")


def main():
    """Run the demo in the folder `demo`; return its exit code."""
    return guarded(lambda: run_demo(FOLDER), prog="make demo")


def run_demo(folder, size=SIZE, **options):
    """Simulate a chip in ``folder/run``, analyse it into ``folder/result``, and print how it went.

    Parameters
    ----------
    folder : Path
        Emptied of what a former demo left.
    size : tuple of int
        Rows and columns of the chip.
    **options
        Options of the simulator; its defaults otherwise.

    Returns
    -------
    Accuracy
    """
    from ionanalysis.io.truth import read_truth
    from ionanalysis.metrics.simulated import score_bams
    from ionanalysis.options.simulate import simulate_options
    from ionanalysis.report import write_report
    from ionanalysis.simulate import simulate_chip

    run_dir, result_dir = folder / "run", folder / "result"
    _remove_former(run_dir, result_dir)
    with terminated_as_interrupt(), open_progress() as progress:
        chip = simulate_chip(simulate_options(size=size, level="dat", **options))
        files = chip.write(run_dir, progress=lambda done, total: progress("simulate", done, total))
        request = PipelineRequest(
            run_dir=run_dir.absolute(), result_dir=result_dir.absolute(), command_line="make demo"
        )
        result = run_pipeline(request, progress=progress, note=progress.note)
    library = [path for path in result.bam_paths if not path.name.startswith("rawtf")]
    accuracy = score_bams(library, read_truth(files["truth"]))
    write_report(result_dir, truth=accuracy)
    print("Simulated with:")
    for name, value in chip.options.to_json().items():
        print(f"  {name} = {value}")
    print(f"\n{chip!r}\n\n{summary_text(result)}")
    print(f"metrics: {result_dir / 'basecaller_results' / 'ionstats_basecaller.json'}")
    print(f"truth:   {files['truth']}\n\n{accuracy!r}")
    print(f"{100 - accuracy.error_rate:.2f} % of aligned bases are right.")
    return accuracy


def _remove_former(*folders):
    """Delete what a former demo left, and nothing else."""
    import shutil

    for folder in folders:
        if (folder / "truth.h5").exists() or (folder / "run.json").exists():
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
