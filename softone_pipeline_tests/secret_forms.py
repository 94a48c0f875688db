"""Credentials that are hard to hide, every form in which they may be written, and Dagster's settings with every log line on."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from softone_pipeline.orchestration import instance
from softone_pipeline.sandbox import Credentials

CREDENTIALS = Credentials(
    company_api_key='company/key ö&="1"+7c01',
    connect_api_key="connect%key'<å>?5b77",
    license="licence-48213-x",
    username="api-user-7d02",
    password='pass\\word "ä"&#e4c1',
)
HASH_KEY = "hash/key=with+signs&öå-91c2"
SECRETS = (
    CREDENTIALS.company_api_key,
    CREDENTIALS.connect_api_key,
    CREDENTIALS.password,
    HASH_KEY,
    "sandbox-token-",
)


def _dotnet(text: str) -> str:
    """As .NET writes JSON: all but letters and digits by their numbers, in UTF-16."""
    return "".join(
        character
        if character.isascii() and character.isalnum()
        else "".join(f"\\u{unit:04X}" for unit in _utf16(character))
        for character in text
    )


def _utf16(character: str) -> list[int]:
    written = character.encode("utf-16-be")
    return [int.from_bytes(written[at : at + 2], "big") for at in range(0, len(written), 2)]


ENCODINGS: tuple[Callable[[str], str], ...] = (
    quote,
    lambda text: quote(text, safe=""),
    quote_plus,
    html.escape,
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    _dotnet,
    lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    lambda text: "".join(f"&#{ord(character)};" for character in text),
    lambda text: "".join(f"&#x{ord(character):x};" for character in text),
    lambda text: repr(text)[1:-1],
    lambda text: repr(text.encode())[2:-1],
)


def written_ways(secret: str) -> set[str]:
    """As it is, in Base64 and hexadecimal digits, and as addresses, JSON, HTML and Python write all that."""
    whole = secret.encode()
    plain = (secret, *(encode(whole).decode() for encode in (base64.b64encode, base64.urlsafe_b64encode)), whole.hex())
    return {*plain, whole.hex().upper(), *(encode(text) for encode in ENCODINGS for text in plain)}


def written_twice(secret: str) -> set[str]:
    """Those ways, and each written once more."""
    once = written_ways(secret)
    return once | {encode(text) for encode in ENCODINGS for text in once}


def forms_of(secret: str) -> set[bytes]:
    """Every way in which it may be written and written once more, as a formatted log line and in small letters too."""
    written = written_twice(secret)
    written |= {text.replace("%", "%%") for text in written_ways(secret)}
    return {form.encode() for text in written for form in (text, text.lower())}


_FORMS = frozenset(form for secret in SECRETS for form in forms_of(secret))


def secrets_in(places: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    """Where a secret stands, in whatever form: the place and what was found there."""
    found = []
    for place, content in places.items():
        lower = content.lower()
        found += [(place, form) for form in _FORMS if form in lower or form in content]
    return found


def loud_settings() -> str:
    """Our dagster.yaml with every logger's every line in the runs' own logs."""
    settings = Path(instance.__file__).with_name("dagster.yaml").read_text(encoding="utf-8")
    loggers = "".join(f"\n    - {name}" for name in ("root", "softone_pipeline", "httpx", "httpcore"))
    loud = settings.replace("python_log_level: INFO", "python_log_level: DEBUG")
    loud = loud.replace("\n    - softone_pipeline", loggers)
    assert loud.count("DEBUG") == 1
    assert "httpcore" in loud
    return loud
