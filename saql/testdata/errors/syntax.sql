SELECT a FORM hub
====
SELECT * FORM hub
====
SELET a FROM hub
====
SELECT a, b + FROM hub
====
SELECT a FROM hub WHRE a > 1
====
SELECT a FROM hub TIMESTAP BY t
====
SELECT a FROM hub GROPU BY a, Tumbling(second, 1)
====
SELECT a FROM hub WHERE a BETWEEEN 1 AND 2
====
SELECT a FROM hub WHERE
====
SELECT a
FROM hub h
    JOIN doors d
WHERE h.a = d.a
====
SELECT CASE WHEN a THEN 1 FROM hub
====
SELECT f(a b) FROM hub
====
SELECT a.1 FROM hub
====
SELECT 'it''s FROM hub
====
SELECT [a FROM hub
====
SELECT a /* FROM hub
====
SELECT a ? b FROM hub
====
SELECT 12abc FROM hub
====
SELECT 9223372036854775808 FROM hub
====
SELECT 1e999 FROM hub
====
SELECT CAST(a AS int) FROM hub
====
SELECT CAST(a AS nvarchar(50)) FROM hub
====
SELECT end FROM hub
====
SELECT a AS group FROM hub
====
SELECT DISTINCT a FROM hub
====
SELECT TOP 3 a FROM hub
====
SELECT a FROM hub ORDER BY a
====
SELECT a FROM hub, doors
====
SELECT a FROM hub RIGHT JOIN doors ON 1 = 1
====
SELECT * FROM hub MATCH_RECOGNIZE (LIMIT DURATION (minute, 1) PATTERN (A))
====
SELECT a FROM hub TIMESTAMP t
====
SELECT a FROM hub GROUP a
====
SELECT LAG(a) OVER (LIMIT (minute, 1)) FROM hub
====
SELECT LAG(a) OVER (minute, 1) FROM hub
====
SELECT a FROM hub PARTITION BY a INTO 0
====
SELECT a FROM hub CROSS JOIN doors
====
SELECT a FROM hub CROSS APPLY b
====
WITH s AS (SELECT a FROM hub)
====
CREATE TABLE hub (a bigint
====
CREATE FUNCTION f
====
SELECT a = NOT b FROM hub WHERE a = NOT b
====
;
====
SELECT a FROM hub INNER doors
====
SELECT a FROM hub OUTER doors
====
SELECT a INTO lake WHERE a = 1
====
SELECT [a.b](1) FROM hub
====
SELECT "a FROM hub
====
SELECT [] FROM hub
====
SELECT (SELECT a FROM hub) FROM hub
====
SELECT a FROM hub WHERE a IN (SELECT a FROM doors)
====
SELECT a FROM hub WHERE a LIKE 'x' 'y' [z]
====
SELECT a INTO lake alerts FROM hub
----
line 1, column 10: unexpected "FORM", expected FROM or INTO: did you mean FROM?
====
line 1, column 10: unexpected "FORM", expected FROM or INTO: did you mean FROM?
====
line 1, column 1: unexpected "SELET", expected SELECT, WITH or CREATE TABLE: did you mean SELECT?
====
line 1, column 15: unexpected "FROM", expected an expression: write [FROM] for a column of that name
====
line 1, column 19: unexpected "WHRE", expected JOIN, WHERE, GROUP BY, HAVING, UNION or the end of the query: did you mean WHERE?
====
line 1, column 19: unexpected "TIMESTAP", expected JOIN, WHERE, GROUP BY, HAVING, UNION or the end of the query: did you mean TIMESTAMP BY?
====
line 1, column 19: unexpected "GROPU", expected JOIN, WHERE, GROUP BY, HAVING, UNION or the end of the query: did you mean GROUP BY?
====
line 1, column 27: unexpected "BETWEEEN", expected GROUP BY, HAVING, UNION or the end of the query: did you mean BETWEEN?
====
line 2, column 1: unexpected end of script, expected an expression
====
line 4, column 1: unexpected "WHERE", expected ON
====
line 1, column 27: unexpected "FROM", expected WHEN, ELSE or END
====
line 1, column 12: unexpected "b", expected "," or ")"
====
line 1, column 9: unexpected ".1", expected FROM or INTO
====
line 1, column 8: a string has no end, expected '
====
line 1, column 8: a name has no end, expected ]
====
line 1, column 10: the comment has no end, expected */
====
line 1, column 10: unexpected character '?'
====
line 1, column 8: "12abc" is not a number
====
line 1, column 8: the integer 9223372036854775808 is beyond bigint: write it as a float: 9223372036854775808.0
====
line 1, column 8: the number 1e999 is beyond float
====
line 1, column 18: unexpected "int", expected a type: bigint, float, nvarchar(max), datetime, bit, record or array: write bigint
====
line 1, column 27: unexpected "50", expected max
====
line 1, column 8: unexpected "end", expected an expression: write [end] for a column of that name
====
line 1, column 13: unexpected "group", expected an alias: write [group] if that is the name
====
line 1, column 8: SELECT DISTINCT is not supported: GROUP BY the columns and a window, or use COUNT(DISTINCT …)
====
line 1, column 8: SELECT TOP is not supported: use TopOne or CollectTop
====
line 1, column 19: ORDER BY is not supported outside of OVER: use TopOne or CollectTop
====
line 1, column 18: unexpected ",", expected JOIN: a second input is joined by JOIN … ON …
====
line 1, column 19: RIGHT JOIN is not supported: use JOIN or LEFT JOIN
====
line 1, column 19: MATCH_RECOGNIZE is not supported
====
line 1, column 19: unexpected "TIMESTAMP", expected JOIN, WHERE, GROUP BY, HAVING, UNION or the end of the query: TIMESTAMP needs BY
====
line 1, column 19: unexpected "GROUP", expected JOIN, WHERE, GROUP BY, HAVING, UNION or the end of the query: GROUP needs BY
====
line 1, column 27: unexpected "(", expected DURATION
====
line 1, column 21: unexpected "minute", expected PARTITION BY, ORDER BY, LIMIT DURATION, WHEN or ")"
====
line 1, column 39: unexpected "0", expected a number of shards from 1 to 1024
====
line 1, column 19: CROSS JOIN is not supported: use JOIN or LEFT JOIN
====
line 1, column 31: expected GetArrayElements(…) or GetRecordProperties(…)
====
line 2, column 1: unexpected end of script, expected SELECT
====
line 2, column 1: unexpected end of script, expected ")"
====
line 1, column 8: unexpected "FUNCTION", expected TABLE
====
line 1, column 37: unexpected "NOT", expected an expression: write (NOT …)
====
line 2, column 1: unexpected end of script, expected SELECT, WITH or CREATE TABLE
====
line 1, column 25: unexpected "doors", expected JOIN
====
line 1, column 25: unexpected "doors", expected APPLY
====
line 1, column 20: unexpected "WHERE", expected FROM
====
line 1, column 8: unexpected [a.b], expected the name of a function
====
line 1, column 8: a name has no end, expected "
====
line 1, column 8: a name is empty
====
line 1, column 9: unexpected "SELECT", expected an expression: a query within an expression is not supported, JOIN it
====
line 1, column 31: unexpected "SELECT", expected an expression: a query within an expression is not supported, JOIN it
====
line 1, column 36: unexpected 'y', expected GROUP BY, HAVING, UNION or the end of the query
====
line 1, column 20: unexpected "alerts", expected FROM
