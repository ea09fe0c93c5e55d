#!/usr/bin/env bash
# From the start of weir serve with an empty folder to the first acknowledged
# message, and its memory when nothing happens. Goals: 0.5 s, 60 MB.
# RUNS=5 bench/start.sh
. "$(dirname "$0")/lib.sh"
runs=${RUNS:-5}

build
weir_config
machine

now() { date +%s%N; }
memory() { awk '/^VmRSS:/ { printf "%.1f MB", $2 / 1000 }' "/proc/$1/status"; }

for n in $(seq "$runs"); do
	data="$work/data$n"
	begin=$(now)
	"$work/weir" serve -c "$work/weir.yaml" --data "$data" >"$work/weir.log" 2>&1 &
	pid=$!
	pids+=("$pid")
	# Commands of their own count too: an engineer needs both.
	until "$work/weir" device create first --data "$data" >/dev/null 2>&1; do
		kill -0 "$pid" || { cat "$work/weir.log" >&2; exit 1; }
	done
	created=$(now)
	"$work/weir" device send first '{"temperature":21}' --data "$data" >/dev/null
	acked=$(now)
	sleep "${SETTLE:-5}"
	printf 'run %s: registered after %d ms, first acknowledgement after %d ms, idle memory %s\n' \
		"$n" $(((created - begin) / 1000000)) $(((acked - begin) / 1000000)) "$(memory "$pid")"
	stop "$pid"
done
