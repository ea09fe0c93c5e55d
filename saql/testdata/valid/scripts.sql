SELECT deviceId, AVG(temperature) AS mean, System.Timestamp() AS t INTO alerts FROM hub TIMESTAMP BY ts
GROUP BY deviceId, TumblingWindow(second, 10) HAVING AVG(temperature) > 30
====
-- Keys in another spelling, fields of keys, and a count of what is not a key.
SELECT h.DeviceId, machine.id, COUNT(DISTINCT x) + 1, DATEPART(hour, h.T), 'x' AS kind, System.Window().Id
FROM hub h GROUP BY deviceid, h.machine, datepart(hour, t), Tumbling(second, 10)
====
-- Unnamed columns are called as their functions.
WITH s AS (SELECT a, COUNT(*), h.b.c FROM hub h GROUP BY a, h.b.c, Tumbling(minute, 1))
SELECT a, Total = SUM(count), c FROM s GROUP BY a, c, System.Timestamp()
====
-- Analytic functions may stand anywhere but in TIMESTAMP BY.
SELECT LAG(a) OVER (PARTITION BY b LIMIT DURATION (hour, 1) WHEN c > 0) AS before, ISFIRST(mi, 10), LAG(*, 2) OVER (LIMIT DURATION (s, 5))
FROM hub WHERE MAX(a) OVER (LIMIT DURATION (day, 7)) = 0 AND LAST(a, 0) OVER (LIMIT DURATION (ms, 1)) <> a
====
-- What depends on the payload is not known: no error.
SELECT nobody.knows.this, * FROM hub WHERE anything = 'x' OR anything > 5 AND anything LIKE '%a'
====
-- Streams and reference data.
SELECT h.a, m.name, d.* FROM hub h JOIN machines m ON m.id = h.id
    LEFT JOIN doors d ON d.a = h.a AND DATEDIFF(second, h, d) BETWEEN -5 AND 5
====
WITH m AS (SELECT id, name FROM machines WHERE site = 1) SELECT h.a, m.name FROM hub h JOIN m ON m.id = h.id
====
CREATE TABLE hub (deviceId nvarchar(max), readings array, r record, ts datetime)
SELECT hub.deviceId, e.ArrayValue.x, ArrayIndex, p.PropertyName, r.anything, IoTHub.ConnectionDeviceId, EventEnqueuedUtcTime
FROM hub TIMESTAMP BY ts CROSS APPLY GetArrayElements(hub.readings) AS e OUTER APPLY GetRecordProperties(hub.r) AS p
====
SELECT COUNT(*), Windows_ FROM hub GROUP BY Windows_, Windows(Window('a', Tumbling(s, 1)), Window('b', Sliding(s, 2)))
====
SELECT udf.celsius(a), uda.median(b), PERCENTILE_DISC(0.5) OVER (ORDER BY b), TopOne(a) OVER (ORDER BY b DESC), CollectTop(3) OVER (ORDER BY b)
FROM hub GROUP BY udf.celsius(a), Hopping(second, 10, 5)
====
SELECT GetMetadataPropertyValue(h, '[User].[site]') AS site, GetType(1), CONCAT('a', 1, 2.5), DATEADD(ss, 1.5, '2026-01-01') FROM hub h
====
SELECT * FROM (SELECT a, b FROM hub UNION SELECT a, c AS b FROM doors) u WHERE u.a = 1 AND b = 2
====
SELECT CAST(a AS bit) = 1, CAST(a AS bigint) + 1.5, CAST(t AS datetime) > '2026-01-01', ~CAST(a AS bit), 'a' + 'b', NULL + 'a', 1 % 2 FROM hub
----
