"""Making a server's text fit to be shown: no secret, no markup, one short line. No HTTP."""

from __future__ import annotations

import html
import json
import re
import threading
from collections import deque
from urllib.parse import quote, quote_plus

_LONGEST = 300
# As much of a text as is looked at: an error page may be long, and its markup expensive to take out.
_READ = 10_000
_NOT_TEXT = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^<>]*>", re.IGNORECASE | re.DOTALL)
_STARS = "***"
# Tokens follow one another; only an old answer could still quote an old one.
_TOKENS_KEPT = 100


class Redactor:
    """Knows the secrets, and takes them out of texts. May be shared between threads."""

    def __init__(self, *secrets: str | None) -> None:
        self._lock = threading.Lock()
        self._fixed = [secret for secret in secrets if secret]
        self._tokens: deque[str] = deque(maxlen=_TOKENS_KEPT)
        self._pattern = self._compile()

    def __repr__(self) -> str:
        return "Redactor()"

    def learn(self, token: str) -> None:
        """Take note of a token that the server has issued."""
        with self._lock:
            self._tokens.append(token)
            self._pattern = self._compile()

    def clean(self, text: str) -> str:
        """One line of at most 300 characters, without any known secret, tags or control characters."""
        # in this order, so that no half of a secret is left at the cut
        text = self._hide(text[: 2 * _READ])[:_READ]
        text = html.unescape(_NOT_TEXT.sub(" ", text))
        # once more: what was written with entities is readable now
        text = self._hide(text)
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

    def _hide(self, text: str) -> str:
        return self._pattern.sub(_STARS, text) if self._pattern else text

    def _compile(self) -> re.Pattern[str] | None:
        forms = {form for secret in (*self._fixed, *self._tokens) for form in _forms(secret)}
        if not forms:
            return None
        # the longest first, or a secret that begins like another would leave its tail behind
        ordered = sorted(forms, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, ordered)), re.IGNORECASE)


def _forms(secret: str) -> set[str]:
    """A secret as it stands, and as URLs, HTML and JSON write it."""
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        html.escape(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    }
