SELECT LEN(), LEN(a, b), CHARINDEX(a), CONCAT(a), System.Timestamp(1), AnomalyDetection_ChangePoint(a, 95) OVER (LIMIT DURATION (minute, 2)) FROM hub
====
SELECT 'abc' + 1, 'abc' = 1, a LIKE 5, 7 LIKE 'x', -'a', 1 IN ('a', 2), 1 BETWEEN '0' AND 2 FROM hub
====
SELECT CAST(a AS bigint) = '5', CAST(a AS nvarchar(max)) + CAST(b AS float), 'a' < 'b' FROM hub
====
SELECT LEN(5), ABS('x'), SUBSTRING(a, '1', 2), UPPER(CAST(a AS bigint)) FROM hub
====
SELECT CASE 1 WHEN 'a' THEN 1 END, COALESCE(a, 1 + 'x') FROM hub
----
line 1, column 8: LEN takes 1 argument, not 0
line 1, column 15: LEN takes 1 argument, not 2
line 1, column 26: CHARINDEX takes 2 to 3 arguments, not 1
line 1, column 40: CONCAT takes at least 2 arguments, not 1
line 1, column 51: System.Timestamp takes no arguments, not 1
line 1, column 72: AnomalyDetection_ChangePoint takes 3 arguments, not 2
====
line 1, column 14: operator + does not take 'nvarchar(max)' and 'bigint'; CAST one of them
line 1, column 25: operator = does not compare 'nvarchar(max)' with 'bigint'; CAST one of them
line 1, column 37: LIKE does not take 'bigint'; CAST it
line 1, column 40: LIKE does not take 'bigint'; CAST it
line 1, column 52: operator - does not take 'nvarchar(max)'
line 1, column 64: operator = does not compare 'bigint' with 'nvarchar(max)'; CAST one of them
line 1, column 83: operator >= does not compare 'bigint' with 'nvarchar(max)'; CAST one of them
====
line 1, column 26: operator = does not compare 'bigint' with 'nvarchar(max)'; CAST one of them
line 1, column 58: operator + does not take 'nvarchar(max)' and 'float'; CAST one of them
line 1, column 82: operator < does not take strings: they have no order; CAST them
====
line 1, column 12: argument 1 of LEN is of type 'bigint', expected 'nvarchar(max)'
line 1, column 20: argument 1 of ABS is of type 'nvarchar(max)', expected 'bigint' or 'float'
line 1, column 39: argument 2 of SUBSTRING is of type 'nvarchar(max)', expected 'bigint'
line 1, column 54: argument 1 of UPPER is of type 'bigint', expected 'nvarchar(max)'
====
line 1, column 20: operator = does not compare 'bigint' with 'nvarchar(max)'; CAST one of them
line 1, column 50: operator + does not take 'bigint' and 'nvarchar(max)'; CAST one of them
