"""Reading the alignment files of others so that damage in them ends in one sentence, never in a crash.

`get_tags` of pysam trusts the lengths within a record and runs beyond it where they are damaged; `has_tag` and
`get_tag` check them. So files are opened, walked and asked for tags with what is here, and nothing calls `get_tags`.
"""

import gzip
import zlib
from array import array
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from ionanalysis.errors import InputError

_EXPECTED = {str: "text", int: "one whole number", array: "a list of numbers"}


class DamagedRecordError(InputError):
    """A header or record is not what it should be; `open_alignments` adds the file."""


@contextmanager
def open_alignments(path):
    """Open BAM, SAM or CRAM, aligned or not, as a pysam.AlignmentFile.

    Raises
    ------
    InputError
        If the file is none of these or its header is damaged; or, within the block, what `header_of`, `reads_of` or
        `tag_of` find damaged.
    """
    import pysam

    verbosity = pysam.set_verbosity(0)
    try:
        check_header(path)
        alignments = _opened(pysam, path)
        try:
            yield alignments
            _close(alignments)
        except DamagedRecordError as error:
            # Without its reference, CRAM cannot be decoded either.
            remedy = "give its reference, or convert it to BAM" if alignments.is_cram else "copy or make it again"
            raise InputError(f"{path}: cannot be read as BAM ({error}); {remedy}.") from error
        finally:
            # Closing complains once more of what reading has found, and must not hide that error.
            with suppress(DamagedRecordError):
                _close(alignments)
    finally:
        pysam.set_verbosity(verbosity)


def _opened(pysam, path):
    try:
        # Whatever the mode says, SAM and CRAM are told by their content.
        return pysam.AlignmentFile(str(path), "rb", check_sq=False)
    # pysam gives up on files that htslib takes for another kind of compression with NotImplementedError.
    except (OSError, ValueError, MemoryError, NotImplementedError) as error:
        raise InputError(f"{path}: cannot be read as BAM ({error}); give a BAM file of an Ion Torrent run.") from error


def _close(alignments):
    try:
        alignments.close()
    except OSError as error:
        raise DamagedRecordError(f"it has a damaged end ({error})") from error


def header_of(alignments):
    """Header of a file of `open_alignments`, as the dict that pysam makes of it."""
    try:
        return alignments.header.to_dict()
    except (ValueError, KeyError, AssertionError) as error:
        raise DamagedRecordError(f"its header is damaged ({error})") from error


def reads_of(alignments):
    """Yield all records of a file of `open_alignments`, mapped or not, with names that can be decoded."""
    records = alignments.fetch(until_eof=True)
    n_read = 0
    while True:
        try:
            record = next(records, None)
            if record is None:
                return
            _ = record.query_name
        # A damaged length of a record asks for memory that nobody has.
        except (OSError, ValueError, MemoryError) as error:
            raise DamagedRecordError(f"record {n_read} is damaged ({error or 'its length'})") from error
        n_read += 1
        yield record


def primary_reads(alignments):
    """Yield what `reads_of` gives but secondary and supplementary records: each read once."""
    return (read for read in reads_of(alignments) if not (read.is_secondary or read.is_supplementary))


def tag_of(record, name, kind, default=None):
    """Value of one tag.

    Parameters
    ----------
    record : pysam.AlignedSegment
    name : str
    kind : {str, int, array.array}
        What the tag must hold.
    default
        What to give for a record without the tag.

    Returns
    -------
    str, int, array.array or `default`
    """
    if not record.has_tag(name):
        return default
    try:
        value = record.get_tag(name)
    # MemoryError: lists of an unknown kind.
    except (ValueError, KeyError, MemoryError) as error:
        raise DamagedRecordError(f"tag {name} of read {record.query_name} is damaged") from error
    if not isinstance(value, kind):
        raise DamagedRecordError(f"tag {name} of read {record.query_name} does not hold {_EXPECTED[kind]}")
    return value


def integers_of(record, name, default=None):
    """As `tag_of`, for a list of whole numbers."""
    values = tag_of(record, name, array, default)
    if isinstance(values, array) and values.typecode in "fd":
        raise DamagedRecordError(f"tag {name} of read {record.query_name} does not hold whole numbers")
    return values


def tag_names(record):
    """Names of all tags of a record, in their order."""
    try:
        # The text form is made with checks; pysam has no other way to learn names it is not asked for.
        return [field[:2] for field in record.to_string().split("\t")[11:]]
    except ValueError as error:
        raise DamagedRecordError(f"the tags of read {record.query_name} are damaged ({error})") from error


def qualities_of(record):
    """Qualities in the order of sequencing, uint8 of shape (n_bases,), or None where a record has none.

    `get_forward_qualities` of pysam fails on records of the reverse strand without qualities.
    """
    stored = record.query_qualities
    if stored is None:
        return None
    qualities = np.frombuffer(stored, np.uint8)
    return qualities[::-1] if record.is_reverse else qualities


def check_header(path):
    """Read the header of a BAM file once before pysam does: on a damaged one that prints a traceback of its own."""
    path = Path(path)
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            if file.read(2) != b"\x1f\x8b":
                return
        with gzip.open(path) as file:

            def number():
                return int.from_bytes(file.read(4), "little")

            if file.read(4) != b"BAM\1":
                return
            _skip(file, number())
            for _ in range(number()):
                _skip(file, number() + 4)
            # To the end of the packed block, where its checksum stands.
            file.read(1 << 16)
        with path.open("rb") as file:
            block_length = int.from_bytes(file.read(18)[16:], "little") + 1
            file.seek(block_length)
            if file.read(2) != b"\x1f\x8b":
                raise EOFError(f"no block follows the first one of {block_length} bytes")
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: has a damaged header ({error}). Copy or make the file again.") from error


def _skip(file, n_bytes):
    while n_bytes:
        content = file.read(min(n_bytes, 1 << 16))
        if not content:
            raise EOFError("it ends too early")
        n_bytes -= len(content)
