"""Read the lake with Spark and print what is in it, as lake.py does."""

import json
import sys

from delta import configure_spark_with_delta_pip
from pyspark.sql import SparkSession
from pyspark.sql import functions as f

builder = (
    SparkSession.builder.master("local[2]")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.ui.enabled", "false")
)
spark = configure_spark_with_delta_pip(builder).getOrCreate()
table = spark.read.format("delta").load(sys.argv[1])


def number(name):
    c = f.col(f"`{name}`")
    r = table.agg(f.count(c), f.sum(c), f.min(c), f.max(c)).first()
    return {"count": r[0], "sum": r[1], "min": r[2], "max": r[3]}


first, last = table.agg(f.min(f.unix_micros("time")), f.max(f.unix_micros("time"))).first()
print(
    json.dumps(
        {
            "rows": table.count(),
            "days": table.select("year", "month", "day").distinct().count(),
            "from": first,
            "to": last,
            "columns": {c: number(c) for c in ["temperature", "humidity", "motor.speed"]},
            "strings": {c: table.where(f.col(f"`{c}`").isNotNull()).count() for c in ["motor.state", "label"]},
            "booleans": {c: table.where(f.col(c)).count() for c in ["on"]},
        }
    )
)
