"""Credentials that are hard to hide, every form in which they may be written, and Dagster's settings with every log line on."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
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


def forms_of(secret: str) -> set[bytes]:
    """Every way in which it may be written: quoted for an address, as JSON in JSON, as HTML, as Python shows it."""
    written = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret)}
    for text in list(written):
        for is_ascii in (True, False):
            once = json.dumps(text, ensure_ascii=is_ascii)[1:-1]
            written |= {once, json.dumps(once, ensure_ascii=is_ascii)[1:-1]}
    written |= {text.replace("%", "%%") for text in list(written)} | {repr(secret)[1:-1]}
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
