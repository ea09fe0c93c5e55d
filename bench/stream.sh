#!/usr/bin/env bash
# Queries of Stream Analytics on one core, from the JSON body of about 200 bytes
# to the row, in this process: no network, no disk. Goals, in events a second: a
# filter with projection 1,000,000, a tumbling window over 100 devices 600,000,
# SpikeAndDip with a history of 120 over 100 devices 300,000.
# BENCHTIME=2s bench/stream.sh
set -euo pipefail
cd "$(dirname "$0")/.."
time=${BENCHTIME:-2s}
awk '{ printf "load %s\n", $1 }' /proc/loadavg
go test -run '^$' -cpu 1 -benchmem -benchtime "$time" -bench 'Decode|AppendJSON' ./saql
go test -run '^$' -cpu 1 -benchmem -benchtime "$time" -bench 'Program|Job|SpikeAndDip|Lag|AverageOver|Join' ./stream
go test -run '^$' -cpu 1 -benchtime "$time" -bench 'SpikeAndDip' ./stream/anomaly
