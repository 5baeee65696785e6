"""What the system or a library says of a file, in a few words, and what to do then."""

import errno
import os
import re

from mlrpl.errors import printable

# HDF5 hides the system's reason in a text of its own.
_HDF5 = re.compile(r"errno = (\d+)")
_LONGEST = 160

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
# What may go by itself, or is not the file's fault: nothing says that it is damaged.
OTHER = {
    *(errno.EIO, errno.ESTALE, errno.ENOLCK, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.ENXIO),
    *(errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENODEV, errno.ENOTCONN, errno.EXDEV),
}


def errno_of(error: BaseException) -> int | None:
    """Return the system's number of an error; None where it was not the system's."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _HDF5.search(str(error))
    return int(found[1]) if found else None


def reason(error: BaseException) -> str:
    """Return why something failed: the system's words, else the start of the text."""
    number = errno_of(error)
    if number is not None:
        return os.strerror(number)
    text = printable(str(error)).strip(" .;:'\"") or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def reading_remedy(error: BaseException) -> str | None:
    """Say what to do about a file that cannot be read although it may be whole.

    None where the system has no objection: then its content is at fault.
    """
    number = errno_of(error)
    if "lock" in str(error) and number is not None:
        return (
            "end the program that holds it, or set HDF5_USE_FILE_LOCKING=FALSE where "
            "the file system gives no locks"
        )
    if number in FORBIDDEN:
        return "give yourself the right to read it"
    if number in OTHER:
        return "it need not be damaged: try again, and look at the disk it is on"
    return None


def writing_remedy(error: BaseException) -> str:
    """Say what to do about a file that cannot be written."""
    number = errno_of(error)
    if number in FULL:
        return "free some space there, or choose a folder on another disk"
    if number in FORBIDDEN:
        return "choose a folder that you may write to"
    if number in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST):
        return "something else has that name; choose another one"
    return "check the folder"


def memory_fault(error: BaseException) -> str | None:
    """Return the one line of memory that is not there; None for another error.

    torch is not imported for it: its errors are known by name and text.
    """
    if type(error).__name__ == "OutOfMemoryError" or "CUDA out of memory" in str(error):
        return (
            "memory: that of the GPU is full; end other programs there, set batch_size "
            "lower, or device to cpu"
        )
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return (
            "memory: there is not enough; end other programs, run fewer jobs at once, "
            "or use a machine with more"
        )
    return None


def described(error: OSError) -> str:
    """Return the one line of what the system refuses, where nothing else caught it."""
    names = [
        os.fsdecode(name) if isinstance(name, str | bytes | os.PathLike) else str(name)
        for name in (error.filename, error.filename2)
        if name is not None
    ]
    if not names:
        return printable(f"output: cannot be written ({reason(error)}); check the disk")
    remedy = {
        errno.ENOENT: "give the path of a file that is there",
        errno.EACCES: "give yourself the right to it",
    }.get(error.errno, writing_remedy(error))
    return printable(f"{' to '.join(names)}: {reason(error)}; {remedy}")
