"""Zip archives that grow file by file."""

import zipfile
from pathlib import Path

from ion.utils.blockprocessing import printtime


def make_zip(zip_file, to_zip, arcname=None, use_sys_zip=True, compressed=True):
    """Append a file to a zip archive, which is made if it is not there.

    Parameters
    ----------
    zip_file : str
        The archive. Archives beyond 4 GiB are written as ZIP64.
    to_zip : str
        The file; one that is missing gives a message only.
    arcname : str, optional
        Its name in the archive; that of `to_zip` by default.
    use_sys_zip : bool
        Accepted and without effect: no outside program is needed.
    compressed : bool
    """
    if not Path(to_zip).is_file():
        printtime(f"make_zip: {to_zip} is not there; nothing is added to {zip_file}.")
        return
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(zip_file, "a", kind, allowZip64=True) as archive:
        archive.write(to_zip, arcname or to_zip)
