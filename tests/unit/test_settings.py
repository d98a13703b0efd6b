"""What can be set, and what is refused with a sentence."""

import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings
from app.store.schema import migrate

TOKEN = "a-secret-token"  # noqa: S105  (opens nothing)


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
    with pytest.raises(ValidationError, match=r"GATEWAY_AUTH=none asks nobody.*GATEWAY_AUTH=key.*127\.0\.0\.1"):
        Settings(host=host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gateway.example.org", "127.0.0.1"])  # noqa: S104
def test_with_keys_any_address_may_be_bound(host: str) -> None:
    """Whoever reaches the gateway then has to show one."""
    assert Settings(host=host, auth="key").host == host


@pytest.mark.parametrize("mode", ["keys", "KEY", "", "off", "true"])
def test_a_misspelt_mode_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Taken for the default, it would leave the door open."""
    monkeypatch.setenv("GATEWAY_AUTH", mode)

    with pytest.raises(ValidationError, match="'none' or 'key'"):
        Settings()


# Origins


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("", ()),
        (" , ", ()),
        ("https://app.example", ("https://app.example",)),
        ("http://127.0.0.1:3000", ("http://127.0.0.1:3000",)),
        ("http://[::1]:3000", ("http://[::1]:3000",)),
        ("https://app.example:8443", ("https://app.example:8443",)),
        ("http://app.example:443", ("http://app.example:443",)),
        (
            "https://app.example, http://127.0.0.1:3000 ,https://xn--bcher-kva.example,",
            ("https://app.example", "http://127.0.0.1:3000", "https://xn--bcher-kva.example"),
        ),
    ],
)
def test_origins_are_written_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, written: str, meant: tuple[str, ...]
) -> None:
    """As an environment variable can hold them: with commas, and blanks where one likes."""
    monkeypatch.setenv("GATEWAY_CORS_ORIGINS", written)

    assert Settings().cors_origins == meant


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "app.example",
        "//app.example",
        "https://",
        "https://*",
        "https://*.app.example",
        "https://app.example/",
        "https://app.example/path",
        "https://app.example?query",
        "https://app.example#fragment",
        "https://app.example:443",
        "http://app.example:80",
        "http://app.example:080",
        "http://app.example:03000",
        "https://app.example:",
        "https://app.example:port",
        "https://app.example:99999",
        "https://App.example",
        "HTTPS://app.example",
        "https://ann@app.example",
        "https://ann:secret@app.example",
        "https://bücher.example",
        "https://app .example",
        "https://[::1",
        "ftp://app.example",
        "file://app.example",
    ],
)
def test_what_no_browser_sends_is_no_origin(monkeypatch: pytest.MonkeyPatch, origin: str) -> None:
    """It would stand there and let nobody in, or everybody."""
    monkeypatch.setenv("GATEWAY_CORS_ORIGINS", f"https://good.example,{origin}")

    with pytest.raises(ValidationError, match=r"is no origin\. Write it as a browser sends it"):
        Settings()


# The Router, and the token for it


@pytest.mark.parametrize("given", [{}, {"router_url": "http://r"}, {"router_token": TOKEN}])
def test_a_router_elsewhere_needs_address_and_token(given: dict[str, str]) -> None:
    """One without the other reaches nothing."""
    with pytest.raises(
        ValidationError, match="GATEWAY_ROUTER_URL, and GATEWAY_ROUTER_TOKEN or GATEWAY_ROUTER_TOKEN_FILE"
    ):
        Settings(router="http", **given)  # type: ignore[arg-type]  # pydantic checks it


def test_an_address_alone_means_a_router_elsewhere() -> None:
    """Nobody who names an address wants the carried network."""
    assert not Settings(router_url="http://r", router_token=TOKEN).carries_network
    assert Settings().carries_network
    assert Settings(router="network", router_url="http://r").carries_network


@pytest.mark.parametrize("written", [TOKEN, f"{TOKEN}\n", f"{TOKEN}\r\n", f"  {TOKEN}\n\n"])
def test_the_token_may_come_from_a_file(tmp_path: Path, written: str) -> None:
    """As secrets are mounted into containers; an editor's line end is not part of it."""
    file = tmp_path / "token"
    file.write_bytes(written.encode())

    assert Settings(router_url="http://r", router_token_file=file).token == TOKEN


def test_the_token_has_one_place() -> None:
    """Of two, nobody would know which one is used."""
    with pytest.raises(ValidationError, match="not both"):
        Settings(router_url="http://r", router_token=TOKEN, router_token_file=Path("/nowhere"))


@pytest.mark.parametrize(
    ("kind", "why"),
    [("missing", "No such file"), ("a folder", "Is a directory"), ("no text", "it holds no text")],
)
def test_a_token_file_that_cannot_be_read_is_named_with_why(tmp_path: Path, kind: str, why: str) -> None:
    """At the start, not with the first call."""
    file = tmp_path / "token"
    if kind == "a folder":
        file.mkdir()
    if kind == "no text":
        file.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ValidationError, match=f"GATEWAY_ROUTER_TOKEN_FILE={file} cannot be read: {why}"):
        Settings(router_url="http://r", router_token_file=file)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_token_file_of_somebody_else_is_named_with_why(tmp_path: Path) -> None:
    """A mounted secret often belongs to another user."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(0)

    with pytest.raises(ValidationError, match="cannot be read: Permission denied"):
        Settings(router_url="http://r", router_token_file=file)


@pytest.mark.parametrize("written", ["", "\n", " \n "])
def test_an_empty_token_file_counts_as_none(tmp_path: Path, written: str) -> None:
    """The Router would be asked without a token, and its refusal be a riddle."""
    file = tmp_path / "token"
    file.write_text(written)

    with pytest.raises(ValidationError, match="GATEWAY_ROUTER_TOKEN_FILE"):
        Settings(router_url="http://r", router_token_file=file)


@pytest.mark.parametrize(
    "wrong", ["two words", "two\nlines", "a\ttab", "a\x00zero", "a\x7fdelete", "tökén", "\ufeffmarked", "ends\r"]
)
def test_a_token_that_no_header_can_hold_is_refused_without_being_told(tmp_path: Path, wrong: str) -> None:
    """Later, the error of whoever sends it would tell it whole."""
    file = tmp_path / "token"
    file.write_text(f"{wrong}-{TOKEN}", encoding="utf-8", newline="")

    for given in ({"router_token": f"{wrong}-{TOKEN}"}, {"router_token_file": file}):
        with pytest.raises(ValidationError, match="holds characters that a token cannot have") as refused:
            Settings(router_url="http://r", **given)
        assert TOKEN not in "".join(traceback.format_exception(refused.value))


def test_the_token_is_shown_nowhere(tmp_path: Path) -> None:
    """Settings end up in logs, and so do the errors about them."""
    file = tmp_path / "token"
    file.write_text(TOKEN)
    kept = [
        Settings(router_url="http://r", router_token=TOKEN),
        Settings(router_url="http://r", router_token_file=file),
    ]
    shown = [f"{settings!r}{settings}{settings.model_dump()}{settings.model_dump_json()}" for settings in kept]
    for wrong in ({"host": "0.0.0.0"}, {"port": -1}, {"auth": "typo"}, {"router_url": "no address"}):  # noqa: S104
        with pytest.raises(ValidationError) as refused:
            Settings(**{"router_url": "http://r", "router_token": TOKEN, **wrong})  # type: ignore[arg-type]  # wrong
        shown.append("".join(traceback.format_exception(refused.value)) + repr(refused.value))

    assert TOKEN not in "".join(shown)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"GATEWAY_AUTH": "keys"}, "gateway: GATEWAY_AUTH (none: whoever reaches"),
        ({"GATEWAY_HOST": "0.0.0.0"}, "Set GATEWAY_AUTH=key, or bind a loopback address"),  # noqa: S104
        ({"GATEWAY_ROUTER_TOKEN": f"two words {TOKEN}"}, "gateway: The Router token holds characters"),
        ({"GATEWAY_CORS_ORIGINS": "*"}, "'*' is no origin"),
    ],
)
def test_the_program_tells_what_is_wrong_in_one_line_and_leaves(
    tmp_path: Path, wrong: dict[str, str], told: str
) -> None:
    """A traceback would show more than anybody asked for."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    given = {"GATEWAY_DATA_DIR": str(tmp_path), "GATEWAY_ROUTER_URL": "http://r", "GATEWAY_ROUTER_TOKEN": TOKEN}

    ran = subprocess.run(
        [sys.executable, "-m", "app", "serve"],
        env={**inherited, **given, **wrong},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert told in ran.stderr
    assert TOKEN not in ran.stderr
    assert list(tmp_path.iterdir()) == []


# All of them


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
    [
        ("port", -1),
        ("port", 65536),
        ("call_timeout_s", 0),
        ("silence_s", 1),
        ("redial_tries", 0),
        ("body_limit", 0),
        ("refusal_pause_s", -1),
        ("log_level", "chatty"),
        ("log_level", "INFO"),
    ],
)
def test_values_that_make_no_sense_are_refused(name: str, value: object) -> None:
    """At the start, not when they are first used."""
    with pytest.raises(ValidationError, match=name):
        Settings(**{name: value})  # type: ignore[arg-type]  # pydantic checks it


def test_the_database_lies_in_the_data_folder_by_itself() -> None:
    """And elsewhere where that is asked for."""
    assert Settings().database.endswith("/data/gateway.db")
    assert Settings(database_url="sqlite:///x.db").database == "sqlite:///x.db"


@pytest.mark.parametrize("name", ["what?", "50%20off", "a#b", "with a space", "Übersicht"])
def test_the_data_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Some signs mean something in an address: the database would be made, and looked for, elsewhere."""
    folder = tmp_path / name
    folder.mkdir()

    migrate(Settings(data_dir=folder).database)

    assert [found.name for found in tmp_path.iterdir()] == [name]
    assert (folder / "gateway.db").is_file()
