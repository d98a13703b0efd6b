"""What can be set. The only reader of the environment."""

import ipaddress
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Built once, frozen, and passed on as plain values; below `main` nobody sees it."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", frozen=True, hide_input_in_errors=True)

    host: str = Field("127.0.0.1", description="Address to bind; loopback addresses only")
    port: int = Field(8080, ge=0, le=65535, description="Port to bind; 0 picks a free one")
    data_dir: Path = Field(Path("data"), description="Folder for the database and the carried network's files")
    database_url: str | None = Field(
        None,
        pattern=r"^sqlite\+aiosqlite:///.+",
        description="sqlite+aiosqlite:///FILE; by default gateway.db in the data folder",
    )
    router: Literal["network", "http"] | None = Field(
        None,
        description="network: the one we carry; http: the one at the address. By default http if an address is set",
    )
    router_url: str | None = Field(None, pattern=r"^https?://[^/]+", description="Address of the Router")
    router_token: str | None = Field(None, description="Token of a user of this gateway's team", repr=False)
    auth: Literal["none"] = Field("none", description="none: whoever reaches the loopback address may do everything")
    call_timeout_s: float = Field(10.0, gt=0, description="Longest wait for the Router's answer to a call")
    silence_s: float = Field(5.0, gt=1, description="Longest silence on a stream before it counts as cut")
    confirm_s: float = Field(5.0, ge=0, description="Longest wait for a cancel or kill to be confirmed")
    end_marker_s: float = Field(10.0, gt=0, description="Longest wait for the last message of a job that is over")
    redial_tries: int = Field(5, ge=1, description="Quick tries before a stream counts as lost; it is tried on slowly")
    redial_first_s: float = Field(0.5, gt=0, description="Pause before the first of them")
    redial_factor: float = Field(2.0, ge=1, description="How much longer each pause is than the one before")
    ping_s: float = Field(15.0, gt=0, description="Silence on a stream after which a ping is sent")
    body_limit: int = Field(1024 * 1024, gt=0, description="Largest JSON body, in bytes")
    upload_limit: int = Field(256 * 1024 * 1024, gt=0, description="Largest asset, in bytes")

    @property
    def database(self) -> str:
        """The address of the database."""
        return self.database_url or f"sqlite+aiosqlite:///{(self.data_dir / 'gateway.db').absolute()}"

    @property
    def carries_network(self) -> bool:
        """Whether the Router is the one we carry."""
        return self.router == "network" or (self.router is None and self.router_url is None)

    @model_validator(mode="after")
    def _is_safe_and_whole(self) -> Self:
        if not _is_loopback(self.host):
            raise ValueError(
                f"GATEWAY_HOST={self.host} would open the gateway to others, and GATEWAY_AUTH=none asks nobody who they "
                "are. Bind a loopback address such as 127.0.0.1."
            )
        if not self.carries_network and (self.router_url is None or self.router_token is None):
            raise ValueError("GATEWAY_ROUTER=http needs GATEWAY_ROUTER_URL and GATEWAY_ROUTER_TOKEN.")
        return self


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
