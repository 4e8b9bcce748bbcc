"""Damage a file in many ways and read each version: a program of its own, since HDF5 and BAM libraries are C code.

usage: fuzz_reader.py READER FILE N_CASES SEED HEADER_BYTES|records

Prints JSON: how often reading worked and how often it was refused. Leaves with a traceback if a reader
raises anything but `InputError`, gives arrays of another shape than it says, or takes over 10 seconds.
Every second change falls into the first HEADER_BYTES bytes, where the structure of most formats lies; with `records`,
the first records of a BAM file are changed under its compression.
"""

import faulthandler
import json
import random
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from bam_damage import BamBytes

from ionanalysis.bam import flowgrams
from ionanalysis.basecaller.recall import recall_bam
from ionanalysis.cli._describe import describe
from ionanalysis.errors import InputError
from ionanalysis.io.fit_parameters import read_fit_parameters
from ionanalysis.io.mask import read_mask
from ionanalysis.io.phred import read_phred_table
from ionanalysis.io.sff import open_sff
from ionanalysis.metrics.accuracy import calls_from_bam
from ionanalysis.metrics.ionstats_alignment import alignment_statistics
from ionanalysis.metrics.ionstats_basecaller import read_statistics
from ionanalysis.report.reads import gather_reads
from ionanalysis.wells import open_wells


def read_wells(path):
    with open_wells(path) as wells:
        signal = wells[...]
        assert signal.shape == wells.shape and np.isfinite(signal).all()
        assert wells.present.shape == wells.ranks.shape == wells.shape[:2]


def read_reads(path):
    for read in open_sff(path):
        assert len(read.bases) == len(read.qualities) == len(read.base_flows)


def read_table(path):
    table = read_phred_table(path)
    assert table.values.shape == tuple(len(cut) for cut in table.cuts)
    assert table.lookup(np.zeros((3, 6))).shape == (3,)


def read_flows(path):
    found = flowgrams(path)
    assert found.signals.shape == (len(found), len(found.flow_order)) and found.phase.shape == (len(found), 3)


def read_calls(path):
    for call in calls_from_bam(path):
        assert call.qualities is None or len(call.qualities) == len(call.bases)


READERS = {
    "wells": read_wells,
    "sff": read_reads,
    "phred": read_table,
    "mask": read_mask,
    "fit parameters": read_fit_parameters,
    "info": describe,
    "flowgrams": read_flows,
    "calls": read_calls,
    "read statistics": read_statistics,
    "alignment statistics": alignment_statistics,
    "report": lambda path: gather_reads([path]),
    "recall": lambda path: recall_bam(path, path.with_name("recalled.bam"), n_threads=1),
}


def damaged(content, random, n_header):
    content = bytearray(content)
    if random.random() < 0.2:
        return content[: random.randrange(len(content))]
    for _ in range(random.choice([1, 1, 2, 4, 16])):
        at = random.randrange(min(n_header, len(content)) if random.random() < 0.5 else len(content))
        length = random.choice([1, 2, 4, 8])
        match random.randrange(5):
            case 0:
                content[at] = random.randrange(256)
            case 1:
                content[at] ^= 1 << random.randrange(8)
            case 2:
                content[at : at + length] = bytes([random.choice([0, 1, 0x7F, 0x80, 0xFF])]) * length
            case 3:
                content[at:at] = random.randbytes(length)
            case 4 if len(content) > length + 1:
                del content[at : at + length]
    return content


def main(reader, source, n_cases, seed, n_header):
    warnings.simplefilter("error")
    if n_header == "records":
        damage = BamBytes(source).damaged
    else:
        damage = partial(damaged, Path(source).read_bytes(), n_header=int(n_header))
    seen = {"read": 0, "refused": 0}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, Path(source).name)
        for case in range(int(n_cases)):
            path.write_bytes(damage(random.Random(f"{seed}:{case}")))
            faulthandler.dump_traceback_later(10, exit=True)
            try:
                READERS[reader](path)
                seen["read"] += 1
            except InputError as error:
                assert str(error).startswith(str(path)), error
                seen["refused"] += 1
            except BaseException:
                print(f"case {seed}:{case}", file=sys.stderr)
                raise
            faulthandler.cancel_dump_traceback_later()
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
