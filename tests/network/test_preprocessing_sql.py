"""SQL of one party over the table of another: what it may do, and what it cannot."""

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import duckdb
import httpx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder

from network.data.tables import tables_of
from network.protocols.model_file import from_bytes
from network.protocols.party import JobFailed
from network.protocols.preprocessing.foresight import Guard
from network.protocols.preprocessing.prepare import prepare
from network.protocols.preprocessing.sql import queried
from network.protocols.preprocessing.sql_limits import Limits
from network.protocols.preprocessing.sql_process import open_engine, try_without_rows
from network.protocols.preprocessing.sql_statement import Refused
from network.protocols.preprocessor import Preprocessor
from tests.support.network import INTERSECTION, REGRESSION, RunningNetwork

FINAL = {"complete", "error", "cancelled", "killed", "denied"}
WORD = "a-word-of-a-row"

TABLE = pa.table(
    {
        "patient_id": ["P-1", "P-2", "P-3"],
        "age": [40, 61, 18],
        "ward": ["north", WORD, None],
        "target": [1, 0, 1],
    }
)
ROLES = {"patient_id": "identifier", "age": "feature", "ward": "feature", "target": "target"}

DERIVED = (
    'SELECT ln("mean radius") AS size, "mean texture" AS texture, '
    "CASE WHEN \"mean smoothness\" > 0.1 THEN 'rough' ELSE 'smooth' END AS skin, \"worst area\" / 1000 AS area, target "
    'FROM data WHERE "mean concavity" > 0'
)


def prepared(statement: str, *, guard: Guard | None = None, **keys: Any) -> tuple[pa.Table, dict[str, str]]:
    given_keys = {"all_columns": True, "sql_transform": statement} | keys
    return prepare(TABLE, ROLES, Preprocessor.model_validate(given_keys), guard=guard or Guard())


def refusal(statement: str, **keys: Any) -> str:
    with pytest.raises(JobFailed) as raised:
        queried(TABLE, statement, **keys)
    return str(raised.value)


@pytest.fixture(scope="module")
def engine_room() -> Iterator[Executor]:
    """A process in which many statements can be tried, one after the other."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def _why_not_let_in(statement: str) -> str | None:
    with open_engine(TABLE.schema.empty_table(), Limits()) as engine:
        try:
            try_without_rows(engine, statement)
        except Refused as exc:
            return str(exc)
    return None


def _engine_error(statement: str) -> str | None:
    with open_engine(TABLE, Limits()) as engine:
        try:
            engine.execute(statement).fetchall()
        except duckdb.Error as exc:
            return type(exc).__name__
    return None


def test_a_fit_on_what_sql_and_transformers_make_is_that_of_scikit_learn(running_network: RunningNetwork) -> None:
    """Each owner prepares its own rows; the pool is what one pipeline would have made of all of them."""
    skin = {"type": "one_hot_encoder", "column": "skin", "categories": ["smooth", "rough"], "drop": "first"}
    bins = {"type": "binning", "column": "texture", "n_bins": 5, "range": [10, 35]}
    keys = {"sql_transform": DERIVED, "all_columns": True, "add_data_transformer": [skin, bins], "dtype": "float64"}
    body = REGRESSION | {"params": {"regression_type": "LINEAR"}, "preprocessor": [keys]}

    job = running_network.reached(running_network.run(body)["id"], FINAL)

    assert (job["market_status"], job["error"]) == ("complete", "")
    model = from_bytes(_content(running_network, job["result"]["asset_id"]))
    assert set(model.features) == {"size", "texture", "skin_rough", "area"}
    wanted = _pooled()
    got = dict(zip(model.features, model.coefficients.tolist(), strict=True)) | {"intercept": model.intercept}
    assert {name: got[name] for name in wanted} == pytest.approx(wanted, abs=1e-9)


def test_what_is_wrong_with_a_statement_ends_the_job_and_tells_no_row(running_network: RunningNetwork) -> None:
    """The engine quotes the value that it could not convert; only its Access Point's log has that."""
    statement = "SELECT CAST('x' || \"mean radius\" AS DOUBLE) AS a, target FROM data"
    body = REGRESSION | {"preprocessor": [{"all_columns": True, "sql_transform": statement}]}

    job = running_network.reached(running_network.run(body)["id"], FINAL)

    told = "sql_transform: a value cannot be converted to the type that is asked for"
    assert (job["market_status"], job["error_code"]) == ("error", 1003)
    assert job["error"] in {f"{team}: {told}" for team in ("mercy", "lakeside")}
    logs = [running_network.data_dir / team / "access-point.log" for team in ("mercy", "lakeside")]
    assert any(b"Could not convert" in log.read_bytes() for log in logs)


@pytest.mark.parametrize(
    ("body", "keys", "field"),
    [
        (REGRESSION, {"add_column": [{"name": "mean radius"}, {"name": "shoe"}]}, "add_column.1.name"),
        (REGRESSION, {"python_transform": "x"}, ""),
        (REGRESSION, {"sql_transform": "SELECT 1; DROP TABLE data", "colour": 1}, ""),
        (REGRESSION, {"sql_transform": "COPY data TO 'x'"}, ""),
        (REGRESSION, {"handle_nulls": [{"strategy": "mean"}]}, "handle_nulls.0.strategy"),
        (
            REGRESSION,
            {
                "add_data_transformer": [
                    {"type": "standard_scaler", "column": "mean radius", "mean": 14, "scale": 3},
                    {"type": "standard_scaler", "column": "shoe", "mean": 14, "scale": 3},
                ]
            },
            "add_data_transformer.1.column",
        ),
        (
            REGRESSION,
            {"add_data_transformer": [{"type": "binning", "column": "mean radius"}]},
            "add_data_transformer.0",
        ),
        (REGRESSION, {"add_data_transformer": [{"type": "magic", "column": "mean radius"}]}, "add_data_transformer.0"),
        (REGRESSION, {"add_data_transformer": [{"type": "binning"}]}, "add_data_transformer.0.column"),
        (REGRESSION, {"add_column": [{"name": "patient_id", "target": True}]}, "add_column.0.target"),
        (INTERSECTION, {"sql_transform": "SELECT 1 AS patient_id FROM data"}, ""),
        (INTERSECTION, {"handle_nulls": [{"strategy": "drop"}]}, ""),
    ],
)
def test_what_cannot_fit_is_refused_before_anything_is_kept(
    running_network: RunningNetwork, body: dict[str, Any], keys: dict[str, Any], field: str
) -> None:
    """Where in the body it stands, too."""
    job = body | {"client_ref": field or "x", "job_name": "bad", "preprocessor": [{"all_columns": True} | keys]}

    answer = running_network.client("globex").post("/v1/jobs", json=job)

    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["field"] == f"preprocessor.0.{field}".rstrip(".")


def test_a_param_is_checked_against_what_the_preprocessor_leaves(running_network: RunningNetwork) -> None:
    """Unless SQL hides it: then only the rows' owner can tell."""
    radius = {"add_column": [{"name": "mean radius"}]}
    params = {"regression_type": "LINEAR", "target": "size"}
    job = REGRESSION | {"client_ref": "hidden", "job_name": "a target", "params": params}

    def answer(**keys: Any) -> httpx.Response:
        return running_network.client("globex").post("/v1/jobs", json=job | {"preprocessor": [keys]})

    refused = answer(**radius).json()["error"]
    assert (refused["field"], refused["allowed"]) == ("params.target", ["mean radius"])
    query = 'SELECT "mean radius", "mean area" AS size FROM data'
    assert answer(all_columns=True, sql_transform=query).status_code == 201


def test_every_operation_publishes_what_it_takes(running_network: RunningNetwork) -> None:
    """A client can check before it asks."""
    listed = running_network.client("globex").get("/v1/operations").json()["items"]

    taken = {item["name"]: item["preprocessor"] for item in listed}
    assert "sql_transform" in taken["REGRESSION"]["properties"]
    assert list(taken["PRIVATE_SET_INTERSECTION"]["properties"]) == ["type", "all_columns", "add_column"]


def test_columns_of_a_known_name_keep_their_role() -> None:
    """What is new is a feature; the one name SQL cannot make a role of is an identifier's."""
    _, roles = prepared("SELECT age + 1 AS older, target, ward AS patient_id FROM data")

    assert roles == {"older": "feature", "target": "target", "patient_id": "feature"}


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT patient_id AS age FROM data",
        "SELECT age FROM data WHERE patient_id = 'P-1'",
    ],
)
def test_an_identifier_does_not_reach_sql(statement: str) -> None:
    """Neither as a result nor to choose rows by."""
    with pytest.raises(JobFailed, match="patient_id"):
        prepared(statement)
    table, _ = prepared("SELECT * FROM data")
    assert table.column_names == ["age", "ward", "target"]


def test_a_hidden_target_does_not_reach_sql() -> None:
    """A model that is run on each row would give it away."""
    guard = Guard(hides_targets=True)

    with pytest.raises(JobFailed, match="target"):
        prepared("SELECT target AS a FROM data", guard=guard)
    assert prepared("SELECT * FROM data", guard=guard)[1] == {"age": "feature", "ward": "feature"}


def test_a_result_of_few_rows_is_refused() -> None:
    """An aggregate over two rows is one, and nearly both."""
    guard = Guard(min_records=3)

    with pytest.raises(JobFailed, match="fewer than 3 rows"):
        prepared("SELECT avg(age) AS a FROM data", guard=guard)
    assert prepared("SELECT age FROM data", guard=guard)[0].num_rows == 3


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/proc/self/environ')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_parquet('http://127.0.0.1/x.parquet')",
        "SELECT * FROM 's3://bucket/x.parquet'",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM pg_catalog.pg_tables",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM main.data",
        "SELECT * FROM memory.main.data",
        "SELECT * FROM statement",
        "SELECT * FROM query('SELECT 1')",
        "SELECT * FROM query_table('data')",
        "SELECT * FROM range(10)",
        "SELECT unnest([1, 2]) AS a FROM data",
        "SELECT getenv('HOME') AS a",
        "SELECT current_setting('memory_limit') AS a",
        "SELECT getvariable('x') AS a",
        "SELECT error('x') AS a FROM data",
        "SELECT sleep_ms(100) AS a FROM data",
        "SELECT random() AS a FROM data",
        "SELECT now() AS a FROM data",
        "SELECT current_date AS a FROM data",
        "SELECT current_user AS a FROM data",
        "SELECT version() AS a",
        "SELECT nextval('s') AS a",
        "SELECT write_log('x') AS a",
        "SELECT repeat('x', 1000000000) AS a FROM data",
        "SELECT rpad('x', 1000000000, 'x') AS a FROM data",
        "SELECT json_serialize_sql('SELECT 1') AS a",
        "SELECT system.main.abs(age) AS a FROM data",
        "SELECT list_transform([age], x -> x) AS a FROM data",
        "SELECT * FROM data USING SAMPLE 1",
        "SELECT * FROM data AT (VERSION => 1)",
        "SELECT ? AS a",
        "SELECT $1 AS a",
        "SELECT age INTO other FROM data",
        "SELECT age FROM data; SELECT 1",
        "SELECT age FROM data; DROP TABLE data",
        "SELECT age FROM data -- \n; COPY data TO '/tmp/x'",
        "SELECT age FROM data /* ; */ ; ATTACH '/tmp/x' AS y",
        "WITH t AS (INSERT INTO data VALUES (1) RETURNING *) SELECT * FROM t",
        "WITH t AS (DELETE FROM data RETURNING *) SELECT * FROM t",
        "WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM t) SELECT a FROM t",
        "WITH RECURSIVE t AS (SELECT 1 AS a UNION SELECT a FROM t) SELECT a FROM t",
        "WITH t AS MATERIALIZED (SELECT * FROM 'x.csv') SELECT * FROM t",
        "SELECT * FROM (DESCRIBE data)",
        "SELECT * FROM (SUMMARIZE data)",
        "SELECT * FROM (SHOW TABLES)",
        "SELECT * FROM (PIVOT data ON ward USING sum(age))",
        "SELECT",
        "SELECT nothing FROM data",
        "SELECT age, age FROM data",
        "SELECT {'a': age} AS a FROM data",
        "SELECT [age] AS a FROM data",
        "ATTACH '/tmp/x.duckdb' AS y",
        "PRAGMA database_list",
        "SET threads = 8",
        "INSTALL httpfs",
        "LOAD httpfs",
        "COPY data TO '/tmp/x.csv'",
        "EXPORT DATABASE '/tmp/x'",
        "CREATE TABLE x AS SELECT 1",
        "CREATE WORD s (TYPE s3)",
        "CALL pragma_version()",
        "EXPLAIN SELECT 1",
        "VACUUM",
        "CHECKPOINT",
        "",
    ],
)
def test_what_is_no_plain_query_over_the_table_is_not_let_in(engine_room: Executor, statement: str) -> None:
    """The machine, the process and its settings are none of the initiator's business. Nothing of it was executed."""
    assert engine_room.submit(_why_not_let_in, statement).result()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "COPY data TO '/tmp/x.csv'",
        "ATTACH '/tmp/x.duckdb' AS y",
        "SET enable_external_access = true",
        "SET memory_limit = '100GB'",
        "INSTALL httpfs",
        "SELECT * FROM statement",
    ],
)
def test_the_engine_itself_would_not_do_it_either(engine_room: Executor, statement: str) -> None:
    """Were a word let in by mistake, there is nothing behind the door."""
    assert engine_room.submit(_engine_error, statement).result()


def test_a_refused_statement_ends_the_job_with_its_reason() -> None:
    """From the process, through the pipe."""
    assert refusal("SELECT * FROM 'x.csv'") == "sql_transform: there is no table 'x.csv'; the only one is 'data'"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT CAST(ward AS INTEGER) AS a FROM data",
        "SELECT CAST(CAST(age AS HUGEINT) * 1000000 AS TINYINT) AS a FROM data",
        "SELECT strptime(ward, '%Y') AS a FROM data",
        "SELECT regexp_matches('x', ward || '(') AS a FROM data",
        "SELECT (SELECT age FROM data) AS a FROM data",
        "SELECT chr(CAST(age * 100000000 AS INTEGER)) AS a FROM data",
    ],
)
def test_the_engines_words_about_a_row_are_not_told(statement: str, capfd: pytest.CaptureFixture[str]) -> None:
    """They quote the value; the log of the Access Point, which has it anyway, keeps them."""
    told = refusal(statement)

    assert told.removeprefix("sql_transform: ") in {
        "a value cannot be converted to the type that is asked for",
        "a number leaves the range of its type",
        "a function was given a value that it does not take",
        "it fails on the rows of the table",
    }
    assert "Error" in capfd.readouterr().err


def test_what_fails_far_into_the_rows_is_told_no_better() -> None:
    """By then the engine speaks through another library."""
    table = pa.table({"ward": ["1"] * 150_000 + [WORD]})

    with pytest.raises(JobFailed) as raised:
        queried(table, "SELECT CAST(ward AS INTEGER) AS a FROM data")

    assert str(raised.value) == "sql_transform: a value cannot be converted to the type that is asked for"


MANY = "WITH a AS (SELECT x.age FROM data x, data y, data z), b AS (SELECT x.age FROM a x, a y, a z) SELECT "
SLOW = MANY + "count(*) AS n FROM b x, b y WHERE sha256(concat(x.age, y.age)) = 'x'"
STEPS = ", ".join(f"t{step + 1} AS (SELECT a || a AS a FROM t{step})" for step in range(36))  # noqa: S608  # tried, not trusted
DOUBLED = "WITH t0 AS (SELECT ward AS a FROM data), " + STEPS + " SELECT length(a) AS a FROM t36"  # noqa: S608  # tried, not trusted
DEEP, LONG = (
    "SELECT " + "(" * 4000 + "age" + ")" * 4000 + " AS a FROM data",
    "SELECT age" + " + age" * 1500 + " FROM data",
)


@pytest.mark.parametrize(
    ("statement", "limits", "told"),
    [
        ("SELECT a.age FROM data a, data b, data c", {"rows": 20}, "more than 20 rows"),
        ("SELECT a.ward FROM data a, data b, data c", {"result_bytes": 100}, "or 100 bytes"),
        (SLOW, {"deadline_s": 2.0}, "after 2 s"),
        (SLOW, {"cpu_s": 1}, "memory or time"),
        (MANY + "x.age FROM b x, b y ORDER BY x.age + y.age", {"engine_bytes": 8 << 20}, "more memory"),
        (DOUBLED, {}, "more memory"),
        (DEEP, {}, "sql_transform: "),
        (LONG, {}, "sql_transform: "),
    ],
    ids=["rows", "bytes", "deadline", "processor", "memory", "text", "depth", "length"],
)
def test_a_statement_that_takes_too_much_is_ended(statement: str, limits: dict[str, Any], told: str) -> None:
    """Neither its result nor its work grows beyond what it may use."""
    assert told in refusal(statement, limits=Limits(**limits))


def test_ordinary_queries_are_let_in() -> None:
    """Joins with itself, windows, aggregates, subqueries, unions, and what SQL writes as words."""
    statement = """
        -- comments are fine
        WITH old AS (SELECT age, ward, target FROM data WHERE age BETWEEN 30 AND 99 AND ward IS NOT NULL)
        SELECT DISTINCT o.age, coalesce(trim(lower(o.ward)), '?') AS ward, extract(year FROM DATE '2020-02-01') AS y,
               CASE WHEN o.age > (SELECT avg(age) FROM data) THEN 1.5 ELSE 0 END AS above,
               rank() OVER (PARTITION BY o.target ORDER BY o.age DESC) AS place, CAST(o.age AS DOUBLE) / 3 AS third,
               count(*) FILTER (WHERE o.age > 1) OVER () AS n, round(sqrt(abs(o.age)), 3) AS r, substring(o.ward, 1, 2) AS w,
               o.ward LIKE 'n%' AS l, o.ward IN ('north') AS i, TRY_CAST(o.ward AS INTEGER) AS t, -o.age % 7 AS m
        FROM old o LEFT JOIN data d USING (age) WHERE EXISTS (SELECT 1 FROM data) AND NOT o.age = 0
        UNION ALL SELECT 1, 'x', 1, 1, 1, 1, 1, 1, 'x', true, false, 1, 1 ORDER BY 1 LIMIT 10
    """
    table = queried(TABLE, statement)

    assert table["age"].to_pylist() == [1, 40, 61]
    assert table["above"].to_pylist() == [1.0, 1.5, 1.5]
    assert {str(dtype) for dtype in table.schema.types} <= {"int64", "int32", "double", "string", "bool"}


@settings(max_examples=3, deadline=None)
@given(ages=st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40)), min_size=1, max_size=50))
def test_rows_come_back_as_they_went_in(ages: list[int | None]) -> None:
    """In their order, gaps and all."""
    table = pa.table(
        {"age": pa.array(ages, pa.int64()), "half": pa.array([age and age / 2 for age in ages], pa.float64())}
    )

    assert queried(table, "SELECT * FROM data") == table


def _pooled() -> dict[str, float]:
    """What scikit-learn makes of all rows in one place, the query written out in Python."""
    parts = [next(demo for demo in tables_of(team) if demo.name == "breast-cancer") for team in ("mercy", "lakeside")]
    pool = pa.concat_tables([demo.table for demo in parts])
    pool = pool.filter(pa.array(np.asarray(pool["mean concavity"]) > 0))
    skin = np.where(np.asarray(pool["mean smoothness"]) > 0.1, "rough", "smooth")[:, np.newaxis]
    bins = KBinsDiscretizer(5, encode="ordinal", strategy="uniform").fit(np.array([[10.0], [35.0]]))
    columns = {
        "size": np.log(pool["mean radius"].to_numpy()),
        "texture": bins.transform(pool["mean texture"].to_numpy()[:, np.newaxis])[:, 0],
        "skin_rough": OneHotEncoder(drop=["smooth"], sparse_output=False).fit_transform(skin)[:, 0],
        "area": pool["worst area"].to_numpy() / 1000,
    }
    fitted = LinearRegression().fit(np.column_stack(list(columns.values())), pool["target"].to_numpy())
    return dict(zip(columns, fitted.coef_.tolist(), strict=True)) | {"intercept": float(fitted.intercept_)}


def _content(network: RunningNetwork, asset_id: str) -> bytes:
    content = network.client("globex").get(f"/v1/assets/{asset_id}").json()["content"]
    answer = httpx.get(content["url"], headers={"Authorization": f"Bearer {content['token']}"})
    assert answer.status_code == 200, answer.text
    return answer.content
