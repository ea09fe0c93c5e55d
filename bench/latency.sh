#!/usr/bin/env bash
# Latency of the acknowledgement at 20,000 messages/s from 1,000 connections,
# from the moment when a message is due. Goal: p99 under 8 ms.
# SECONDS_PER_RUN=10 RATE=20000 bench/latency.sh
. "$(dirname "$0")/lib.sh"
for_each=${SECONDS_PER_RUN:-10}
rate=${RATE:-20000}

build
start_mosquitto
start_weir "$work/data"
register "$work/data" 1000
machine

missed=0
load() { # load TITLE FLAGS...
	printf '%-25s' "$1"
	shift
	"$work/mqttload" -mode rate -rate "$rate" -duration "${for_each}s" -warmup 3s -conns 1000 "$@" || missed=$((missed + 1))
}

for _ in 1 2; do
	load 'Mosquitto (not durable)' -addr "$mosq_plain" -pid "$mosq_pid"
	load Weir -addr "$weir_plain" -devices-file "$work/devices.jsonl" -pid "$weir_pid"
	load 'Mosquitto (not durable)' -addr "$mosq_tls" -tls -ca "$work/mosq.pem" -pid "$mosq_pid"
	load Weir -addr "$weir_tls" -tls -ca "$work/data/tls/ca.pem" -devices-file "$work/devices.jsonl" -pid "$weir_pid"
done
printf 'with the device client:\n'
"$work/weir" sim --data "$work/data" --devices 1000 --rate "$rate" --duration "${for_each}s" --prefix sim-
if [ "$missed" -gt 0 ]; then
	say "$missed runs did not reach the rate"
	exit 1
fi
