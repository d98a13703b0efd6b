"""Our client, in the name of each team."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from app.upstream.clients import open_clients
from tests.contract.teams import WITHIN_S, Team, team_of
from tests.support.network import RunningNetwork


@pytest.fixture
async def teams(running_network: RunningNetwork) -> AsyncIterator[Callable[[str], Team]]:
    async with AsyncExitStack() as stack:
        clients = {
            team: await stack.enter_async_context(
                open_clients(running_network.router_url, token=token, call_timeout_s=WITHIN_S, silence_s=WITHIN_S)
            )
            for team, token in running_network.tokens.items()
        }
        yield lambda team: team_of(clients[team])


@pytest.fixture
def globex(teams: Callable[[str], Team]) -> Team:
    return teams("globex")


@pytest.fixture
def mercy(teams: Callable[[str], Team]) -> Team:
    return teams("mercy")


@pytest.fixture
def member(globex: Team, running_network: RunningNetwork) -> Team:
    """The same client as globex's, in the name of one who is not its owner."""
    return Team(globex.router.acting_as(running_network.user_token("member@globex")), globex.access_points)
