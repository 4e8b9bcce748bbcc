"""Plain twins of ionanalysis._core.dat: slow, short, meant to be read.

Decoders return (status, pixels, ...); pixels are complete only with status 0.
"""

import struct

import numpy as np

DONE, TOO_SHORT, NO_CODE, BAD_CODE, BAD_OFFSET = range(5)


def byte_sum(data):
    return int(np.sum(data, dtype=np.uint64))


def locate_frames(data, at, plain_bytes, n_frames):
    """Rows (start, stop, time, mode, transitions, pixel sum) of the sound frames, one after the other."""
    data = bytes(data)
    frames: list = []
    while len(frames) < n_frames and at + 8 <= len(data):
        time, mode = struct.unpack_from(">2I", data, at)
        is_marked = data[at + 20 : at + 24] == b"\xde\xad\xbe\xef"
        if mode == 0:
            if frames and is_marked:
                break
            frame = at + 8, at + 8 + plain_bytes, time, 0, 0, 0
        else:
            if not frames or not is_marked:
                break
            length, transitions, pixel_sum = struct.unpack_from(">3I", data, at + 8)
            if length < 16:
                break
            frame = at + 24, at + 8 + length, time, mode, transitions, pixel_sum
        at = frame[1]
        if at > len(data):
            break
        frames.append(frame)
    return frames


def unpack_stored(data):
    return (np.frombuffer(bytes(data), ">u2") & 0x3FFF).astype(np.int16)


def decode_delta(data, previous):
    """Give (status, pixels, transitions, sum of the pixels)."""
    data, at, width, transitions, deltas = bytes(data), 0, 0, 0, []
    status = DONE
    for _ in range(previous.size):
        if data[at : at + 2] in (b"\x44\x99", b"\x44\xbb"):
            width = {0x99: 1, 0xBB: 2}[data[at + 1]]
            transitions += 1
            at += 2
        if not width or at + width > len(data):
            status = TOO_SHORT if width else NO_CODE
            break
        deltas.append(int.from_bytes(data[at : at + width], "big", signed=True))
        at += width
    pixels = _wrapped(previous[: len(deltas)] + np.array(deltas, int))
    return status, pixels, transitions, int(pixels.sum(dtype=int))


def encode_delta(previous, pixels):
    """Give (payload, transitions, sum of the pixels)."""
    data, width, transitions = bytearray(), 0, 0
    for delta in _wrapped(pixels.astype(int) - previous).tolist():
        wanted = 1 if -128 <= delta <= 127 else 2
        coded = delta.to_bytes(wanted, "big", signed=True)
        if wanted != width or coded[0] == 0x44:
            data += b"\x44\x99" if wanted == 1 else b"\x44\xbb"
            width = wanted
            transitions += 1
        data += coded
    return bytes(data), transitions, int(pixels.sum(dtype=int))


def decode_regions(data, mode, grid, previous, coded_shape):
    """Give (status, pixels, coded, transitions, sum of the pixels of coded regions)."""
    data, pixels = bytes(data), previous.copy()
    height, length, per_row, first_row, first_col = grid
    coded = np.zeros(coded_shape, np.uint8)
    transitions = total = 0
    for i, j in np.ndindex(*coded_shape):
        entry = 4 * ((first_row + i) * per_row + first_col + j)
        if entry + 4 > len(data):
            return TOO_SHORT, pixels, coded, transitions, total
        offset = int.from_bytes(data[entry : entry + 4], "big")
        coded[i, j] = offset != 0xFFFFFFFF
        if not coded[i, j]:
            continue
        if not 16 <= offset < len(data) + 16:
            return BAD_OFFSET, pixels, coded, transitions, total
        region = pixels[i * height : (i + 1) * height, j * length : (j + 1) * length]
        status, codes, part = _decode_region(data[offset - 16 :], mode, region)
        transitions += codes
        total += part
        if status:
            return status, pixels, coded, transitions, total
    return DONE, pixels, coded, transitions, total


def _decode_region(data, mode, region):
    """Add the coded deltas to `region`, in place; give (status, transitions, sum of the pixels)."""
    at = width = shift = average = transitions = total = 0
    if mode >= 3:
        if len(data) < 2:
            return TOO_SHORT, 0, 0
        average, at = int.from_bytes(data[:2], "big", signed=True), 2
    for row in region:
        for x in range(0, len(row), 8):
            if at + 1 < len(data) and data[at] == 0x7F:
                high, low = divmod(data[at + 1], 16)
                if low not in (3, 4, 5, 6, 7, 8, 0xB):
                    return BAD_CODE, transitions, total
                width = 16 if low == 0xB else low
                shift = high if mode >= 2 else 0
                transitions += 1
                at += 2
            if not width:
                return (NO_CODE if at < len(data) else TOO_SHORT), transitions, total
            if at + width > len(data):
                return TOO_SHORT, transitions, total
            deltas = _unpack_group(data[at : at + width], width)
            row[x : x + 8] = _wrapped(row[x : x + 8] + (deltas << shift) + average)
            total += int(row[x : x + 8].sum(dtype=int))
            at += width
    return DONE, transitions, total


def _unpack_group(coded, width):
    bits = np.unpackbits(np.frombuffer(coded, np.uint8)).reshape(8, width).astype(int)
    fields = bits @ (1 << np.arange(width)[::-1])
    return _wrapped(fields).astype(int) if width == 16 else fields - (1 << (width - 1))


def encode_regions(grid, previous, pixels):
    """Give (payload, transitions, sum of the pixels of coded regions)."""
    height, length, skip_unchanged = grid
    corners = [(y, x) for y in range(0, pixels.shape[0], height) for x in range(0, pixels.shape[1], length)]
    table, regions, transitions, total = b"", b"", 0, 0
    for y, x in corners:
        now, before = pixels[y : y + height, x : x + length], previous[y : y + height, x : x + length]
        if skip_unchanged and (now == before).all():
            table += b"\xff\xff\xff\xff"
            continue
        table += (16 + 4 * len(corners) + len(regions)).to_bytes(4, "big")
        coded, codes = _encode_region(_wrapped(now.astype(int) - before))
        regions += coded
        transitions += codes
        total += int(now.sum(dtype=int))
    payload = table + regions
    return payload + bytes(-len(payload) % 4), transitions, total


def _encode_region(deltas):
    data, width, transitions = b"", 0, 0
    for group in deltas.reshape(-1, 8).astype(int):
        wanted = next((n for n in range(3, 9) if -(1 << (n - 1)) <= group.min() and group.max() < 1 << (n - 1)), 16)
        if width - 2 <= wanted < width:
            wanted = width
        fields = (group if wanted == 16 else group + (1 << (wanted - 1))) & ((1 << wanted) - 1)
        bits = fields[:, None] >> np.arange(wanted)[::-1] & 1
        coded = np.packbits(bits.astype(np.uint8)).tobytes()
        if wanted != width or coded[0] == 0x7F:
            data += bytes([0x7F, 0xBB if wanted == 16 else wanted * 17])
            width = wanted
            transitions += 1
        data += coded
    return data, transitions


def unpack_components(words, bits, least, step, mean, basis, shape):
    """Give pixels of shape (n_frames, *shape)."""
    stream = np.unpackbits(words.astype(">u8").view(np.uint8))
    codes = np.empty((shape[0] * shape[1], len(bits)), np.int64)
    ends = np.cumsum(np.tile(bits, len(codes))).reshape(codes.shape)
    for place in np.ndindex(*codes.shape):
        width, end = bits[place[1]], ends[place]
        codes[place] = stream[end - width : end].astype(int) @ (1 << np.arange(width, dtype=int)[::-1])
    coefficients = (codes - 1).astype(np.float32) * step + least
    pixels = np.repeat(mean[:, None], len(codes), axis=1)
    for vector, weights in enumerate(basis):
        pixels += weights[:, None] * coefficients[:, vector]
    pixels = np.rint(np.clip(pixels, -32768, 32767)).astype(np.int16)
    pixels[:, (codes == 0).any(axis=1)] = 0
    return pixels.reshape(len(mean), *shape)


def _wrapped(values):
    """16-bit wrap-around."""
    return np.asarray(values, int).astype(np.int16)
