"""What can be set. The only reader of the environment."""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.store.lock import address_of

# What may stand in a header. Anything else would be told, token and all, by the error of whoever sends it.
_TOKEN = r"^[\x21-\x7e]+$"  # noqa: S105  (which characters, not which token)
_MODULE = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
# As browsers write it.
_ORIGIN = re.compile(r"(https?)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_USUAL = {"http": "80", "https": "443"}
_LARGEST_PORT = 65535


class Settings(BaseSettings):
    """Built once, frozen, and passed on as plain values; below `main` nobody sees it."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True, hide_input_in_errors=True)

    host: str = Field("127.0.0.1", description="Address to bind; with GATEWAY_AUTH=none loopback addresses only")
    port: int = Field(8080, ge=0, le=65535, description="Port to bind; 0 picks a free one")
    data_dir: Path = Field(Path("data"), description="Folder for the database and the carried network's files")
    database_url: str | None = Field(
        None,
        pattern=r"^sqlite:///[^:].*",
        description="sqlite:///FILE; by default gateway.db in the data folder",
    )
    synchronous: Literal["full", "normal"] = Field(
        "full", description="full: what was told survives a power cut; normal: the last moments may be lost in one"
    )
    router: Literal["network", "http", "sdk"] | None = Field(
        None,
        description="network: the one we carry; http: the one at the address; sdk: through the vendor's Python SDK. By "
        "default http if an address is set",
    )
    router_url: str | None = Field(None, pattern=r"^https?://[^/@]+(/|$)", description="Address of the Router")
    router_token: SecretStr | None = Field(None, description="Token of a user of this gateway's team")
    router_token_file: Path | None = Field(None, description="File that holds this token, in its place")
    sdk_module: str = Field("tripleblind", pattern=_MODULE, description="Name by which the SDK is imported")
    sdk_opening: str = Field(
        "app.upstream.sdk.opening",
        pattern=_MODULE,
        description="Name by which the file is imported that opens a Session of the SDK",
    )
    sdk_user: str | None = Field(None, min_length=1, description="User whose token the gateway holds")
    sdk_team: str | None = Field(None, min_length=1, description="This user's team, which the gateway serves")
    sdk_calls: int = Field(16, ge=1, le=256, description="Calls of the SDK that may be under way at a time")
    sdk_streams: int = Field(
        64, ge=1, le=1024, description="Status streams and downloads of the SDK that may be open at a time"
    )
    poll_s: float = Field(1.0, ge=0.1, description="Pause between looks at the Router, where it tells of no changes")
    retrieve_s: float = Field(600.0, gt=0, description="Longest time for the SDK to fetch a result or list all jobs")
    auth: Literal["none", "key"] = Field(
        "none", description="none: whoever reaches the loopback address may do everything; key: an API key is needed"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins of web pages that may use the gateway, such as https://app.example; comma-separated"
    )
    trusted_proxies: str = Field(
        "127.0.0.1", description="Addresses of proxies whose X-Forwarded-For and -Proto are believed; comma-separated"
    )
    refusal_pause_s: float = Field(0.5, ge=0, description="Pause before a caller is told that a key is not valid")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is worth a line of log")
    call_timeout_s: float = Field(
        10.0, gt=0, description="Longest time for a call to the Router as a whole, and until a stream begins"
    )
    breaker_failures: int = Field(
        5, ge=1, description="Calls in a row that the Router did not answer, after which it is probed before the next"
    )
    silence_s: float = Field(5.0, gt=1, description="Longest silence on a stream before it counts as cut")
    confirm_s: float = Field(5.0, ge=0, description="Longest wait for a cancel or kill to be confirmed")
    end_marker_s: float = Field(10.0, gt=0, description="Longest wait for the last message of a job that is over")
    reconcile_s: float = Field(
        60.0, gt=0, description="Pause between comparisons of all unfinished jobs with the Router"
    )
    lost_after_s: float = Field(60.0, ge=0, description="How long the Router must not know a job before it is lost")
    redial_tries: int = Field(5, ge=1, description="Quick tries before a stream counts as lost; it is tried on slowly")
    redial_first_s: float = Field(0.5, gt=0, description="Pause before the first of them")
    redial_factor: float = Field(2.0, ge=1, description="How much longer each pause is than the one before")
    ping_s: float = Field(15.0, gt=0, description="Silence on a stream after which a ping is sent")
    stall_s: float = Field(30.0, gt=0, description="Seconds for which a viewer may take nothing before it is cut off")
    streams_at_most: int = Field(10_000, ge=1, description="Streams that may be open at a time")
    streams_each: int = Field(
        1_000, ge=1, description="Streams that one key, or without keys one address, may have open"
    )
    keep_days: int | None = Field(
        None,
        ge=1,
        le=36_500,
        description="Days after its end after which a job is removed; without it, nothing ever is",
    )
    body_limit: int = Field(1024 * 1024, gt=0, description="Largest JSON body, in bytes")
    upload_limit: int = Field(256 * 1024 * 1024, gt=0, description="Largest asset, in bytes")
    _token: SecretStr = PrivateAttr(SecretStr(""))

    @property
    def database(self) -> str:
        """The address of the database."""
        return self.database_url or address_of((self.data_dir / "gateway.db").absolute())

    @property
    def token(self) -> str:
        """The Router token, of the environment or of its file; empty without either."""
        return self._token.get_secret_value()

    @property
    def carries_network(self) -> bool:
        """Whether the Router is the one we carry."""
        return self.router == "network" or (self.router is None and self.router_url is None)

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _separated(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not _is_origin(origin):
                raise ValueError(
                    f"{origin!r} is no origin. Write it as a browser sends it, such as https://app.example or "
                    "http://127.0.0.1:3000: scheme, host in lower case, a port if it is not the usual one, nothing after."
                )
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        for part in filter(None, (part.strip() for part in value.split(","))):
            try:
                _ = part == "*" or ipaddress.ip_network(part)
            except ValueError:
                raise ValueError(f"{part!r} is no address and no network, such as 10.0.0.0/8.") from None
        return value

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.auth == "none" and not _is_loopback(self.host):
            raise ValueError(
                f"GATEWAY_HOST={self.host} would open the gateway to others, and GATEWAY_AUTH=none asks nobody who they "
                "are. Set GATEWAY_AUTH=key, or bind a loopback address such as 127.0.0.1."
            )
        return self

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.router_token is not None and self.router_token_file is not None:
            raise ValueError("Set one of GATEWAY_ROUTER_TOKEN and GATEWAY_ROUTER_TOKEN_FILE, not both.")
        try:
            token = self._found_token()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it holds no text"
            raise ValueError(f"GATEWAY_ROUTER_TOKEN_FILE={self.router_token_file} cannot be read: {why}.") from None
        if token and not re.fullmatch(_TOKEN, token):
            raise ValueError("The Router token holds characters that a token cannot have, such as a space.")
        if self.router == "sdk" and not (token and self.sdk_user and self.sdk_team):
            raise ValueError(
                "GATEWAY_ROUTER=sdk needs GATEWAY_SDK_USER and GATEWAY_SDK_TEAM, and GATEWAY_ROUTER_TOKEN or "
                "GATEWAY_ROUTER_TOKEN_FILE."
            )
        if self.router != "sdk" and not self.carries_network and (self.router_url is None or not token):
            raise ValueError(
                "GATEWAY_ROUTER=http needs GATEWAY_ROUTER_URL, and GATEWAY_ROUTER_TOKEN or GATEWAY_ROUTER_TOKEN_FILE."
            )
        self._token = SecretStr(token)
        return self

    def _found_token(self) -> str:
        if self.router_token_file is not None:
            return self.router_token_file.read_text(encoding="utf-8").strip()
        return self.router_token.get_secret_value() if self.router_token is not None else ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_origin(text: str) -> bool:
    parts = _ORIGIN.fullmatch(text)
    return parts is not None and int(parts[3] or 1) <= _LARGEST_PORT and parts[3] != _USUAL[parts[1]]
