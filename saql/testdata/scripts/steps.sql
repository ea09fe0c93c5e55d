/* Everything a script can be made of. /* Comments nest. */ */
create table hub (deviceId nvarchar(max), n BIGINT, x float, t datetime, ok bit, r record, a array)
with s as (select *, h.*, h.r.*, [n] = count(distinct h.x) from hub h timestamp by ts over k, l partition by p, q into 4),
u as (select 1 as one from s union all (select i.* from (select n from r) i union select 2 one from s))
;select (one = 1) and not one is null as c, System.Timestamp t into [out] from s as v
    join u on datediff(second, v, u) between 0 and 5
    left outer join ref r on r.id = v.id
    cross apply GetArrayElements(v.a.b) as e
    outer apply GetRecordProperties(e.ArrayValue) p
where x like 'a%' and x not like '%''%' and y is not null
group by one, Windows(Window('a', Tumbling(second, 10)), Window('b', HoppingWindow(Duration(hour, 1), Hop(minute, 5), Offset(ms, -1))))
having avg(t) > .5;
with w as (select a from b) select System.Window().Id into [out put] from w group by Session(ss, 2, 60) over (partition by k)
----
CREATE TABLE hub (
    deviceId nvarchar(max),
    n bigint,
    x float,
    t datetime,
    ok bit,
    r record,
    a array
);

WITH s AS (
    SELECT
        *,
        h.*,
        h.r.*,
        count(DISTINCT h.x) AS n
    FROM hub AS h PARTITION BY p, q INTO 4 TIMESTAMP BY ts OVER k, l
),
u AS (
    SELECT 1 AS one
    FROM s
    UNION
    SELECT i.*
    FROM (
        SELECT n
        FROM r
    ) AS i
    UNION
    SELECT 2 AS one
    FROM s
),
w AS (
    SELECT a
    FROM b
)
SELECT
    (one = 1 AND NOT one IS NULL) AS c,
    System.Timestamp AS t
INTO out
FROM s AS v
JOIN u ON datediff(second, v, u) BETWEEN 0 AND 5
LEFT JOIN ref AS r ON r.id = v.id
CROSS APPLY GetArrayElements(v.a.b) AS e
OUTER APPLY GetRecordProperties(e.ArrayValue) AS p
WHERE x LIKE 'a%' AND x NOT LIKE '%''%' AND y IS NOT NULL
GROUP BY one, Windows(Window('a', Tumbling(second, 10)), Window('b', HoppingWindow(Duration(hour, 1), Hop(minute, 5), Offset(ms, -1))))
HAVING avg(t) > 0.5;

SELECT System.Window().Id
INTO [out put]
FROM w
GROUP BY Session(ss, 2, 60) OVER (PARTITION BY k);
