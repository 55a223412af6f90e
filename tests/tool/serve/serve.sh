# serve.sh: crowds and servers for the tests of shmheap serve. Sourced after lib.sh, with crowd's
# path in $2.
crowd=$PWD/$2

# start_crowd NAME LEN BLOCKS [busy]
start_crowd() {
    local word
    mkfifo "$work/$1.in"
    exec {crowd_in}<>"$work/$1.in" # it stays open: the crowd ends when it is killed
    exec {crowd_out}< <(exec "$crowd" "/$@" <"$work/$1.in" 2>"$work/crowd")
    crowds+=($!)
    read -r word <&"$crowd_out" || true
    [ "${word-}" = ready ] || fail "the crowd $1 did not start: $(cat "$work/crowd")"
}

# start_server ARGUMENT...: sets $server, its pid, and $url.
start_server() {
    local rest
    exec {server_out}< <(exec "$tool" serve --port 0 "$@" 2>"$work/server")
    server=$!
    read -r url rest <&"$server_out" || true
    [[ ${url-} == http://127.0.0.1:*/ ]] || fail "no address: ${url-} $(cat "$work/server")"
}

# stop_server SIGNAL: it ends with 0.
stop_server() {
    local status=0
    kill "-$1" "$server"
    wait "$server" || status=$?
    [ "$status" = 0 ] || fail "SIG$1 ended it with $status: $(cat "$work/server")"
    [ ! -s "$work/server" ] || fail "it printed errors: $(cat "$work/server")"
    server=
}

crowds=() server=
stop_all() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null
    [ ${#crowds[@]} = 0 ] || kill -KILL "${crowds[@]}" 2>/dev/null
    clean_up
}
trap stop_all EXIT
