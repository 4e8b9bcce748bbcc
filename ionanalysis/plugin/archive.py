"""Unpacking plugin archives of strangers: one folder of plain files, or nothing (plugin.md 2.8)."""

import lzma
import shutil
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ionanalysis.plugin.inspection import check_name
from ionanalysis.plugin.questions import PluginError

_READ = 1 << 20
_IGNORED = "__MACOSX"
_ENCRYPTED = 0x1
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, UnicodeError, ValueError)


@dataclass(frozen=True, kw_only=True)
class ArchiveLimits:
    """How large an unpacked archive may be."""

    max_bytes: int = 8 << 30
    max_members: int = 100_000
    max_ratio: int = 100
    """Bytes unpacked per byte of the archive, beyond `free_bytes`."""
    free_bytes: int = 64 << 20
    """Bytes that may be unpacked whatever the ratio."""

    def allowed_bytes(self, archive_bytes):
        """Bytes that an archive of `archive_bytes` may hold."""
        return min(self.max_bytes, max(self.free_bytes, self.max_ratio * archive_bytes))


def unpack_plugin(archive, target, limits=None):
    """Unpack the zip file of a plugin below `target`, an existing folder.

    Sizes are those of the bytes that come out, not those that the archive claims. What has been written when an
    error is raised is the caller's to remove with `target`.

    Parameters
    ----------
    archive : path
    target : path
    limits : ArchiveLimits, optional

    Returns
    -------
    folder : Path
        The plugin's folder, ``target/NAME``.

    Raises
    ------
    PluginError
        If the archive is empty, broken, encrypted, too large, has several folders at the top or files beside the one,
        or a member that is a link, a device, absolute or outside of the folder.
    """
    archive, target, limits = Path(archive), Path(target), limits or ArchiveLimits()
    _check_file(archive)
    try:
        with zipfile.ZipFile(archive) as opened:
            members = _checked_members(archive, opened, limits)
            room = limits.allowed_bytes(archive.stat().st_size)
            for member, path in members:
                room = _unpack(archive, opened, member, target.joinpath(*path.parts), room)
    except _BROKEN as error:
        raise PluginError(f"{archive}: is damaged or no zip archive ({error}); pack or copy it again.") from None
    except RuntimeError as error:  # what zipfile raises where a password is asked for
        raise PluginError(f"{archive}: cannot be unpacked ({error}); pack it without a password.") from None
    except OSError as error:
        raise PluginError(f"{archive}: cannot be unpacked ({error.strerror or error}).") from None
    return target / members[0][1].parts[0]


def copy_plugin(folder, target, limits=None):
    """Copy a plugin's folder below `target`, without ``.git``, ``__pycache__`` and other hidden entries at its top.

    Raises
    ------
    PluginError
        If it holds links or is too large.
    """
    folder, limits = Path(folder).absolute(), limits or ArchiveLimits()
    check_name(folder.name)
    n_bytes = 0
    for n_members, path in enumerate(_entries(folder), 1):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise PluginError(f"{path}: is a link or a special file; put the file itself there.")
        n_bytes += path.stat().st_size
        if n_members > limits.max_members or n_bytes > limits.max_bytes:
            raise PluginError(f"{folder}: holds more than {limits.max_members} files or {limits.max_bytes >> 30} GiB.")
        place = target / folder.name / path.relative_to(folder)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)
    return target / folder.name


def _entries(folder):
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__pycache__":
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _entries(path)


def _check_file(archive):
    if not archive.is_file():
        raise PluginError(f"{archive}: is not there; give a zip archive or a plugin's folder.")
    if archive.suffix.lower() == ".deb":
        raise PluginError(f"{archive}: Debian packages are installed with apt; give a zip archive.")
    if archive.suffix.lower() != ".zip":
        raise PluginError(f"{archive}: must end in .zip.")
    if archive.stat().st_size == 0:
        raise PluginError(f"{archive}: is empty; pack or copy it again.")


def _checked_members(archive, opened, limits):
    """Members with their paths; every name is checked before the first byte is written."""
    members = opened.infolist()
    if len(members) > limits.max_members:
        raise PluginError(f"{archive}: holds {len(members)} files; at most {limits.max_members} are taken.")
    kept = [(member, _checked_path(archive, member)) for member in members]
    kept = [(member, path) for member, path in kept if path.parts[0] != _IGNORED]
    roots = sorted({path.parts[0] for _, path in kept})
    if len(roots) != 1:
        raise PluginError(
            f"{archive}: has {', '.join(roots[:4]) or 'nothing'} at its top; expected one folder, named as the plugin."
        )
    if any(len(path.parts) == 1 and not member.is_dir() for member, path in kept):
        raise PluginError(f"{archive}: {roots[0]} is a file; expected one folder with the plugin's name.")
    try:
        check_name(roots[0])
    except PluginError as error:
        raise PluginError(f"{archive}: {error}") from None
    seen = set()
    for _, path in kept:
        if path in seen:
            raise PluginError(f"{archive}: has {path} twice; pack it again.")
        seen.add(path)
    return kept


def _checked_path(archive, member):
    name = member.filename
    path = PurePosixPath(name)
    mode = member.external_attr >> 16
    kind = stat.S_IFMT(mode)
    odd = "\\" in member.orig_filename or any(ord(letter) < 32 for letter in member.orig_filename)
    if path.is_absolute() or ".." in path.parts or not path.parts or odd or path.parts[0].endswith(":"):
        raise PluginError(
            f"{archive}: has the member {member.orig_filename!r}, which is not below one folder; pack it again."
        )
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "link" if kind == stat.S_IFLNK else "special file"
        raise PluginError(f"{archive}: {name} is a {what}; put the file itself there.")
    if member.flag_bits & _ENCRYPTED:
        raise PluginError(f"{archive}: {name} is encrypted; pack it without a password.")
    return path


def _unpack(archive, opened, member, place, room):
    """Write one member; return how many bytes may still follow."""
    mode = (member.external_attr >> 16) & 0o777
    if member.is_dir():
        place.mkdir(parents=True, exist_ok=True)
        place.chmod((mode or 0o755) | 0o700)
        return room
    place.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, place.open("xb") as written:
        while chunk := source.read(_READ):
            room -= len(chunk)
            if room < 0:
                raise PluginError(
                    f"{archive}: unpacks to far more than its size explains (at {member.filename}); it is not unpacked."
                )
            written.write(chunk)
    place.chmod((mode or 0o755) | 0o600)
    return room
