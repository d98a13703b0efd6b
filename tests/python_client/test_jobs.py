"""What the reference promises of a Job, kept over HTTP."""

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

import tripleblind_gateway as tb
from tests.python_client.conftest import Consenting
from tests.support.network import LONG_REGRESSION, RunningNetwork

INTERSECTED = ["globex/patients", "mercy/patients"]


@pytest.fixture
def name() -> str:
    """That no other job has."""
    return f"of a script {uuid4()}"


class Ending:
    """What a generator yields, and what it returns then."""

    def __init__(self, generator: Generator[object, None, object]) -> None:
        self._generator = generator
        self.value: object = None

    def __iter__(self) -> Generator[object]:
        self.value = yield from self._generator


def intersection(session: tb.Session, name: str) -> tb.Job:
    job = tb.create_job(name, tb.PRIVATE_SET_INTERSECTION, list(INTERSECTED), session=session)
    assert job is not None
    return job


def long_job(session: tb.Session, name: str) -> tb.Job:
    params: Any = LONG_REGRESSION["params"]
    job = tb.create_job(name, tb.REGRESSION, ["mercy/breast-cancer", "lakeside/breast-cancer"], None, params, session)
    assert job is not None
    return job


def test_a_job_goes_from_its_creation_to_a_table(session: tb.Session, consenting: Consenting, name: str) -> None:
    """Silently, with everything that the reference says of a job on the way."""
    job = intersection(session, name)
    before = (job.status, job.success, job.result, job.waiting_on)

    with consenting(name):
        started = job.submit()
        job.wait_for_completion(silent=True)

    assert before == (0, False, None, [])
    assert started
    assert (job.success, job.status, job.phase) == (True, 4, "complete")
    assert (job.owner["team"], job.operation, len(job.dataset)) == ("globex", tb.PRIVATE_SET_INTERSECTION, 2)
    assert job.result is not None
    assert '"matched"' in str(job.result.raw_status)
    assert isinstance(job.result.asset, tb.TableAsset)


def test_its_table_is_saved_in_the_form_that_its_name_says(
    session: tb.Session, consenting: Consenting, name: str, tmp_path: Path
) -> None:
    """And nothing is there under that name unless all of it is."""
    job = intersection(session, name)
    with consenting(name):
        job.submit()
        job.wait_for_completion(silent=True)
    assert job.result is not None
    table = job.result.table

    csv, parquet = (table.retrieve(tmp_path / f"out.{ending}") for ending in ("csv", "parquet"))

    assert csv.read_text().startswith('"patient_id"\n"P-')
    assert parquet.read_bytes()[:4] == b"PAR1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "out.parquet"]
    with pytest.raises(FileExistsError, match="overwrite=True"):
        table.retrieve(csv)
    with pytest.raises(tb.TripleblindAPIError, match="saved as one of"):
        table.retrieve(tmp_path / "out.xls")


def test_its_table_is_a_data_frame(session: tb.Session, consenting: Consenting, name: str) -> None:
    """With the names and types of its columns."""
    job = intersection(session, name)
    with consenting(name):
        job.submit()
        job.wait_for_completion(silent=True)
    assert job.result is not None

    frame = job.result.dataframe

    assert list(frame.columns) == ["patient_id"]
    assert f'"matched": {len(frame)}' in str(job.result.raw_status)


def test_its_messages_are_heard_from_the_first_on(session: tb.Session, consenting: Consenting, name: str) -> None:
    """However late one begins to listen; and each reads as text."""
    job = intersection(session, name)
    with consenting(name):
        job.submit()
        job.wait_for_completion(silent=True)

    stream = job.get_status_stream()
    heard = list(stream.status())

    assert heard[:2] == ["waiting on permission", "starting"]
    assert [one["__type"] for one in heard if isinstance(one, dict)] == ["PSIMetrics"]
    assert isinstance(heard[2], dict)
    told = stream.format_status_message(heard[2])
    assert told[0][0] == "PSI"
    assert told[1].startswith("PSI: hash table size ")


def test_who_waits_is_shown_what_happens(
    session: tb.Session, consenting: Consenting, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless they want silence."""
    job = intersection(session, name)

    with consenting(name):
        job.submit()
        job.wait_for_completion()

    assert capsys.readouterr().out.splitlines()[:3] == [
        "Waiting on permission",
        "Starting at the Access Points",
        "PSI",
    ]


@pytest.mark.parametrize("silent", [True, False])
def test_permission_is_not_waited_for_where_that_is_not_wanted(session: tb.Session, name: str, silent: bool) -> None:
    """It returns while the job waits on."""
    job = intersection(session, name)
    job.submit()

    job.wait_for_completion(silent=silent, wait_for_permission=False)

    assert job.waiting_on_permission()
    assert not job.waiting_on_queue()
    assert "mercy" in job.pretty_status_msg()
    assert [one["team"] for one in job.waiting_on or []] == ["mercy"]
    assert job.cancel()


def test_a_job_that_waits_is_cancelled_and_one_that_runs_is_killed(
    session: tb.Session, consenting: Consenting, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reference's two ways to stop, and what each refuses."""
    job = long_job(session, name)
    with consenting(name):
        job.submit()
    next(one for one in job.get_status_stream().status() if isinstance(one, dict))

    assert not job.cancel()
    assert "kill" in capsys.readouterr().err
    assert job.kill()
    assert job.kill(), "it is"
    assert job.phase == "killed"
    with pytest.raises(tb.TripleblindProcessError):
        job.wait_for_completion(silent=True)


def test_the_end_of_a_stream_says_how_the_job_ended(session: tb.Session, name: str) -> None:
    """As what the generator returns."""
    job = intersection(session, name)
    job.submit()
    job.cancel()

    heard = list(returned := Ending(job.get_status_stream().status()))

    assert heard == ["waiting on permission"]
    assert isinstance(returned.value, tb.TripleblindProcessError)
    assert "cancelled" in str(returned.value)


def test_jobs_are_found_by_name_pattern_and_id(session: tb.Session, name: str) -> None:
    """One, or all, or none."""
    jobs = [intersection(session, name) for _ in range(3)]
    pattern = re.compile(f"SCRIPT .*{name[-12:]}$", re.IGNORECASE)

    found = tb.Job.find_all(pattern, job_status="waiting", session=session)
    two = tb.Job.find_all(name, session=session, max=2)

    assert found is not None
    assert two is not None
    assert [job.id for job in found] == [job.id for job in reversed(jobs)]
    assert [job.id for job in two] == [jobs[2].id, jobs[1].id]
    one = tb.Job.find(job_id=str(jobs[0].id), session=session)
    assert one is not None
    assert one.id == jobs[0].id
    assert tb.Job.find(f"no {name}", session=session) is None
    assert tb.Job.find_all(f"no {name}", session=session) is None
    with pytest.raises(tb.TripleblindProcessError, match="job"):
        tb.Job.find(name, session=session)


def test_statuses_tell_of_jobs_that_have_begun(session: tb.Session, consenting: Consenting, name: str) -> None:
    """The latest of each, with its result."""
    job = intersection(session, name)
    with consenting(name):
        job.submit()
        job.wait_for_completion(silent=True)

    (status,) = tb.status_list(session, str(job.id))

    assert (status.job_id, status.code, status.status, status.error_code) == (job.id, 4, "complete", None)
    assert status.result is not None
    assert isinstance(status.result.asset, tb.TableAsset)
    assert status.communications > 0
    assert status.id in {one.id for one in tb.status_list(session)}


def test_a_file_becomes_a_temporary_asset(session: tb.Session, name: str, tmp_path: Path) -> None:
    """By its name, as a path, or in a package."""
    file = tmp_path / "cohort.csv"
    file.write_text("patient_id,age\np-0001,61\np-0002,47\n")

    for given in (str(file), file, tb.preprocessor.Package(file)):
        job = tb.create_job(name, tb.PRIVATE_SET_INTERSECTION, [given, "mercy/patients"], session=session)
        assert job is not None
        mine = tb.Asset.find(job.dataset[0].uuid, session)
        assert isinstance(mine, tb.TableAsset)
        assert mine.team == "globex"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Path("nowhere.csv"), "no file"),
        ("mercy/nothing", "mercy/nothing"),
    ],
)
def test_data_that_is_not_there_is_named(session: tb.Session, name: str, given: str | Path, said: str) -> None:
    """And no job is made."""
    with pytest.raises(tb.TripleblindAPIError, match=said):
        tb.create_job(name, tb.PRIVATE_SET_INTERSECTION, [given, "mercy/patients"], session=session)

    assert tb.Job.find_all(name, session=session) is None


def test_preprocessors_are_one_or_one_for_each_dataset(session: tb.Session, name: str) -> None:
    """The reference's TripleblindAPIError; and they reach the owners as they were built."""
    built = tb.TabularPreprocessor.builder().all_columns().add_column("target", target=True).dtype("float64")
    data = ["mercy/breast-cancer", "lakeside/breast-cancer"]
    params = {"regression_type": "LOGISTIC"}

    job = tb.create_job(name, tb.REGRESSION, list(data), built, params, session)

    assert job is not None
    assert '"float64"' in job.preprocessor
    with pytest.raises(tb.TripleblindAPIError, match="3 preprocessors"):
        tb.create_job(name, tb.REGRESSION, list(data), [built] * 3, params, session)


def test_an_operation_that_is_none_makes_no_job(session: tb.Session, name: str) -> None:
    """None, as the reference says."""
    assert tb.create_job(name, tb.Operation("NO_SUCH_THING"), list(INTERSECTED), session=session) is None
    assert tb.create_job(name, tb.ModelAsset(UUID(int=0)), list(INTERSECTED), session=session) is None
    assert "REGRESSION" in [one.name for one in tb.Operation.all(session)]


def test_whose_permission_a_use_takes(session: tb.Session) -> None:
    """fetch_asset."""
    mine, theirs = (one for name in INTERSECTED for one in tb.Asset.find_all(name, session))

    needed = tb.fetch_asset(dataset=[mine, theirs], session=session)

    assert needed == tb.AssetUsageProps(status="data")
    assert tb.fetch_asset(dataset=mine, session=session) is None
    assert tb.fetch_asset(dataset=tb.Asset(UUID(int=0)), session=session) is None


def test_a_job_of_another_team_that_shares_it_is_heard(
    session: tb.Session, running_network: RunningNetwork, name: str
) -> None:
    """RemoteStatusOutputStream."""
    theirs = {
        "job_name": name,
        "operation": "REGRESSION",
        "dataset": ["globex/holdout", "lakeside/breast-cancer"],
        "params": {"regression_type": "LINEAR"},
        "stream_to": ["globex"],
    }
    job_id = running_network.run(theirs, team="mercy")["id"]
    running_network.reached(job_id, {"complete", "error"}, team="mercy")

    heard = list(tb.RemoteStatusOutputStream(job_id, session).remote_status())

    assert "RegressionTrainingMetrics" in [one["__type"] for one in heard if isinstance(one, dict)]
