WITH s AS (SELECT a INTO lake FROM hub) SELECT a FROM s
====
SELECT a FROM hub WHERE AVG(a) > 1
====
SELECT AVG(a) FROM hub
====
SELECT a FROM hub HAVING COUNT(*) > 1
====
SELECT AVG(SUM(a)) FROM hub GROUP BY Tumbling(second, 1)
====
SELECT LAG(AVG(a)) OVER (LIMIT DURATION (hour, 1)) FROM hub GROUP BY Tumbling(second, 1)
====
SELECT a FROM hub GROUP BY a
====
SELECT COUNT(*) FROM hub GROUP BY DATEPART(minute, System.Timestamp())
====
SELECT * FROM hub GROUP BY Tumbling(second, 1)
====
SELECT a, b.c FROM hub GROUP BY a, Tumbling(second, 1)
====
SELECT a, AVG(x) AS mean FROM hub GROUP BY a, Tumbling(second, 1) HAVING mean > 3
====
SELECT DATEPART(hour, t) AS h, COUNT(*) FROM hub GROUP BY h, Tumbling(second, 1)
====
SELECT COUNT(*) FROM hub GROUP BY Tumbling(second, 1), Sliding(second, 1)
====
SELECT COUNT(*) FROM hub GROUP BY TumblingWindow(secnd, 1)
====
SELECT Tumbling(second, 1) FROM hub WHERE Sliding(second, 1) = 1
====
SELECT * FROM hub JOIN machines m ON m.id = hub.id
====
SELECT hub.a FROM hub JOIN doors ON hub.a = doors.a
====
SELECT h.a FROM hub AS h JOIN doors AS d ON h.a = d.a AND DATEDIFF(second, h.t, d.t) BETWEEN 0 AND 5
====
SELECT h.a FROM machines AS m JOIN hub AS h ON h.a = m.a
====
WITH s AS (SELECT * FROM hub) SELECT a FROM s TIMESTAMP BY t
====
SELECT a FROM hub TIMESTAMP BY System.Timestamp()
====
SELECT LAG(a), LAST(a) OVER (PARTITION BY b) FROM hub
====
SELECT LAG(a, 0) OVER (LIMIT DURATION (day, 8)), LAG(a, b) OVER (LIMIT DURATION (month, 1)) FROM hub
====
SELECT AVG(a) OVER (PARTITION BY b) FROM hub
====
SELECT ISFIRST(minute, 5) OVER (LIMIT DURATION (hour, 1)), ISFIRST(minute, n), ISFIRST(fortnight, 1) FROM hub
====
SELECT TopOne(), CollectTop(n) OVER (ORDER BY a), PERCENTILE_CONT(95) OVER (ORDER BY a) FROM hub GROUP BY Tumbling(second, 1)
====
SELECT LEN(a) OVER (LIMIT DURATION (hour, 1)), SUM(DISTINCT a), SUM(*) FROM hub GROUP BY a, Tumbling(second, 1)
====
SELECT System.Window().Id, GetRecordProperties(r) FROM hub
====
SELECT uda.median(x) FROM hub
----
line 1, column 26: INTO inside of another query: write it in a SELECT after WITH
====
line 1, column 25: aggregate AVG in WHERE: write it in HAVING
====
line 1, column 8: aggregate AVG without GROUP BY: add GROUP BY and a window, or OVER (LIMIT DURATION (…))
====
line 1, column 26: aggregate COUNT without GROUP BY: add GROUP BY and a window, or OVER (LIMIT DURATION (…))
====
line 1, column 12: SUM within AVG: compute it in a step of WITH
====
line 1, column 12: AVG within LAG: compute it in a step of WITH
====
line 1, column 28: GROUP BY without a window: add TumblingWindow(second, 10) or System.Timestamp()
====
line 1, column 35: GROUP BY without a window: add TumblingWindow(second, 10) or System.Timestamp()
====
line 1, column 8: SELECT * with GROUP BY: list the keys and the aggregates
====
line 1, column 11: column b.c is neither in GROUP BY nor in an aggregate
====
line 1, column 74: column mean is neither in GROUP BY nor in an aggregate: mean is an alias, write its expression
====
line 1, column 23: column t is neither in GROUP BY nor in an aggregate: GROUP BY names the alias h, write its expression there
====
line 1, column 56: GROUP BY has a second window: combine them by Windows(…, …)
====
line 1, column 50: unexpected "secnd", expected day, hour, minute, second, millisecond or microsecond: did you mean second?
====
line 1, column 8: window Tumbling outside of GROUP BY
line 1, column 43: window Sliding outside of GROUP BY
====
line 1, column 8: SELECT * with JOIN: write hub.* or list the columns
====
line 1, column 37: JOIN of streams without a bound of time: add AND DATEDIFF(second, hub, doors) BETWEEN 0 AND 10
====
line 1, column 45: JOIN of streams without a bound of time: add AND DATEDIFF(second, h, d) BETWEEN 0 AND 10
====
line 1, column 36: reference data m left of a stream: the stream comes first
====
line 1, column 60: TIMESTAMP BY of the result of a query: write it where the input is read
====
line 1, column 32: System.Timestamp() in TIMESTAMP BY, which sets it
====
line 1, column 8: LAG without LIMIT DURATION: write LAG(…) OVER (LIMIT DURATION (minute, 5))
line 1, column 16: LAST without LIMIT DURATION: write LAST(…) OVER (LIMIT DURATION (minute, 5))
====
line 1, column 15: unexpected 0, expected a constant bigint above 0
line 1, column 45: 8 days are longer than 7 days
line 1, column 57: unexpected b, expected a constant bigint above 0
line 1, column 82: unexpected "month", expected day, hour, minute, second, millisecond or microsecond
====
line 1, column 15: OVER without LIMIT DURATION: add LIMIT DURATION (minute, 5)
====
line 1, column 33: ISFIRST takes no LIMIT DURATION
line 1, column 76: expected a constant number of minutes
line 1, column 88: unexpected "fortnight", expected day, hour, minute, second, millisecond or microsecond
====
line 1, column 8: TopOne without ORDER BY: write TopOne(…) OVER (ORDER BY x)
line 1, column 29: unexpected n, expected a constant bigint above 0
line 1, column 67: unexpected 95, expected a constant from 0 to 1
====
line 1, column 15: LEN takes no OVER
line 1, column 48: SUM does not take DISTINCT
line 1, column 65: SUM does not take *
====
line 1, column 8: System.Window() in a query without GROUP BY
line 1, column 28: GetRecordProperties outside of APPLY: write CROSS APPLY GetRecordProperties(…) AS x after FROM
====
line 1, column 8: aggregate uda.median without GROUP BY: add GROUP BY and a window, or OVER (LIMIT DURATION (…))
