"""A file that opens Sessions and knows whose tokens they are for: `TOKENS` in the environment says it, as JSON."""

import json
import os
from typing import Any

from app.upstream.sdk import opening
from app.upstream.sdk.opening import (  # noqa: F401  (the same, but for what follows)
    asset,
    asset_id,
    close_session,
    operation,
    operation_name,
    owner,
    params,
    permission,
)
from app.upstream.sdk.surface import Opened


def open_session(sdk: Any, token: str) -> Opened:
    """With the user and the team."""
    user = json.loads(os.environ["TOKENS"])[token]
    return Opened(session=opening.open_session(sdk, token).session, user=user, team=user.partition("@")[2])
