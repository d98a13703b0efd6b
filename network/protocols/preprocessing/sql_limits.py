"""What one statement may use."""

from pydantic import BaseModel, ConfigDict


class Limits(BaseModel):
    """`engine_bytes` is what the engine gives itself, `more_bytes` what the machine gives its process beyond the start."""

    model_config = ConfigDict(frozen=True)

    rows: int = 5_000_000
    result_bytes: int = 1 << 30
    engine_bytes: int = 1 << 30
    more_bytes: int = 3 << 30
    cpu_s: int = 60
    deadline_s: float = 60.0


LIMITS = Limits()
