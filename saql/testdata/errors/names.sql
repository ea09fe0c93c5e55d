SELECT a FROM hubb
====
SELECT a FROM telemetry
====
SELECT a INTO alert FROM hub
====
WITH s AS (SELECT a FROM hub), S AS (SELECT a FROM hub) SELECT a FROM s
====
WITH s AS (SELECT a FROM t), t AS (SELECT a FROM hub) SELECT a FROM s
====
WITH s AS (SELECT deviceId, AVG(x) AS mean FROM hub GROUP BY deviceId, Tumbling(second, 10))
SELECT deviceID, means, s.devicId FROM s WHERE t.mean > 3
====
WITH s AS (SELECT COUNT(*), a.b, machine.id FROM hub GROUP BY a.b, machine.id, Tumbling(second, 10))
SELECT count, b, id, c FROM s
====
WITH s AS (SELECT a FROM hub UNION SELECT b FROM hub), t AS (SELECT * FROM s)
SELECT a, b, c FROM (SELECT t.* FROM t) AS u
====
CREATE TABLE hub (deviceId nvarchar(max), x float)
SELECT deviceId, X, y, PartitionId FROM hub TIMESTAMP BY time
====
CREATE TABLE hubs (x float, X float);
CREATE TABLE hubs (x float);
SELECT x FROM hub
====
SELECT e.ArrayIndx FROM hub CROSS APPLY GetArrayElements(hub.a) AS e
====
SELECT 1 FROM hub CROSS APPLY GetArrayElement(hub.a) AS e
====
SELECT a FROM hub JOIN hub ON DATEDIFF(second, hub, hub) BETWEEN 0 AND 1
====
SELECT SUBSTRNG(a, 1, 2), udf.celcius(a), foo(a) FROM hub
====
SELECT ST_DISTANCE(a, b) FROM hub
====
SELECT DATEADD(minuts, 1, t), DATEDIFF('day', t, u) FROM hub
====
SELECT GetMetadataPropertyValue(hubs, 'EventId') FROM hub
----
line 1, column 15: unknown input or step hubb: did you mean hub?
====
line 1, column 15: unknown input or step telemetry: there are doors, hub, machines
====
line 1, column 15: unknown output alert: did you mean alerts?
====
line 1, column 32: two steps are called S
====
line 1, column 26: step t is not defined yet: a step reads only steps before it
====
line 2, column 18: unknown column means: did you mean mean?
line 2, column 27: unknown column devicId of s: did you mean deviceId?
line 2, column 48: unknown input or column t
====
line 2, column 22: unknown column c
====
line 2, column 14: unknown column c
====
line 2, column 21: unknown column y
line 2, column 58: unknown column time
====
line 1, column 14: unknown input hubs: did you mean hub?
line 1, column 29: two columns are called X
line 2, column 14: two tables are called hubs
line 2, column 14: unknown input hubs: did you mean hub?
====
line 1, column 10: unknown column ArrayIndx of e: did you mean ArrayIndex?
====
line 1, column 31: unknown function GetArrayElement in APPLY: did you mean GetArrayElements?
====
line 1, column 24: two sources are called hub: give one of them another name with AS
====
line 1, column 8: unknown function SUBSTRNG: did you mean SUBSTRING?
line 1, column 27: unknown function udf.celcius: did you mean udf.celsius?
line 1, column 43: unknown function foo
====
line 1, column 8: ST_DISTANCE is not supported
====
line 1, column 16: unknown unit minuts: did you mean minute?
line 1, column 40: unexpected 'day', expected a unit of time
====
line 1, column 33: unexpected hubs, expected an input of FROM
