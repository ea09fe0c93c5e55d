-- Words that are keywords in some places are names in all others.
select time, timestamp, value, [key], status, type, duration, limit, when, left, order, table, partition, top, all,
    event.from, event.[end], "two words", [a]]b], "say ""hi""", [System].Timestamp x, System.Timestamp() order,
    case [when] when 'x' then 2 else limit end, left(left, 2),
    GetRecordPropertyValue(r, "[a][b]"), GetRecordPropertyValue(r, [a b]), GetRecordPropertyValue(r, "a".b)
from timestamp partition timestamp by timestamp partition by partition
where limit between 1 and 2 and count(all) over (partition by limit order by desc desc limit duration(day, 1) when when = 1) > 0
----
SELECT
    time,
    timestamp,
    value,
    key,
    status,
    type,
    duration,
    limit,
    [when],
    left,
    order,
    table,
    partition,
    top,
    [all],
    event.[from],
    event.[end],
    [two words],
    [a]]b],
    [say "hi"],
    [System].Timestamp AS x,
    System.Timestamp() AS order,
    CASE [when] WHEN 'x' THEN 2 ELSE limit END,
    left(left, 2),
    GetRecordPropertyValue(r, '[a][b]'),
    GetRecordPropertyValue(r, [a b]),
    GetRecordPropertyValue(r, a.b)
FROM timestamp AS partition PARTITION BY partition TIMESTAMP BY timestamp
WHERE limit BETWEEN 1 AND 2 AND count([all]) OVER (PARTITION BY limit ORDER BY desc DESC LIMIT DURATION (day, 1) WHEN [when] = 1) > 0;
