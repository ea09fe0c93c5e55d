# Sourced by the scripts beside it: builds the programs, starts Weir and
# Mosquitto in a temporary folder, and stops what it started at the end.
# shellcheck shell=bash
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/weir-bench.XXXXXX")
pids=()

# Ports, away from the usual ones so that a running Weir is left alone.
weir_tls=127.0.0.1:${BENCH_PORT:-21000}
weir_plain=127.0.0.1:$((${BENCH_PORT:-21000} + 1))
weir_https=127.0.0.1:$((${BENCH_PORT:-21000} + 2))
weir_api=127.0.0.1:$((${BENCH_PORT:-21000} + 3))
mosq_plain=127.0.0.1:$((${BENCH_PORT:-21000} + 4))
mosq_tls=127.0.0.1:$((${BENCH_PORT:-21000} + 5))

stop() { # stop PID: asks, waits, and forgets it
	kill "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

cleanup() {
	local p
	for p in "${pids[@]:-}"; do
		[ -n "$p" ] && stop "$p"
	done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '%s\n' "$*" >&2; }

build() {
	(cd "$root" && CGO_ENABLED=0 go build -o "$work/" ./cmd/weir ./bench/mqttload ./bench/synclat)
}

need() { # need COMMAND PACKAGE
	command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || {
		say "needs $1: apt-get install $2"
		exit 1
	}
}

machine() {
	printf 'machine: %s, %s cores, %s; %s\n' \
		"$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n1)" "$(nproc)" "$(uname -sr)" "$(go version | cut -d' ' -f3)"
	"$work/synclat" -dir "$work"
	awk '{ print "load before the runs: " $1 }' /proc/loadavg
}

# waits CONDITION...: until the command succeeds, ten seconds at most.
waits() {
	local _
	for _ in $(seq 200); do
		if "$@" >/dev/null 2>&1; then return 0; fi
		sleep 0.05
	done
	say "waited ten seconds for: $*"
	return 1
}

listening() { (exec 3<>"/dev/tcp/${1%:*}/${1#*:}") 2>/dev/null; }

start_mosquitto() { # sets mosq_pid: no persistence, no authentication
	need mosquitto mosquitto
	need openssl openssl
	if [ ! -e "$work/mosq.pem" ]; then
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 \
			-addext subjectAltName=IP:127.0.0.1 -keyout "$work/mosq.key" -out "$work/mosq.pem" 2>/dev/null
	fi
	cat >"$work/mosquitto.conf" <<-CONF
		per_listener_settings false
		allow_anonymous true
		persistence false
		set_tcp_nodelay true
		max_queued_messages 0
		log_type error
		listener ${mosq_plain#*:} ${mosq_plain%:*}
		listener ${mosq_tls#*:} ${mosq_tls%:*}
		certfile $work/mosq.pem
		keyfile $work/mosq.key
		tls_version tlsv1.3
	CONF
	if [ "$(id -u)" = 0 ]; then printf 'user root\n' >>"$work/mosquitto.conf"; fi
	"$(command -v mosquitto || echo /usr/sbin/mosquitto)" -c "$work/mosquitto.conf" >"$work/mosquitto.log" 2>&1 &
	mosq_pid=$!
	pids+=("$mosq_pid")
	waits listening "$mosq_plain" || { cat "$work/mosquitto.log" >&2; return 1; }
}

weir_config() { # with $roles, where it is set: what the node does, as in weir.yaml
	cat >"$work/weir.yaml" <<-CONF
		roles: [${roles:-hub, stream, api}]
		mqtt: { listen: $weir_tls, plain: $weir_plain }
		https: { listen: $weir_https, standard: "" }
		api: { listen: $weir_api }
	CONF
}

start_weir() { # start_weir DATA: sets weir_pid
	weir_config
	"$work/weir" serve -c "$work/weir.yaml" --data "$1" >"$work/weir.log" 2>&1 &
	weir_pid=$!
	pids+=("$weir_pid")
	waits listening "$weir_plain" || { cat "$work/weir.log" >&2; return 1; }
	waits test -e "$1/node.json"
}

register() { # register DATA N: writes $work/devices.jsonl
	local service
	service=$("$work/weir" connection-string --policy iothubowner --data "$1")
	WEIR_CONNECTION_STRING=$service "$work/mqttload" -mode register -https "$weir_https" -ca "$1/tls/ca.pem" -conns "$2" >"$work/devices.jsonl"
}

field() { sed -n "s/.*\"$1\":\\([-0-9.eE+]*\\).*/\\1/p" <<<"$2"; }

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b > 0) ? a / b : 0 }'; }
