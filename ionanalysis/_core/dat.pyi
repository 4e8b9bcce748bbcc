from numpy import ndarray

def byte_sum(data: ndarray) -> int: ...
def locate_frames(data: ndarray, at: int, plain_bytes: int, frames: ndarray) -> int: ...
def unpack_stored(data: ndarray, pixels: ndarray) -> None: ...
def decode_delta(data: ndarray, previous: ndarray, pixels: ndarray, found: ndarray) -> int: ...
def encode_delta(previous: ndarray, pixels: ndarray, data: ndarray, found: ndarray) -> int: ...
def decode_regions(
    data: ndarray,
    mode: int,
    grid: ndarray,
    previous: ndarray,
    pixels: ndarray,
    coded: ndarray,
    found: ndarray,
) -> int: ...
def encode_regions(grid: ndarray, previous: ndarray, pixels: ndarray, data: ndarray, found: ndarray) -> int: ...
def unpack_components(
    words: ndarray,
    bits: ndarray,
    least: ndarray,
    step: ndarray,
    mean: ndarray,
    basis: ndarray,
    scratch: ndarray,
    pinned: ndarray,
    pixels: ndarray,
) -> None: ...
