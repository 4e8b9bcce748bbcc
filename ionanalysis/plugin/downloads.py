"""`download_links/`: the files of a result under names that tell the run (plugin.md 1.6)."""

import re
from pathlib import Path

from ionanalysis.errors import OutputError
from ionanalysis.io.jsonfile import read_json


def download_name(file_name, stem):
    """Name of a file in `download_links/`; `stem` is run name, ``_``, results name.

    >>> download_name("IonXpress_001_rawlib.basecaller.bam", "R_2011_Auto")
    'IonXpress_001_R_2011_Auto.basecaller.bam'
    >>> download_name("rawtf.basecaller.bam", "R_2011_Auto")
    'R_2011_Auto.rawtf.basecaller.bam'
    """
    prefix, dot, ending = file_name.partition(".")
    if prefix == "rawtf":
        return f"{stem}.rawtf{dot}{ending}"
    return f"{prefix.removesuffix('rawlib')}{stem}{dot}{ending}"


def link_downloads(result_dir):
    """Link BAM files and their indices into `download_links/`; links that lead nowhere go.

    Returns
    -------
    links : list of Path
    """
    result_dir = Path(result_dir)
    params = read_json(result_dir / "ion_params_00.json")
    stem = re.sub(r"[^\w.+-]", "_", f"{params.get('expName', '')}_{params.get('resultsName', '')}")
    folder = result_dir / "download_links"
    targets = [
        path
        for pattern in ("*.bam", "*.bam.bai")
        for place in (result_dir, result_dir / "basecaller_results")
        for path in sorted(place.glob(pattern))
    ]
    links = []
    try:
        folder.mkdir(exist_ok=True)
        for link in folder.iterdir():
            if link.is_symlink():
                link.unlink()
        for target in targets:
            link = folder / download_name(target.name, stem)
            # Relative, so that a result can be moved.
            link.symlink_to(Path("..") / target.relative_to(result_dir))
            links.append(link)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be filled with links ({error.strerror}).") from error
    return links
