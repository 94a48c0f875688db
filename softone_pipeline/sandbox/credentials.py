"""The keys that a sandbox lets in, and the settings that belong to them. All of them obviously made up."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a caller must show. A licence of None is not asked for."""

    company_api_key: str = field(default="sandbox-company-key", repr=False)
    connect_api_key: str = field(default="sandbox-connect-key", repr=False)
    license: str | None = "0000"
    username: str = "sandbox"
    password: str = field(default="sandbox-password", repr=False)

    def environment(self, base_url: str) -> dict[str, str]:
        """The variables that point the pipeline at a sandbox with these keys."""
        variables = {
            "SOFTONE_BASE_URL": base_url,
            "SOFTONE_COMPANY_API_KEY": self.company_api_key,
            "SOFTONE_CONNECT_API_KEY": self.connect_api_key,
            "SOFTONE_USERNAME": self.username,
            "SOFTONE_PASSWORD": self.password,
        }
        return variables if self.license is None else variables | {"SOFTONE_LICENSE": self.license}


DEFAULT = Credentials()
