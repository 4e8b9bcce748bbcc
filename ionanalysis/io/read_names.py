"""Files of read names: one a line, to call or recall some reads only."""

from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError

_LONGEST_NAME = 254


def read_names(path):
    """The names in a file, in its order.

    One name a line; what follows a blank, a leading ``@`` or ``>``, empty lines and lines with ``#`` are left out, so
    that headers of FASTA and FASTQ files will do.

    Raises
    ------
    InputError
        If the file cannot be read, or a line is too long for a name.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a list of read names ({error}).") from error
    names = []
    for number, line in enumerate(lines, 1):
        word = line.split(maxsplit=1)[0].lstrip("@>") if line.strip() else ""
        if len(word) > _LONGEST_NAME:
            raise InputError(f"{path}, line {number}: is no read name; expected one name a line, such as RUN01:12:345.")
        if word and not word.startswith("#"):
            names.append(word)
    return names


def named_wells(path, shape, offset=(0, 0)):
    """Which wells of a block a file of read names means, bool of `shape`.

    Parameters
    ----------
    path : path
        Names ``run:row:col`` or ``row:col``, rows and columns of the chip.
    shape : (int, int)
        Rows and columns of the block.
    offset : (int, int)
        Its first row and column on the chip. Names of wells outside of the block are left alone.

    Raises
    ------
    InputError
        If a name is of another form.
    """
    wanted = np.zeros(shape, bool)
    for name in read_names(path):
        try:
            row, col = (int(part) for part in name.split(":")[-2:])
        except ValueError:
            raise InputError(f"{path}: {name!r} is no read name; expected run:row:col, as BAM files have it.") from None
        row, col = row - offset[0], col - offset[1]
        if 0 <= row < shape[0] and 0 <= col < shape[1]:
            wanted[row, col] = True
    return wanted
