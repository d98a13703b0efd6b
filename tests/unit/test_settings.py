"""What can be set, and what is refused with a sentence."""

import pytest
from pydantic import ValidationError

from app.settings import Settings

TOKEN = "a secret token"  # noqa: S105  (opens nothing)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback_addresses_are_taken(host: str) -> None:
    """They can be reached from this machine alone."""
    assert Settings(host=host).host == host


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "192.168.1.5", "example.org", "", "localhost.example.org", "127.0.0.1.nip.io"],  # noqa: S104
)
def test_other_addresses_are_refused_with_what_to_do(host: str) -> None:
    """Whoever reaches the gateway may do everything."""
    with pytest.raises(ValidationError, match=r"GATEWAY_AUTH=none asks nobody.*127\.0\.0\.1"):
        Settings(host=host)


@pytest.mark.parametrize("given", [{}, {"router_url": "http://r"}, {"router_token": TOKEN}])
def test_a_router_elsewhere_needs_address_and_token(given: dict[str, str]) -> None:
    """One without the other reaches nothing."""
    with pytest.raises(ValidationError, match="GATEWAY_ROUTER_URL and GATEWAY_ROUTER_TOKEN"):
        Settings(router="http", **given)  # type: ignore[arg-type]  # pydantic checks it


def test_an_address_alone_means_a_router_elsewhere() -> None:
    """Nobody who names an address wants the carried network."""
    assert not Settings(router_url="http://r", router_token=TOKEN).carries_network
    assert Settings().carries_network
    assert Settings(router="network", router_url="http://r").carries_network


def test_the_token_is_shown_nowhere() -> None:
    """Settings end up in logs, and so do the errors about them."""
    settings = Settings(router_url="http://r", router_token=TOKEN)
    with pytest.raises(ValidationError) as refused:
        Settings(host="0.0.0.0", router_url="http://r", router_token=TOKEN)  # noqa: S104  (refused)

    assert TOKEN not in repr(settings) + str(settings)
    assert TOKEN not in str(refused.value)


def test_settings_are_frozen() -> None:
    """Built once; nothing changes under those who were handed their values."""
    with pytest.raises(ValidationError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    """The documents are held true by this text."""
    assert Settings.model_fields[name].description


@pytest.mark.parametrize(
    ("name", "value"),
    [("port", -1), ("port", 65536), ("call_timeout_s", 0), ("silence_s", 1), ("redial_tries", 0), ("body_limit", 0)],
)
def test_values_that_make_no_sense_are_refused(name: str, value: int) -> None:
    """At the start, not when they are first used."""
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})  # type: ignore[arg-type]  # pydantic checks it


def test_the_database_lies_in_the_data_folder_by_itself() -> None:
    """And elsewhere where that is asked for."""
    assert Settings().database.endswith("/data/gateway.db")
    assert Settings(database_url="sqlite+aiosqlite:///x.db").database == "sqlite+aiosqlite:///x.db"
