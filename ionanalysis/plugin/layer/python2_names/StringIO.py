"""`StringIO` of Python 2: a file in memory, of text or, if it starts with bytes, of bytes."""

import io as _io


class StringIO(_io.StringIO):
    def __new__(cls, buffer=""):
        return _io.BytesIO(buffer) if isinstance(buffer, bytes | bytearray) else super().__new__(cls)

    def __init__(self, buffer=""):
        super().__init__(buffer, newline="")
