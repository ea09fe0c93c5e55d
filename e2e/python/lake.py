"""Read the lake with a reader that is not Weir's and print what is in it.

usage: lake.py deltalake|duckdb-parquet|duckdb-delta|pandas FOLDER
"""

import json
import sys

NUMBERS = ["temperature", "humidity", "motor.speed"]
STRINGS = ["motor.state", "label"]
BOOLEANS = ["on"]


def from_arrow(table):
    import pyarrow.compute as pc

    def number(name):
        c = table[name]
        return {"count": pc.count(c).as_py(), "sum": pc.sum(c).as_py(), "min": pc.min(c).as_py(), "max": pc.max(c).as_py()}

    time = pc.cast(table["time"], "int64")
    return {
        "rows": table.num_rows,
        "days": table.select(["year", "month", "day"]).group_by(["year", "month", "day"]).aggregate([]).num_rows,
        "from": pc.min(time).as_py(),
        "to": pc.max(time).as_py(),
        "columns": {c: number(c) for c in NUMBERS},
        "strings": {c: pc.count(table[c]).as_py() for c in STRINGS},
        "booleans": {c: pc.sum(table[c]).as_py() for c in BOOLEANS},
    }


def from_duckdb(source):
    def one(query):
        return DUCKDB.execute(query).fetchone()

    rows, days, first, last = one(
        f"SELECT count(*), count(DISTINCT (year, month, day)), epoch_us(min(time)), epoch_us(max(time)) FROM {source}"
    )
    numbers = {}
    for c in NUMBERS:
        count, total, low, high = one(f'SELECT count("{c}"), sum("{c}"), min("{c}"), max("{c}") FROM {source}')
        numbers[c] = {"count": count, "sum": total, "min": low, "max": high}
    return {
        "rows": rows,
        "days": days,
        "from": first,
        "to": last,
        "columns": numbers,
        "strings": {c: one(f'SELECT count("{c}") FROM {source}')[0] for c in STRINGS},
        "booleans": {c: one(f'SELECT count(*) FROM {source} WHERE "{c}"')[0] for c in BOOLEANS},
    }


def from_pandas(frame):
    def number(name):
        c = frame[name]
        return {"count": int(c.count()), "sum": float(c.sum()), "min": float(c.min()), "max": float(c.max())}

    time = frame["time"].astype("datetime64[us, UTC]").astype("int64")
    return {
        "rows": len(frame),
        "days": len(frame[["year", "month", "day"]].drop_duplicates()),
        "from": int(time.min()),
        "to": int(time.max()),
        "columns": {c: number(c) for c in NUMBERS},
        "strings": {c: int(frame[c].count()) for c in STRINGS},
        "booleans": {c: int((frame[c] == True).sum()) for c in BOOLEANS},  # noqa: E712, it has nulls
    }


reader, folder = sys.argv[1:]
if reader == "deltalake":
    import deltalake
    import pyarrow

    summary = from_arrow(pyarrow.table(deltalake.DeltaTable(folder).to_pyarrow_table()))
elif reader == "pandas":
    import deltalake

    summary = from_pandas(deltalake.DeltaTable(folder).to_pandas())
else:
    import duckdb

    DUCKDB = duckdb.connect()
    if reader == "duckdb-delta":
        import pathlib

        import duckdb_extension_delta

        path = next(pathlib.Path(duckdb_extension_delta.__file__).parent.rglob("*.duckdb_extension"))
        DUCKDB.execute(f"LOAD '{path}'")
        summary = from_duckdb(f"delta_scan('{folder}')")
    else:
        summary = from_duckdb(
            f"read_parquet('{folder}/year=*/*/*/*.parquet', hive_partitioning = true, union_by_name = true)"
        )
print(json.dumps(summary))
