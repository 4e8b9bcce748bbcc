"""Archives of plugins: what is taken, and that everything else leaves nothing behind (plugin.md 2.8)."""

import io
import stat
import struct
import warnings
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionanalysis.plugin.archive import ArchiveLimits, unpack_plugin
from ionanalysis.plugin.questions import PluginError
from ionanalysis.plugin.store import PluginStore

SOURCE = "from ion.plugin import *\nclass Good(IonPlugin):\n    version = '1.0.0.0'\n"


def pack(path, members, *, compression=zipfile.ZIP_DEFLATED):
    """A zip file of (name, content) or (name, content, mode)."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as archive:
        warnings.simplefilter("ignore")  # of repeated names
        for name, content, *mode in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            info.external_attr = (mode[0] if mode else 0) << 16
            archive.writestr(info, content)
    return path


GOOD = ("Good/Good.py", SOURCE)


def encrypted(path):
    """Set the flag bit of encryption in both headers of the first member."""
    content = bytearray(pack(path, [GOOD]).read_bytes())
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.index(signature) + place
        content[at] |= 1
    path.write_bytes(content)


def flipped(path):
    content = bytearray(pack(path, [GOOD], compression=zipfile.ZIP_STORED).read_bytes())
    content[content.index(b"IonPlugin")] ^= 0xFF
    path.write_bytes(content)


def cut(path):
    path.write_bytes(pack(path, [GOOD]).read_bytes()[:-30])


def lying(path):
    """A member that says it holds 10 bytes and inflates to 200 MiB."""
    pack(path, [GOOD, ("Good/zeros", bytes(200 << 20))])
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\1\2")
    content[at + 24 : at + 28] = struct.pack("<I", 10)
    path.write_bytes(content)


REFUSED = {
    "absolute": ([GOOD, ("/etc/x", "x")], "/etc/x"),
    "leaves the folder": ([GOOD, ("Good/../../x", "x")], "not below one folder"),
    "starts with dots": ([GOOD, ("../x", "x")], "not below one folder"),
    "backslashes": ([GOOD, ("Good\\..\\x", "x")], "not below one folder"),
    "drive": ([GOOD, ("C:/x", "x")], "not below one folder"),
    "control letters": ([GOOD, ("Good/a\nb", "x")], "not below one folder"),
    "link": ([GOOD, ("Good/passwd", "/etc/passwd", stat.S_IFLNK | 0o777)], "is a link"),
    "link to a folder": ([GOOD, ("Good/up", "..", stat.S_IFLNK | 0o777), ("Good/up/x", "x")], "is a link"),
    "device": ([GOOD, ("Good/null", "", stat.S_IFCHR | 0o666)], "special file"),
    "pipe": ([GOOD, ("Good/pipe", "", stat.S_IFIFO | 0o666)], "special file"),
    "two folders": ([GOOD, ("Other/Other.py", SOURCE)], "Good, Other at its top"),
    "file beside": ([GOOD, ("README", "x")], "Good, README at its top"),
    "no folder": ([("Good.py", SOURCE)], "Good.py is a file"),
    "nothing": ([], "nothing at its top"),
    "only rubbish": ([("__MACOSX/x", "x")], "nothing at its top"),
    "twice": ([GOOD, GOOD], "twice"),
    "file as folder": ([GOOD, ("Good/x", "x"), ("Good/x/y", "y")], "cannot be unpacked"),
    "name that is no name": ([("my-plugin/my-plugin.py", SOURCE)], "no plugin name"),
    "reserved name": ([("scratch/scratch.py", SOURCE)], "reserved"),
    "other name": ([("Bad/Good.py", SOURCE)], r"expected Bad\.py"),
    "class of another name": ([("Bad/Bad.py", SOURCE)], "no class Bad"),
    "bomb": ([GOOD, ("Good/zeros", bytes(200 << 20))], "far more than its size explains"),
    "long name": ([GOOD, ("Good/" + "a" * 300, "x")], "cannot be unpacked"),
    "encrypted": (encrypted, "encrypted"),
    "flipped byte": (flipped, "damaged"),
    "cut off": (cut, "damaged"),
    "lying about sizes": (lying, r"damaged|far more"),
    "no zip": (lambda path: path.write_bytes(b"PK\3\4 nonsense"), "damaged or no zip"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
}


@pytest.mark.parametrize(("members", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_archives_are_refused_in_one_sentence_and_leave_nothing(tmp_path, members, message):
    archive = tmp_path / "upload.zip"
    if callable(members):
        members(archive)
    else:
        pack(archive, members)
    outside = sorted(tmp_path.rglob("*"))
    with pytest.raises(PluginError, match=message) as caught:
        PluginStore(tmp_path / "root/plugins").install(archive)
    assert str(caught.value).startswith(str(archive)) and "\n" not in str(caught.value)
    left = [path for path in sorted(tmp_path.rglob("*")) if path not in outside]
    assert left in ([], [tmp_path / "root"])


@pytest.mark.parametrize(("name", "message"), [("x.deb", "Debian"), ("x.tar.gz", "zip"), ("missing.zip", "not there")])
def test_other_files_are_refused(tmp_path, name, message):
    if not name.startswith("missing"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(PluginError, match=message):
        PluginStore(tmp_path / "root").install(tmp_path / name)


def test_modes_are_kept_without_special_bits(tmp_path):
    members = [
        (*GOOD, stat.S_IFREG | 0o040),
        ("Good/run.sh", "echo", stat.S_IFREG | 0o4755),
        ("Good/data", "x", stat.S_IFREG | 0o444),
        ("Good/closed/", "", stat.S_IFDIR | 0o011),
        ("Good/closed/x", "x"),
        ("__MACOSX/Good/._Good.py", "x"),
    ]
    (tmp_path / "out").mkdir()
    folder = unpack_plugin(pack(tmp_path / "x.zip", members), tmp_path / "out")
    assert folder == tmp_path / "out/Good"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"Good.py": 0o640, "run.sh": 0o755, "data": 0o644, "closed": 0o711}
    assert (folder / "closed/x").read_text() == "x" and not (tmp_path / "out/__MACOSX").exists()


def test_limits_count_what_comes_out(tmp_path):
    archive = pack(tmp_path / "x.zip", [GOOD, ("Good/data", bytes(range(256)) * 40)], compression=zipfile.ZIP_STORED)
    for limits, message in (
        (ArchiveLimits(max_bytes=5000), "far more than its size explains"),
        (ArchiveLimits(max_members=1), "holds 2 files; at most 1 are taken"),
    ):
        (tmp_path / "out").mkdir(exist_ok=True)
        with pytest.raises(PluginError, match=message):
            unpack_plugin(archive, tmp_path / "out", limits)
    assert ArchiveLimits(free_bytes=10, max_ratio=3, max_bytes=20).allowed_bytes(5) == 15


@given(st.data())
def test_damage_anywhere_is_one_sentence_or_harmless(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fuzz")
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Good/Good.py", SOURCE)
        archive.writestr("Good/data.txt", "data" * 50)
    content = bytearray(whole.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "x.zip").write_bytes(content)
    (folder / "out").mkdir()
    try:
        unpacked = unpack_plugin(folder / "x.zip", folder / "out")
    except PluginError as error:
        assert str(error).startswith(str(folder / "x.zip"))
    else:
        assert unpacked.parent == folder / "out"
    assert sorted(path.name for path in folder.iterdir()) == ["out", "x.zip"]
