"""Batches of columns to NumPy, Zarr and Parquet files; each whole or not there."""

import shutil
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from ionanalysis.errors import InputError, OutputError, UsageError
from ionanalysis.io.atomic import whole_file
from ionanalysis.io.mask import read_mask
from ionanalysis.wells import open_wells

_ROWS_PER_CHUNK = 1024


def write_npy(path, kind, output):
    """Wells as one array (rows, cols, flows) of float32, a mask as one of flags (rows, cols)."""
    with whole_file(output) as temporary:
        if kind == "mask":
            with temporary.open("wb") as file:
                np.save(file, read_mask(path).flags)
            return
        with open_wells(path) as wells:
            array = np.lib.format.open_memmap(temporary, "w+", np.float32, wells.shape)
            for row in range(wells.shape[0]):
                array[row] = wells[row, :, :]
            array.flush()


def write_npz(batches, output):
    """All columns in one compressed file; texts as arrays of letters. Everything is held in memory."""
    found = list(batches)
    content: dict[str, Any] = {
        name: np.concatenate([one.arrays[name] for one in found]) for name in (found[0].arrays if found else ())
    }
    for name in found[0].texts if found else ():
        content[name] = np.array([text for one in found for text in one.texts[name]], str)
    for name, value in (found[0].facts if found else {}).items():
        content[name] = np.array(value)
    with whole_file(output) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **content)


def write_zarr(batches, output):
    """A Zarr group with an array for each column, in chunks of rows.

    Texts stand end to end as letters in ``NAME``, uint8; ``NAME_start`` tells where each begins (one more than there
    are rows). Facts that hold for all rows are attributes of the group.
    """
    zarr = _package("zarr")
    output = Path(output)
    if output.exists():
        raise UsageError(f"{output}: is there already; remove it, or name another one.")
    try:
        temporary = Path(mkdtemp(prefix=f".{output.name}.", suffix=".part", dir=output.parent))
    except OSError as error:
        raise OutputError(f"{output}: cannot be made ({error.strerror}); choose another place.") from error
    try:
        group = zarr.open_group(str(temporary), mode="w")
        for batch in batches:
            for name, values in batch.arrays.items():
                _append(group, name, values)
            for name, texts in batch.texts.items():
                _append_texts(group, name, texts)
            group.attrs.update(batch.facts)
        temporary.chmod(0o755)
        temporary.replace(output)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written ({error.strerror}); free space.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_parquet(batches, output):
    """A table with a row for each read or well; columns of several values are lists."""
    pyarrow, parquet = _package("pyarrow"), _package("pyarrow.parquet")
    writer = None
    with whole_file(output) as temporary:
        try:
            for batch in batches:
                columns = {name: _column(pyarrow, values) for name, values in batch.arrays.items()}
                columns |= {name: pyarrow.array(texts, pyarrow.string()) for name, texts in batch.texts.items()}
                table = pyarrow.table(columns).replace_schema_metadata(
                    {name: str(value) for name, value in batch.facts.items()}
                )
                writer = writer or parquet.ParquetWriter(temporary, table.schema, compression="zstd")
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()
        if writer is None:
            raise InputError(f"{output}: there is nothing to write; the input holds no reads.")


def _column(pyarrow, values):
    if values.ndim == 1:
        return pyarrow.array(values)
    flat = pyarrow.array(np.ascontiguousarray(values).reshape(-1))
    return pyarrow.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _append(group, name, values):
    if name not in group:
        chunks = (_ROWS_PER_CHUNK if values.ndim > 1 else 1 << 16, *values.shape[1:])
        group.create_array(name, shape=(0, *values.shape[1:]), chunks=chunks, dtype=values.dtype)
    group[name].append(values)


def _append_texts(group, name, texts):
    letters = np.frombuffer("".join(texts).encode("ascii", "replace"), np.uint8)
    former = group[name].shape[0] if name in group else 0
    ends = former + np.cumsum([len(text) for text in texts], dtype=np.int64)
    _append(group, f"{name}_start", ends if former or f"{name}_start" in group else np.append(0, ends))
    _append(group, name, letters)


def _package(name):
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"writing this format needs the package {name.partition('.')[0]}: pip install 'ionanalysis[export]'."
        ) from error
