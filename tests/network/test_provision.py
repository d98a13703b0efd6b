"""What a start finds and makes: users and their tokens, files with a token, and options that are refused."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from network import passes
from network.provision import Wishes, provision
from network.token_files import TokenFile
from tests.support.network import TEAMS

ROOT = Path(__file__).parents[2]
WITHIN_S = 30


def test_a_data_folder_from_before_keeps_its_tokens_and_gains_what_is_missing(tmp_path: Path) -> None:
    """Whoever was given a token goes on with it."""
    first = _provisioned(tmp_path)
    _rewrite(tmp_path / "network.json", {"tokens": first["tokens"]})

    again = _provisioned(tmp_path)

    assert again["tokens"] == first["tokens"]
    assert {**again, "users": None} == {**first, "users": None}
    assert _tokens(again, "owner") == _tokens(first, "owner") == first["tokens"]
    assert not set(_tokens(again, "member").values()) & set(_tokens(first, "member").values())
    assert _provisioned(tmp_path) == again


def test_a_user_who_is_missing_gets_a_token_and_the_others_keep_theirs(tmp_path: Path) -> None:
    first = _provisioned(tmp_path)
    fewer = [entry for entry in first["users"] if entry["user"] not in {"member@mercy", "owner@lakeside"}]
    tokens = {team: token for team, token in first["tokens"].items() if team != "lakeside"}
    _rewrite(tmp_path / "network.json", {"tokens": tokens, "users": fewer})

    again = _provisioned(tmp_path)

    assert [entry for entry in again["users"] if entry in first["users"]] == fewer
    assert [entry["user"] for entry in again["users"]] == [entry["user"] for entry in first["users"]]
    assert again["tokens"] == _tokens(again, "owner")


def test_the_router_is_told_every_user_and_no_token(tmp_path: Path) -> None:
    listing = _provisioned(tmp_path)

    told = json.loads((tmp_path / "router" / "config.json").read_text())["users"]

    wanted = [{**entry, "token_sha256": passes.fingerprint(entry["token"])} for entry in listing["users"]]
    assert told == [{name: value for name, value in entry.items() if name != "token"} for entry in wanted]


def test_a_token_file_holds_the_owners_token_and_not_a_byte_more(tmp_path: Path) -> None:
    """A reader that does not strip line ends sends the same token as one that does."""
    files = {team: tmp_path / f"{team}.token" for team in ("mercy", "lakeside")}
    files["mercy"].write_text("an older and longer one, readable by everybody" * 3)
    files["mercy"].chmod(0o644)

    listing = _provisioned(tmp_path / "data", *(TokenFile(team=team, path=path) for team, path in files.items()))

    for team, path in files.items():
        assert path.read_bytes() == listing["tokens"][team].encode()
        assert path.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"data", "mercy.token", "lakeside.token"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--token-file", "globex"), "'globex' names no file; write TEAM=PATH."),
        (("--token-file", "globex="), "'globex=' names no file; write TEAM=PATH."),
        (("--token-file", "=t"), "There is no team ''; name one of globex, mercy, lakeside."),
        (("--token-file", "acme=t"), "There is no team 'acme'; name one of globex, mercy, lakeside."),
        (("--token-file", "globex=nowhere/t"), "nowhere is no folder that can be entered; make it first."),
        (("--token-file", "globex=."), " is a folder; name a file in it."),
        (("--token-file", "globex=t", "--token-file", "mercy=t"), "each --token-file needs a path of its own"),
        (("router", "--token-file", "globex=t"), "a --token-file is written by the whole network, not by one part"),
        (("--public-url", "network"), "'network' is not scheme and host; write http://HOST."),
    ],
)
def test_an_option_that_cannot_be_followed_is_refused_before_anything_is_made(
    tmp_path: Path, options: tuple[str, ...], why: str
) -> None:
    ended = _started(tmp_path, *options)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.rstrip().endswith(why)
    assert list(tmp_path.iterdir()) == []


def test_a_token_file_that_cannot_be_put_in_its_place_stops_the_start(tmp_path: Path) -> None:
    """Whoever waits for the file should not find a network that runs without it."""
    path = tmp_path / ("x" * 255)

    ended = _started(tmp_path, "--token-file", f"globex={path}")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"The token of globex cannot be written to {path}: File name too long.\n"
    assert not (tmp_path / "data" / "router" / "router.log").exists()


def _provisioned(data_dir: Path, *files: TokenFile) -> dict[str, Any]:
    listing: dict[str, Any] = json.loads(provision(data_dir, Wishes(token_files=files)).read_text())
    return listing


def _tokens(listing: dict[str, Any], role: str) -> dict[str, str]:
    found = {entry["team"]: entry["token"] for entry in listing["users"] if entry["role"] == role}
    assert list(found) == list(TEAMS)
    return found


def _rewrite(path: Path, changes: dict[str, Any]) -> None:
    """The listing as a version before us wrote it: without users, unless they are given."""
    listing = json.loads(path.read_text())
    del listing["users"]
    path.write_text(json.dumps(listing | changes))


def _started(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "network", *options, "--data-dir", str(folder / "data")]
    return subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
