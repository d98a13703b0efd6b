"""Tables and models, wherever they lie: here one holds their names, and fetches what one's own jobs have made."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import httpx

from tripleblind_gateway.errors import TripleblindAPIError, TripleblindProcessError
from tripleblind_gateway.session import Json, Session, session_or_default

if TYPE_CHECKING:
    import pandas as pd

_PIECE_BYTES = 1 << 16
_TRIES, _FIRST_WAIT_S = 5, 0.5
_FORMATS = {".csv": "csv", ".parquet": "parquet", ".arrow": "arrow", ".arrows": "arrow"}
_MEDIA_TYPES = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}


class Asset:
    """A table or a model of a team, by its UUID."""

    def __init__(
        self,
        uuid: UUID,
        *,
        name: str = "",
        team: str = "",
        job_id: UUID | None = None,
        session: Session | None = None,
    ) -> None:
        self.uuid = uuid
        self.name = name
        self.team = team
        self._job_id = job_id
        self._session = session

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name or self.uuid})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asset) and other.uuid == self.uuid

    def __hash__(self) -> int:
        return hash(self.uuid)

    @staticmethod
    def find(search: "str | re.Pattern[str] | UUID", session: Session | None = None) -> "Asset | None":
        """The one asset of this name (`team/name`, or the part after the slash), pattern or UUID; None if there is none.

        Raises TripleblindProcessError where several are.
        """
        found = Asset.find_all(search, session)
        if len(found) > 1:
            raise TripleblindProcessError(f"Several assets fit: {', '.join(one.name for one in found)}.")
        return found[0] if found else None

    @staticmethod
    def find_all(search: "str | re.Pattern[str] | UUID | None" = None, session: Session | None = None) -> "list[Asset]":
        """Those that fit, or all that one may see."""
        session = session_or_default(session)
        if (uuid := _uuid(search)) is not None:
            one = _of_uuid(uuid, session)
            return [one] if one else []
        items = session.get("/v1/assets", {"name": search if isinstance(search, str) else None})["items"]
        found = [asset_of(item, session) for item in items]
        return [one for one in found if search.search(one.name)] if isinstance(search, re.Pattern) else found

    def retrieve(
        self, save_as: str | Path | None = None, overwrite: bool = False, session: Session | None = None
    ) -> Path:
        """Fetch what a job of one's own has made, and where it was saved. Of a table the ending chooses the form: csv,
        parquet or arrow.

        Nothing stands under that name before all of it is there. Raises TripleblindAPIError, and FileExistsError unless
        it may be overwritten.
        """
        path = Path(save_as if save_as is not None else f"{self.name.rpartition('/')[2] or self.uuid}{self._ending}")
        if path.exists() and not overwrite:
            raise FileExistsError(f"{path} is there already; pass overwrite=True to replace it.")
        session = session_or_default(session or self._session)
        half = path.with_name(f".{path.name}.{uuid4().hex}")
        try:
            self._save(half, path.suffix, session)
            half.replace(path)
        finally:
            half.unlink(missing_ok=True)
        return path

    _ending = ""

    def _save(self, half: Path, ending: str, session: Session) -> None:
        del ending  # stored in one form only
        _download(session, self._made_at(session, "asset"), half)

    def _made_at(self, session: Session, form: str) -> str:
        """Where it can be fetched."""
        if self._job_id is None:
            known = _of_uuid(self.uuid, session)
            self._job_id = None if known is None else known._job_id  # noqa: SLF001  (of another of us)
        if self._job_id is None:
            raise TripleblindAPIError(f"{self.name or self.uuid} was made by no job; it stays where it is.")
        return f"/v1/jobs/{self._job_id}/result/{form}"


class TableAsset(Asset):
    """A table."""

    _ending = ".csv"

    @property
    def dataframe(self) -> "pd.DataFrame":
        """Its rows, with the types of the columns. Needs pandas and pyarrow."""
        import pandas as pd  # noqa: PLC0415  (who wants no frame needs none)

        with TemporaryDirectory() as folder:
            return pd.read_parquet(self.retrieve(Path(folder) / "table.parquet"))

    def _save(self, half: Path, ending: str, session: Session) -> None:
        form = _FORMATS.get(ending.lower())
        if form is None:
            raise TripleblindAPIError(f"A table is saved as one of {', '.join(_FORMATS)}, and not as '{ending}'.")
        if form == "parquet":
            super()._save(half, ending, session)
        else:
            _download(session, self._made_at(session, "table"), half, form=form)


class ModelAsset(Asset):
    """A trained model. It can be a job's operation."""

    _ending = ".safetensors"


def asset_of(item: Json, session: Session) -> Asset:
    """As the gateway describes it."""
    kind = {"table": TableAsset, "model": ModelAsset}.get(item["kind"], Asset)
    job_id = UUID(item["job_id"]) if item["job_id"] else None
    return kind(UUID(item["id"]), name=item["name"], team=item["team"], job_id=job_id, session=session)


def asset_with(uuid: UUID, session: Session) -> Asset:
    """The asset; one that may not be seen, or is gone, is its UUID alone."""
    return _of_uuid(uuid, session) or Asset(uuid, session=session)


def uploaded(file: Path, session: Session) -> Asset:
    """A temporary asset of a file's rows: it goes with the last job that uses it, or after a day without one.

    Raises TripleblindAPIError for what is no table.
    """
    media_type = _MEDIA_TYPES.get(file.suffix.lower())
    if media_type is None:
        raise TripleblindAPIError(f"{file} is no table that can be read here; its name ends in .csv or .parquet.")
    query = {"temporary": "true"}
    return asset_of(session.upload("/v1/assets", _pieces(file), media_type=media_type, query=query), session)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece


def _uuid(search: object) -> UUID | None:
    try:
        return UUID(str(search))
    except ValueError:
        return None


def _of_uuid(uuid: UUID, session: Session) -> Asset | None:
    try:
        return asset_of(session.get(f"/v1/assets/{uuid}"), session)
    except TripleblindAPIError as error:
        if error.code == "asset-not-found":
            return None
        raise


def _download(session: Session, address: str, file: Path, *, form: str | None = None) -> None:
    """All of it; where the connection breaks off it goes on there, if it is still the same."""
    tag, wait_s = "", _FIRST_WAIT_S
    with file.open("wb") as opened:
        for tries_left in reversed(range(_TRIES)):
            try:
                with session.download(address, {"format": form}, begin=opened.tell() if tag else 0, tag=tag) as answer:
                    if answer.status_code != httpx.codes.PARTIAL_CONTENT:
                        opened.seek(0)
                        opened.truncate()
                    tag = answer.headers.get("ETag", "")
                    for piece in answer.iter_bytes(_PIECE_BYTES):
                        opened.write(piece)
            except TripleblindAPIError as error:
                if error.status or not tries_left:
                    raise
                time.sleep(wait_s)
                wait_s *= 2
            else:
                return
