#!/usr/bin/env bash
# QoS 1 ingest of Weir, durable and authenticated, against Mosquitto without
# persistence or passwords: the same loader, in turn (A B A B), ratio per pair.
# First the hub alone (authentication, registry, properties, durable log), which
# is what the broker does too and what the goals are for; then the whole node,
# which also brings every message to the hot store on the same two cores.
# SECONDS_PER_RUN=5 PAIRS=2 bench/ingest.sh
. "$(dirname "$0")/lib.sh"
for_each=${SECONDS_PER_RUN:-5}
pairs=${PAIRS:-2}

build
start_mosquitto
roles=hub
data=$work/hub
start_weir "$data"
register "$data" 1000
machine

# load SYSTEM TRANSPORT CONNS INFLIGHT WRITE: one JSON object
load() {
	local args=(-json -mode flood -duration "${for_each}s" -warmup 2s -conns "$3" -inflight "$4" -write "$5")
	case $1-$2 in
	weir-plain) args+=(-addr "$weir_plain" -devices-file "$work/devices.jsonl" -pid "$weir_pid") ;;
	weir-tls) args+=(-addr "$weir_tls" -tls -ca "$data/tls/ca.pem" -devices-file "$work/devices.jsonl" -pid "$weir_pid") ;;
	mosquitto-plain) args+=(-addr "$mosq_plain" -pid "$mosq_pid") ;;
	mosquitto-tls) args+=(-addr "$mosq_tls" -tls -ca "$work/mosq.pem" -pid "$mosq_pid") ;;
	esac
	"$work/mqttload" "${args[@]}"
}

# caught_up waits until the hot store has what the log has, so that its work
# does not count against the next run.
caught_up() {
	if [ "$roles" = hub ]; then return; fi
	for _ in $(seq 600); do
		if curl -s "http://$weir_api/healthz" | grep -q '"lag":0'; then return; fi
		sleep 0.1
	done
	say "the hot store is still behind after a minute"
}

missed=0
row() { # row TITLE GOAL TRANSPORT CONNS INFLIGHT WRITE
	local title=$1 goal=$2 a b r
	shift 2
	for _ in $(seq "$pairs"); do
		a=$(load mosquitto "$@")
		b=$(load weir "$@")
		caught_up
		r=$(ratio "$(field rate "$b")" "$(field rate "$a")")
		printf '%-32s %12.0f/s %8.2f us %12.0f/s %8.2f us  %s (%s)\n' "$title" \
			"$(field rate "$a")" "$(field cpuMicrosPerMessage "$a")" "$(field rate "$b")" "$(field cpuMicrosPerMessage "$b")" "$r" "$goal"
		if awk -v r="$r" -v g="$goal" 'BEGIN { exit !(r < g) }'; then missed=$((missed + 1)); fi
	done
}

rows() { # rows TITLE
	printf '%-32s %26s %26s  %s\n' "$1: acked/s, CPU" Mosquitto Weir 'ratio (goal)'
	row '100 x 16, each, plain' 2.5 plain 100 16 each
	row '100 x 16, each, TLS 1.3' 1.5 tls 100 16 each
	row '100 x 16, window, plain' 6 plain 100 16 window
	row '1,000 x 1, plain' 1 plain 1000 1 each
}

rows hub
hub_missed=$missed
stop "$weir_pid"
roles='hub, stream, api'
data=$work/whole
start_weir "$data"
register "$data" 1000
rows 'whole node'
missed=$hub_missed
if [ "$missed" -gt 0 ]; then
	say "$missed pairs are below their goal"
	exit 1
fi
