"""The file of an exported session: a head, then a message a line, as `core.store.lines` writes them.

An export grows beside its place, in ``FILE.partial``, with ``FILE.partial.at`` telling how far it is; both are durable
part by part, so that whoever comes again goes on from there. The file itself is always a whole one.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from core.errors import Conflict, InvalidArgument, StartRefused
from core.store.history import given
from core.store.lines import line_of_prepared
from core.store.message import Prepared
from core.store.new_file import check_free, put, unwritable

VERSION = 1
_LONGEST_LINE = 256 * 2**20

_encode = msgspec.json.Encoder().encode


class Head(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The first line: of whom this is, and how many messages follow. A file that somebody else wrote has none."""

    maitred_session: int
    """The version of the form."""
    session_key: str
    owner: str | None
    messages: int

    def line(self) -> bytes:
        """With its end."""
        return _encode(self) + b"\n"


class Place(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far an export is: so many messages and bytes are written, the `last` line is of the message number `seq`.

    It takes what was there when it began, the messages below `until`; `head` is the line that it began with.
    """

    head: Head
    until: int
    written: int
    bytes: int
    seq: int
    last: str


def changed_meanwhile(there: int, found: int) -> Conflict:
    """What is told of an export whose history has lost messages since it began."""
    return Conflict(
        f"{there} messages were there when the export began, and {found} of them were found: "
        "the history was changed meanwhile; run it again"
    )


class Growing:
    """An export on its way into a file. Closing it leaves what is there for the next one."""

    def __init__(self, target: Path) -> None:
        """Raises StartRefused when something is in the file's place, FolderUnusable when it cannot be written."""
        self.target = target
        self._partial = target.with_name(f"{target.name}.partial")
        self._at = target.with_name(f"{target.name}.partial.at")
        check_free(target)
        try:
            opened = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise unwritable(self._partial, error) from error
        self._file = os.fdopen(opened, "r+b", buffering=0)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise StartRefused(
                f"{self._partial}: another export writes it; wait for it, or choose another name"
            ) from None

    def left(self, session_key: str) -> Place | None:
        """Where an earlier export of the session stopped; None when there was none, or what it left is of no use."""
        try:
            place = msgspec.json.decode(self._at.read_bytes(), type=Place)
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        except OSError as error:
            raise unwritable(self._at, error) from error
        if place.head.session_key != session_key or not place.written:
            return None
        return place if os.fstat(self._file.fileno()).st_size >= place.bytes else None

    def begin(self, head: Head, until: int) -> Place:
        """Begin with an empty file."""
        line = head.line()
        self._file.seek(0)
        self._file.truncate(0)
        return self._keep(line, Place(head=head, until=until, written=0, bytes=len(line), seq=0, last=""))

    def go_on(self, place: Place) -> None:
        """Go on with what an earlier export has left."""
        self._file.truncate(place.bytes)
        self._file.seek(place.bytes)

    def add(self, place: Place, lines: list[bytes], seq: int) -> Place:
        """Write the next messages, the last of which is number `seq`; they are durable when this is answered."""
        part = b"".join(lines)
        written, length = place.written + len(lines), place.bytes + len(part)
        last = lines[-1].decode()
        return self._keep(
            part, msgspec.structs.replace(place, written=written, bytes=length, seq=seq, last=last)
        )

    def finish(self, place: Place) -> None:
        """Put the file in its place; raises Conflict when the history has lost messages since it was begun."""
        if place.written != place.head.messages:
            self.abandon()
            raise changed_meanwhile(place.head.messages, place.written)
        put(self._partial, self.target)
        self.abandon()

    def abandon(self) -> None:
        """Leave nothing beside the place."""
        for path in (self._at, self._partial):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave what is there for whoever comes again."""
        self._file.close()

    def _keep(self, part: bytes, place: Place) -> Place:
        """The part first, then how far it goes: what stands beyond that is cut off by whoever goes on."""
        beside = self._at.with_name(f"{self._at.name}.new")
        left = memoryview(part)
        try:
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
            # what was said last stands in it, which is nobody else's business
            with open(beside, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(_encode(place))
            beside.replace(self._at)
        except OSError as error:
            raise unwritable(self._partial, error) from error
        return place


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A file that can be imported: its digest is that of all its messages' lines."""

    head: Head | None
    messages: int
    digest: str


class Transcript:
    """A file that is to be imported. Every fault is told with its line."""

    def __init__(self, path: Path) -> None:
        """Raises InvalidArgument for a file that cannot be read."""
        self.path = path
        try:
            self._file = path.open("rb")
            if not path.is_file():
                raise InvalidArgument(f"{path}: is no file; name one, since it is read twice")
            self.bytes = path.stat().st_size
        except OSError as error:
            raise InvalidArgument(
                f"{path}: cannot be read ({error.strerror}); name a file that you may read"
            ) from None

    def check(self) -> Iterator[int | Checked]:
        """Read it all: how many bytes are read so far, again and again, and at the end what it holds.

        Raises InvalidArgument for the first fault.
        """
        digest, count, head = sha256(), 0, self._head()
        yield self._file.tell()
        for number, message in self._messages():
            digest.update(line_of_prepared(message))
            count += 1
            yield self._file.tell()
            if head is not None and count > head.messages:
                raise self._fault(
                    number,
                    f"is one more than the {head.messages:,} messages that its first line announces; export it again",
                )
        if head is not None and count < head.messages:
            raise InvalidArgument(
                f"{self.path}: ends after {count:,} of {head.messages:,} messages: it is cut off; export it again"
            )
        yield Checked(head=head, messages=count, digest=digest.hexdigest())

    def lines(self, start: int) -> Iterator[bytes]:
        """The messages from place `start` on, as `core.store.lines` writes them, without the end of line."""
        self._head()
        for place, (_, message) in enumerate(self._messages()):
            if place >= start:
                yield line_of_prepared(message)[:-1]

    def close(self) -> None:
        """It is not needed any more."""
        self._file.close()

    def _head(self) -> Head | None:
        """Go to the first message; what stands before it."""
        self._file.seek(0)
        self._number = 0
        first = self._file.readline(_LONGEST_LINE)
        try:
            found = msgspec.json.decode(first)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None  # told below as a message's fault
        if not (isinstance(found, dict) and "maitredSession" in found):
            self._file.seek(0)
            return None
        self._number = 1
        try:
            head = msgspec.convert(found, Head)
        except msgspec.ValidationError as error:
            raise self._fault(1, f"{error}") from None
        if head.maitred_session != VERSION:
            raise self._fault(
                1,
                f"is of version {head.maitred_session} of this form, and this maitred reads {VERSION}; "
                "import it with the maitred that wrote it, or a newer one",
            )
        return head

    def _messages(self) -> Iterator[tuple[int, Prepared]]:
        """The messages with the numbers of their lines."""
        while line := self._file.readline(_LONGEST_LINE + 1):
            self._number += 1
            if not line.strip():
                continue
            if len(line) > _LONGEST_LINE:
                raise self._fault(self._number, f"is longer than {_LONGEST_LINE // 2**20} MiB")
            try:
                message = given(msgspec.json.decode(line), "$")
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise self._fault(self._number, f"is no JSON ({error})") from None
            except RecursionError:
                raise self._fault(self._number, "is nested too deeply") from None
            except InvalidArgument as error:
                raise self._fault(self._number, error.message) from None
            yield self._number, message

    def _fault(self, number: int, what: str) -> InvalidArgument:
        return InvalidArgument(f"{self.path}:{number}: {what}; nothing was imported")
