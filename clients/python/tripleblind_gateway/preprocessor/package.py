"""Tables in files."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A table in a file, to be used as a dataset: as CSV or Parquet, by its ending."""

    filename: str | Path

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.filename)
