#!/usr/bin/env bash
# Starts and stops a real Apache RocketMQ (one name server, one broker) on loopback.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: broker.sh COMMAND

  fetch                     installs Java and Maven if missing (apt-get, as root), fetches the jars
  start [OPTION] [KEY=VALUE...]
                            starts name server and broker with an empty store, waits until the broker
                            is registered, prints the name server's address
                            KEY=VALUE    a line for broker.conf
                            --short-delays  delay levels of 1 to 6 seconds
  stop                      kills both at once; the store is of no use afterwards
  status                    prints addresses and processes; exit code 1 unless both run
  classpath                 prints the class path of the jars that 'fetch' fetched
  env                       prints shell lines: RMQ_NAMESRV, RMQ_BROKER, RMQ_APACHE_CLASSPATH
  stop-broker               stops the broker alone, as an operator would (SIGTERM; takes 15 to 20 s)
  kill-broker               kills the broker alone (SIGKILL)
  keep-store, lose-tail         notes what the broker has stored; ends it, and takes from it what it has stored since
  pause-broker, resume-broker   freezes and thaws the broker (SIGSTOP, SIGCONT)
  start-broker              starts the broker again: same port, same store
  stop-namesrv, kill-namesrv, start-namesrv   the same for the name server

Everything lives in $RMQ_APACHE_DIR, default `apache` in cargo's target directory: `lib` holds the
jars, `run` one instance with its configuration, store, logs and pids. RMQ_APACHE_RUN names
another instance directory, so that two can run side by side. RMQ_APACHE_VERSION names another
version than pom.xml does; of that only the servers are fetched.
TEXT
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
base=${RMQ_APACHE_DIR:-${CARGO_TARGET_DIR:-$repo/target}/apache}
run=${RMQ_APACHE_RUN:-$base/run}
version=${RMQ_APACHE_VERSION:-$(sed -n 's:.*<rocketmq.version>\(.*\)</rocketmq.version>.*:\1:p' "$here/pom.xml")}
lib=$base/lib-$version
start_seconds_max=90
stop_seconds_max=45
short_delays='1s 1s 1s 2s 2s 2s 3s 3s 3s 4s 4s 4s 5s 5s 5s 6s 6s 6s'

say() { echo "apache: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

# --- tools and jars -------------------------------------------------------------------------------

need_tools() {
    local missing=()
    command -v java >/dev/null || missing+=(java)
    command -v mvn >/dev/null || missing+=(mvn)
    ((${#missing[@]})) || return 0
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        fail "missing: ${missing[*]}; install a JDK (11 or newer) and Maven, for example" \
            "'apt-get install openjdk-17-jdk-headless maven', then run this again"
    fi
    say "installing a JDK and Maven, because this machine lacks: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    if ! command -v java >/dev/null; then
        apt-get install -qq -y --no-install-recommends openjdk-17-jdk-headless >&2 ||
            apt-get install -qq -y --no-install-recommends default-jdk-headless >&2
    fi
    command -v mvn >/dev/null || apt-get install -qq -y --no-install-recommends maven >&2
}

fetch() {
    [[ -e $lib/.complete ]] && command -v java >/dev/null && return 0
    need_tools
    say "fetching Apache RocketMQ $version into $lib"
    rm -rf "$lib"
    mkdir -p "$lib"
    mvn -B -q -f "$here/pom.xml" ${RMQ_APACHE_VERSION:+-Drocketmq.version="$version" -Dservers} dependency:copy-dependencies \
        -DoutputDirectory="$lib" -DincludeScope=runtime >&2 ||
        fail "Maven could not fetch the jars; its own words are above"
    touch "$lib/.complete"
}

# --- ports ----------------------------------------------------------------------------------------

port_is_free() {
    local hex
    printf -v hex '%04X' "$1"
    ! grep -qsE "^ *[0-9]+: [0-9A-F]+:$hex " /proc/net/tcp /proc/net/tcp6
}

# Below the kernel's range for outgoing connections, so that no client takes a port meanwhile.
choose_ports() {
    local p _
    for _ in {1..200}; do
        p=$((10000 + RANDOM % 20000))
        if port_is_free $p && port_is_free $((p - 2)) && port_is_free $((p + 1)) && port_is_free $((p + 5)); then
            broker_port=$p
            namesrv_port=$((p + 5))
            return
        fi
    done
    fail "found no free ports between 10000 and 30000"
}

# --- processes ------------------------------------------------------------------------------------

pid_of() { # NAME -> its pid, if it is still the process that was started here
    local pid
    pid=$(cat "$run/$1.pid" 2>/dev/null) || return 1
    { tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qF -- "-Duser.home=$run/$1 " || return 1
    echo "$pid"
}

signal() { # NAME SIGNAL
    local pid
    pid=$(pid_of "$1") || fail "the $1 is not running"
    kill "-$2" "$pid"
}

# Ends a process and waits until it is gone; harmless when it isn't there.
end() { # NAME SIGNAL
    local pid i
    pid=$(pid_of "$1") || {
        rm -f "$run/$1.pid"
        return 0
    }
    kill "-$2" "$pid"
    kill -CONT "$pid" 2>/dev/null || true
    for ((i = 0; i < stop_seconds_max * 10; i++)); do
        pid_of "$1" >/dev/null || break
        sleep 0.1
    done
    if pid_of "$1" >/dev/null; then
        say "the $1 ignored SIG$2 for $stop_seconds_max s: killing it"
        kill -KILL "$pid" 2>/dev/null || true
        while pid_of "$1" >/dev/null; do sleep 0.1; done
    fi
    rm -f "$run/$1.pid"
}

launch() { # NAME HEAP_MIB MAIN ARGUMENTS...
    local name=$1 heap=$2 main=$3
    shift 3
    mkdir -p "$run/$name"
    # Java's user.home is where RocketMQ puts its logs and whatever else has no setting of its own.
    ROCKETMQ_HOME=$run setsid nohup java \
        "-Xms${heap}m" "-Xmx${heap}m" -XX:MaxDirectMemorySize=512m \
        "-Duser.home=$run/$name" \
        -Drocketmq.broker.diskSpaceWarningLevelRatio=0.99 \
        -Drocketmq.broker.diskSpaceCleanForciblyRatio=0.98 \
        --add-opens java.base/java.nio=ALL-UNNAMED \
        --add-opens java.base/jdk.internal.ref=ALL-UNNAMED \
        --add-opens java.base/sun.nio.ch=ALL-UNNAMED \
        --add-exports java.base/jdk.internal.ref=ALL-UNNAMED \
        -cp "$lib/*" "$main" "$@" </dev/null >"$run/$name.out" 2>&1 &
    local pid=$! i
    echo "$pid" >"$run/$name.pid"
    # On a busy machine the child is this script for a moment before it becomes Java, and `pid_of` doesn't know it.
    for ((i = 0; i < 100; i++)); do
        pid_of "$name" >/dev/null && break
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
}

tell_why() { # NAME
    say "the $1 did not start; the end of $run/$1.out:"
    tail -n 20 "$run/$1.out" >&2 || true
}

# Waits for a line that the process prints when it serves. 2: it ended, 1: too late.
wait_for_boot() { # NAME
    local i
    for ((i = 0; i < start_seconds_max * 10; i++)); do
        grep -qs 'boot success' "$run/$1.out" && return 0
        pid_of "$1" >/dev/null || return 2
        sleep 0.1
    done
    return 1
}

# Asks the name server for the route of the topic that a broker with autoCreateTopicEnable registers.
has_route() {
    local header='{"code":105,"extFields":{"topic":"TBW102"},"flag":0,"language":"OTHER","opaque":1,"version":0}'
    local n=${#header} total
    total=$((n + 4))
    (
        exec 3<>"/dev/tcp/127.0.0.1/$namesrv_port" || exit 1
        printf "$(printf '\\x00\\x00\\x%02x\\x%02x\\x00\\x00\\x%02x\\x%02x' \
            $((total >> 8)) $((total & 255)) $((n >> 8)) $((n & 255)))%s" "$header" >&3
        timeout 2 dd bs=65536 count=1 <&3 2>/dev/null | tr -d '\0' | grep -q '"code":0[,}]'
    ) 2>/dev/null
}

wait_for_route() {
    local i
    for ((i = 0; i < start_seconds_max * 10; i++)); do
        has_route && return 0
        pid_of broker >/dev/null || return 2
        sleep 0.1
    done
    return 1
}

# --- commands -------------------------------------------------------------------------------------

write_conf() { # KEY=VALUE...
    mkdir -p "$run/conf"
    echo "listenPort=$namesrv_port" >"$run/conf/namesrv.conf"
    cat >"$run/conf/broker.conf" <<CONF
brokerClusterName=DefaultCluster
brokerName=broker-a
brokerId=0
brokerRole=ASYNC_MASTER
brokerIP1=127.0.0.1
brokerIP2=127.0.0.1
listenPort=$broker_port
haListenPort=$((broker_port + 1))
namesrvAddr=127.0.0.1:$namesrv_port
storePathRootDir=$run/store
storePathCommitLog=$run/store/commitlog
flushDiskType=ASYNC_FLUSH
autoCreateTopicEnable=true
autoCreateSubscriptionGroup=true
enablePropertyFilter=true
traceTopicEnable=true
mappedFileSizeCommitLog=67108864
mappedFileSizeConsumeQueue=400000
mappedFileSizeTimerLog=10485760
maxHashSlotNum=50000
maxIndexNum=200000
diskMaxUsedSpaceRatio=95
CONF
    local line name
    for line in "$@"; do echo "$line" >>"$run/conf/broker.conf"; done
    # Servers of 4.x do not start without.
    for name in namesrv broker; do
        cat >"$run/conf/logback_$name.xml" <<CONF
<configuration>
  <appender name="file" class="ch.qos.logback.core.FileAppender">
    <file>$run/$name/$name.log</file>
    <encoder><pattern>%d %p %t - %m%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="file"/></root>
</configuration>
CONF
    done
    printf '%s\n' "broker_port=$broker_port" "namesrv_port=$namesrv_port" >"$run/ports"
}

read_ports() {
    [[ -e $run/ports ]] || fail "nothing was started in $run; 'broker.sh start' does"
    # shellcheck source=/dev/null
    source "$run/ports"
}

start_namesrv() {
    pid_of namesrv >/dev/null && fail "the namesrv is already running"
    launch namesrv 256 org.apache.rocketmq.namesrv.NamesrvStartup -c "$run/conf/namesrv.conf"
    wait_for_boot namesrv
}

start_broker() {
    pid_of broker >/dev/null && fail "the broker is already running"
    launch broker 1024 org.apache.rocketmq.broker.BrokerStartup -c "$run/conf/broker.conf"
    wait_for_boot broker && wait_for_route
}

# A clean end of the broker takes a quarter of a minute, and its store is discarded anyway.
stop() {
    end broker KILL
    end namesrv KILL
}

start() {
    local lines=() argument
    for argument in "$@"; do
        case $argument in
        --short-delays) lines+=("messageDelayLevel=$short_delays") ;;
        *=*) lines+=("$argument") ;;
        *) fail "'$argument' is neither --short-delays nor KEY=VALUE" ;;
        esac
    done
    fetch
    stop
    trap stop EXIT
    # Another process may take a port between the choice and the bind: choose anew.
    for _ in 1 2 3; do
        stop
        rm -rf "$run"
        choose_ports
        write_conf ${lines[@]+"${lines[@]}"}
        if start_namesrv && start_broker; then
            trap - EXIT
            echo "127.0.0.1:$namesrv_port"
            return
        fi
        grep -qs 'Address already in use\|BindException\|bind' "$run"/*.out || break
        say "a port was taken meanwhile; choosing others"
    done
    pid_of namesrv >/dev/null || tell_why namesrv
    tell_why broker
    exit 1
}

# What a power loss leaves of the messages: those of the time when the store was kept. Offsets are kept apart.
keep_store() {
    rm -rf "$run/store.kept"
    cp -r "$run/store" "$run/store.kept"
    rm -rf "$run/store.kept/config"
}

lose_tail() {
    [[ -e $run/store.kept ]] || fail "no store was kept; 'broker.sh keep-store' does"
    end broker KILL
    mv "$run/store/config" "$run/store.kept/config"
    rm -rf "$run/store"
    mv "$run/store.kept" "$run/store"
}

start_one() { # NAME
    fetch
    read_ports
    "start_$1" || {
        tell_why "$1"
        end "$1" TERM
        exit 1
    }
}

status() {
    local name pid code=0
    [[ -e $run/ports ]] || {
        echo "nothing was started in $run"
        return 1
    }
    read_ports
    for name in namesrv broker; do
        if pid=$(pid_of $name); then
            local port=${name}_port
            echo "$name 127.0.0.1:${!port} pid $pid resident $(awk '/VmRSS/ {print int($2 / 1024)}' "/proc/$pid/status") MiB"
        else
            echo "$name is not running"
            code=1
        fi
    done
    return $code
}

print_env() {
    read_ports
    echo "export RMQ_NAMESRV=127.0.0.1:$namesrv_port"
    echo "export RMQ_BROKER=127.0.0.1:$broker_port"
    echo "export RMQ_APACHE_CLASSPATH='$lib/*'"
}

command=${1:-}
shift || true
case $command in
fetch) fetch ;;
start) start "$@" ;;
stop) stop ;;
status) status ;;
classpath) echo "$lib/*" ;;
env) print_env ;;
stop-broker) end broker TERM ;;
kill-broker) end broker KILL ;;
keep-store) keep_store ;;
lose-tail) lose_tail ;;
pause-broker) signal broker STOP ;;
resume-broker) signal broker CONT ;;
start-broker) start_one broker ;;
stop-namesrv) end namesrv TERM ;;
kill-namesrv) end namesrv KILL ;;
start-namesrv) start_one namesrv ;;
-h | --help | help) usage ;;
*)
    usage >&2
    exit 2
    ;;
esac
