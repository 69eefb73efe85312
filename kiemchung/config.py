"""Settings: ``kiemchung.toml`` in the working folder, overridden by ``KIEMCHUNG_*`` variables."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from kiemchung.errors import ConfigError

CONFIG_FILE: Final = "kiemchung.toml"
_ADDRESS: Final = r"^(https?://[^\s/@?#]+(/[^\s?#]*)?)?$"
_MAIL: Final = re.compile(r"[^\s@<>,;:\"()]+@[^\s@<>,;:\"()]+")
_NO_RESULT: Final = frozenset(
    {"data_dir", "host", "port", "keep_pages_days", "proxy", "device", "double_review_share"}
    | {"keep_reviews_days", "workers", "engine", "ray_address"}
    | {"publisher", "public_url"}
    | {"mail_host", "mail_port", "mail_security", "mail_user", "mail_password", "mail_from"}
    | {"mail_to", "webhook_url", "webhook_secret", "webhook_allow_private"}
    | {"server_names", "secure_cookies", "metrics", "metrics_token", "metrics_dir"}
    | {"log_format", "log_level"}
)
"""What cannot change what a run finds, and so is no part of its id."""


class Settings(BaseSettings):
    """All that an operator can set; unknown keys are errors, so that a typo is noticed."""

    model_config = SettingsConfigDict(env_prefix="KIEMCHUNG_", extra="forbid", frozen=True)

    data_dir: Path = Path("var")
    outlet_dir: Path | None = None  # own outlet files, beside the shipped ones
    reference_dir: Path | None = None  # own reference base instead of the shipped one
    contact: str = ""  # mail address or page in the agent string; needed for the public network
    project_url: str = "https://example.org/kiemchung"
    delay_seconds: float = Field(default=2.0, ge=0.0, le=120.0)
    timeout_seconds: float = Field(default=30.0, gt=0.0, le=120.0)
    max_body_bytes: int = Field(default=10_000_000, ge=10_000)
    max_pages: int = Field(default=2_000, ge=1, le=1_000_000)  # of an outlet in one run
    max_age_days: int = Field(default=60, ge=1)  # older entries of a sitemap are not fetched
    keep_pages_days: int = Field(default=0, ge=0)  # fetched pages are removed after; 0: never
    keep_reviews_days: int = Field(default=90, ge=0)  # daily files of conclusions; 0 keeps all
    proxy: str = Field(default="", pattern=r"^(https?://[^\s/@]+/?)?$")  # for all outlets
    flag_threshold: float | None = Field(default=None, ge=0.5, le=1.0)  # None: the model's own
    encoder: str = "vinai/phobert-base"
    device: Literal["auto", "cpu", "cuda"] = "cpu"  # where an encoder scores; cuda needs torch
    workers: int = Field(default=0, ge=0, le=512)  # processes a stage; 0: one a core
    engine: Literal["local", "ray"] = "local"  # who runs the stages; ray needs the extra `scale`
    ray_address: str = ""  # of a running cluster ("auto", "ray://…"); empty: one of this machine
    double_review_share: float = Field(default=0.1, ge=0.0, le=1.0)  # concluded by two people
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    server_names: tuple[str, ...] = ()  # by which a reverse proxy asks, such as desk.example.org
    secure_cookies: bool = False  # cookies over https only, whatever the proxy says
    metrics: Literal["off", "loopback", "token"] = "off"  # who may read /metrics
    metrics_token: SecretStr = SecretStr("")  # of at least 16 signs, for metrics = "token"
    metrics_dir: Path | None = None  # of the batch's *.prom files; None: metrics/ of the data
    log_format: Literal["text", "json"] = "text"  # on stderr; json: every line, not warnings alone
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    publisher: str = ""  # who stands behind the report and the ClaimReviews
    public_url: str = Field(default="", pattern=_ADDRESS)  # where reports/ is published, if it is
    mail_host: str = ""  # SMTP server that takes the weekly report; empty: no mail
    mail_port: int = Field(default=587, ge=1, le=65535)
    mail_security: Literal["starttls", "tls", "none"] = "starttls"
    mail_user: str = ""
    mail_password: SecretStr = SecretStr("")  # better as KIEMCHUNG_MAIL_PASSWORD than in the file
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    webhook_url: str = Field(default="", pattern=_ADDRESS)
    webhook_secret: SecretStr = SecretStr("")  # of at least 16 signs: signs every call
    webhook_allow_private: bool = False  # lets the webhook go to an address of an own network

    @field_validator("mail_from", "mail_to")
    @classmethod
    def _plain_address(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for address in (value,) if isinstance(value, str) else value:
            if address and not _MAIL.fullmatch(address):
                raise ValueError(f"{address!r} is no plain mail address")
        return value

    @field_validator("webhook_secret", "metrics_token")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < 16:
            raise ValueError("needs at least 16 signs")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        """Half a setting would be noticed only on the day when it is needed."""
        if self.mail_host and not (self.mail_from and self.mail_to):
            raise ValueError("mail_host needs mail_from and mail_to")
        if self.webhook_url and not self.webhook_secret.get_secret_value():
            raise ValueError("webhook_url needs webhook_secret")
        if self.metrics == "token" and not self.metrics_token.get_secret_value():
            raise ValueError('metrics = "token" needs metrics_token')
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over the file."""
        file = TomlConfigSettingsSource(settings_cls, toml_file=Path(CONFIG_FILE))
        return (init_settings, env_settings, file)

    def sha256(self) -> str:
        """Return the hash of what can change a result; folders and ports cannot.

        The device is told by the model id of every judgement instead.
        """
        lines = "\n".join(f"{key}={value}" for key, value in self.counted().items())
        return hashlib.sha256(lines.encode("utf-8")).hexdigest()

    def counted(self) -> dict[str, str]:
        """Return what `sha256` is made of, each value as Python writes it; no secret is in it."""
        kept = self.model_dump(mode="json", exclude=set(_NO_RESULT))
        return {key: repr(kept[key]) for key in sorted(kept)}


def load_settings(**given: object) -> Settings:
    """Return the settings of the working folder.

    Raises:
        ConfigError: the file is no TOML, a key is unknown or a value is out of bounds.
    """
    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{key}: {first['msg']}",
            where=CONFIG_FILE,
            remedy="correct or remove that key; a KIEMCHUNG_ variable of this name counts too",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(error), where=CONFIG_FILE, remedy="correct the TOML") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"not UTF-8 text (byte {error.start})", where=CONFIG_FILE, remedy="save it as UTF-8"
        ) from error
