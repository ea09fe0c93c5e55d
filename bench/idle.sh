#!/usr/bin/env bash
# Memory of idle connections, and of 10,000 half-open sockets that announce a
# packet of 256 MB. Goals: 25 KB per idle TLS connection; under 64 MB half open.
# CONNS=10000 bench/idle.sh
. "$(dirname "$0")/lib.sh"
conns=${CONNS:-10000}

limit=$((conns + 1000))
if ! ulimit -n "$limit" 2>/dev/null && [ "$(ulimit -n)" -lt "$limit" ]; then
	say "needs $limit open files: ulimit -n $limit"
	exit 1
fi

build
start_mosquitto
start_weir "$work/data"
register "$work/data" "$conns"
machine

hold() { "$work/mqttload" -conns "$conns" "$@"; }

# A process for each run: memory that one has freed must not serve the next.
again() {
	stop "$weir_pid"
	start_weir "$work/data"
}
printf 'Mosquitto  ' && hold -mode idle -addr "$mosq_plain" -pid "$mosq_pid" -warmup 5s -duration 5s
stop "$mosq_pid" && start_mosquitto
printf 'Mosquitto  ' && hold -mode idle -addr "$mosq_tls" -tls -ca "$work/mosq.pem" -pid "$mosq_pid" -warmup 5s -duration 5s
again
printf 'Weir       ' && hold -mode idle -addr "$weir_plain" -devices-file "$work/devices.jsonl" -pid "$weir_pid" -warmup 5s -duration 5s
again
printf 'Weir       ' && hold -mode idle -addr "$weir_tls" -tls -ca "$work/data/tls/ca.pem" -devices-file "$work/devices.jsonl" -pid "$weir_pid" -warmup 5s -duration 5s
again
printf 'Weir       ' && hold -mode halfopen -addr "$weir_plain" -pid "$weir_pid" -duration 3s
again
printf 'Weir       ' && hold -mode halfopen -addr "$weir_tls" -tls -ca "$work/data/tls/ca.pem" -pid "$weir_pid" -duration 3s
