"""PahekoSettings: the `[modules.paheko]` table."""

from __future__ import annotations

from string import Formatter
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator

LABEL_FIELDS = ("date", "register", "operator", "session_id")


def _code(value: object) -> object:
    """Let account codes be written as numbers: they are text to Paheko."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Account = Annotated[str, BeforeValidator(_code), Field(pattern=r"^[0-9A-Za-z]{1,20}$")]


class PahekoSettings(BaseModel):
    """Where Paheko is, and on which accounts a closed till is booked. Without `url` sessions wait."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(default="", description="Paheko's address, without /api; empty: sessions wait")
    user: str = Field(default="", description="name of an API key of level write")
    password: SecretStr = Field(default=SecretStr(""), description="the API key's password")
    id_year: Annotated[str, BeforeValidator(_code), Field(pattern=r"^(match|current|\d+)$")] = Field(
        default="match", description="accounting year: match (the open one that contains the date), current, or an id"
    )
    label: str = Field(
        default="Clôture caisse {date} — {register}",
        description="an entry's label; may hold {date}, {register}, {operator} and {session_id}",
    )
    cash: Account = Field(default="530", description="account of cash")
    check: Account = Field(default="5112", description="account of cheques")
    card: Account = Field(default="5115", description="account of cards")
    sales: Account = Field(default="7073", description="account of sales of donated goods")
    donations: Account = Field(default="7541", description="account of donations in money")
    variance_expense: Account = Field(default="658", description="account of cash that is missing")
    variance_income: Account = Field(default="758", description="account of cash that is too much")
    member_category: int | None = Field(default=None, description="category of new members; none: Paheko's default")
    timeout: float = Field(default=30.0, ge=1, description="seconds to wait for an answer")
    busy_seconds: float = Field(
        default=15.0, ge=0, description="seconds that Paheko may still be at work on what was cut off"
    )
    retry_seconds: float = Field(
        default=300.0, ge=1, description="seconds after which what could not be sent is tried again"
    )
    proxy: str = Field(default="", description="HTTP proxy to reach Paheko; the environment's is not used")

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        value = value.strip().rstrip("/").removesuffix("/api")
        if not value:
            return ""
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("is not the address of a Paheko: write it as https://compta.example.org")
        if parts.username or parts.password:
            raise ValueError("holds a password: put it into user and password instead")
        return value

    @field_validator("label")
    @classmethod
    def _template(cls, value: str) -> str:
        try:
            for _, wanted, *_rest in Formatter().parse(value):
                if wanted is not None and wanted not in LABEL_FIELDS:
                    raise ValueError(f"holds {{{wanted}}}: only {', '.join(LABEL_FIELDS)} can stand in braces")
            value.format(**dict.fromkeys(LABEL_FIELDS, ""))
        except (IndexError, KeyError) as error:
            raise ValueError(f"cannot be filled in: {error}") from error
        if not value.strip():
            raise ValueError("is empty: Paheko takes no entry without a label")
        return value

    @model_validator(mode="after")
    def _key(self) -> Self:
        if self.url and not (self.user and self.password.get_secret_value()):
            raise ValueError("url is set, so user and password must be set too: an API key of level write")
        return self

    @property
    def configured(self) -> bool:
        """Return whether there is a Paheko to write to."""
        return bool(self.url)

    def transaction_page(self, transaction_id: int) -> str | None:
        """Return the address of a transaction's page in Paheko, None where there is no Paheko."""
        return f"{self.url}/admin/acc/transactions/details.php?id={transaction_id}" if self.url else None
