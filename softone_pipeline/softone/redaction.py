"""Making a server's text fit to be shown: no secret, no markup, one short line. No HTTP."""

from __future__ import annotations

import base64
import contextlib
import html
import re
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_LONGEST = 300
# As much of a text as is looked at: an error page may be long, and its markup expensive to take out.
_READ = 10_000
_NOT_TEXT = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^<>]*>", re.IGNORECASE | re.DOTALL)
_STARS = "***"
# Tokens follow one another; only an old answer could still quote an old one.
_TOKENS_KEPT = 100
# A shorter secret is hidden where it stands alone: within words it would blank half of every text.
_SHORT = 4
# Encodings within encodings, in every order. Nobody writes a text that has more readings than this.
_MOST_READINGS = 60
_TO_UTF8 = ("utf-8", "surrogatepass")

# What encodings write for a character, and which bytes are meant. Undone one at a time: a text may have gone through
# several, one after the other, and a secret may itself look like an encoding of something.
_ENCODINGS: tuple[tuple[re.Pattern[bytes], Callable[[re.Match[bytes]], bytes]], ...] = (
    (re.compile(rb"%(?:u([0-9a-f]{4})|([0-9a-f]{2}))", re.IGNORECASE), lambda found: _meant(found[1], found[2])),
    (
        re.compile(
            rb"\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|u([0-9a-f]{4})|x([0-9a-f]{2})|([\\/\"']))",
            re.IGNORECASE,
        ),
        lambda found: found[5] or _meant((found[1] or b"") + (found[2] or b"") or found[3], found[4]),
    ),
    (
        re.compile(rb"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|amp|lt|gt|quot|[a-z][a-z0-9]{1,30}(?=;));?", re.IGNORECASE),
        lambda found: html.unescape(found[0].decode()).encode(*_TO_UTF8),
    ),
)
# A space may be written as a +, in forms. Same length, so that places stay the same.
_ALIKE = bytes.maketrans(b"+", b" ")


_living: weakref.WeakSet[Redactor] = weakref.WeakSet()
_lock = threading.Lock()


def hide_secrets(text: str) -> str:
    """A text without what any client of this process knows to be secret: for what is said of an invoice, which may repeat a key
    where an amount should be, where no client is at hand.
    """
    with _lock:
        redactors = list(_living)
    for redactor in redactors:
        text = redactor.hide(text)
    return text


class Redactor:
    """Knows the secrets, and takes them out of texts. May be shared between threads."""

    def __init__(self, *secrets: str | None) -> None:
        self._lock = threading.Lock()
        self._fixed = tuple(_Needle.of(secret) for secret in secrets if secret)
        self._tokens: deque[_Needle] = deque(maxlen=_TOKENS_KEPT)
        self._needles = self._fixed
        with _lock:
            _living.add(self)

    def __repr__(self) -> str:
        return "Redactor()"

    def learn(self, token: str) -> None:
        """Take note of a token that the server has issued."""
        with self._lock:
            self._tokens.append(_Needle.of(token))
            self._needles = (*self._fixed, *self._tokens)

    def clean(self, text: str) -> str:
        """One line of at most 300 characters, without any known secret, tags or control characters."""
        # UTF-16 that was taken for UTF-8 has one after each letter
        text = text.replace("\0", "")
        # in this order, so that no half of a secret is left at the cut
        text = html.unescape(_NOT_TEXT.sub(" ", self.hide(text)))
        # once more: what was written with entities is readable now
        text = self.hide(text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

    def hide(self, text: str) -> str:
        """The first 10,000 characters, with stars for every secret in whatever writing; no text at all where there are too
        many readings of it to look through.
        """
        text, shown = text[: 2 * _READ], text[:_READ]
        needles = self._needles
        if not needles:
            return shown
        spans: set[tuple[int, int]] = set()
        for number, reading in enumerate(_readings(text)):
            if number == _MOST_READINGS:
                return _STARS
            said = _levelled(reading.said)
            spans.update(reading.span(*place) for needle in needles for place in needle.places_in(said))
        parts, upto, starred = [], 0, 0
        for start, end in sorted(spans):
            # what overlaps is one
            if start >= starred:
                parts += [shown[upto:start], _STARS if start < len(shown) else ""]
            starred = upto = max(starred, end)
        return "".join([*parts, shown[upto:]])


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a text says with some encodings undone, in UTF-8, and where in the text each byte of it is written."""

    said: bytes
    starts: list[int]
    ends: list[int]

    @classmethod
    def plain(cls, text: str) -> _Reading:
        starts: list[int] = []
        for at, character in enumerate(text):
            starts += [at] * len(character.encode(*_TO_UTF8))
        return cls(text.encode(*_TO_UTF8), starts, [at + 1 for at in starts])

    def span(self, first: int, behind: int) -> tuple[int, int]:
        """Where in the text some of the bytes are written: the first character, and the one behind the last."""
        return self.starts[first], self.ends[behind - 1]

    def undone(self, written: re.Pattern[bytes], meant: Callable[[re.Match[bytes]], bytes]) -> _Reading:
        said, starts, ends, upto = bytearray(), [], [], 0
        for found in written.finditer(self.said):
            first, behind = found.span()
            value = meant(found)
            said += self.said[upto:first] + value
            starts += self.starts[upto:first] + [self.starts[first]] * len(value)
            ends += self.ends[upto:first] + [self.ends[behind - 1]] * len(value)
            upto = behind
        return _Reading(bytes(said) + self.said[upto:], starts + self.starts[upto:], ends + self.ends[upto:])


def _readings(text: str) -> Iterator[_Reading]:
    """The text as it stands, and with its encodings undone: every kind, as often as it goes, in every order."""
    waiting = deque([_Reading.plain(text)])
    known = {waiting[0].said}
    while waiting:
        reading = waiting.popleft()
        yield reading
        for written, meant in _ENCODINGS:
            further = reading.undone(written, meant)
            if further.said not in known:
                known.add(further.said)
                waiting.append(further)


@dataclass(frozen=True, slots=True)
class _Needle:
    """A secret, in the forms in which it is looked for."""

    forms: frozenset[bytes]
    is_short: bool

    @classmethod
    def of(cls, secret: str) -> _Needle:
        forms: set[bytes] = set()
        for text in (secret, secret.lower(), secret.upper()):
            utf8 = text.encode(*_TO_UTF8)
            # as it is, taken for Latin-1, and in Latin-1
            forms |= {utf8, utf8.decode("latin-1").encode()}
            with contextlib.suppress(UnicodeEncodeError):
                forms.add(text.encode("latin-1"))
        is_short = len(secret) < _SHORT
        if not is_short:
            utf8 = secret.encode(*_TO_UTF8)
            for encoded in (base64.b64encode(utf8), base64.urlsafe_b64encode(utf8)):
                forms |= {encoded, encoded.rstrip(b"=")}
            forms |= {utf8.hex(*separator).encode() for separator in ((), ("-",), (":",), (" ",))}
        return cls(frozenset(_levelled(form) for form in forms), is_short)

    def places_in(self, said: bytes) -> Iterator[tuple[int, int]]:
        for form in self.forms:
            at = said.find(form)
            while at >= 0:
                behind = at + len(form)
                if not (self.is_short and (said[at - 1 : at].isalnum() or said[behind : behind + 1].isalnum())):
                    yield at, behind
                at = said.find(form, at + 1)


def _levelled(said: bytes) -> bytes:
    return said.lower().translate(_ALIKE)


def _meant(utf16: bytes | None, byte: bytes | None) -> bytes:
    """The bytes of a character by its number in hexadecimal digits, or that one byte."""
    if utf16:
        return bytes.fromhex(utf16.decode()).decode("utf-16-be", "surrogatepass").encode(*_TO_UTF8)
    return bytes.fromhex((byte or b"").decode())
